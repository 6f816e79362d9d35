"""`FlatFunction`: a function of trees of arrays, seen as one from real vectors to real vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff.functions import jvp, vjp
from ..base.dtypes import COMPLEX, FLOAT
from ..base.errors import GradientError
from ..base.trees import leaves_with_paths, rebuild
from ..graph.tensor import Tensor, as_value, wrap

Vector = np.ndarray[Any, np.dtype[np.float64]]


class FlatFunction:
    """`f(*args)` as a function of all floating-point leaves of `args`, packed into one real vector.

    A complex number is packed as its real and imaginary parts. Because a cotangent is the direction of
    steepest ascent of Re(conj(w) y), packed cotangents are then ordinary gradients, and every check is one
    of real Jacobians. Leaves that are integers, booleans or no numbers stay as they are.

    Attributes:
        x: the point, packed.
        inputs, outputs: (path, shape, is complex) of each leaf.
        narrow: the dtype of an output that is narrower than the arguments, if there is one.
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], names: Sequence[str] | None = None) -> None:
        self.f = f
        self.args = list(args)
        found = list(leaves_with_paths(self.args))
        self._moves = [_differentiable(leaf) for _, leaf in found]
        values = [_double(leaf) for (_, leaf), moves in zip(found, self._moves, strict=True) if moves]
        if not values:
            raise GradientError("check_grad: there is no floating-point array among the arguments.")
        paths = [f"argument {path}" for (path, _), moves in zip(found, self._moves, strict=True) if moves]
        self.inputs = _layout(names or paths, values)
        self.x = pack(values)
        self.narrow: str | None = None
        self.outputs: list[Leaf] = []
        outs = self._named_outputs([wrap(v) for v in values])
        if not outs:
            raise GradientError("check_grad: the function returns nothing floating-point, so it has no derivative.")
        for _, y in outs:
            if y.dtype.name not in ("float64", "complex128"):
                self.narrow = y.dtype.name
        self.outputs = _layout([path for path, _ in outs], [y for _, y in outs])

    def _named_outputs(self, tensors: Sequence[Any]) -> list[tuple[str, Any]]:
        moving = iter(tensors)
        old = (leaf for _, leaf in leaves_with_paths(self.args))
        new = [next(moving) if moves else leaf for moves, leaf in zip(self._moves, old, strict=True)]
        out = self.f(*rebuild(self.args, iter(new)))
        named = [(f"output {path}".strip(), y if isinstance(y, Tensor) else wrap(as_value(y)))
                 for path, y in leaves_with_paths(out)]  # fmt: skip
        return [(path, y) for path, y in named if y.dtype.char in FLOAT]

    @property
    def length(self) -> int:
        """The length of the packed outputs."""
        return sum(leaf.length for leaf in self.outputs)

    def tensors(self, *tensors: Any) -> list[Any]:
        """The outputs as a list of Tensors, from Tensors: what the engine differentiates."""
        return [y for _, y in self._named_outputs(tensors)]

    def __call__(self, x: Vector) -> Vector:
        """The outputs at the packed point `x`, packed."""
        return pack([y.numpy() for y in self.tensors(*map(wrap, unpack(x, self.inputs)))], self.outputs)

    def at_complex(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The outputs at a complex point, for the complex step; real inputs and outputs only."""
        values, start = [], 0
        for leaf in self.inputs:
            values.append(x[start : start + leaf.size].reshape(leaf.shape))
            start += leaf.size
        return np.concatenate([np.ravel(y.numpy()) for y in self.tensors(*map(wrap, values))])

    # --- derivatives by the rules -------------------------------------------------------------------

    def pull_back(self) -> Callable[[Vector], Vector]:
        """Reverse mode: the function taking a packed cotangent to the packed gradient."""
        _, pull = vjp(self.tensors, *map(wrap, unpack(self.x, self.inputs)))
        return lambda w: pack([t.numpy() for t in pull(unpack(w, self.outputs))], self.inputs)

    def push_forward(self, v: Vector) -> Vector:
        """Forward mode: the packed tangent of the outputs along the packed direction `v`."""
        _, tangents = jvp(self.tensors, unpack(self.x, self.inputs), unpack(v, self.inputs))
        return pack([t.numpy() for t in tangents], self.outputs)

    def reverse_derivative(self, w: Vector) -> FlatFunction:
        """x -> gradient of <w, f(x)>, itself a function to be checked."""
        cotangent = unpack(w, self.outputs)
        derived = self._derived(lambda *xs: list(vjp(self.tensors, *xs)[1](cotangent)))
        derived._rename("gradient of", self.inputs)
        return derived

    def forward_derivative(self, v: Vector) -> FlatFunction:
        """x -> directional derivative of f along `v`, itself a function to be checked."""
        tangents = unpack(v, self.inputs)
        derived = self._derived(lambda *xs: list(jvp(self.tensors, xs, tangents)[1]))
        derived._rename("tangent of", self.outputs)
        return derived

    def _derived(self, derivative: Callable[..., Any]) -> FlatFunction:
        return FlatFunction(derivative, unpack(self.x, self.inputs), [leaf.path for leaf in self.inputs])

    def _rename(self, what: str, likes: Sequence[Leaf]) -> None:
        self.outputs = [Leaf(f"{what} {like.path}", o.shape, o.complex)
                        for o, like in zip(self.outputs, likes, strict=True)]  # fmt: skip


class Leaf:
    """One array within a packed vector."""

    __slots__ = ("complex", "path", "shape", "size")

    def __init__(self, path: str, shape: tuple[int, ...], complex: bool) -> None:
        self.path, self.shape, self.complex = path, shape, complex
        self.size = int(np.prod(shape, dtype=int))

    @property
    def length(self) -> int:
        """How many real numbers it takes."""
        return self.size * (2 if self.complex else 1)


def locate(index: int, layout: Sequence[Leaf]) -> str:
    """The name of one real number of a packed vector, such as `argument 0.weight[1, 2]`."""
    for leaf in layout:
        if index < leaf.length:
            place, part = divmod(index, 2) if leaf.complex else (index, 2)
            where = ", ".join(str(int(i)) for i in np.unravel_index(place, leaf.shape)) if leaf.shape else ""
            kind = ("real part of ", "imaginary part of ", "")[part]
            return f"{kind}{leaf.path}[{where}]" if where else f"{kind}{leaf.path}"
        index -= leaf.length
    raise IndexError(index)


def pack(values: Sequence[Any], layout: Sequence[Leaf] = ()) -> Vector:
    """Arrays as one real vector. With a `layout`, a real value may stand where that says complex."""
    parts: list[Any] = []
    for i, value in enumerate(values):
        array = np.asarray(value)
        if array.dtype.char in COMPLEX or (layout and layout[i].complex):
            parts.append(np.ascontiguousarray(array, np.complex128).reshape(-1).view(np.float64))
        else:
            parts.append(array.astype(np.float64).reshape(-1))
    return np.concatenate(parts) if parts else np.zeros(0)


def unpack(vector: Vector, layout: Sequence[Leaf]) -> list[Any]:
    """The arrays that `pack` made a vector of."""
    values, start = [], 0
    for leaf in layout:
        part = np.array(vector[start : start + leaf.length])
        values.append((part.view(np.complex128) if leaf.complex else part).reshape(leaf.shape)[()])
        start += leaf.length
    return values


def _layout(paths: Sequence[str], values: Sequence[Any]) -> list[Leaf]:
    return [Leaf(path, v.shape, v.dtype.char in COMPLEX) for path, v in zip(paths, values, strict=True)]


def _differentiable(leaf: Any) -> bool:
    if isinstance(leaf, (Tensor, np.ndarray, np.generic)):
        return leaf.dtype.char in FLOAT
    return type(leaf) in (float, complex)


def _double(leaf: Any) -> Any:
    array = np.asarray(leaf.numpy() if isinstance(leaf, Tensor) else leaf)
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
