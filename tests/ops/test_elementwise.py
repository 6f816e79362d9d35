"""Elementwise functions: values beside NumPy, dtypes, and derivatives at the edges where textbook rules break."""

from __future__ import annotations

import math
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from array_api_strict import _elementwise_functions as standard
from numpy.testing import assert_allclose, assert_array_equal

import backlit as bl
from backlit.graph.opdef import OPS
from backlit.testing import check_grad

ELEMENTWISE = sorted(
    name for name, f in vars(standard).items() if getattr(f, "__module__", "") == standard.__name__ and name[0] != "_"
)
REFERENCE = {"rsqrt": lambda x: 1 / np.sqrt(x), "angle": np.angle}

REAL = np.array(
    [-np.inf, -1e300, -710.0, -2.5, -1.0, -0.5, -0.0, 0.0, 1e-300, 0.3, 0.5, 1.0, 1.5, 710.0, 1e300, np.inf, np.nan]
)
COMPLEX = np.array([0.3 + 0.4j, -1.2 - 0.1j, 2j, -3.0, 0.5 - 2j])
UNARY = [n for n in ELEMENTWISE if len(OPS[n].input_names) == 1]
BINARY = [n for n in ELEMENTWISE if len(OPS[n].input_names) == 2]


def reference(name: str) -> Any:
    return REFERENCE.get(name) or getattr(np, name, None) or getattr(np, name.replace("bitwise_", ""))


def derivative(f: Any, *at: float, wrt: int = 0, order: int = 1) -> float:
    """The derivative of `f` with respect to one argument at numbers, in float64."""
    for _ in range(order):
        f = bl.grad(f, argnums=wrt)
    return f(*[np.float64(x) for x in at]).item()


def test_the_standard_is_complete() -> None:
    assert [n for n in ELEMENTWISE if n not in OPS or not OPS[n].array_api] == []
    assert all(hasattr(bl, n) for n in ELEMENTWISE)


# --- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int32", "uint8", "bool"])
@pytest.mark.parametrize("name", [*UNARY, "rsqrt", "angle"])
@np.errstate(all="ignore")
def test_unary_values_are_those_of_numpy(name: str, dtype: str) -> None:
    values = {"f": REAL, "c": COMPLEX, "i": np.arange(-3, 4), "u": np.arange(5), "b": np.array([True, False])}
    x = values[np.dtype(dtype).kind].astype(dtype)
    if x.dtype.char not in OPS[name].chars:
        with pytest.raises(bl.DtypeError, match=name):
            getattr(bl, name)(bl.tensor(x))
        return
    got, expected = getattr(bl, name)(bl.tensor(x)).numpy(), reference(name)(x)
    assert got.dtype == expected.dtype
    assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps if x.dtype.kind in "fc" else 0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "int32", "uint8", "bool"])
@pytest.mark.parametrize("name", BINARY)
@np.errstate(all="ignore")
def test_binary_values_are_those_of_numpy(name: str, dtype: str) -> None:
    values = {"f": REAL, "c": COMPLEX, "i": np.arange(1, 7), "u": np.arange(1, 7), "b": np.array([True, False])}
    x = values[np.dtype(dtype).kind].astype(dtype)
    x1, x2 = x[:, None], x[None, ::-1]
    if x.dtype.char not in OPS[name].chars and name != "divide":
        with pytest.raises(bl.DtypeError, match=name):
            getattr(bl, name)(bl.tensor(x1), bl.tensor(x2))
        return
    got, expected = getattr(bl, name)(bl.tensor(x1), bl.tensor(x2)).numpy(), reference(name)(x1, x2)
    if name == "divide" and dtype in ("int32", "uint8", "bool"):
        assert got.dtype == np.float32  # integers divided give the default real dtype
        assert_allclose(got, expected, rtol=1e-6)
        return
    assert got.dtype == expected.dtype
    assert_allclose(got, expected, rtol=1e-15 if dtype != "float32" else 1e-6)


@pytest.mark.parametrize("name", ["add", "multiply", "pow", "maximum", "greater", "atan2", "logaddexp", "where"])
def test_python_numbers_are_weak(name: str) -> None:
    x = bl.tensor([1.5, 2.5])
    y = bl.where(x > 2, x, 0.5) if name == "where" else getattr(bl, name)(x, 2.0)
    assert y.dtype == (bl.bool if name == "greater" else bl.float32)


