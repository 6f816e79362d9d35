"""`model.summary` and the count of operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.nn.flops import flops

F = np.dtype("float32")


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(8, 3, padding="same"), nn.BatchNorm(), bl.relu, nn.MaxPool2d(2),
        nn.Residual(nn.Conv2d(8, 1)), nn.Flatten(), nn.Dense(10),
    )  # fmt: skip


def counted(f: Any, *shapes: tuple[int, ...]) -> int:
    return flops(trace(f, [Spec(s, F) for s in shapes]))


@pytest.mark.parametrize(
    ("f", "shapes", "expected"),
    [
        (lambda a, b: a @ b, [(3, 4), (4, 5)], 2 * 3 * 4 * 5),
        (lambda a, b: a @ b, [(2, 3, 4), (2, 4, 5)], 2 * 2 * 3 * 4 * 5),
        (lambda a, b: bl.einsum("ij,kj->ik", a, b), [(3, 4), (5, 4)], 2 * 3 * 4 * 5),
        (lambda x, w: bl.conv2d(x, w, stride=2, groups=2), [(2, 4, 7, 7), (6, 2, 3, 3)], 2 * (2 * 6 * 3 * 3) * (2 * 9)),
        (lambda x, w: bl.conv_transpose2d(x, w), [(2, 4, 5, 5), (4, 3, 2, 2)], 2 * (2 * 4 * 25) * (3 * 4)),
        (lambda x: bl.max_pool2d(x, 2), [(1, 3, 4, 4)], 3 * 4 * 4),
        (lambda x: bl.avg_pool1d(x, 2), [(1, 3, 4)], 3 * 4 + 3 * 2),
        (lambda x: bl.sum(bl.exp(x) * 2), [(3, 4)], 36),
        (lambda x: bl.while_loop(lambda c: bl.sum(c) < 9, lambda c: c + 1, x), [(4,)], 4 + 1 + 4),
        (lambda x: bl.linalg.qr(x)[1], [(3, 4)], 0),
        (lambda a, b: bl.einsum("ij,ik->ijk", a, b), [(3, 4), (3, 5)], 3 * 4 * 5),
        (lambda x, w: bl.grad(lambda w: bl.sum(bl.conv1d(x, w)))(w), [(2, 3, 8), (4, 3, 3)], 2 * (2 * 4 * 6) * 9),
        (lambda x: bl.reshape(x, (4, 3)).mT[1:], [(3, 4)], 0),
        (lambda x: bl.softmax(x), [(3, 4)], 5 * 12),
        (lambda x: bl.scan(lambda c, r: (c + r, c), bl.zeros(4), x)[0], [(6, 4)], 6 * 4),
        (lambda x: bl.cond(bl.sum(x) > 0, lambda x: x * 2 + 1, lambda x: x, x), [(3,)], 3 + 1 + 6),
    ],
)  # fmt: skip
def test_operations_by_hand(f: Any, shapes: list[tuple[int, ...]], expected: int) -> None:
    assert counted(f, *shapes) == expected


def test_the_gradient_of_a_layer_costs_twice_the_layer() -> None:
    """Reverse mode does two products for each one of the forward pass."""
    x, w = (16, 20), (20, 30)
    forward = counted(lambda x, w: x @ w, x, w)
    both = counted(lambda x, w: bl.grad(lambda x, w: bl.sum(x @ w), argnums=(0, 1))(x, w), x, w)
    assert 2 * forward <= both <= 2.1 * forward


def test_shapes_parameters_operations_and_bytes() -> None:
    table = network().summary((3, 8, 8), batch=2)
    rows = {row.path: row for row in table.rows}
    assert list(rows) == ["", "0", "1", "3", "4", "4.inner", "5", "6"]
    assert rows["0"].shape == "(2, 8, 8, 8)"
    assert rows["0"].parameters == 8 * 3 * 9 + 8
    assert rows["0"].flops == 2 * (2 * 8 * 64) * 27 + 2 * 8 * 64
    assert rows["0"].nbytes == 4 * 2 * 8 * 64
    assert (rows["1"].parameters, rows["1"].state) == (16, 16)
    assert rows["3"].flops == 2 * 8 * 64
    assert rows["4"].flops == rows["4"].nbytes // 4 == 2 * 8 * 16
    assert rows["4.inner"].depth == 2
    assert rows["6"].flops == 2 * 2 * 128 * 10 + 20
    assert rows[""].flops == 2 * 8 * 64  # the relu is no layer
    assert table.parameters == sum(r.parameters for r in table.rows) == 224 + 16 + 72 + 1290
    assert table.flops == counted_forward(network(), (2, 3, 8, 8))
    assert str(table).splitlines()[-1].startswith("1,602 parameters, 16 more kept as state; ")


def counted_forward(model: nn.Layer, shape: tuple[int, ...]) -> int:
    model.build(shape[1:])
    with bl.no_grad():
        return flops(trace(model, [Spec(shape, F)]))


def test_values_stay() -> None:
    model = network()
    model.build((3, 8, 8), key=5)
    before = {path: x.numpy().copy() for path, x in model.values().items()}
    model.summary((3, 8, 8))
    for path, x in model.values().items():
        assert (x.numpy() == before[path]).all()


def test_it_makes_the_parameters_that_a_call_makes() -> None:
    a, b = network(), network()
    a.summary((3, 8, 8))
    b(bl.ones((1, 3, 8, 8)))
    for x, y in zip(a.values().values(), b.values().values(), strict=True):
        assert (x == y).all()


def test_a_layer_that_fails_is_named_and_all_before_it_shown() -> None:
    model = nn.Sequential(nn.Dense(3), nn.Sequential(nn.Dense(4), nn.Conv1d(2, 3)), nn.Dense(5))
    table = model.summary(7)
    assert isinstance(table.error, bl.ShapeError)
    assert [row.path for row in table.rows if row.failed] == ["", "1", "1.1"]
    assert [row.path for row in table.rows] == ["", "0", "1", "1.0", "1.1"]
    text = str(table)
    assert "ShapeError: Conv1d: expected an input of shape (batch, channels, length), got (1, 4)" in text
    assert "in layer 1.1: Conv1d(2, 3), called with float32(1, 4)" in text


def test_shared_layers_and_layers_that_are_not_called() -> None:
    class Net(nn.Layer):
        def __init__(self) -> None:
            self.shared, self.spare = nn.Dense(3), nn.Dense(4)

        def forward(self, x: Any) -> Any:
            return self.shared(self.shared(x))

    table = Net().summary((3,))
    assert [(row.parameters, row.again) for row in table.rows] == [(0, False), (12, False), (0, True)]
    assert table.uncalled == ["spare"]
    assert "again" in str(table)
    assert "not called, and not counted: spare" in str(table)


def test_several_inputs_and_outputs() -> None:
    class Two(nn.Layer):
        def forward(self, x: Any, y: Any) -> Any:
            return x + y, x

    table = Two().summary((3,), bl.ones((2, 1)), batch=2)
    assert table.rows[0].shape == "(2, 3), (2, 3)"
    assert table.inputs == "float32(2, 3), float32(2, 1)"
    assert (table.flops, table.nbytes) == (6, 24)


def test_recurrent_and_token_models() -> None:
    model = nn.Sequential(nn.Embedding(10, 8), nn.Dense(3))
    table = nn.summary(model, (7,), dtype="int64")
    assert [row.shape for row in table.rows] == ["(1, 7, 3)", "(1, 7, 8)", "(1, 7, 3)"]
    assert "Where only a shape is given" in str(nn.summary(model, (7,)))


def test_html() -> None:
    html = nn.Sequential(nn.Dense(3, lambda x: x)).summary(2)._repr_html_()
    assert html.count("<tr>") == 3
    assert "&lt;lambda&gt;" in html
    assert "<lambda>" not in html
