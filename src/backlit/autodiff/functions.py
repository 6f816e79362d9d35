"""Functions that take functions to their derivatives: `grad`, `vjp`, `jvp` and their relatives, over trees."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError, DtypeError, GradientError, ShapeError, shown
from ..base.trees import leaves, leaves_with_paths, rebuild, same_structure
from ..graph.node import Node
from ..graph.op import function
from ..graph.tensor import LEAF, Tensor, as_value, edge, leaf_node, wrap
from ..graph.walk import ancestors
from ..ops.creation import zeros_of
from ..ops.movement import copy
from .forward import push_forward
from .reverse import backpropagate, seed_for

Function = Callable[..., Any]


class Linearized:
    """A function called once with its differentiable arguments made into leaves: what every transform starts from."""

    def __init__(self, f: Function, args: Sequence[Any], argnums: Sequence[int], where: str, has_aux: bool) -> None:
        self.where = where
        self.trees = [args[i] for i in argnums]
        self.inputs = [self._leaf(x, path) for i in argnums for path, x in leaves_with_paths(args[i], f"argument {i}")]
        fresh = iter(self.inputs)
        replaced = dict(zip(argnums, [rebuild(t, fresh) for t in self.trees], strict=True))
        out = f(*[replaced.get(i, a) for i, a in enumerate(args)])
        self.aux = None
        if has_aux:
            if not isinstance(out, tuple) or len(out) != 2:
                raise ArgumentError(f"{where}: with has_aux the function must return (output, aux), got {shown(out)}.")
            out, self.aux = out
        self.tree = out
        self.outputs = [y if isinstance(y, Tensor) else wrap(as_value(y)) for y in leaves(out)]
        own = {t.node for t in self.inputs}
        reached = ancestors([y.node for y in self.outputs if y.node is not None], own)
        #: Does anything outside want derivatives of this too? Then the derivative itself is recorded.
        self.record = any(
            (n.op is LEAF and n not in own) or (n.value is None and n.op is LEAF) for n in reached
        ) or any(t.node is not None and t.node.op is not LEAF for t in self.inputs)

    def _leaf(self, x: Any, path: str) -> Tensor:
        if not isinstance(x, Tensor):
            x = wrap(as_value(x))
        if x.dtype.char not in FLOAT:
            raise DtypeError(
                f"{self.where}: {path} has dtype {x.dtype.name}; only floating-point arguments have derivatives. "
                "Convert it with x.astype(bl.float32), or leave it out of argnums."
            )
        return edge(leaf_node(x.value)) if x.node is None else copy(x)

    def pull_back(self, cotangents: Sequence[Any], record: bool | None = None) -> list[Any]:
        """Cotangents of the inputs, given those of the outputs; zeros where there is no path."""
        record = self.record if record is None else record
        record = record or any(isinstance(c, Tensor) for c in cotangents)
        seeds: dict[Node, Any] = {}
        for y, c in zip(self.outputs, cotangents, strict=True):
            if y.node is None or y.dtype.char not in FLOAT:
                continue
            c = wrap(c) if record and not isinstance(c, Tensor) else c
            seeds[y.node] = seeds[y.node] + c if y.node in seeds else c
        nodes = [t._node for t in self.inputs]
        found = backpropagate(seeds, nodes, record=record) if seeds else {}
        return [_tensor(found.get(n), n) for n in nodes]

    def unflatten(self, new: Sequence[Any]) -> Any:
        """Values for the inputs in the structure of the differentiated arguments."""
        values = iter(new)
        return [rebuild(t, values) for t in self.trees]


def _tensor(g: Any, like: Any) -> Tensor:
    if g is None:
        return wrap(zeros_of(like))
    return g if isinstance(g, Tensor) else wrap(g)


def _positions(argnums: int | Sequence[int], args: Sequence[Any], where: str) -> tuple[int, ...]:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for i in numbers:
        if not -len(args) <= i < len(args):
            raise ArgumentError(f"{where}: argnums={argnums} names argument {i}, but {len(args)} were given.")
    return tuple(i % len(args) for i in numbers)


def _bound(f: Function, kwargs: dict[str, Any]) -> Function:
    return functools.partial(f, **kwargs) if kwargs else f


@function()
def value_and_grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """A function that returns `(f(...), gradient)`.

    Args:
        f: returns a scalar Tensor, or `(scalar, aux)` with `has_aux`.
        argnums: which arguments to differentiate with respect to; each may be a tree
            (dict, list, tuple, dataclass) of Tensors, arrays and numbers.
        has_aux: `f` also returns something that is passed through: the result is `((value, aux), gradient)`.

    Raises:
        GradientError: the output is not a scalar.
        DtypeError: an argument to be differentiated is not floating-point.

    >>> import backlit as bl
    >>> bl.value_and_grad(lambda x: x * x)(3.0)
    (tensor(9., dtype=float32), tensor(6., dtype=float32))
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        lin = Linearized(_bound(f, kwargs), args, _positions(argnums, args, "grad"), "grad", has_aux)
        if not isinstance(lin.tree, Tensor):
            raise GradientError(
                f"grad: the function must return one scalar Tensor, got {shown(lin.tree)}; "
                "return the loss itself, and other results with has_aux=True."
            )
        y = lin.outputs[0]
        gradients = lin.unflatten(lin.pull_back([seed_for(y, None, "grad")]))
        value = y if lin.record else wrap(y.value)
        return (value, lin.aux) if has_aux else value, gradients[0] if isinstance(argnums, int) else tuple(gradients)

    return wrapped


