"""Moving elements without computing: cast, reshape, broadcast, permute, flip, roll."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..base.dtypes import FLOAT, as_dtype
from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_axes, as_axis, as_shape, broadcast, size_of
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .operands import integers, on_cpu, operand

#: Makes the record of an op whose result consists of elements of its inputs: it costs no arithmetic.
movement = partial(op, family="movement")


def _cast_params(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    on_cpu(device, "astype")
    return (operand(x),), {"dtype": as_dtype(dtype)}


@movement(
    prepare=_cast_params, infer=lambda x, *, dtype: Spec(x.shape, dtype), saves="",
    native=lambda k, x, *, dtype: k.cast(x, dtype),
    transpose=(lambda g, x, *, dtype: astype(g, x.dtype) if dtype.char in FLOAT else None,),
    traits="jointly_linear", onnx="Cast", array_api=True,
    samples=lambda rng: [((rng.normal(size=(2, 3)), np.float64), {}), ((rng.normal(size=2), np.complex128), {})],
)  # fmt: skip
def astype(x: Any, /, *, dtype: Any) -> Any:
    """The same numbers in another dtype. Complex to real takes the real part."""
    if x.dtype.kind == "c" and dtype.kind != "c":
        x = np.real(x)
    return x.astype(dtype)


# --- shapes ----------------------------------------------------------------------------------------


def _broadcast_params(x: Any, /, shape: Any) -> Any:
    return (operand(x),), {"shape": as_shape(shape, "broadcast_to")}


def _broadcast_spec(x: Any, *, shape: Any) -> Spec:
    if broadcast(x.shape, shape, where="broadcast_to") != shape:
        raise ShapeError(f"broadcast_to: shape {x.shape} does not broadcast to {shape}.")
    return Spec(shape, x.dtype)


@movement(
    prepare=_broadcast_params, infer=_broadcast_spec, saves="", traits="jointly_linear", onnx="Expand", array_api=True,
    transpose=(lambda g, x, *, shape: g,),  # the engine sums over what was broadcast
    samples=lambda rng: [((rng.normal(size=(3, 1)), (2, 3, 4)), {}), ((rng.normal(), (2,)), {})],
)  # fmt: skip
def broadcast_to(x: Any, /, *, shape: Any) -> Any:
    """`x` repeated along new axes and axes of size 1, so that it has `shape`."""
    return np.broadcast_to(x, shape)


@composite(array_api=True, samples=lambda rng: [((rng.normal(size=(3, 1)), rng.normal(size=4)), {})])
def broadcast_arrays(*arrays: Any) -> Any:
    """All arrays brought to the shape they broadcast to."""
    found = [operand(a) for a in arrays]
    shape = broadcast(*[a.shape for a in found], where="broadcast_arrays")
    return [broadcast_to.public(a, shape) for a in found]


def _reshape_params(x: Any, /, shape: Any, *, copy: bool | None = None) -> Any:
    x = operand(x)
    sizes = integers(shape, "a size", "reshape")
    if sizes.count(-1) > 1 or (sizes and min(sizes) < -1):
        raise ShapeError(f"reshape: shape {sizes} may hold sizes of 0 or more, and one -1 for 'the rest'.")
    if copy is False and isinstance(value := getattr(x, "value", x), np.ndarray):
        _without_copy(value, sizes)
    return (x,), {"shape": sizes}


def _without_copy(value: Any, shape: tuple[int, ...]) -> None:
    try:
        np.reshape(value, shape, copy=False)
    except ValueError:
        raise ArgumentError(f"reshape: shape {value.shape} to {shape} needs a copy here, and copy=False.") from None


def _reshape_spec(x: Any, *, shape: Any) -> Spec:
    n = size_of(x.shape)
    if -1 in shape:
        known = size_of(tuple(s for s in shape if s != -1))
        sizes = tuple((n // known if known else 0) if s == -1 else s for s in shape)
    else:
        sizes = shape
    if size_of(sizes) != n:
        raise ShapeError(f"reshape: {n} elements of shape {x.shape} cannot take shape {shape}.")
    return Spec(sizes, x.dtype)


@movement(
    prepare=_reshape_params, infer=_reshape_spec, saves="", traits="jointly_linear", onnx="Reshape", array_api=True,
    transpose=(lambda g, x, *, shape: reshape(g, x.shape),),
    samples=lambda rng: [((rng.normal(size=(2, 6)), (3, -1)), {}), ((rng.normal(), (1, 1)), {})],
)  # fmt: skip
def reshape(x: Any, /, *, shape: Any) -> Any:
    """The same elements in the same order in another shape; one size may be -1."""
    return np.reshape(x, shape)


def _expand_params(x: Any, /, axis: int | tuple[int, ...] = 0) -> Any:
    x = operand(x)
    new = integers(axis, "axis", "expand_dims")
    return (x,), {"axis": as_axes(new, x.ndim + len(new), "expand_dims")}


def _expand_spec(x: Any, *, axis: tuple[int, ...]) -> Spec:
    shape = list(x.shape)
    for a in axis:
        shape.insert(a, 1)
    return Spec(tuple(shape), x.dtype)


@movement(
    prepare=_expand_params, infer=_expand_spec, saves="", traits="jointly_linear", onnx="Unsqueeze", array_api=True,
    transpose=(lambda g, x, *, axis: squeeze(g, axis),),
    samples=lambda rng: [((rng.normal(size=(2, 3)),), {"axis": a}) for a in (0, -1, (0, 2))],
)  # fmt: skip
def expand_dims(x: Any, /, *, axis: Any) -> Any:
    """`x` with new axes of size 1, at the places `axis` of the result."""
    return np.reshape(x, _expand_spec(x, axis=axis).shape)


def _squeeze_params(x: Any, /, axis: int | tuple[int, ...]) -> Any:
    x = operand(x)
    axes = as_axes(axis, x.ndim, "squeeze")
    wrong = [a for a in axes if x.shape[a] not in (1, None)]
    if wrong and axis is not None:
        raise ShapeError(f"squeeze: axis {wrong[0]} of shape {x.shape} has size {x.shape[wrong[0]]}, not 1.")
    return (x,), {"axis": tuple(a for a in axes if a not in wrong)}


@movement(
    prepare=_squeeze_params, saves="", traits="jointly_linear", onnx="Squeeze", array_api=True,
    infer=lambda x, *, axis: Spec(tuple(n for i, n in enumerate(x.shape) if i not in axis), x.dtype),
    transpose=(lambda g, x, *, axis: expand_dims(g, axis=axis),),
    samples=lambda rng: [((rng.normal(size=(1, 3, 1)), a), {}) for a in (0, -1, (0, 2))],
)  # fmt: skip
def squeeze(x: Any, /, *, axis: Any) -> Any:
    """`x` without the axes named, which have size 1."""
    return np.squeeze(x, axis)


@composite(
    onnx="Flatten",
    samples=lambda rng: [((rng.normal(size=(2, 3, 2)),), {}), ((rng.normal(size=(2, 3, 2)),), {"start": 1})],
)
def flatten(x: Any, /, *, start: int = 0) -> Any:
    """The axes from `start` on as one; `flatten(x, start=1)` keeps the batch."""
    x = operand(x)
    start = as_axis(start, x.ndim, "flatten") if x.ndim or start not in (0, -1) else 0
    return reshape(x, (*x.shape[:start], size_of(x.shape[start:])))


# --- order of axes ---------------------------------------------------------------------------------


def _permute_params(x: Any, /, axes: Any) -> Any:
    x = operand(x)
    order = tuple(as_axis(a, x.ndim, "permute_dims") for a in axes)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"permute_dims: axes {tuple(axes)} must name each of the {x.ndim} axes once.")
    return (x,), {"axes": order}


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes this one."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


@movement(
    prepare=_permute_params, infer=lambda x, *, axes: Spec(tuple(x.shape[a] for a in axes), x.dtype), saves="",
    traits="jointly_linear", onnx="Transpose", array_api=True,
    transpose=(lambda g, x, *, axes: permute_dims(g, inverse(axes)),),
    samples=lambda rng: [((rng.normal(size=(2, 3, 4)), (2, 0, 1)), {}), ((rng.normal(size=(2, 3)), (-1, 0)), {})],
)  # fmt: skip
def permute_dims(x: Any, /, *, axes: Any) -> Any:
    """The axes in another order."""
    return np.transpose(x, axes)


def _matrix_params(x: Any, /) -> Any:
    x = operand(x)
    if x.ndim < 2:
        raise ShapeError(f"matrix_transpose: expected two or more dimensions, got shape {x.shape}.")
    return (x,), {}


@movement(
    prepare=_matrix_params, infer=lambda x: Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype), saves="",
    traits="jointly_linear", array_api=True, transpose=(lambda g, x: matrix_transpose(g),),
    latex="{0}^\\top",
    samples=lambda rng: [((rng.normal(size=(2, 3)),), {}), ((rng.normal(size=(2, 3, 4)),), {})],
)  # fmt: skip
def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    return np.swapaxes(x, -1, -2)


def _move_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(2, 3, 4))
    return [((x, 0, -1), {}), ((x, (0, 2), (1, 0)), {})]


@composite(array_api=True, samples=_move_cases)
def moveaxis(x: Any, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Any:
    """The axes `source` moved to the places `destination`, the others in their order."""
    x = operand(x)
    start, end = (
        [as_axis(a, x.ndim, "moveaxis") for a in integers(v, "axis", "moveaxis")] for v in (source, destination)
    )
    if len(start) != len(end) or len(set(start)) != len(start) or len(set(end)) != len(end):
        raise ShapeError(f"moveaxis: source {source} and destination {destination} must name as many different axes.")
    order = [a for a in range(x.ndim) if a not in start]
    for place, axis in sorted(zip(end, start, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, tuple(order))


@composite(samples=lambda rng: [((rng.normal(size=(2, 3, 4)), 0, -1), {})])
def swapaxes(x: Any, axis1: int, axis2: int, /) -> Any:
    """Two axes exchanged."""
    x = operand(x)
    order = list(range(x.ndim))
    a, b = as_axis(axis1, x.ndim, "swapaxes"), as_axis(axis2, x.ndim, "swapaxes")
    order[a], order[b] = b, a
    return permute_dims(x, tuple(order))


# --- order along axes ------------------------------------------------------------------------------


def _flip_params(x: Any, /, *, axis: int | tuple[int, ...] | None = None) -> Any:
    x = operand(x)
    return (x,), {"axis": as_axes(axis, x.ndim, "flip")}


def same(x: Any, **_: Any) -> Spec:
    """The shape rule of what changes neither shape nor dtype."""
    return Spec(x.shape, x.dtype)


@movement(
    prepare=_flip_params, infer=same, saves="", traits="jointly_linear", array_api=True,
    transpose=(lambda g, x, *, axis: flip(g, axis=axis),),
    samples=lambda rng: [((rng.normal(size=(2, 3)),), {}), ((rng.normal(size=(2, 3)),), {"axis": -1})],
)  # fmt: skip
def flip(x: Any, /, *, axis: Any) -> Any:
    """The elements in reverse order along `axis` (all axes by default)."""
    return np.flip(x, axis)


def _roll_params(x: Any, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Any:
    x = operand(x)
    steps = integers(shift, "shift", "roll")
    if axis is None:
        return (x,), {"shift": (sum(steps),), "axis": None}
    axes = tuple(as_axis(a, x.ndim, "roll") for a in integers(axis, "axis", "roll"))
    if len(steps) != len(axes):
        if 1 not in (len(steps), len(axes)):
            raise ShapeError(f"roll: {len(steps)} shifts for {len(axes)} axes; give one each.")
        steps, axes = steps * len(axes) if len(steps) == 1 else steps, axes * len(steps) if len(axes) == 1 else axes
    return (x,), {"shift": steps, "axis": axes}


@movement(
    prepare=_roll_params, infer=same, saves="", traits="jointly_linear", array_api=True,
    transpose=(lambda g, x, *, shift, axis: roll(g, tuple(-s for s in shift), axis=axis),),
    samples=lambda rng: [
        ((rng.normal(size=(3, 4)), 2), {}), ((rng.normal(size=(3, 4)), (1, -1)), {"axis": (0, 1)}),
    ],
)  # fmt: skip
def roll(x: Any, /, *, shift: tuple[int, ...], axis: Any) -> Any:
    """The elements shifted along `axis`, those beyond the end coming in at the front; by default as one flat array."""
    return np.roll(x, shift if axis is not None else shift[0], axis)


@composite(
    onnx="Tile",
    array_api=True,
    samples=lambda rng: [((rng.normal(size=(2, 3)), (2, 1, 2)), {}), ((rng.normal(size=2), (3,)), {})],
)
def tile(x: Any, repetitions: int | tuple[int, ...], /) -> Any:
    """`x` laid out side by side, `repetitions` times along each axis."""
    x = operand(x)
    counts = integers(repetitions, "repetitions", "tile")
    rank = max(len(counts), x.ndim)
    counts = (1,) * (rank - len(counts)) + counts
    shape = (1,) * (rank - x.ndim) + x.shape
    apart = reshape(x, tuple(n for size in shape for n in (1, size)))
    spread = broadcast_to(apart, tuple(n for pair in zip(counts, shape, strict=True) for n in pair))
    return reshape(spread, tuple(c * n for c, n in zip(counts, shape, strict=True)))


@movement(
    infer=same, saves="", traits="jointly_linear", transpose=(lambda g, x: g,), onnx="Identity",
    samples=lambda rng: [((rng.normal(size=3),), {})],
)  # fmt: skip
def copy(x: Any, /) -> Any:
    """The same value as a Tensor of its own, differentiable."""
    return x
