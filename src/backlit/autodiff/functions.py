"""Functions that take functions to their derivatives: `grad`, `vjp`, `jvp` and their relatives, over trees."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError, GradientError, GraphError, ShapeError, shown
from ..base.trees import children, leaves, rebuild, same_structure
from ..graph.defer import defer, is_static
from ..graph.op import function
from ..graph.tensor import Tensor, as_value, wrap
from .linearized import Function, Linearized
from .reverse import seed_for


def positions(argnums: int | Sequence[int], args: Sequence[Any], where: str) -> tuple[int, ...]:
    """The arguments that `argnums` names, counted from the front."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not all(isinstance(i, int) for i in numbers):
        raise ArgumentError(
            f"{where}: argnums must be the position of an argument or several, got {argnums!r}; "
            "an argument to be differentiated is given by position, not by name."
        )
    for i in numbers:
        if not -len(args) <= i < len(args):
            raise ArgumentError(f"{where}: argnums={argnums} names argument {i}, but {len(args)} were given.")
    found = tuple(i % len(args) for i in numbers)
    if len(set(found)) != len(found):
        raise ArgumentError(f"{where}: argnums={argnums} names an argument twice; name each once.")
    return found


def bound(f: Function, kwargs: dict[str, Any]) -> Function:
    """`f` with its keyword arguments given: these are not differentiated."""
    if not callable(f):
        raise ArgumentError(f"grad: expected a function to differentiate, got {shown(f)} ({type(f).__name__}).")
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
        if any(map(is_static, leaves((args, kwargs)))):
            return defer("value_and_grad", wrapped, args, kwargs)
        lin = Linearized(bound(f, kwargs), args, positions(argnums, args, "grad"), "grad", has_aux)
        if children(lin.tree) is not None:
            raise GradientError(
                f"grad: the function must return one scalar Tensor, got {shown(lin.tree)}; "
                "return the loss itself, and other results with has_aux=True."
            )
        gradients = lin.unflatten(lin.pull_back([seed_for(lin.outputs[0], None, "grad")]))
        value = lin.result()
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
    static = next(filter(is_static, leaves(primals)), None)
    if static is not None:
        raise GraphError(
            f"vjp: {static.node.label} is a tensor of a static graph; use static.gradients(y, x, grad_ys=cotangent)."
        )
    lin = Linearized(f, primals, range(len(primals)), "vjp", has_aux)

    def pull(cotangent: Any) -> tuple[Any, ...]:
        same_structure(lin.tree, cotangent, where="vjp")
        seeds = [
            seed_for(y, c, "vjp") if y.dtype.char in FLOAT else None
            for y, c in zip(lin.outputs, leaves(cotangent), strict=True)
        ]
        return tuple(lin.unflatten(lin.pull_back(seeds)))

    return (lin.result(), pull, lin.aux) if has_aux else (lin.result(), pull)


@function()
def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """`(f(*primals), tangent)`: the Jacobian times a vector, in forward mode.

    `primals` and `tangents` are sequences of equal structure, one entry for each argument of `f`.

    >>> import backlit as bl
    >>> bl.jvp(bl.exp, [0.0], [2.0])
    (tensor(1., dtype=float32), tensor(2., dtype=float32))
    """
    if any(map(is_static, leaves((primals, tangents)))):
        return defer("jvp", jvp, (f, primals, tangents, has_aux), {})
    for what, given in (("primals", primals), ("tangents", tangents)):
        listed(given, what, "jvp")
    lin = Linearized(f, primals, range(len(primals)), "jvp", has_aux)
    same_structure(list(primals), list(tangents), where="jvp")
    moved = [_tangent(t, x) for t, x in zip(leaves(list(tangents)), lin.inputs, strict=True)]
    pair = lin.result(), rebuild(lin.tree, iter(lin.push_forward(moved)))
    return (*pair, lin.aux) if has_aux else pair


def listed(given: Any, what: str, where: str) -> None:
    """Check that arguments or their tangents are given as a list."""
    if not isinstance(given, (list, tuple)):
        raise ArgumentError(
            f"{where}: {what} must be a list with one entry for each argument of the function, got {shown(given)}; "
            f"write [{what[:-1]}]."
        )


def _tangent(t: Any, x: Tensor) -> Tensor:
    t = t if isinstance(t, Tensor) else wrap(as_value(t, x.dtype))
    if t.shape != x.shape:
        raise ShapeError(f"jvp: a tangent has shape {t.shape}, its primal {x.shape}; they must be equal.")
    return t if t.dtype == x.dtype else t.astype(x.dtype)