@function()
def grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """A function that returns the gradient of the scalar function `f`; see `value_and_grad`.

    With `has_aux` the result is `(gradient, aux)`. Apply it again for higher orders.

    >>> import backlit as bl
    >>> cube = lambda x: x * x * x
    >>> bl.grad(cube)(2.0), bl.grad(bl.grad(cube))(2.0)
    (tensor(12., dtype=float32), tensor(12., dtype=float32))
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


@function()
def vjp(f: Function, *primals: Any, has_aux: bool = False) -> Any:
    """The value of `f(*primals)` and the function taking a cotangent of it to those of the primals.

    Reverse mode: the Jacobian transposed times a vector, at a small multiple of the cost of `f`.

    >>> import backlit as bl
    >>> y, pull = bl.vjp(lambda x: x * x, bl.tensor([1.0, 2.0]))
    >>> pull(bl.tensor([1.0, 10.0]))
    (tensor([ 2., 40.], dtype=float32),)
    """
    lin = Linearized(f, primals, range(len(primals)), "vjp", has_aux)

    def pull(cotangent: Any) -> tuple[Any, ...]:
        same_structure(lin.tree, cotangent, where="vjp")
        given = leaves(cotangent)
        seeds = [seed_for(y, c, "vjp") if y.dtype.char in FLOAT else c for y, c in zip(lin.outputs, given, strict=True)]
        record = lin.record or any(isinstance(s, Tensor) for s in seeds)
        return tuple(lin.unflatten(lin.pull_back(seeds, record)))

    out = _output(lin)
    return (out, pull, lin.aux) if has_aux else (out, pull)


def _output(lin: Linearized) -> Any:
    ys = [y if lin.record else wrap(y.value) for y in lin.outputs]
    return rebuild(lin.tree, iter(ys))


@function()
def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """`(f(*primals), tangent)`: the Jacobian times a vector, in forward mode.

    `primals` and `tangents` are sequences of equal structure, one entry for each argument of `f`.

    >>> import backlit as bl
    >>> bl.jvp(bl.exp, [0.0], [2.0])
    (tensor(1., dtype=float32), tensor(2., dtype=float32))
    """
    lin = Linearized(f, primals, range(len(primals)), "jvp", has_aux)
    same_structure(list(primals), list(tangents), where="jvp")
    given = [_tangent(t, x) for t, x in zip(leaves(list(tangents)), lin.inputs, strict=True)]
    record = lin.record or any(t.node is not None for t in given)
    out = tangents_of(lin, given, record)
    ys = [y if record else wrap(y.value) for y in lin.outputs]
    pair = rebuild(lin.tree, iter(ys)), rebuild(lin.tree, iter(out))
    return (*pair, lin.aux) if has_aux else pair


def tangents_of(lin: Linearized, tangents: Sequence[Any], record: bool) -> list[Tensor]:
    """The tangents of the outputs of a linearized function; zeros where there is no path."""
    seeds = {x._node: t for x, t in zip(lin.inputs, tangents, strict=True)}
    found = push_forward(seeds, [y.node for y in lin.outputs if y.node is not None], record=record)
    return [_tensor(found.get(y.node) if y.node is not None else None, y) for y in lin.outputs]


def _tangent(t: Any, x: Tensor) -> Tensor:
    t = t if isinstance(t, Tensor) else wrap(as_value(t, x.dtype))
    if t.shape != x.shape:
        raise ShapeError(f"jvp: a tangent has shape {t.shape}, its primal {x.shape}; they must be equal.")
    return t if t.dtype == x.dtype else t.astype(x.dtype)
