"""Every feed-forward layer: its formula, its gradients against differences, and the same inside a plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, testing
from backlit.compiler.lower.steps import Call, walk
from backlit.nn.activations import ACTIVATIONS

KEY = bl.random.key(3)

#: Each layer once or twice, with the shape of an input.
LAYERS: list[tuple[nn.Layer, tuple[int, ...]]] = [
    (nn.Dense(3, "tanh"), (4, 5)),
    (nn.Dense(3, use_bias=False, init="orthogonal"), (2, 3, 5)),
    (nn.Conv1d(3, 2, padding="same", dilation=2), (2, 2, 5)),
    (nn.Conv2d(4, (3, 2), stride=2, padding=((1, 0), (0, 1)), groups=2, activation="softplus"), (2, 2, 5, 4)),
    (nn.Conv3d(2, 2, use_bias=False), (1, 1, 3, 3, 2)),
    (nn.ConvTranspose1d(3, 2, stride=2, output_padding=1), (2, 2, 3)),
    (nn.ConvTranspose2d(2, 3, stride=2, padding="same"), (1, 2, 3, 2)),
    (nn.ConvTranspose3d(2, 2, groups=2), (1, 2, 2, 2, 2)),
    (nn.AvgPool1d(2, stride=1, padding=1, count_include_pad=False), (2, 2, 5)),
    (nn.AvgPool2d(2), (1, 2, 4, 4)),
    (nn.AvgPool3d((1, 2, 2)), (1, 1, 2, 4, 4)),
    (nn.MaxPool1d(2), (1, 2, 6)),
    (nn.MaxPool2d(3, stride=2, padding=1), (1, 2, 5, 5)),
    (nn.MaxPool3d(2), (1, 1, 2, 4, 4)),
    (nn.GlobalAvgPool(), (2, 3, 4)),
    (nn.GlobalMaxPool(), (2, 3, 2, 2)),
    (nn.AdaptiveAvgPool(2), (1, 2, 5, 3)),
    (nn.AdaptiveMaxPool((2, 1)), (1, 2, 5, 3)),
    (nn.BatchNorm(), (4, 3)),
    (nn.BatchNorm(affine=False), (2, 2, 3, 2)),
    (nn.LayerNorm(), (3, 4)),
    (nn.LayerNorm(2, affine=False), (2, 3, 2)),
    (nn.RMSNorm(), (3, 4)),
    (nn.GroupNorm(2), (2, 4, 3)),
    (nn.InstanceNorm(), (2, 2, 3)),
    (nn.Dropout(0.4), (4, 5)),
    (nn.ChannelDropout(0.5), (3, 4, 2, 2)),
    (nn.Flatten(), (2, 3, 2)),
    (nn.Reshape(3, -1), (2, 6)),
    (nn.Residual(nn.Dense(4)), (2, 4)),
    (nn.Residual(nn.Dense(3, "relu"), nn.Dense(3)), (2, 4)),
    (nn.Concat(nn.Dense(2), bl.tanh, axis=-1), (2, 3)),
    (nn.PReLU(), (3, 4)),
    (nn.PReLU(0.1, per_channel=True), (2, 3, 2)),
    *[(layer(), (3, 4)) for layer in (nn.GLU, nn.Softmax, nn.LogSoftmax, nn.GELU, nn.ReLU6, nn.HardSwish)],
]


def ready(layer: nn.Layer, shape: tuple[int, ...]) -> tuple[dict[str, Any], np.ndarray]:
    """Parameters and state of a layer in float64, drawn by chance, and an input without ties or kinks."""
    rng = np.random.default_rng(0)
    with bl.settings(default_dtype="float64"):
        layer.build(shape[1:])
    values = {path: bl.tensor(rng.uniform(0.5, 1.5, size=p.shape)) for path, p in layer.values().items()}
    x = rng.permutation(np.linspace(-2, 2.1, int(np.prod(shape)))).reshape(shape)
    return values, x


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda x: repr(x))
@pytest.mark.parametrize("training", [False, True])
def test_gradients_equal_differences(layer: nn.Layer, shape: tuple[int, ...], training: bool) -> None:
    values, x = ready(layer, shape)
    trained = {path: values[path] for path in layer.parameters()}
    rest = {path: p for path, p in values.items() if path not in trained}

    def f(p: Any, x: Any) -> Any:
        return layer.apply({**rest, **p}, x, training=training, key=KEY)[0]

    testing.check_grad(f, [trained, x], modes="reverse")


@pytest.mark.parametrize("training", [False, True])
def test_second_derivatives_of_batch_norm(training: bool) -> None:
    layer = nn.BatchNorm()
    values, x = ready(layer, (4, 2))
    testing.check_grad(lambda x: layer.apply(values, x, training=training)[0], [x], order=2)


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda x: repr(x))
def test_a_plan_does_the_same(layer: nn.Layer, shape: tuple[int, ...]) -> None:
    values, x = ready(layer, shape)

    def step(p: Any, x: Any) -> Any:
        def loss(p: Any, x: Any) -> Any:
            y, state = layer.apply(p, x, training=True, key=KEY)
            return bl.sum(bl.sin(y)), (y, state)

        return bl.value_and_grad(loss, argnums=(0, 1), has_aux=True)(p, x)

    one, other = step(values, bl.tensor(x)), bl.compile(step)(values, bl.tensor(x))
    for (path, a), (_, b) in zip(flat(one), flat(other), strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-10, atol=1e-10, err_msg=path)


def flat(tree: Any) -> list[tuple[str, Any]]:
    from backlit.base.trees import leaves_with_paths

    return [(path, x.detach()) for path, x in leaves_with_paths(tree)]


# --- formulas ------------------------------------------------------------------------------------------


def test_every_activation_has_a_name_and_a_layer() -> None:
    import backlit.ops.activation as ops
    from backlit.graph.opdef import OPS, OpDef

    here = {
        name
        for name, x in vars(ops).items()
        if isinstance(x, OpDef) and OPS.get(name) is x and "erf" not in name and x.eval.__module__ == ops.__name__
    }
    assert here <= set(ACTIVATIONS)
    assert {"tanh", "softmax", "log_softmax"} <= set(ACTIVATIONS)
    x = bl.tensor(np.linspace(-2, 2, 6))
    for name, function in ACTIVATIONS.items():
        layer = next(k for k in vars(nn).values() if getattr(k, "applies", None) == name)
        assert (layer()(x) == function(x)).all()
        assert layer.__doc__ is not None
        assert f"bl.{name}" in layer.__doc__
        assert nn.Dense(2, name)(bl.ones((1, 3))) is not None


def test_batch_norm_by_its_formula() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, size=(5, 3, 4)).astype("float32")
    layer = nn.BatchNorm(momentum=0.2, epsilon=1e-3).build(x)
    y, state = layer.apply({}, x, training=True)
    m, v = x.mean(axis=(0, 2)), x.var(axis=(0, 2))
    expected = (x - m[:, None]) / np.sqrt(v[:, None] + 1e-3)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(state["mean"].numpy(), 0.2 * m, rtol=1e-5)
    np.testing.assert_allclose(state["variance"].numpy(), 0.8 + 0.2 * v * 20 / 19, rtol=1e-5)
    after, same = layer.apply(state, x)
    expected = (x - state["mean"].numpy()[:, None]) / np.sqrt(state["variance"].numpy()[:, None] + 1e-3)
    np.testing.assert_allclose(after.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert (same["mean"] == state["mean"]).all()


def test_batch_norm_far_from_zero_loses_nothing() -> None:
    x = (np.random.default_rng(0).normal(size=(64, 2)) + 1000).astype("float32")
    y, _ = nn.BatchNorm().build(x).apply({}, x, training=True)
    exact = x.astype("float64")
    expected = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0) + 1e-5)
    np.testing.assert_allclose(y.numpy(), expected, atol=5e-4)


def test_dropout_keeps_the_mean_and_draws_by_key() -> None:
    layer, x = nn.Dropout(0.25), bl.ones((200, 100))
    a, _ = layer.apply({}, x, training=True, key=KEY)
    b, _ = layer.apply({}, x, training=True, key=KEY)
    c, _ = layer.apply({}, x, training=True, key=bl.random.key(4))
    assert (a == b).all()
    assert not (a == c).all()
    assert set(np.unique(a.numpy())) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(bl.mean(a).item() - 1) < 0.02  # five standard deviations are 0.02
    assert layer(x) is x or (layer(x) == x).all()


def test_channel_dropout_takes_whole_channels() -> None:
    y, _ = nn.ChannelDropout(0.5).apply({}, bl.ones((20, 30, 3, 3)), training=True, key=KEY)
    y = y.numpy().reshape(20, 30, 9)
    assert (y == y[:, :, :1]).all()
    assert 0.4 < (y == 0).mean() < 0.6


def test_embedding_with_padding() -> None:
    layer = nn.Embedding(5, 3, padding=1)
    ids = bl.tensor([[0, 1], [1, 4]])
    y = layer(ids)
    assert y.shape == (2, 2, 3)
    assert (y[0, 1] == 0).all()
    assert (layer.parameters()["weight"][1] == 0).all()
    slope = bl.grad(lambda p: bl.sum(layer.apply(p, ids)[0]))(layer.parameters())["weight"]
    assert slope.tolist() == [[1.0] * 3, [0.0] * 3, [0.0] * 3, [0.0] * 3, [1.0] * 3]


def test_transposed_convolution_of_the_same_size() -> None:
    for kernel, stride, dilation in [(3, 2, 1), (1, 3, 1), (4, 2, 1), (2, 1, 2), (5, 3, 1)]:
        layer = nn.ConvTranspose1d(2, kernel, stride, "same", dilation)
        assert layer(bl.ones((1, 1, 4))).shape == (1, 2, 4 * stride)


def test_options_and_text() -> None:
    assert repr(nn.MaxPool2d(2, stride=1)) == "MaxPool2d(2, stride=1)"
    assert repr(nn.Conv2d(4, 3, padding="same", activation="relu")) == (
        "Conv2d(4, 3, padding='same', activation='relu')"
    )
    assert repr(nn.Sequential(nn.GELU("tanh"), bl.relu)) == "Sequential(GELU(approximate='tanh'), relu)"
    assert repr(nn.Dense(2, init=nn.initialisers.Orthogonal(2.0))) == "Dense(2, init=Orthogonal(gain=2.0))"


# --- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "shape", "said"),
    [
        (lambda: nn.Dense(3), (), "expected an input of shape"),
        (lambda: nn.Conv2d(3, 3), (1, 5), "expected an input of shape"),
        (lambda: nn.Conv2d(4, 3, groups=2), (3, 5, 5), "3 channels do not divide into groups=2"),
        (lambda: nn.Conv2d(4, 7, padding=1), (3, 4, 4), "does not fit"),
        (lambda: nn.ConvTranspose1d(2, 3), (3,), "expected an input of shape"),
        (lambda: nn.ConvTranspose1d(2, 1, padding=3), (2, 3), "cuts the whole output away"),
        (lambda: nn.MaxPool2d(5), (1, 3, 3), "does not fit"),
        (lambda: nn.MaxPool2d(2), (3, 3), "expected x of shape"),
        (lambda: nn.GroupNorm(2), (3, 4), "do not divide into groups=2"),
        (lambda: nn.BatchNorm(), (), "expected an input of shape"),
        (lambda: nn.InstanceNorm(), (3,), "expected an input of shape"),
        (lambda: nn.LayerNorm(3), (4,), "axes=3"),
        (lambda: nn.PReLU(per_channel=True), (), "expected an input"),
        (lambda: nn.Reshape(5), (4,), "has 4 numbers, which do not fit"),
        (lambda: nn.Reshape(3, -1), (4,), "has 4 numbers, which do not fit"),
        (lambda: nn.Reshape(8), (4,), "has 4 numbers"),
        (lambda: nn.Residual(nn.Dense(3)), (1,), "must be equal"),
        (lambda: nn.Embedding(4, 2), (3,), "expected integers"),
        (lambda: nn.Dense(3, init="orthogonal").build(3) and nn.Dense(3), (), "expected an input of shape"),
    ],
)
def test_inputs_that_do_not_fit(make: Any, shape: tuple[int, ...], said: str) -> None:
    layer = make()
    with pytest.raises((bl.ShapeError, bl.DtypeError), match=said) as caught:
        layer(bl.ones((2, *shape)))
    assert sum(note.startswith("in layer") for note in caught.value.__notes__) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Dense(0), "units must be 1 or more"),
        (lambda: nn.Dense(2.5), "units must be an integer"),
        (lambda: nn.Dense(2, "rellu"), "Did you mean 'relu'"),
        (lambda: nn.Dense(2, init="he_norml"), "Did you mean 'he_normal'"),
        (lambda: nn.Dense(2, 3), "no activation is named 3"),
        (lambda: nn.Conv2d(3, 3, groups=2), "divide into groups=2"),
        (lambda: nn.Conv2d(3, (3, 3, 3)), "give one int, or 2"),
        (lambda: nn.Conv2d(3, 3, stride=0), "stride"),
        (lambda: nn.Conv2d(3, 3, padding="some"), "padding='some'"),
        (lambda: nn.Conv1d(3, 3, padding=-1), "negative"),
        (lambda: nn.ConvTranspose1d(3, 3, 2, "same", output_padding=1), "output_padding"),
        (lambda: nn.MaxPool2d(), "missing a required argument: 'window'"),
        (lambda: nn.LeakyReLU(0.1, 2), "negative_slope"),
        (lambda: nn.ReLU(slope=2), "arguments are: none"),
        (lambda: nn.Dropout(1.0), "rate"),
        (lambda: nn.ChannelDropout(-0.1), "ChannelDropout: rate"),
        (lambda: nn.Embedding(0, 3), "count and size"),
        (lambda: nn.Embedding(4, 3, padding=4), "from 0 to 3"),
        (lambda: nn.LayerNorm(0), "axes must be 1 or more"),
        (lambda: nn.GroupNorm(0), "groups must be 1 or more"),
        (lambda: nn.Reshape(-1, -1), "one that may be -1"),
        (lambda: nn.Concat(), "one branch or more"),
        (lambda: nn.Concat(3), "expected layers and functions"),
        (lambda: nn.Sequential([nn.Dense(3)]), "give them one by one"),
    ],
)
def test_arguments_that_make_no_sense(make: Any, said: str) -> None:
    with pytest.raises(bl.ArgumentError, match=said):
        make()


@pytest.mark.parametrize(
    ("layer", "first", "then"),
    [
        (nn.Dense(2), (4, 3), (3,)),
        (nn.Dense(2), (4, 3), (4, 2)),
        (nn.BatchNorm(), (4, 3), (4, 1)),
        (nn.BatchNorm(affine=False), (4, 3), (4, 1)),
        (nn.LayerNorm(), (4, 3), (4, 1)),
        (nn.RMSNorm(), (4, 3), (4, 1)),
        (nn.GroupNorm(1), (4, 3), (4, 1)),
        (nn.InstanceNorm(), (4, 3, 5), (4, 1, 5)),
        (nn.PReLU(per_channel=True), (4, 3), (4, 1)),
        (nn.Conv1d(2, 1), (4, 3, 5), (4, 1, 5)),
    ],
    ids=lambda x: repr(x),
)
def test_inputs_other_than_the_layer_was_built_for(
    layer: nn.Layer, first: tuple[int, ...], then: tuple[int, ...]
) -> None:
    """Parameters would broadcast where a size is 1: that must not go unseen. Building anew is well."""
    layer(bl.ones(first))
    with pytest.raises(bl.ShapeError):
        layer(bl.ones(then))
    if len(then) == len(first):
        layer.build(bl.ones(then))


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(
            nn.Conv2d(4, 3, padding="same"),
            nn.BatchNorm(),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.GroupNorm(2),
            nn.GlobalAvgPool(),
        ),
        nn.Sequential(nn.Flatten(), nn.Dense(8), nn.LayerNorm(), nn.GELU(), nn.Dropout(0.1), nn.Dense(4), nn.RMSNorm()),
        nn.Sequential(nn.Conv2d(2, 3), nn.InstanceNorm(), nn.PReLU(per_channel=True), nn.ConvTranspose2d(1, 3)),
    ],
    ids=["convolutions", "layer norm", "instance norm"],
)
def test_training_steps_are_native_throughout(model: nn.Layer) -> None:
    model.build((1, 8, 8))
    x = bl.random.normal(KEY, (4, 1, 8, 8))

    def step(p: Any, state: Any, x: Any) -> Any:
        def loss(p: Any) -> Any:
            y, new = model.apply({**state, **p}, x, training=True, key=KEY)
            return bl.mean(y * y), new

        return bl.value_and_grad(loss, has_aux=True)(p)

    p = {path: x.detach() for path, x in model.parameters().items()}
    plan = bl.compile(step).plan(p, model.state(), x)
    assert not [s for s in walk(plan.steps) if isinstance(s, Call)]


def test_embedding_out_of_range() -> None:
    with pytest.raises(bl.ShapeError, match="out of range"):
        nn.Embedding(4, 2)(bl.tensor([0, 4]))
    with pytest.raises(IndexError, match="a number is -1; they go from 0 to 3"):
        nn.Embedding(4, 2)(bl.tensor([0, -1]))


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda x: repr(x))
def test_static_graphs_with_any_number_of_samples(layer: nn.Layer, shape: tuple[int, ...]) -> None:
    layer.build(shape[1:])
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    with bl.static.Graph().as_default() as graph:
        given = bl.static.placeholder(bl.float32, (None, *shape[1:]))
        out = layer(given)
    with bl.static.Session(graph=graph) as session:
        np.testing.assert_allclose(session.run(out, {given: x}), layer(x).numpy(), rtol=1e-4, atol=1e-5)
