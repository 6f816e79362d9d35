"""The functions of the Array API standard 2024.12: values, shapes and dtypes, against `array_api_strict`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import backlit as bl

strict: Any = pytest.importorskip("array_api_strict")

DTYPES = list(strict.__array_namespace_info__().dtypes())


def convert(namespace: Any, x: Any) -> Any:
    """NumPy arrays and names of dtypes (as `D("int8")`) in the manner of a namespace."""
    if isinstance(x, np.ndarray):
        return namespace.asarray(x)
    if isinstance(x, D):
        return getattr(namespace, x.name)
    return [convert(namespace, v) for v in x] if isinstance(x, list) else x


class D:
    """A dtype by name, in the table below."""

    def __init__(self, name: str) -> None:
        self.name = name


def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs)
        assert getattr(type(ours), "_fields", None) == getattr(type(theirs), "_fields", None)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b)
        return
    if not hasattr(theirs, "dtype"):
        assert ours == theirs
        return
    want = np.asarray(theirs._array)
    assert isinstance(ours, bl.Tensor)
    assert (ours.shape, ours.dtype.name) == (want.shape, want.dtype.name)
    tolerance = {"f": 4, "c": 8}.get(want.dtype.kind, 0)
    scale = np.max(np.abs(want[np.isfinite(want)]), initial=0.0) if tolerance else 0
    close = tolerance * (np.finfo(want.dtype).eps if tolerance else 0)
    np.testing.assert_allclose(ours.numpy(), want, rtol=close, atol=close * float(scale))


def compare(call: Callable[[Any], Any]) -> bool:
    """Compare the results of a call; False where array_api_strict refuses it."""
    with np.errstate(all="ignore"):
        try:
            theirs = call(strict)
        except (TypeError, ValueError, np.exceptions.AxisError):
            return False
        assert_same(call(bl), theirs)
    return True


def numbers(dtype: str, shape: tuple[int, ...] = (2, 3)) -> np.ndarray[Any, Any]:
    """Numbers of this dtype without zeros, the same in every run."""
    n = int(np.prod(shape))
    base = np.arange(1, n + 1)[::-1] * (-1) ** np.arange(n)
    if dtype == "bool":
        return (base > 0).reshape(shape)
    if dtype.startswith("uint"):
        return np.abs(base).astype(dtype).reshape(shape)
    if dtype.startswith("complex"):
        return (base * 0.25 + 0.5j * base[::-1]).astype(dtype).reshape(shape)
    return (base * (0.25 if dtype.startswith("float") else 1)).astype(dtype).reshape(shape)


UNARY = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil", "conj", "cos", "cosh", "exp",
    "expm1", "floor", "imag", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not", "negative",
    "positive", "real", "reciprocal", "round", "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh",
    "trunc",
    "all", "any", "sum", "prod", "mean", "max", "min", "std", "var", "argmax", "argmin", "count_nonzero", "sort",
    "argsort",
    "nonzero", "flip", "diff", "unique_values", "unique_counts", "unique_inverse", "unique_all", "zeros_like",
    "ones_like",
    "empty_like", "matrix_transpose", "tril", "triu", "unstack", "repeat",
]  # fmt: skip

BINARY = [
    "add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "copysign",
    "divide", "equal", "floor_divide", "greater", "greater_equal", "hypot", "less", "less_equal", "logaddexp",
    "logical_and", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "nextafter", "not_equal", "pow",
    "remainder", "subtract", "matmul", "vecdot", "tensordot", "searchsorted",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_array(name: str, dtype: str) -> None:
    x = numbers(dtype)
    if name in ("unique_values", "empty_like"):  # whose order, or whose values, the standard leaves open
        assert getattr(bl, name)(bl.asarray(x)).dtype.name == dtype
        return
    args = (2,) if name == "repeat" else ()
    compare(lambda xp: getattr(xp, name)(xp.asarray(x), *args))


@pytest.mark.parametrize("name", [n for n in UNARY[:38] if n not in ("bitwise_invert", "logical_not")])
def test_special_values(name: str) -> None:
    """Infinities, NaN and signed zeros, as the standard's 'Special cases' have them (array_api_strict asks NumPy)."""
    x = np.array([-np.inf, -2.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, np.inf, np.nan])
    if compare(lambda xp: getattr(xp, name)(xp.asarray(x))):
        with np.errstate(all="ignore"):
            ours, theirs = getattr(bl, name)(x).numpy(), getattr(strict, name)(strict.asarray(x))._array
        zero = theirs == 0
        np.testing.assert_array_equal(np.signbit(ours[zero]), np.signbit(theirs[zero]))


