"""The core of networks: members and paths, passes, models as data and as pure functions."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(np.asarray(a.detach()), np.asarray(b.detach()), rtol=1e-5, atol=1e-6)


class Tied(nn.Layer):
    """An encoder and a decoder that have one weight."""

    def __init__(self) -> None:
        self.encoder, self.bias = nn.Dense(2, use_bias=False), bl.zeros(3, dtype="float32")

    def forward(self, x: Any) -> Any:
        return self.encoder(x) @ self.encoder.weight.mT + self.bias


# --- paths ---------------------------------------------------------------------------------------------


def test_lists_tuples_and_dicts_of_layers() -> None:
    class Net(nn.Layer):
        def __init__(self) -> None:
            self.blocks = [nn.Dense(2), (nn.Dense(3), nn.Tanh())]
            self.heads = {"a": nn.Dense(1), "b": nn.Dense(1, use_bias=False)}
            self._hidden = nn.Dense(5)

        def forward(self, x: Any) -> Any:
            x = self.blocks[0](x)
            for f in self.blocks[1]:
                x = f(x)
            return {name: head(x) for name, head in self.heads.items()}

    model = Net()
    out = model(bl.ones((4, 2)))
    assert {name: y.shape for name, y in out.items()} == {"a": (4, 1), "b": (4, 1)}
    assert list(model.parameters()) == [
        "blocks.0.weight", "blocks.0.bias", "blocks.1.0.weight", "blocks.1.0.bias",
        "heads.a.weight", "heads.a.bias", "heads.b.weight",
    ]  # fmt: skip
    new = {path: bl.zeros(p.shape) for path, p in model.parameters().items()}
    assert (model.apply(new, bl.ones((4, 2)))[0]["a"] == 0).all()
    assert not (model(bl.ones((4, 2)))["b"] == 0).all()
    model.load_values(new)
    assert (model(bl.ones((4, 2)))["b"] == 0).all()


def test_a_shared_layer_has_one_set_of_parameters() -> None:
    d = nn.Dense(3)
    model = nn.Sequential(d, bl.tanh, d).build(3)
    assert list(model.parameters()) == ["0.weight", "0.bias"]
    x = bl.random.normal(bl.random.key(0), (2, 3))
    w, b = model.parameters().values()
    slopes = bl.grad(lambda p: bl.sum(model.apply(p, x)[0]))(model.parameters())
    expected = bl.grad(lambda w, b: bl.sum(bl.tanh(x @ w + b) @ w + b), argnums=(0, 1))(w, b)
    for slope, e in zip(slopes.values(), expected, strict=True):
        close(slope, e)


def test_tied_weights_are_one_parameter() -> None:
    model = Tied().build(3)
    assert list(model.parameters()) == ["encoder.weight", "bias"]
    x, w = bl.ones((1, 3)), model.parameters()["encoder.weight"]
    slope = bl.grad(lambda p: bl.sum(model.apply(p, x)[0]))(model.parameters())["encoder.weight"]
    close(slope, bl.grad(lambda w: bl.sum(x @ w @ w.mT))(w))
    other = nn.Sequential(nn.Dense(2), nn.Dense(2)).build(2)
    other[1].weight = other[0].weight
    assert list(other.parameters()) == ["0.weight", "0.bias", "1.bias"]


def test_a_layer_that_does_not_hang_on_the_model() -> None:
    class Net(nn.Layer):
        def forward(self, x: Any) -> Any:
            return nn.Dense(2)(x)

    with pytest.raises(bl.ArgumentError, match="does not hang on it"):
        Net()(bl.ones((1, 2)))


def test_a_second_batch_norm_of_the_same_layer_goes_on_from_the_first() -> None:
    norm = nn.BatchNorm(momentum=0.5)
    model = nn.Sequential(norm, norm).build(2)
    x = bl.tensor([[0.0, 2.0], [2.0, 6.0]])
    _, state = model.apply({}, x, training=True)
    close(state["0.mean"], bl.tensor([0.25, 1.0]))  # half of the mean, then half again, since the second sees mean 0


# --- values --------------------------------------------------------------------------------------------


def test_apply_is_pure() -> None:
    model = nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5)).build(2)
    before = {path: x.numpy().copy() for path, x in model.values().items()}
    x, key = bl.random.normal(bl.random.key(1), (8, 2)), bl.random.key(2)
    new = {path: p * 2 for path, p in model.parameters().items()}
    one = model.apply(new, x, training=True, key=key)
    two = model.apply(new, x, training=True, key=key)
    assert (one[0] == two[0]).all()
    assert not np.allclose(one[1]["1.mean"].numpy(), 0)
    for path, value in model.values().items():
        assert (value.numpy() == before[path]).all()


def test_models_that_are_not_built() -> None:
    model = nn.Sequential(nn.Dense(2), nn.Dense(1))
    for ask in (model.parameters, model.values, lambda: model.apply({}, bl.ones((1, 2)))):
        with pytest.raises(bl.ArgumentError, match="0 has no parameters yet"):
            ask()
    assert model.state() == {}

    class Half(nn.Layer):
        def __init__(self) -> None:
            self.used, self.spare = nn.Dense(1), nn.Dense(1)

        def forward(self, x: Any) -> Any:
            return self.used(x)

    with pytest.raises(bl.ArgumentError, match="did not call spare"):
        Half().build(2)


def test_build_makes_all_anew_and_by_key() -> None:
    model = nn.Sequential(nn.Dense(4), nn.Dense(4))
    a = model.build(4, key=1).parameters()
    b = model.build(4, key=1).parameters()
    c = model.build(4, key=bl.random.key(2)).parameters()
    assert (a["0.weight"] == b["0.weight"]).all()
    assert not (a["0.weight"] == c["0.weight"]).all()
    assert not (a["0.weight"] == a["1.weight"]).all()
    assert model.build((2,)).parameters()["0.weight"].shape == (2, 4)


def test_a_failed_first_call_can_be_repeated() -> None:
    model = nn.Sequential(nn.Dense(4), nn.Conv1d(1, 1))
    with pytest.raises(bl.ShapeError):
        model(bl.ones((1, 3)))
    model = nn.Sequential(*model.layers[:1], nn.Dense(2))
    assert model(bl.ones((1, 3))).shape == (1, 2)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"0.wait": np.zeros((2, 3))}, "nothing at '0.wait'"),
        ({"0.weight": np.zeros((3, 2))}, r"has shape \(2, 3\)"),
        ({"0.weight": np.zeros((2, 3), int)}, "but a value of int64"),
    ],
)
def test_values_that_do_not_fit(values: dict[str, Any], said: str) -> None:
    model = nn.Sequential(nn.Dense(3)).build(2)
    for take in (model.load_values, lambda v: model.apply(v, bl.ones((1, 2)))):
        with pytest.raises((bl.ArgumentError, bl.ShapeError, bl.DtypeError), match=said):
            take(values)


# --- as data -------------------------------------------------------------------------------------------


def test_a_model_as_argument_and_result() -> None:
    model = nn.Sequential(nn.Dense(3, "tanh"), nn.BatchNorm(), nn.Dense(1)).build(2)
    x = bl.random.normal(bl.random.key(0), (4, 2))
    loss = lambda m: bl.mean(m(x) ** 2)
    slopes = bl.grad(loss)(model)
    by_path = bl.grad(lambda p: bl.mean(model.apply(p, x)[0] ** 2))(model.parameters())
    for path, slope in by_path.items():
        close(slopes.parameters()[path], slope)

    @bl.compile
    def step(m: Any) -> Any:
        value, g = bl.value_and_grad(loss)(m)
        return m, value, g

    same, value, g = step(model)
    assert isinstance(same, nn.Sequential)
    close(same(x), model(x))
    close(value, loss(model))
    close(g.parameters()["0.weight"], by_path["0.weight"])


def test_models_are_trees() -> None:
    from backlit.base.trees import leaves_with_paths, tree_map

    model = nn.Sequential(nn.Dense(2)).build(3)
    assert [path for path, _ in leaves_with_paths(model)] == ["0.weight", "0.bias"]
    double = tree_map(lambda p: p * 2, model)
    close(double(bl.ones((1, 3))), model(bl.ones((1, 3))) * 2)
    sizes = tree_map(lambda p: p.ndim, model)
    assert dict(sizes) == {"0.weight": 2, "0.bias": 1}
    close(tree_map(lambda n, p: p, sizes, model)(bl.ones((1, 3))), model(bl.ones((1, 3))))


def test_a_plan_knows_models_apart_by_their_settings() -> None:
    f = bl.compile(lambda m, x: m(x))
    x = bl.tensor([[-1.0, 1.0]])
    a, b = (nn.Sequential(nn.LeakyReLU(slope)) for slope in (0.1, 0.2))
    assert f(a, x)[0, 0].item() == pytest.approx(-0.1)
    assert f(b, x)[0, 0].item() == pytest.approx(-0.2)


def test_settings_without_hash_are_named() -> None:
    class Odd(nn.Layer):
        def __init__(self) -> None:
            self.sizes = {1, 2}

        def forward(self, x: Any) -> Any:
            return x

    with pytest.raises(bl.ArgumentError, match="sizes"):
        bl.compile(lambda m, x: m(x))(Odd(), bl.ones(2))


# --- passes --------------------------------------------------------------------------------------------


def test_the_innermost_layer_tells_once() -> None:
    model = nn.Sequential(nn.Residual(nn.Sequential(nn.Dense(3), nn.Conv2d(1, 3))))
    with pytest.raises(bl.ShapeError) as caught:
        model(bl.ones((2, 3)))
    notes = [n for n in caught.value.__notes__ if n.startswith("in layer")]
    assert notes == ["in layer 0.inner.1: Conv2d(1, 3), called with float32(2, 3)"]


def test_random_numbers_need_a_key_and_differ_from_layer_to_layer() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    with pytest.raises(bl.ArgumentError, match="needs random numbers"):
        model.apply({}, bl.ones((2, 2)), training=True)
    y, _ = model.apply({}, bl.ones((100, 100)), training=True, key=bl.random.key(0))
    assert 0.2 < (y != 0).astype("float32").mean().item() < 0.3


def test_what_is_for_forward_says_so() -> None:
    with pytest.raises(bl.ArgumentError, match="call the layer, not its forward"):
        nn.BatchNorm().build(2).forward(bl.ones((2, 2)))
    with pytest.raises(NotImplementedError, match="write its method forward"):
        nn.Layer()(1.0)
    assert not nn.Dropout().training


def test_inputs_may_be_arrays_and_lists() -> None:
    model = nn.Sequential(nn.Dense(2, init="ones"))
    close(model([[1.0, 2.0]]), model(np.array([[1.0, 2.0]], "float32")))


def test_deep_models() -> None:
    model = nn.Sequential(*(nn.Residual(nn.Dense(2, "tanh")) for _ in range(100))).build(2)
    slopes = bl.grad(lambda p: bl.sum(model.apply(p, bl.ones((1, 2)))[0]))(model.parameters())
    assert len(slopes) == 200
    inner: nn.Layer = nn.Dense(2)
    for _ in range(60):
        inner = nn.Residual(inner)
    assert inner(bl.ones((1, 2))).shape == (1, 2)


def test_calls_from_many_threads() -> None:
    """Each thread has a pass of its own: keys, paths and updates do not mix."""
    model = nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Dropout(0.5)).build(3)
    inputs = [bl.random.normal(bl.random.key(i), (16, 3)) for i in range(8)]
    alone = [model.apply({}, x, training=True, key=bl.random.key(i)) for i, x in enumerate(inputs)]
    together: list[Any] = [None] * 8

    def work(i: int) -> None:
        for _ in range(10):
            together[i] = model.apply({}, inputs[i], training=True, key=bl.random.key(i))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for (y, state), (z, other) in zip(alone, together, strict=True):
        assert (y == z).all()
        assert (state["1.mean"] == other["1.mean"]).all()


def test_sequential_can_be_taken_apart() -> None:
    model = nn.Sequential(nn.Dense(3), bl.tanh, nn.Dense(2)).build(2)
    assert len(model) == 3
    assert [type(layer).__name__ for layer in model][::2] == ["Dense", "Dense"]
    front = model[:2]
    assert front[0] is model[0]
    close(model[2](front(bl.ones((1, 2)))), model(bl.ones((1, 2))))
