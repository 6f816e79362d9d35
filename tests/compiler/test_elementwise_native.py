"""Every op with a native form: dtypes, special values, sizes around vectors and threads, layouts of inputs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.graph.opdef import OPS

from .native import agree, check, eager, in_memory, native

#: Random bits come from words of a width of their own, and have tests of their own.
NAMES = sorted(n for n, op in OPS.items() if op.native is not None and n != "threefry")

#: Where both sides are right to a few units in the last place, they differ by no more than this many.
ULPS = 6

PARAMS = {"sinc_derivative": {"order": 2}}

#: Eager mode loses digits here, native code does not: what is a unit is measured by the first input.
BY_INPUT = {"gelu", "sinc_derivative"}

FLOATS = (
    0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 0.5, -2.5, 1.5, 2.5, 3, -3, 1e-3, -1e-3, 30, -30, 88.8, -104, 1e-30, 1e30
)  # fmt: skip


def special(dtype: np.dtype[Any], rng: np.random.Generator, size: int) -> Any:
    """Numbers at which something may go wrong."""
    if dtype.kind == "b":
        return rng.random(size) < 0.5
    if dtype.kind == "f":
        ends = np.finfo(dtype)
        values = [*FLOATS, float(ends.max), float(ends.min), float(ends.tiny), float(ends.smallest_subnormal)]
    else:
        limits = np.iinfo(dtype)
        values = [0, 1, 2, 3, 5, 7, 100, limits.max, limits.min, limits.max - 1, limits.min + 1]
        values += [-1, -2, -7] if dtype.kind == "i" else []
    with np.errstate(over="ignore"):
        return rng.choice(np.array(values, object if dtype.kind in "iu" else float).astype(dtype), size)


def arguments(name: str, dtype: np.dtype[Any], rng: np.random.Generator, size: int) -> list[Any]:
    values = [special(dtype, rng, size) for _ in OPS[name].input_names]
    if name == "where":
        values[0] = rng.random(size) < 0.5
    if "shift" in name:  # by more than the width: undefined
        values[1] = rng.integers(0, 8 * dtype.itemsize, size).astype(dtype)
    if name == "pow" and dtype.kind in "iu":  # no integer has a negative power
        values[1] = rng.integers(0, 4, size).astype(dtype)
    return values


def dtypes_of(name: str) -> list[np.dtype[Any]]:
    """The dtypes an op takes that native code knows, each once."""
    found = [np.dtype(c) for c in OPS[name].chars]
    return [np.dtype(s) for s in dict.fromkeys(d.str for d in found if d.kind in "biuf")]


def assert_close(found: Any, expected: Any, what: str, like: Any = 0) -> None:
    """Each element right to some units in its own last place."""
    if expected.dtype.kind != "f":
        agree([found], [expected], what)
        return
    scale = np.maximum(np.maximum(np.abs(expected), np.abs(like)), np.finfo(expected.dtype).tiny)
    agree([found], [(expected, scale)], what, ULPS)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "astype"])
def test_every_dtype_and_special_values(name):
    rng = np.random.default_rng(1)
    count, dtypes = len(OPS[name].input_names), dtypes_of(name)

    def function(*xs: Any) -> list[Any]:
        return [OPS[name].public(*xs[i : i + count], **PARAMS.get(name, {})) for i in range(0, len(xs), count)]

    values = [x for d in dtypes for x in arguments(name, d, rng, 301)]
    for form, size in ((in_memory, 301), (nullcontext, 11)):
        some = [x[:size] for x in values]
        with form():
            found = native(function, some)
        for d, x, a, b in zip(dtypes, some[::count], found, eager(function, some), strict=True):
            assert_close(a, b, f"{name} of {d.name}, {form.__name__}", x if name in BY_INPUT else 0)


MANY = [n for n in NAMES if len(OPS[n].input_names) > 1]


@pytest.mark.parametrize("name", MANY)
def test_numbers_beside_arrays(name):
    """Where an input is the same for all lanes it is one number in the native code."""
    rng = np.random.default_rng(8)
    public, params = OPS[name].public, PARAMS.get(name, {})
    count = len(OPS[name].input_names)
    dtypes = [d for d in dtypes_of(name) if d.str[1:] in ("b1", "i4", "u1", "f2", "f4", "f8")]
    values = [x for d in dtypes for x in arguments(name, d, rng, 37)]
    patterns = [[bool(p >> i & 1) for i in range(count)] for p in range(1, 2**count - 1)]

    def function(*xs: Any) -> list[Any]:
        taken = [xs[i : i + count] for i in range(0, len(xs), count)]
        return [
            public(*(x[3] if one else x for x, one in zip(inputs, pattern, strict=True)), **params)
            for inputs in taken for pattern in patterns
        ]  # fmt: skip

    for form, size in ((in_memory, 37), (nullcontext, 5)):
        some = [x[:size] for x in values]
        with form():
            found = native(function, some)
        for i, (a, b) in enumerate(zip(found, eager(function, some), strict=True)):
            assert_close(a, b, f"{name} of {dtypes[i // len(patterns)].name}, {form.__name__}")


@pytest.mark.parametrize("kind", ["b1", "i1", "u1", "i2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"])
def test_astype(kind):
    rng = np.random.default_rng(2)
    targets = [np.dtype(t) for t in ("b1", "i1", "u1", "i2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")]
    whole = special(np.dtype(kind), rng, 301)
    small = rng.integers(0, 2 if kind == "b1" else 100, 301).astype(kind)  # a float beyond the integers: undefined

    def function(x: Any, small: Any) -> list[Any]:
        return [bl.astype(small if kind[0] == "f" and t.kind in "iu" else x, t) for t in targets]

    for form, size in ((in_memory, 301), (nullcontext, 11)):
        with form():
            found = native(function, [whole[:size], small[:size]])
        for t, a, b in zip(targets, found, eager(function, [whole[:size], small[:size]]), strict=True):
            assert_close(a, b, f"{kind} as {t}, {form.__name__}")


def chain(x: Any, y: Any) -> Any:
    return bl.tanh(x * y + 0.5) - bl.where(x > y, bl.exp(-x * x), y) / 3


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sizes_around_vectors_blocks_and_threads(dtype):
    rng = np.random.default_rng(3)
    with in_memory():
        for n in (0, 1, 2, 15, 16, 17, 31, 63, 127, 1009, 16383, 16384, 16385, 70001):
            x, y = rng.normal(size=(2, n)).astype(dtype)
            check(chain, [x, y], f"{n} elements", ulps=8)


@pytest.mark.parametrize("shapes", [
    ((97, 31), (31,)), ((97, 31), (97, 1)), ((97, 1), (1, 31)), ((5, 1, 7), (3, 1)), ((), (130,)), ((0, 3), (3,)),
    ((2, 1, 3, 1, 5), (1, 7, 1, 2, 1)), ((1, 1, 1), (200,)), ((300, 4), (300, 1)), ((4, 300), (4, 1)), ((1, 0), (3, 1)),
])  # fmt: skip
def test_broadcasting(shapes):
    rng = np.random.default_rng(4)
    with in_memory():
        check(chain, [rng.normal(size=s).astype("f4") for s in shapes], str(shapes), ulps=8)


#: What lies between an array and its use, and how its users' shape follows.
LAYOUTS = {
    "transposed": lambda x: bl.permute_dims(x, (1, 0)),
    "reversed": lambda x: x[::-1, ::-1],
    "every third": lambda x: x[:, ::3],
    "backwards by two": lambda x: x[-2::-2],
    "window": lambda x: x[1:-2, 3:-1],
    "column": lambda x: x[:, 4],
    "row": lambda x: x[-1],
    "reshaped": lambda x: bl.reshape(x, (x.shape[1], x.shape[0])),
    "split axis": lambda x: bl.reshape(x, (3, x.shape[0] // 3, x.shape[1])),
    "transposed and reshaped": lambda x: bl.reshape(bl.permute_dims(x, (1, 0)), (-1,)),
    "broadcast": lambda x: bl.broadcast_to(x[:, None, :], (x.shape[0], 2, x.shape[1])),
    "flipped window": lambda x: bl.flip(x[2:, 5:9], axis=1),
    "diagonal blocks": lambda x: bl.permute_dims(bl.reshape(x[:, :40], (-1, 5, 8)), (2, 0, 1)),
    "rolled": lambda x: bl.roll(x, 5, axis=1),
    "repeated": lambda x: bl.repeat(x, 2, axis=0),
    "tiled": lambda x: bl.tile(x, (2, 1)),
    "padded": lambda x: bl.pad(x, ((1, 2), (0, 3))),
    "stacked": lambda x: bl.stack([x, x * 2], axis=1),
    "joined": lambda x: bl.concat([x, x[:, :7] + 1, -x], axis=1),
}


ARITHMETIC = ("stacked", "joined")


def test_layouts_within_a_plan():
    rng = np.random.default_rng(5)

    def function(x: Any) -> Any:
        laid = [f(x) for f in LAYOUTS.values()]
        twice = [f(bl.sin(x)) for f in LAYOUTS.values()]
        return [*laid, *(bl.exp(-y * y) + z for y, z in zip(laid, twice, strict=True))]

    for dtype in ("f4", "f8", "i4", "b1"):
        x = (rng.normal(size=(33, 47)) * 3).astype(dtype)
        taken = function if dtype[0] == "f" else lambda x: [f(x) for n, f in LAYOUTS.items() if n not in ARITHMETIC]
        check(taken, [x], dtype, ulps=8)


MAKERS: dict[str, Callable[..., Any]] = {
    "elementwise": lambda x, w: bl.tanh(x),
    "product": lambda x, w: x @ w,
    "convolution": lambda x, w: bl.reshape(bl.conv2d(x[:, None, None, :], w[:8, None, None, :3]), (48, -1)),
}
TWICE: dict[str, Callable[..., Any]] = {
    "concat": lambda a: bl.concat([a, a], axis=1),
    "around another": lambda a: bl.concat([a, a + 1, a], axis=1),
    "stack": lambda a: bl.stack([a, a], axis=0),
    "one transposed": lambda a: bl.stack([a[:4, :4], a[:4, :4].mT], axis=0),
}


@pytest.mark.parametrize("join", TWICE)
@pytest.mark.parametrize("name", MAKERS)
def test_a_value_that_stands_twice_in_an_array(name: str, join: str) -> None:
    rng = np.random.default_rng(8)
    x, w = (rng.normal(size=shape).astype("f4") for shape in ((48, 16), (16, 32)))
    with in_memory():
        check(lambda x, w: TWICE[join](MAKERS[name](x, w)), [x, w], name, ulps=256)


@pytest.mark.parametrize("name", LAYOUTS)
def test_gradient_through_a_layout(name):
    x = np.random.default_rng(6).normal(size=(33, 47)).astype("f4")
    with in_memory():
        check(bl.grad(lambda x: bl.sum(bl.sin(LAYOUTS[name](x * 0.5)) ** 2)), [x], name)


def test_inputs_that_lie_in_any_way():
    rng = np.random.default_rng(7)
    base = rng.normal(size=(64, 130)).astype("f4")
    f = bl.compile(chain)
    ways = [base.T, base[::-1], base[:, ::-2], base[1:, 1:], np.broadcast_to(base[0], base.shape), base[:, :1]]
    ways += [np.asfortranarray(base), base.astype("f4").newbyteorder("=") if hasattr(base, "newbyteorder") else base]
    odd = np.frombuffer(bytearray(4 * 1000 + 1), np.uint8)[1:].view("f4")  # not at a multiple of 4 bytes
    odd[:] = rng.normal(size=1000)
    for x in [*ways, odd]:
        y = np.ascontiguousarray(x)[..., ::-1]
        agree([f(x, y).numpy()], eager(chain, [x, y]), str(x.strides), ulps=8)
