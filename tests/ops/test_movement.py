"""Moving, joining, taking apart and padding, against NumPy; their derivatives are checked with the registry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl

X = np.arange(24.0).reshape(2, 3, 4)
M = X[0]

#: (name, arguments, keywords, what NumPy says)
TABLE: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = [
    ("expand_dims", (X,), {"axis": 1}, np.expand_dims(X, 1)),
    ("expand_dims", (X,), {"axis": -1}, np.expand_dims(X, -1)),
    ("expand_dims", (X,), {"axis": (0, 2)}, np.expand_dims(X, (0, 2))),
    ("squeeze", (X[:1], 0), {}, X[0]),
    ("squeeze", (X[:1, :1], (0, 1)), {}, X[0, 0]),
    ("concat", ([M, M[:2]],), {}, np.concatenate([M, M[:2]])),
    ("concat", ([M, M],), {"axis": -1}, np.concatenate([M, M], -1)),
    ("concat", ([M, M[:1]],), {"axis": None}, np.concatenate([M, M[:1]], None)),
    ("stack", ([M, M],), {"axis": 1}, np.stack([M, M], 1)),
    ("stack", ([M, M],), {"axis": -1}, np.stack([M, M], -1)),
    ("flip", (X,), {}, np.flip(X)),
    ("flip", (X,), {"axis": (0, -1)}, np.flip(X, (0, -1))),
    ("roll", (X, 5), {}, np.roll(X, 5)),
    ("roll", (X, (1, -2)), {"axis": (0, 2)}, np.roll(X, (1, -2), (0, 2))),
    ("roll", (X, 2), {"axis": (1, 2)}, np.roll(X, 2, (1, 2))),
    ("moveaxis", (X, 0, -1), {}, np.moveaxis(X, 0, -1)),
    ("moveaxis", (X, (0, 1), (-1, 0)), {}, np.moveaxis(X, (0, 1), (-1, 0))),
    ("swapaxes", (X, 0, -1), {}, np.swapaxes(X, 0, -1)),
    ("permute_dims", (X, (2, 0, 1)), {}, np.transpose(X, (2, 0, 1))),
    ("matrix_transpose", (X,), {}, np.swapaxes(X, 1, 2)),
    ("tile", (X, (2, 1, 3)), {}, np.tile(X, (2, 1, 3))),
    ("tile", (M, (2, 1, 1, 2)), {}, np.tile(M, (2, 1, 1, 2))),
    ("tile", (X, (2,)), {}, np.tile(X, (2,))),
    ("repeat", (M, 2), {}, np.repeat(M, 2)),
    ("repeat", (M, 2), {"axis": 1}, np.repeat(M, 2, 1)),
    ("repeat", (M, np.array([0, 1, 2])), {"axis": 0}, np.repeat(M, [0, 1, 2], 0)),
    ("flatten", (X,), {}, X.reshape(-1)),
    ("flatten", (X,), {"start": 1}, X.reshape(2, -1)),
    ("reshape", (X, (4, -1)), {}, X.reshape(4, -1)),
    ("broadcast_to", (M, (2, 3, 4)), {}, np.broadcast_to(M, (2, 3, 4))),
    ("astype", (X, bl.int32), {}, X.astype(np.int32)),
    ("astype", (X + 1j, bl.float64), {}, X),
    ("pad", (M, 1), {}, np.pad(M, 1)),
    ("pad", (M, (1, 2)), {"value": 7.0}, np.pad(M, (1, 2), constant_values=7.0)),
    *[("pad", (M, ((2, 0), (1, 3))), {"mode": m}, np.pad(M, ((2, 0), (1, 3)), mode=m))
      for m in ("constant", "edge", "reflect", "symmetric", "wrap")],
    ("pad", (M, 9), {"mode": "reflect"}, np.pad(M, 9, mode="reflect")),
    ("diff", (X,), {}, np.diff(X)),
    ("diff", (X,), {"axis": 0, "n": 1, "prepend": 5.0}, np.diff(X, axis=0, prepend=5.0)),
    ("diff", (X,), {"axis": 1, "n": 2, "append": X}, np.diff(X, axis=1, n=2, append=X)),
    ("diff", (X > 5,), {}, np.diff(X > 5)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs", "want"), TABLE)
def test_values(name: str, args: Any, kwargs: Any, want: Any) -> None:
    got = getattr(bl, name)(*args, **kwargs)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.numpy(), want)


def test_taking_apart() -> None:
    for axis in (0, 1, -1):
        for piece, want in zip(bl.unstack(X, axis=axis), np.unstack(X, axis=axis), strict=True):
            np.testing.assert_array_equal(piece.numpy(), want)
    for parts, axis in ((2, 0), ([1, 2], 1), ([0, 3, 9], 2), ([-1], 1), (4, -1)):
        for piece, want in zip(bl.split(X, parts, axis=axis), np.split(X, parts, axis=axis), strict=True):
            np.testing.assert_array_equal(piece.numpy(), want)
    for got, want in zip(bl.broadcast_arrays(M, X[:, :1]), np.broadcast_arrays(M, X[:, :1]), strict=True):
        np.testing.assert_array_equal(got.numpy(), want)
    assert bl.unstack(bl.zeros((0, 2))) == ()


def test_only_what_is_used_of_several_outputs_gets_gradient() -> None:
    x = bl.tensor(X, requires_grad=True)
    first, _, third = bl.unstack(x, axis=1)
    (first + 2 * third).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy()[0, :, 0], [1, 0, 2])


def test_joining_promotes() -> None:
    assert bl.concat([bl.arange(2), bl.ones(1)]).dtype == bl.float32
    assert bl.stack([bl.asarray(1, dtype=bl.int8), bl.asarray(2, dtype=bl.int16)]).dtype == bl.int16


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bl.reshape(X, (5, -1)), "reshape"),
        (lambda: bl.reshape(X, (-1, -1)), "one -1"),
        (lambda: bl.squeeze(X, 1), "size 3, not 1"),
        (lambda: bl.permute_dims(X, (0, 0, 1)), "each of the 3 axes once"),
        (lambda: bl.moveaxis(X, (0, 1), 0), "as many different axes"),
        (lambda: bl.expand_dims(X, axis=5), "axis 5 is out of range"),
        (lambda: bl.concat([M, X]), "concat"),
        (lambda: bl.stack([M, M[:2]]), "array 1 has shape"),
        (lambda: bl.split(X, 5), "cannot be cut into 5 equal parts"),
        (lambda: bl.pad(X, ((1, 1), (1, 1))), "do not fit 3 dimension"),
        (lambda: bl.matrix_transpose(bl.zeros(3)), "two or more dimensions"),
        (lambda: bl.broadcast_to(X, (2, 3)), "broadcast"),
        (lambda: bl.pad(bl.zeros((0,)), 1, mode="edge"), "no elements to repeat"),
        (lambda: bl.roll(X, (1, 2), axis=(0, 1, 2)), "one each"),
        (lambda: bl.repeat(M, [1, 2], axis=0), "numbers of repeats"),
    ],
)
def test_shape_errors(call: Any, says: str) -> None:
    with pytest.raises(bl.ShapeError, match=says):
        call()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bl.concat([]), "one array or more"),
        (lambda: bl.pad(M, -1), "0 or more"),
        (lambda: bl.pad(M, 1, mode="mirror"), "mode must be"),
        (lambda: bl.split(M, [2, 1]), "ascend"),
        (lambda: bl.repeat(M, 1.5), "integers of 0 or more"),
        (lambda: bl.tile(M, 1.5), "repetitions"),
        (lambda: bl.diff(M, n=-1), "0 or more"),
        (lambda: bl.astype(M, bl.float32, device="gpu"), "no other device"),
        (lambda: bl.reshape(bl.asarray(X).T, (24,), copy=False), "needs a copy"),
    ],
)
def test_argument_errors(call: Any, says: str) -> None:
    with pytest.raises(bl.ArgumentError, match=says):
        call()
