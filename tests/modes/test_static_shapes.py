"""Shapes in a static graph whose sizes are known only when it is fed."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import static
from backlit.graph.infer import UNKNOWN


@pytest.fixture(autouse=True)
def graph():
    with static.Graph() as g:
        yield g


def ph(*shape, dtype="float32"):
    return static.placeholder(dtype, shape)


W = np.ones((784, 128), np.float32)

INFERRED = [
    ("elementwise", lambda: ph(None, 3) + ph(3), (None, 3)),
    ("same unknown batch", lambda: ph(None, 3) - ph(None, 3), (None, 3)),
    ("an unknown size beside a known one", lambda: ph(None) + ph(5), (5,)),
    ("product with one unknown", lambda: ph(None, 784) @ W, (None, 128)),
    ("product with two unknowns, one of which must fit", lambda: ph(None, None) @ W, (None, 128)),
    ("product of two unknown matrices", lambda: ph(None, 4) @ ph(4, None), (None, None)),
    ("inner sizes unknown", lambda: ph(2, None) @ ph(None, 3), (2, 3)),
    ("reduction over the unknown axis", lambda: bl.sum(ph(None, 4), axis=0), (4,)),
    ("reduction over all", lambda: bl.mean(ph(None, None)), ()),
    ("reshape with the rest", lambda: bl.reshape(ph(None, 784), (-1, 28, 28)), (None, 28, 28)),
    ("reshape that needs a multiple", lambda: bl.reshape(ph(None), (-1, 28)), (None, 28)),
    ("flatten", lambda: ph(None, 3, 4).flatten(1), (None, 12)),
    ("slice shorter than some batches", lambda: ph(None, 4)[:5], (None, 4)),
    ("one row", lambda: ph(None, 4)[0], (4,)),
    ("transpose", lambda: ph(None, 4).T, (4, None)),
    ("concatenation", lambda: bl.concat([ph(None, 4), ph(None, 4)], axis=0), (None, 4)),
    ("concatenation beside it", lambda: bl.concat([ph(None, 4), ph(None, 3)], axis=1), (None, 7)),
    ("nothing known", lambda: ph(None, None) * 2.0, (None, None)),
    ("rank unknown, kept so", lambda: bl.exp(static.placeholder("float32")), UNKNOWN),
    ("rank unknown, reduced", lambda: bl.sum(static.placeholder("float32")), ()),
    ("rank unknown before a product", lambda: static.placeholder("float32") @ ph(4), UNKNOWN),
    ("image of unknown height", lambda: bl.conv2d(ph(None, 3, None, None), np.ones((8, 3, 5, 5), "f")),
     (None, 8, None, None)),
    ("shape itself", lambda: static.shape(ph(None, 4)), (2,)),
]  # fmt: skip


@pytest.mark.parametrize(("build", "expected"), [pytest.param(b, e, id=name) for name, b, e in INFERRED])
def test_inferred_shape(build, expected):
    assert build().shape == expected


FED = [
    ("matmul", lambda x: x @ W[:5, :4], (None, 5), (3, 5)),
    ("two unknowns", lambda x: x @ W[:5, :4], (None, None), (3, 5)),
    ("mean of rows", lambda x: bl.mean(x, axis=0), (None, 5), (3, 5)),
    ("unknown rank", lambda x: bl.sum(x, axis=-1) * 2.0, None, (2, 3, 5)),
    ("split by shape", lambda x: bl.reshape(x, (-1, 5)), (None,), (15,)),
    ("softmax by hand", lambda x: bl.exp(x - bl.max(x, axis=1, keepdims=True)), (None, None), (4, 3)),
    ("index assignment", lambda x: bl.index_update(x, 0, 1.0), (None, 3), (4, 3)),
    ("dynamic mean", lambda x: bl.sum(x, axis=0) / static.shape(x)[0].astype("float32"), (None, 5), (3, 5)),
    ("empty batch", lambda x: bl.sum(x * 2.0, axis=1), (None, 5), (0, 5)),
]  # fmt: skip


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize(("f", "shape", "fed"), [pytest.param(*c, id=name) for name, *c in FED])
def test_fed_values_agree_with_eager_to_the_last_bit(f, shape, fed):
    value = np.random.default_rng(0).normal(size=fed).astype("f")
    x = static.placeholder("float32", shape)
    with static.Session() as session:
        found = session.run(f(x), {x: value})

    def eager(t):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(static, "shape", lambda u: bl.tensor(u.shape))
            return f(t)

    expected = eager(bl.tensor(value)).numpy()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_one_graph_serves_many_shapes():
    x = static.placeholder("float32", (None, 3))
    y = bl.sum(x * x, axis=0)
    with static.Session() as session:
        for n in (1, 4, 2, 4):
            value = np.full((n, 3), 2, "f")
            np.testing.assert_array_equal(session.run(y, {x: value}), (value * value).sum(0))


REFUSED = [
    ("sizes that never fit", lambda: ph(None, 784) @ np.ones((100, 10), "f"), bl.ShapeError, r"\(None, 784\).*100"),
    ("known sizes that do not broadcast", lambda: ph(None, 3) + ph(4), bl.ShapeError, "broadcast"),
    ("an axis that is not there", lambda: bl.sum(ph(None, 3), axis=2), bl.ShapeError, "axis 2"),
    ("a dtype an op does not take", lambda: bl.exp(ph(None, dtype="bool")), bl.DtypeError, "exp"),
    ("the rank asked for too early", lambda: static.placeholder("float32").ndim, bl.GraphError, "shape"),
    ("a shape that depends on values", lambda: bl.nonzero(ph(None)), bl.GraphError, "depends on values"),
    ("len of an unknown size", lambda: len(ph(None, 2)), bl.BacklitError, "known only when"),
    ("iteration over an unknown size", lambda: list(ph(None, 2)), bl.BacklitError, "known only when"),
    ("a value asked for", lambda: ph(2).numpy(), bl.GraphError, "has no value"),
    ("a truth value", lambda: bool(ph() > 0), bl.GraphError, "has no value"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "error", "text"), [pytest.param(*c, id=name) for name, *c in REFUSED])
def test_refused_when_built(build, error, text):
    with pytest.raises(error, match=text):
        build()


def test_message_does_not_show_trial_sizes():
    with pytest.raises(bl.ShapeError) as info:
        _ = ph(None, 784) @ np.ones((100, 10), "f")
    assert "7919" not in str(info.value)
    assert "11" not in str(info.value)
