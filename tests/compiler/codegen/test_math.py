"""The functions of mathematics on `Val`s, to the last place: against mpmath, NumPy's special values, planted errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest

from backlit.compiler.codegen.writer import Target

from .functions import MIDDLE, NARROW, OLD, PORTABLE, WIDE, Function, Functions

TARGETS = {"wide": WIDE, "portable": PORTABLE, "middle": MIDDLE, "narrow": NARROW, "old": OLD}

#: What each function is called in NumPy and in mpmath, and where its interesting arguments lie.
UNARY: dict[str, tuple[Any, Callable[..., Any], tuple[float, float]]] = {
    "exp": (np.exp, mpmath.exp, (-110, 90)),
    "exp2": (np.exp2, lambda x: mpmath.mpf(2) ** x, (-150, 128)),
    "expm1": (np.expm1, mpmath.expm1, (-2, 2)),
    "log": (np.log, mpmath.log, (0.4, 3)),
    "log1p": (np.log1p, mpmath.log1p, (-0.9, 3)),
    "log2": (np.log2, lambda x: mpmath.log(x, 2), (0.4, 3)),
    "log10": (np.log10, mpmath.log10, (0.4, 3)),
    "sigmoid": (None, lambda x: 1 / (1 + mpmath.exp(-x)), (-110, 20)),
    "tanh": (np.tanh, mpmath.tanh, (-10, 10)),
    "sinh": (np.sinh, mpmath.sinh, (-3, 3)),
    "cosh": (np.cosh, mpmath.cosh, (-3, 3)),
    "asinh": (np.arcsinh, mpmath.asinh, (-3, 3)),
    "acosh": (np.arccosh, mpmath.acosh, (1, 3)),
    "atanh": (np.arctanh, mpmath.atanh, (-1, 1)),
    "sin": (np.sin, mpmath.sin, (-300, 300)),
    "cos": (np.cos, mpmath.cos, (-300, 300)),
    "tan": (np.tan, mpmath.tan, (-300, 300)),
    "asin": (np.arcsin, mpmath.asin, (-1, 1)),
    "acos": (np.arccos, mpmath.acos, (-1, 1)),
    "atan": (np.arctan, mpmath.atan, (-3, 3)),
    "erf": (None, mpmath.erf, (-6, 6)),
    "erfc": (None, lambda x: mpmath.erfc(x) if abs(x) < 100 else mpmath.mpf(2 if x < 0 else 0), (-6, 28)),
}
BINARY: dict[str, tuple[Any, Callable[..., Any] | None]] = {
    "pow": (np.power, lambda x, y: x**y),
    "atan2": (np.arctan2, mpmath.atan2),
    "hypot": (np.hypot, mpmath.hypot),
    "logaddexp": (np.logaddexp, None),
}
#: Units in the last place. Without fused multiply-add the reduced argument of a circular function is rounded twice.
LIMIT = 2.0
LIMITS = {"tan": 2.3, "erfc": 2.8, "acosh": 2.1}
LIMITS_OLD = {"sin": 2.3, "cos": 2.3, "tan": 2.9}

_SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, 2.0, 3.0, -3.0, -2.5]


def _arguments(code: str, low: float, high: float, count: int) -> np.ndarray:
    """Numbers of all exponents and of the range, subnormal numbers, the largest, and the neighbours of 0 and ±1."""
    rng = np.random.default_rng(7)
    info = np.finfo(code)
    exponents = rng.uniform(info.minexp - info.nmant, info.maxexp, count // 3)
    everywhere = np.exp2(exponents.astype("f8")) * rng.choice([-1, 1], len(exponents))
    edges = [info.tiny, info.smallest_subnormal, info.max, 88.72283, 88.72284, 709.782712893384, 709.7827128933841]
    edges += [-103.97, -745.13, *(np.nextafter(np.dtype(code).type(v), np.inf) for v in (1, -1))]
    found = np.concatenate([everywhere, rng.uniform(low, high, count - len(everywhere)), edges, -np.array(edges)])
    with np.errstate(over="ignore"):
        return found.astype(code)


def units(found: np.ndarray, exact: list[Any]) -> np.ndarray:
    """How many units in the last place each number is from the exact one; infinite where a kind or a sign is wrong.

    Beyond the largest number the exact value is to be rounded to infinity.
    """
    info = np.finfo(found.dtype)
    off = np.zeros(len(found))
    for i, (f, e) in enumerate(zip(found, exact, strict=True)):
        if not mpmath.isfinite(e) or isinstance(e, mpmath.mpc) or not np.isfinite(f):
            with np.errstate(over="ignore"):
                want = np.nan if isinstance(e, mpmath.mpc) else np.float64(e).astype(found.dtype)
            over = mpmath.isfinite(e) and abs(e) > mpmath.mpf(float(info.max)) * (1 - mpmath.mpf(2) ** -info.nmant)
            right = np.array_equal(f, want, equal_nan=True) or (over and np.isinf(f) and (f > 0) == (e > 0))
            off[i] = 0 if right else np.inf
            continue
        place = max(mpmath.mag(e) - 1 if e else info.minexp, info.minexp) - info.nmant
        off[i] = float(abs(mpmath.mpf(float(f)) - e) / mpmath.mpf(2) ** int(place))
    return off


@cache
def _compiled(target: str, code: str, count: int) -> Functions:
    def named(name: str, inputs: int) -> Function:
        return Function(lambda k, *values: getattr(k, name)(*values), [code] * inputs, code)

    functions = {name: named(name, 1) for name in UNARY} | {name: named(name, 2) for name in BINARY}
    return Functions(functions, TARGETS[target], count)


@cache
def _exact(name: str, code: str) -> tuple[np.ndarray, list[Any]]:
    function, (low, high) = UNARY[name][1:]
    x = _arguments(code, low, high, 240)
    with mpmath.workprec(140):
        exact = [_or_nan(function, v) for v in x]
    return x, exact


def _or_nan(function: Callable[..., Any], *values: Any) -> Any:
    try:
        return function(*(mpmath.mpf(float(v)) for v in values))
    except (ValueError, ZeroDivisionError):  # a pole
        return mpmath.nan


def _limit(name: str, target: str) -> float:
    return LIMITS_OLD.get(name, LIMITS.get(name, LIMIT)) if target == "old" else LIMITS.get(name, LIMIT)


@pytest.mark.parametrize("code", ["f4", "f8"])
@pytest.mark.parametrize("target", TARGETS)
def test_units_in_the_last_place(target: str, code: str) -> None:
    for name in UNARY:
        x, exact = _exact(name, code)
        # -inf at a pole, and complex values outside the domain, are checked among the special values
        known = [i for i, e in enumerate(exact) if not mpmath.isnan(e)]
        off = units(_compiled(target, code, len(x))(name, x)[known], [exact[i] for i in known])
        worst = int(np.argmax(off))
        assert off[worst] <= _limit(name, target), f"{name}({x[known[worst]]!r}): {off[worst]:.2f} ulp"


@pytest.mark.parametrize("code", ["f4", "f8"])
@pytest.mark.parametrize("target", TARGETS)
def test_two_arguments_in_the_last_place(target: str, code: str) -> None:
    rng = np.random.default_rng(3)
    count = len(_exact("exp", code)[0])
    x = np.exp(rng.uniform(-5, 5, count)).astype(code)
    y = (rng.normal(size=count) * 8).astype(code)
    for name, (_, function) in BINARY.items():
        if function is None:
            continue
        with mpmath.workprec(140):
            off = units(
                _compiled(target, code, count)(name, x, y), [_or_nan(function, *v) for v in zip(x, y, strict=True)]
            )
        worst = int(np.argmax(off))
        assert off[worst] <= _limit(name, target), f"{name}({x[worst]!r}, {y[worst]!r}): {off[worst]:.2f} ulp"


@pytest.mark.parametrize("code", ["f4", "f8"])
@pytest.mark.parametrize("target", TARGETS)
def test_special_values(target: str, code: str) -> None:
    count = len(_exact("exp", code)[0])
    x = np.resize(np.array(_SPECIAL, code), count)
    pairs = [np.resize(v.ravel(), count) for v in np.meshgrid(x[: len(_SPECIAL)], x[: len(_SPECIAL)])]
    compiled = _compiled(target, code, count)
    for name, arrays in [*((n, (x,)) for n in UNARY), *((n, tuple(pairs)) for n in BINARY)]:
        reference = (UNARY.get(name) or BINARY[name])[0]
        if reference is None:
            continue
        with np.errstate(all="ignore"):
            want = reference(*arrays)
        found = compiled(name, *arrays)
        same = (np.isnan(want) & np.isnan(found)) | np.isclose(found, want, rtol=1e-5, atol=0)
        same &= np.isnan(want) | (np.signbit(want) == np.signbit(found))
        assert same.all(), (name, [[a[i] for a in arrays] for i in np.flatnonzero(~same)[:3]], found[~same][:3])


@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 8, 32])
def test_any_number_of_lanes(lanes: int) -> None:
    x = np.linspace(0.05, 0.95, 37)
    names = ("exp", "log", "log1p", "tanh", "sin", "tan", "sigmoid", "expm1", "asinh", "erf")
    for code in ("f4", "f8"):
        functions = {n: Function(lambda k, v, n=n: getattr(k, n)(v), [code], code) for n in names}
        for target in (WIDE, NARROW):
            some, whole = Functions(functions, target, 37, lanes), Functions(functions, target, 37)
            for n in names:
                assert np.array_equal(some(n, x.astype(code)), whole(n, x.astype(code))), (n, lanes, code)


def test_float16_goes_through_float32() -> None:
    x = np.arange(2**16, dtype="u2").view("f2")
    compiled = Functions(
        {n: Function(lambda k, v, n=n: getattr(k, n)(v), ["f2"], "f2") for n in ("exp", "sin")}, WIDE, 2**16
    )
    for n, function in (("exp", np.exp), ("sin", np.sin)):
        with np.errstate(all="ignore"):
            want = function(x.astype("f8")).astype("f2")
        found = compiled(n, x)
        near = abs(found.view("i2").astype("i4") - want.view("i2")) <= 1
        assert (near | (np.isnan(found) & np.isnan(want))).all(), n


def test_huge_angles_are_reduced_exactly() -> None:
    """Kahan's 6381956970095103·2^797 is the float64 closest to a multiple of π/2 (Muller 2016, 11.2)."""
    x = np.array([6381956970095103.0 * 2.0**797, 1e22, 2.0**1023, -(2.0**60), 1.5e300, np.inf])
    compiled = Functions({"cos": Function(lambda k, v: k.cos(v), ["f8"], "f8")}, WIDE, len(x))
    found = compiled("cos", x)
    assert (units(found[:-1], [mpmath.cos(mpmath.mpf(v)) for v in x[:-1]]) < 1.5).all()
    assert np.isnan(found[-1])


def test_a_planted_error_of_four_units_is_seen() -> None:
    x, exact = _exact("exp", "f4")

    def wrong(k: Any, v: Any) -> Any:
        return k.bitcast(k.bitcast(k.exp(v), "i4") + 4, "f4")

    off = units(Functions({"exp": Function(wrong, ["f4"], "f4")}, WIDE, len(x))("exp", x), exact)
    assert np.median(off) > 3
    assert (off > LIMIT).mean() > 0.9


def test_one_reduction_for_sine_and_cosine() -> None:
    from backlit.compiler.codegen.emitter import Emitter

    def lines(*names: str) -> int:
        k = Emitter("f", ["a"], Target(64, 32, avx512=True))
        x = k.load("%a", 0, "f4", 16)
        for name in names:
            k.store("%a", 0, getattr(k, name)(x))
        return len(k.finish().splitlines())

    assert lines("sin", "cos") < lines("sin") + 12