@pytest.mark.parametrize("name", ["add", "atan2", "copysign", "divide", "hypot", "maximum", "minimum", "multiply",
                                  "pow",
                                  "subtract", "logaddexp", "nextafter", "floor_divide", "remainder"])  # fmt: skip
def test_special_pairs(name: str) -> None:
    x = np.array([-np.inf, -2.5, -1.0, -0.0, 0.0, 1.0, 3.0, np.inf, np.nan])
    assert compare(lambda xp: getattr(xp, name)(xp.asarray(x[:, None]), xp.asarray(x)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arrays_of_every_pair_of_dtypes(name: str, dtype: str) -> None:
    for other in DTYPES:
        try:
            strict.result_type(getattr(strict, dtype), getattr(strict, other))
        except TypeError:
            continue  # the standard leaves this pair open, and not every function of array_api_strict minds
        x, y = numbers(dtype), numbers(other)
        if name in ("matmul", "tensordot"):
            x, y = x[:, :2], y[:, :2]
        if name == "tensordot":
            compare(lambda xp, x=x, y=y: xp.tensordot(xp.asarray(x), xp.asarray(y), axes=1))
        elif name == "searchsorted":
            compare(lambda xp, x=x, y=y: xp.searchsorted(xp.sort(xp.asarray(x[0])), xp.asarray(y)))
        elif name == "pow" or "shift" in name:
            compare(lambda xp, x=x, y=y: getattr(xp, name)(xp.asarray(x), xp.abs(xp.asarray(y))))
        else:
            compare(lambda xp, x=x, y=y: getattr(xp, name)(xp.asarray(x), xp.asarray(y)))


SCALARS: list[Any] = [True, 2, 0.5, 1 + 2j]

#: Complex numbers have no order; array_api_strict lets complex scalars pass, and NumPy orders them somehow.
ORDERED = {"lt", "le", "gt", "ge", "less", "less_equal", "greater", "greater_equal", "maximum", "minimum"}

OPERATORS = [
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift", "rshift", "lt", "le",
    "gt",
    "ge", "eq", "ne",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_with_python_numbers(name: str, dtype: str) -> None:
    f = getattr(operator, name)
    for scalar in SCALARS[: 3 if name in ORDERED else 4]:
        x = numbers(dtype)
        compare(lambda xp, x=x, s=scalar: f(xp.asarray(x), s))
        if name not in ("pow", "lshift", "rshift") or not dtype.startswith("int"):
            compare(lambda xp, x=x, s=scalar: f(s, xp.asarray(x)))


@pytest.mark.parametrize("name", [n for n in BINARY[:28] if n != "pow"])
def test_functions_take_python_numbers(name: str) -> None:
    """2024.12: one of the two arguments may be a Python number."""
    for dtype in DTYPES:
        for scalar in SCALARS[: 3 if name in ORDERED else 4]:
            x = numbers(dtype)
            compare(lambda xp, x=x, s=scalar: getattr(xp, name)(xp.asarray(x), s))
            if "shift" not in name:
                compare(lambda xp, x=x, s=scalar: getattr(xp, name)(s, xp.asarray(x)))


X, Y, M = numbers("float64"), numbers("float32", (3,)), numbers("float64", (3, 3)) + 4 * np.eye(3)
C, B, N = numbers("complex128"), numbers("bool"), numbers("int32")
S = M @ M.T
CUBE = numbers("float64", (2, 3, 4))

#: (name, arguments, keywords): one line for each way of calling that the standard describes.
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *[(n, (CUBE,), kw) for n in ("sum", "prod", "mean", "max", "min", "std", "var", "all", "any", "count_nonzero")
      for kw in ({"axis": 1}, {"axis": (0, -1)}, {"axis": (1,), "keepdims": True}, {"keepdims": True})],
    *[(n, (CUBE,), kw) for n in ("argmax", "argmin") for kw in ({"axis": 1}, {"axis": -1, "keepdims": True})],
    *[(n, (N,), {"dtype": D(d)}) for n in ("sum", "prod") for d in ("float32", "int16")],
    *[(n, (N,), {"dtype": D("int8"), "axis": 0}) for n in ("cumulative_sum", "cumulative_prod")],
    *[(n, (X,), {"axis": 1, "correction": 1}) for n in ("std", "var")],
    *[(n, (x,), kw) for n in ("cumulative_sum", "cumulative_prod") for x in (X, N, C, numbers("uint8"))
      for kw in ({"axis": 1}, {"axis": 0, "include_initial": True}, {"axis": -1, "dtype": D("float64")})
      if not (x is C and "dtype" in kw)],
    *[(n, (N,), kw) for n in ("sort", "argsort") for kw in ({"axis": 0}, {"descending": True}, {"stable": False})],
    ("astype", (X, D("int8")), {}), ("astype", (N, D("complex64")), {"copy": False}), ("astype", (B, D("float32")), {}),
    ("arange", (5,), {"dtype": D("float32")}), ("arange", (1, 7, 2), {}),
    ("arange", (1.0, 2.0, 0.25), {"dtype": D("float64")}),
    ("linspace", (0.0, 1.0, 5), {"dtype": D("float64")}),
    ("linspace", (0, 1, 4), {"endpoint": False, "dtype": D("float32")}),
    ("eye", (3,), {"dtype": D("int8")}), ("eye", (2, 4), {"k": -1, "dtype": D("float64")}),
    ("full", ((2, 3), 7), {}), ("full", (2, 1.5), {"dtype": D("float32")}), ("full", ((), True), {}),
    ("full_like", (X, 3.0), {}), ("full_like", (X, 3), {"dtype": D("int8")}),
    ("zeros_like", (X,), {"dtype": D("bool")}),
    ("zeros", ((2, 0),), {"dtype": D("int16")}), ("ones", (3,), {"dtype": D("complex64")}),
    ("empty", (0,), {"dtype": D("int16")}),
    ("asarray", ([[1, 2], [3, 4]],), {}), ("asarray", (True,), {}), ("asarray", ([1, 2.5],), {"dtype": D("float64")}),
    ("tril", (CUBE,), {"k": 1}), ("triu", (X,), {"k": -1}), ("meshgrid", (X[0], M[0]), {}),
    ("meshgrid", (X[0], X[:, 0]), {"indexing": "ij"}),
    ("broadcast_to", (Y, (2, 3)), {}), ("broadcast_arrays", (X, X[0]), {}),
    ("concat", ([X, X],), {}), ("concat", ([X, X],), {"axis": 1}), ("concat", ([X, X[0]],), {"axis": None}),
    ("stack", ([X, X],), {}), ("stack", ([X, X],), {"axis": -1}), ("unstack", (CUBE,), {"axis": 1}),
    ("expand_dims", (X,), {"axis": 1}), ("expand_dims", (X,), {"axis": -3}), ("squeeze", (X[:1, None], (0, 1)), {}),
    ("flip", (CUBE,), {"axis": 1}), ("flip", (CUBE,), {"axis": (0, 2)}), ("moveaxis", (CUBE, 0, -1), {}),
    ("moveaxis", (CUBE, (0, 1), (2, 0)), {}), ("permute_dims", (CUBE, (2, 0, 1)), {}), ("reshape", (CUBE, (4, -1)), {}),
    ("reshape", (CUBE, (24,)), {"copy": True}), ("roll", (CUBE, 3), {}), ("roll", (CUBE, (1, -1)), {"axis": (0, 2)}),
    ("tile", (X, (2, 2)), {}), ("tile", (X, (2, 1, 1)), {}), ("tile", (X, (3,)), {}), ("repeat", (X, 2), {"axis": 1}),
    ("repeat", (X, np.array([1, 0, 2])), {"axis": 1}), ("repeat", (X, 3), {}),
    ("take", (X, np.array([2, 0])), {"axis": 1}),
    ("take", (Y, np.array([2, 0])), {}), ("take_along_axis", (X, np.array([[0, 2], [1, 1]])), {}),
    ("take_along_axis", (X, np.array([[0, 1, 1]])), {"axis": 0}), ("where", (B, X, Y), {}), ("where", (B, X, 2.0), {}),
    ("where", (B, 1, N), {}), ("clip", (X,), {"min": -0.5}), ("clip", (X, -0.5, 0.5), {}), ("clip", (N, -2, 2), {}),
    ("clip", (X,), {}), ("clip", (X, X - 1, X), {}), ("diff", (X,), {"axis": 0}), ("diff", (X,), {"n": 2}),
    ("diff", (X,), {"prepend": X[:, :1], "append": X}),
    ("searchsorted", (np.array([1.0, 2.0, 3.0]), X), {"side": "right"}),
    ("searchsorted", (np.array([3.0, 1.0, 2.0]), X), {"sorter": np.array([1, 2, 0])}),
    ("can_cast", (D("int8"), D("int16")), {}), ("can_cast", (D("float64"), D("float32")), {}),
    ("can_cast", (N, D("int64")), {}),
    ("can_cast", (D("int8"), D("float64")), {}), ("can_cast", (D("bool"), D("int8")), {}),
    ("matmul", (CUBE, numbers("float64", (4, 2))), {}), ("matmul", (Y, M), {}), ("vecdot", (X, X), {"axis": -2}),
    ("vecdot", (C, C), {}), ("tensordot", (CUBE, X), {"axes": ((0, 1), (0, 1))}), ("tensordot", (X, Y), {"axes": 0}),
    ("linalg.cholesky", (S,), {}), ("linalg.cross", (X, X[::-1]), {}), ("linalg.cross", (M, M.T), {"axis": -2}),
    ("linalg.det", (M,), {}), ("linalg.diagonal", (CUBE,), {"offset": 1}), ("linalg.eigh", (S,), {}),
    ("linalg.eigvalsh", (S,), {}), ("linalg.inv", (M,), {}), ("linalg.matrix_norm", (M,), {}),
    *[("linalg.matrix_norm", (CUBE,), {"ord": o, "keepdims": True})
      for o in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)],
    ("linalg.matrix_power", (M, 3), {}), ("linalg.matrix_power", (M, -2), {}), ("linalg.matrix_power", (M, 0), {}),
    ("linalg.matrix_rank", (S,), {}), ("linalg.matrix_rank", (X @ X.T,), {"rtol": 0.1}), ("linalg.outer", (Y, Y), {}),
    ("linalg.pinv", (X,), {}), ("linalg.slogdet", (M,), {}), ("linalg.solve", (M, M.T), {}),
    ("linalg.solve", (M, M[0]), {}),
    ("linalg.svdvals", (X,), {}), ("linalg.trace", (CUBE,), {"offset": 1}),
    ("linalg.trace", (N,), {"dtype": D("int16")}),
    ("linalg.vector_norm", (X,), {}),
    *[("linalg.vector_norm", (CUBE,), {"axis": (0, 2), "ord": o}) for o in (0, 1, 2, 3, 0.5, np.inf, -np.inf)],
    ("linalg.vector_norm", (C,), {"axis": 1, "keepdims": True}), ("linalg.matmul", (M, M), {}),
    ("linalg.matrix_transpose", (X,), {}), ("linalg.tensordot", (M, M), {}), ("linalg.vecdot", (X, X), {}),
    *[(f"fft.{n}", (x,), kw) for n in ("fft", "ifft", "hfft") for x in (C, C.astype(np.complex64))
      for kw in ({}, {"axis": 0}, {"n": 5}, {"n": 2, "norm": "ortho"}, {"norm": "forward"})],
    *[(f"fft.{n}", (x,), kw) for n in ("rfft", "ihfft") for x in (X, X.astype(np.float32))
      for kw in ({}, {"axis": 0}, {"n": 5}, {"n": 2, "norm": "ortho"}, {"norm": "forward"})],
    *[("fft.irfft", (C,), kw) for kw in ({}, {"axis": 0}, {"n": 5}, {"norm": "ortho"})],
    *[(f"fft.{n}", (CUBE + 0j,), kw) for n in ("fftn", "ifftn", "irfftn")
      for kw in ({}, {"s": (3, 2), "axes": (0, 2)})],
    *[("fft.rfftn", (CUBE,), kw) for kw in ({}, {"axes": (0, 1), "norm": "ortho"})],
    ("fft.fftfreq", (5,), {"d": 0.5, "dtype": D("float64")}), ("fft.rfftfreq", (6,), {"dtype": D("float64")}),
    ("fft.fftshift", (X,), {}), ("fft.ifftshift", (X,), {"axes": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=lambda v: v if isinstance(v, str) else "")
def test_calls(name: str, args: Any, kwargs: Any) -> None:
    space, _, short = name.rpartition(".")

    def call(xp: Any) -> Any:
        given = {k: convert(xp, v) for k, v in kwargs.items()}
        return getattr(getattr(xp, space) if space else xp, short)(*[convert(xp, a) for a in args], **given)

    assert compare(call), "array_api_strict refuses this call"


@pytest.mark.parametrize("full", [True, False])
def test_decompositions_multiply_back(full: bool) -> None:
    """Factors are fixed only up to signs; what they make is not."""
    u, s, v = bl.linalg.svd(X, full_matrices=full)
    assert type(bl.linalg.svd(X))._fields == type(strict.linalg.svd(strict.asarray(X)))._fields
    assert [t.shape for t in (u, s, v)] == [t.shape for t in strict.linalg.svd(strict.asarray(X), full_matrices=full)]
    np.testing.assert_allclose(((u[:, :2] * s) @ v[:2]).numpy(), X, atol=1e-12)
    mode = "complete" if full else "reduced"
    q, r = bl.linalg.qr(X.T, mode=mode)
    assert [t.shape for t in (q, r)] == [t.shape for t in strict.linalg.qr(strict.asarray(X.T), mode=mode)]
    np.testing.assert_allclose((q @ r).numpy(), X.T, atol=1e-12)
    upper = bl.linalg.cholesky(S, upper=True)
    np.testing.assert_allclose((upper.mT @ upper).numpy(), S, atol=1e-12)


@given(st.data())
@settings(max_examples=100)
def test_broadcasting(data: Any) -> None:
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)).input_shapes
    x, y = (np.arange(float(np.prod(s))).reshape(s) for s in shapes)
    for name in ("add", "less", "atan2"):
        assert compare(lambda xp, n=name: getattr(xp, n)(xp.asarray(x), xp.asarray(y)))
    assert compare(lambda xp: xp.broadcast_arrays(xp.asarray(x), xp.asarray(y)))


@pytest.mark.parametrize(
    "call",
    [
        lambda xp: xp.asarray(X)[1, ::-1], lambda xp: xp.asarray(CUBE)[..., None, 0],
        lambda xp: xp.asarray(X)[xp.asarray(B)],
        lambda xp: xp.asarray(X).T, lambda xp: xp.asarray(CUBE).mT,
        lambda xp: -xp.asarray(X), lambda xp: +xp.asarray(X), lambda xp: abs(xp.asarray(C)), lambda xp: ~xp.asarray(N),
        lambda xp: xp.asarray(M) @ xp.asarray(M), lambda xp: xp.asarray(X).size, lambda xp: xp.asarray(X).ndim,
        lambda xp: float(xp.asarray(1.5)), lambda xp: int(xp.asarray(3)), lambda xp: complex(xp.asarray(1j)),
        lambda xp: bool(xp.asarray(True)), lambda xp: operator.index(xp.asarray(3)),
        lambda xp: [1, 2, 3][xp.asarray(1)],
    ],
)  # fmt: skip
def test_array_methods(call: Callable[[Any], Any]) -> None:
    assert compare(call)


@pytest.mark.parametrize("name", ["__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__", "__imod__",
                                  "__ipow__",
                                  "__imatmul__", "__iand__", "__ior__", "__ixor__", "__ilshift__",
                                  "__irshift__"])  # fmt: skip
def test_in_place_operators(name: str) -> None:
    whole = any(part in name for part in ("and", "or", "shift"))
    x, y = (np.array([[5, 3], [2, 9]]), np.array([[1, 2], [3, 1]])) if whole else (M[:2, :2], np.abs(M[1:, 1:]))

    def call(xp: Any) -> Any:
        array = xp.asarray(x, copy=True)
        return getattr(operator, name)(array, xp.asarray(y))

    assert compare(call)
    assert compare(lambda xp: _assigned(xp.asarray(x, copy=True), xp.asarray(y)))


def _assigned(x: Any, y: Any) -> Any:
    x[:, 0] = y[0, :]
    return x
