"""The `native` facet of every elementwise op against its eager kernel, for every real dtype and width of vectors."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.dtypes import WEAK
from backlit.graph.opdef import OPS, OpDef

from .codegen.functions import MIDDLE, NARROW, WIDE, Function, Functions

TARGETS = {"64 bytes": WIDE, "32 bytes": MIDDLE, "16 bytes": NARROW}
CODES = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
NATIVE = {n: op for n, op in OPS.items() if (op.family == "elementwise" or n == "astype") and op.native is not None}
#: Ops of one dtype and no parameters are called on arrays; of the others some calls are taken from their samples.
PLAIN = {n: op for n, op in NATIVE.items() if not op.param_names and n not in ("where", "clip")}

COUNT = 263  # whole vectors of every width, and a tail
#: Units in the last place between two correct kernels of a few units each; the eager ones of float16 round in between.
UNITS = {"f2": 3, "f4": 6, "f8": 8}


def _values(code: str, seed: int) -> np.ndarray:
    """Extreme and special numbers, then random ones. Two calls with seeds 0 and 1 meet every pair of special ones."""
    rng = np.random.default_rng(seed)
    if code == "b1":
        return rng.random(COUNT) < 0.5
    if code[0] == "f":
        info = np.finfo(code)
        special = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            np.inf,
            -np.inf,
            np.nan,
            info.tiny,
            -info.smallest_subnormal,
            info.max,
            2.5,
            -3.0,
        ]
        random = rng.normal(size=COUNT) * 4
    else:
        info = np.iinfo(code)
        special = [0, 1, info.max, info.min, info.max - 1, info.min + 1, 2, 3, 7, 8, 64, 100]
        random = rng.integers(max(info.min, -9), 9, COUNT)
    special = np.array(special, code)
    crossed = (np.repeat if seed else np.tile)(special, len(special))
    found = random.astype(code)
    found[: len(crossed)] = crossed
    return found


def _plain(op: OpDef, code: str) -> tuple[np.ndarray, ...]:
    x = tuple(_values(code, seed) for seed in range(len(op.input_names)))
    if op.name == "pow" and code[0] in "iu":  # eager refuses a negative exponent
        x = (x[0], np.abs(x[1].astype("i8")).astype(code) % 9)
    return x


def _eager(op: OpDef, *inputs: Any, **params: Any) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(op.eval(*inputs, **params))


@cache
def _compiled(target: str, code: str, lanes: int | None = None) -> Functions:
    functions = {}
    for name, op in PLAIN.items():
        if np.dtype(code).char in op.chars:
            out = _eager(op, *_plain(op, code)).dtype.str[1:]
            assert op.native is not None
            functions[name] = Function(op.native, [code] * len(op.input_names), out)
    return Functions(functions, TARGETS[target], COUNT, lanes)


def differing(name: str, found: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Where two results differ by more than rounding. Below the normal numbers eager kernels may have lost digits."""
    assert found.dtype == want.dtype, (name, found.dtype, want.dtype)
    if want.dtype.kind != "f":
        return found != want
    code = want.dtype.str[1:]
    with np.errstate(all="ignore"):
        place = np.spacing(np.maximum(np.abs(want), np.finfo(code).tiny)).astype("f8")
        off = np.abs(found.astype("f8") - want.astype("f8"))
    near = off <= UNITS[code] * place
    if name in _OVERFLOW_IN_HALF and code == "f2":
        near |= off < 1e-3
    if name in _ABSOLUTE:
        near |= off <= _ABSOLUTE[name] * np.finfo(code).eps
    return ~(near | (found == want) | (np.isnan(found) & np.isnan(want)))


#: exp(-x) overflows in eager float16 from x = -11 on, and there the logistic function is taken for 0.
_OVERFLOW_IN_HALF = {"sigmoid", "silu", "gelu"}
#: Where kernels are exact to so many units of 1, not of a result near 0.
_ABSOLUTE = {"erf": 4, "gelu": 4, "mish": 4, "logaddexp": 2, "sinc": 4, "sinc_derivative": 32}