def test_where_takes_numbers_on_both_sides() -> None:
    c = bl.tensor([True, False])
    assert_array_equal(bl.where(c, 1.5, -1).numpy(), np.float32([1.5, -1]))
    assert bl.where(c, 1, 2).dtype == bl.int64
    with pytest.raises(bl.DtypeError, match="boolean condition, got int64"):
        bl.where(bl.tensor([1, 0]), 1, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_where_by_bits_is_exact(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.choice([0.0, -0.0, np.nan, np.inf, 1e-40, -3.0], (100, 100)).astype(dtype)
    c = rng.random((100, 100)) < 0.5
    for other in (x[::-1], x[:1], x.T, 0.0, np.dtype(dtype).type(-0.0)):
        got = bl.where(bl.tensor(c), bl.tensor(x), other).numpy()
        assert got.dtype == dtype
        assert_array_equal(got.view(f"u{got.itemsize}"), np.where(c, x, other).view(f"u{got.itemsize}"))


@pytest.mark.parametrize(
    ("min", "max"),
    [(None, None), (0.0, None), (None, 1.0), (-1.0, 1.0), (2.0, -2.0), (np.full(5, -1.0), np.linspace(0, 2, 5))],
)
def test_clip_is_numpys_and_the_standards(min: Any, max: Any) -> None:
    x = np.linspace(-3, 3, 5)
    expected = x if min is None and max is None else np.clip(x, min, max)
    assert_array_equal(bl.clip(x, min, max).numpy(), expected)
    assert_array_equal(bl.clip(bl.tensor(x), min=min, max=max).numpy(), expected)
    if min is None or max is None or np.all(min < max):
        min, max = (strict.asarray(b) if isinstance(b, np.ndarray) else b for b in (min, max))
        s = strict.clip(strict.asarray(x), min=min, max=max)
        assert_array_equal(np.asarray(s), expected)


def test_isclose_and_nan_to_num() -> None:
    x = np.array([1.0, np.nan, np.inf, -np.inf, 0.0])
    y = np.array([1.0 + 1e-9, np.nan, np.inf, np.inf, 1e-7])
    for kwargs in ({}, {"equal_nan": True}, {"rtol": 0.0, "atol": 1e-6}):
        assert_array_equal(bl.isclose(bl.tensor(x), y, **kwargs).numpy(), np.isclose(x, y, **kwargs))
    assert_array_equal(bl.nan_to_num(bl.tensor(x), nan=7.0, posinf=8.0).numpy(), np.nan_to_num(x, nan=7.0, posinf=8.0))
    assert_array_equal(bl.grad(lambda t: bl.sum(bl.nan_to_num(t)))(x).numpy(), np.isfinite(x))


def test_integer_to_a_negative_power_teaches() -> None:
    with pytest.raises(bl.ArgumentError, match=r"pow: int64 to a negative integer power.*astype"):
        bl.tensor([2, 3]) ** -1
    assert_array_equal((bl.tensor([2, 3]) ** 2).numpy(), [4, 9])
    assert (2 ** bl.tensor([3, 4])).dtype == bl.int64


# --- derivatives at edges --------------------------------------------------------------------------

NAN_SAFE = {
    "where(x > 0, sqrt(x), 0) at 0": (lambda x: bl.where(x > 0, bl.sqrt(x), 0.0), 0.0, 0.0),
    "where(x > 0, sqrt(x), 0) at -1": (lambda x: bl.where(x > 0, bl.sqrt(x), 0.0), -1.0, 0.0),
    "where(x > 0, log(x), x) at 0": (lambda x: bl.where(x > 0, bl.log(x), x), 0.0, 1.0),
    "where(x != 0, sin(x) / x, 1) at 0": (lambda x: bl.where(x != 0, bl.sin(x) / x, 1.0), 0.0, 0.0),
    "where(x < 1, asin(x), 0) at 1": (lambda x: bl.where(x < 1, bl.asin(x), 0.0), 1.0, 0.0),
    "where(x > 0, x ** 0.5, 0) at 0": (lambda x: bl.where(x > 0, x**0.5, 0.0), 0.0, 0.0),
    "where(x > 0, x ** -1, 0) at 0": (lambda x: bl.where(x > 0, x**-1.0, 0.0), 0.0, 0.0),
    "where(x > -1, log1p(x), 0) at -1": (lambda x: bl.where(x > -1, bl.log1p(x), 0.0), -1.0, 0.0),
    "where(x < 1, erfinv(x), 0) at 1": (lambda x: bl.where(x < 1, bl.erfinv(x), 0.0), 1.0, 0.0),
    "where(x > 0, rsqrt(x), 0) at 0": (lambda x: bl.where(x > 0, bl.rsqrt(x), 0.0), 0.0, 0.0),
    "abs at 0": (bl.abs, 0.0, 0.0),
    "abs at -0.0": (bl.abs, -0.0, 0.0),
    "hypot at the origin": (lambda x: bl.hypot(x, x), 0.0, 0.0),
    "atan2 at the origin": (lambda x: bl.atan2(x, x), 0.0, 0.0),
    "maximum(x, x)": (lambda x: bl.maximum(x, x), 2.0, 1.0),
    "maximum tie": (lambda x: bl.maximum(x, 2.0), 2.0, 0.5),
    "minimum tie": (lambda x: bl.minimum(2.0, x), 2.0, 0.5),
    "maximum tie of -inf": (lambda x: bl.maximum(x, -math.inf), -math.inf, 0.5),
    "clip on the lower bound": (lambda x: bl.clip(x, 2.0, 3.0), 2.0, 1.0),
    "clip on the upper bound": (lambda x: bl.clip(x, 1.0, 2.0), 2.0, 1.0),
    "clip outside": (lambda x: bl.clip(x, 1.0, 2.0), 3.0, 0.0),
    "x ** 0 at 0": (lambda x: x**0, 0.0, 0.0),
    "x ** 1 at 0": (lambda x: x**1, 0.0, 1.0),
    "x ** 2 at 0": (lambda x: x**2, 0.0, 0.0),
    "x ** 3 at -2": (lambda x: x**3, -2.0, 12.0),
    "x ** Tensor(0) at 0": (lambda x: x ** bl.tensor(0.0), 0.0, 0.0),
    "x ** Tensor(3) at -2": (lambda x: x ** bl.tensor(np.float64(3)), -2.0, 12.0),
    "x ** integer Tensor at -2": (lambda x: x ** bl.tensor(3), -2.0, 12.0),
    "0 ** y at 2": (lambda y: 0.0**y, 2.0, 0.0),
    "Tensor(0) ** y at 2": (lambda y: bl.tensor(np.float64(0)) ** y, 2.0, 0.0),
    "logaddexp(-inf, x)": (lambda x: bl.logaddexp(-math.inf, x), 1.0, 1.0),
    "logaddexp(-inf, -inf)": (lambda x: bl.logaddexp(-math.inf, x), -math.inf, 0.0),
    "expm1 at 1e-20": (bl.expm1, 1e-20, 1.0),
    "log1p at 1e-20": (bl.log1p, 1e-20, 1.0),
    "asinh at 1e200": (bl.asinh, 1e200, 0.0),
    "tanh at 1000": (bl.tanh, 1000.0, 0.0),
    "sign at 0": (bl.sign, 0.0, 0.0),
    "floor at 1": (bl.floor, 1.0, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("case", NAN_SAFE)
@np.errstate(all="ignore")
def test_derivative_is_finite_where_mathematics_is(case: str) -> None:
    f, at, expected = NAN_SAFE[case]
    assert derivative(f, at) == pytest.approx(expected)
    assert bl.jvp(f, [np.float64(at)], [np.float64(1)])[1].item() == pytest.approx(expected)
    assert math.isfinite(derivative(f, at, order=2))


@pytest.mark.parametrize("tensor_exponent", [False, True])
@pytest.mark.parametrize("x", [-2.0, 0.0, 3.0])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
def test_derivatives_of_powers_are_those_of_polynomials(x: float, n: int, tensor_exponent: bool) -> None:
    exponent = bl.tensor(np.float64(n)) if tensor_exponent else n
    p = np.polynomial.Polynomial([0] * n + [1])
    for order in (1, 2, 3):
        assert derivative(lambda t: t**exponent, x, order=order) == p.deriv(order)(x)


def test_derivative_by_the_exponent() -> None:
    x, y = np.array([0.0, 0.0, 0.5, 2.0]), np.array([0.0, 2.0, -1.0, 3.0])
    by_exponent = bl.grad(lambda x, y: bl.sum(x**y), argnums=1)(x, y).numpy()
    assert_allclose(by_exponent, [0, 0, *(x[2:] ** y[2:] * np.log(x[2:]))])
    assert_allclose(bl.grad(lambda y: bl.sum(2.0**y))(y).numpy(), 2.0**y * np.log(2.0))
    assert bl.grad(lambda y: bl.sum(2**y))(y.astype(np.float32)).dtype == bl.float32


def test_of_a_tie_each_side_gets_half() -> None:
    x = np.array([1.0, 2.0, 3.0])
    for f in (bl.maximum, bl.minimum):
        ones = bl.grad(lambda a, b, f=f: bl.sum(f(a, b)), argnums=(0, 1))(x, x)
        assert_array_equal([g.numpy() for g in ones], np.full((2, 3), 0.5))


def test_clip_passes_gradients_to_its_bounds() -> None:
    x, low, high = np.array([-3.0, 0.0, 3.0]), np.full(3, -1.0), np.full(3, 1.0)
    grads = bl.grad(lambda *a: bl.sum(bl.clip(*a)), argnums=(0, 1, 2))(x, low, high)
    assert_array_equal([g.numpy() for g in grads], np.eye(3)[[1, 0, 2]])
    crossed = bl.grad(lambda *a: bl.sum(bl.clip(*a)), argnums=(0, 1, 2))(x, high, low)  # then the result is max
    assert_array_equal([g.numpy() for g in crossed], [np.zeros(3), np.zeros(3), np.ones(3)])


#: Functions with a pole, or an infinite slope, at 0 or 1.
SINGULAR = {
    "sqrt": bl.sqrt, "rsqrt": bl.rsqrt, "log": bl.log, "log2": bl.log2, "log1p": lambda x: bl.log1p(x - 1),
    "reciprocal": bl.reciprocal, "1 / x": lambda x: 1 / x, "1 / x²": lambda x: 1 / (x * x),
    "x ** 0.5": lambda x: x**0.5,
    "x ** -2": lambda x: x**-2, "x ** Tensor": lambda x: x ** bl.tensor(-2.0), "hypot": lambda x: bl.hypot(x, x),
    "asin": lambda x: bl.asin(1 + x), "acos": lambda x: bl.acos(1 + x), "acosh": lambda x: bl.acosh(1 + x),
    "atanh": lambda x: bl.atanh(1 + x), "log(x²)": lambda x: bl.log(x * x),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGULAR)
@np.errstate(all="ignore")
def test_the_branch_not_taken_adds_nothing_at_any_order(name: str) -> None:
    f = lambda x: bl.where(x > 0, SINGULAR[name](x), x * x)
    assert [derivative(f, 0.0, order=k) for k in (1, 2, 3)] == [0, 2, 0]
    assert bl.jvp(f, [np.float64(0)], [np.float64(1)])[1].item() == 0


@pytest.mark.parametrize("name", ["abs", "sign", "angle", "sqrt", "log", "pow", "atan", "acosh", "reciprocal"])
def test_complex_derivatives(name: str) -> None:
    z = np.array([0.3 + 0.4j, -1.2 - 0.3j, 0.2 + 0.7j, 1.4 + 0.2j])  # off the branch cuts
    args = [z, z[::-1] / 2] if name == "pow" else [z]
    f = lambda *z: bl.sum(bl.real(getattr(bl, name)(*z) * (0.3 - 0.7j)))
    check_grad(f, args, order=2)


def test_nextafter_says_why_it_has_no_derivative() -> None:
    with pytest.raises(bl.GradientError, match="unit in the last place"):
        bl.grad(lambda x: bl.nextafter(x, x + 1))(1.0)