def _compare(compiled: Functions, code: str) -> None:
    for name in compiled.functions:
        x = _plain(OPS[name], code)
        found, want = compiled(name, *x), _eager(OPS[name], *x)
        wrong = np.flatnonzero(differing(name, found, want))
        assert not len(wrong), (name, code, [(*(v[i] for v in x), found[i], want[i]) for i in wrong[:4]])


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("target", TARGETS)
def test_native_equals_eager(target: str, code: str) -> None:
    _compare(_compiled(target, code), code)


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("code", ["b1", "i4", "u1", "f4"])
def test_native_equals_eager_in_few_lanes(code: str, lanes: int) -> None:
    _compare(_compiled("64 bytes", code, lanes), code)


def _like(x: Any, code: str, seed: int) -> Any:
    """An argument of a sample in another dtype: None stays, a number is converted, an array gets other values."""
    if x is None:
        return None
    if type(x) in WEAK:
        return x if code[0] == "f" else int(x)
    return _values("b1" if np.asarray(x).dtype == bool else code, seed)


@pytest.mark.parametrize("code", ["f4", "f8", "i4"])
@pytest.mark.parametrize("target", TARGETS)
def test_native_equals_eager_with_parameters(target: str, code: str) -> None:
    functions, calls = {}, {}
    for name in NATIVE.keys() - PLAIN.keys() - {"astype"}:
        op = NATIVE[name]
        if np.dtype(code).char not in op.chars:
            continue
        for i, (args, kwargs) in enumerate(op.samples(np.random.default_rng(0))):
            inputs, params = op.split(args, kwargs)
            inputs = [_like(x, code, j) for j, x in enumerate(inputs)]
            arrays = [x for x in inputs if isinstance(x, np.ndarray)]
            want = _eager(op, *inputs, **params)

            def write(k: Any, *values: Any, op: OpDef = op, inputs: Any = inputs, params: Any = params) -> Any:
                rest = iter(values)
                code = next(v.code for v in values if v.code != "b1")
                ready = [
                    next(rest) if isinstance(x, np.ndarray) else x if x is None else k.const(x, code) for x in inputs
                ]
                return op.native(k, *ready, **params)  # type: ignore[misc]

            functions[f"{name} {i}"] = Function(write, [a.dtype.str[1:] for a in arrays], want.dtype.str[1:])
            calls[f"{name} {i}"] = arrays, want
    compiled = Functions(functions, TARGETS[target], COUNT)
    for key, (arrays, want) in calls.items():
        found = compiled(key, *arrays)
        wrong = np.flatnonzero(differing(key.split()[0], found, want))
        assert not len(wrong), (key, code, [(*(a[i] for a in arrays), found[i], want[i]) for i in wrong[:4]])


@pytest.mark.parametrize("code", CODES)
def test_native_casts(code: str) -> None:
    op = OPS["astype"]
    x = _values(code, 0)
    functions = {
        to: Function(lambda k, v, to=to: op.native(k, v, dtype=np.dtype(to)), [code], to)  # type: ignore[misc]
        for to in CODES
    }
    compiled = Functions(functions, WIDE, COUNT)
    for to in CODES:
        inside = np.ones(COUNT, bool)
        if code[0] == "f" and to[0] in "iu":  # beyond the range of the integers NumPy promises nothing
            info = np.iinfo(to)
            with np.errstate(invalid="ignore"):
                inside = (x.astype("f8") > info.min - 1) & (x.astype("f8") < float(info.max))
        with np.errstate(all="ignore"):
            want = x.astype(to)
        found = compiled(to, x)
        assert np.array_equal(found[inside], want[inside], equal_nan=to[0] == "f"), (code, to)


@pytest.mark.parametrize("number", [300, -1, 2**70])
def test_integers_are_compared_with_numbers_beyond_their_dtype(number: int) -> None:
    x = np.arange(256, dtype="u1").repeat(5)

    def compared(x: Any) -> Any:
        return x < number, x >= number, x == number, x != number

    for found, want in zip(bl.compile(compared)(x), compared(x), strict=True):
        assert np.array_equal(found, want)


def test_which_ops_have_no_native_form() -> None:
    """Gamma functions: long series with many cases, rarely wanted; a plan calls their eager kernels."""
    without = {n for n, op in OPS.items() if op.family == "elementwise" and op.native is None}
    assert without == {"lgamma", "digamma", "polygamma"}


def test_a_wrong_facet_is_seen() -> None:
    x = _values("f4", 0)
    wrong = Functions({"tanh": Function(lambda k, v: k.tanh(v) * 1.000002, ["f4"], "f4")}, WIDE, COUNT)
    assert differing("tanh", wrong("tanh", x), np.tanh(x)).sum() > COUNT / 2
