"""Whole matrices of derivatives, and products with them: `jacobian`, `hessian`, `hvp`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.dtypes import COMPLEX, FLOAT
from ..base.errors import ArgumentError, DtypeError
from ..base.trees import leaves, rebuild
from ..graph.defer import defer, is_static
from ..graph.op import function
from ..graph.tensor import Tensor, wrap
from ..ops.joining import stack
from ..ops.movement import reshape
from .functions import bound, grad, jvp, listed, positions
from .linearized import Function, Linearized


@function()
def jacobian(f: Function, argnums: int | Sequence[int] = 0, mode: str | None = None, has_aux: bool = False) -> Function:
    """A function that returns all derivatives of all outputs of `f` with respect to all its inputs.

    For an output of shape `s` and an input of shape `t` the Jacobian has shape `s + t`. Where `f` returns
    a tree and its arguments are trees, the result is a tree like the output whose leaves are trees like
    the argument (a tuple of them for several `argnums`).

    Args:
        f: the function, of Tensors or trees of them.
        argnums: which arguments to differentiate with respect to.
        mode: "reverse" (a backward pass for each element of the output), "forward" (a forward pass for
            each element of the input), or None for the one that takes fewer passes.
        has_aux: `f` returns `(output, aux)`, and the result is `(jacobian, aux)`.

    >>> import backlit as bl
    >>> bl.jacobian(lambda x: x * x)(bl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]], dtype=float32)
    """
    if mode not in (None, "reverse", "forward"):
        raise ArgumentError(f"jacobian: mode must be 'reverse', 'forward' or None, got {mode!r}.")

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if any(map(is_static, leaves((args, kwargs)))):
            return defer("jacobian", wrapped, args, kwargs)
        lin = Linearized(bound(f, kwargs), args, positions(argnums, args, "jacobian"), "jacobian", has_aux)
        for t in (*lin.inputs, *lin.outputs):
            if t.dtype.char not in FLOAT or t.dtype.char in COMPLEX:
                raise DtypeError(
                    f"jacobian: expected real floating-point inputs and outputs, got {t.dtype.name}; return others "
                    "with has_aux=True, and give complex numbers as real and imaginary parts, or use vjp and jvp."
                )
        backwards = sum(y.size for y in lin.outputs) <= sum(x.size for x in lin.inputs)
        chosen = mode or ("reverse" if backwards else "forward")
        blocks = (_rows if chosen == "reverse" else _columns)(lin)
        trees = [lin.unflatten(row) for row in blocks]
        found = rebuild(lin.tree, iter([t[0] if isinstance(argnums, int) else tuple(t) for t in trees]))
        return (found, lin.aux) if has_aux else found

    return wrapped


def _rows(lin: Linearized) -> list[list[Tensor]]:
    """For each output the Jacobians of the inputs, row by row: one backward pass an element of the output."""
    blocks: list[list[Tensor]] = []
    for k, y in enumerate(lin.outputs):
        passes = [lin.pull_back([e if i == k else None for i in range(len(lin.outputs))]) for e in _basis(y)]
        blocks.append([_assembled([p[j] for p in passes], 0, y.shape + x.shape, y) for j, x in enumerate(lin.inputs)])
    return blocks


def _columns(lin: Linearized) -> list[list[Tensor]]:
    """The same, column by column: one forward pass for each element of the input."""
    blocks: list[list[Tensor]] = [[] for _ in lin.outputs]
    for j, x in enumerate(lin.inputs):
        passes = [lin.push_forward([e if i == j else None for i in range(len(lin.inputs))]) for e in _basis(x)]
        for i, (block, y) in enumerate(zip(blocks, lin.outputs, strict=True)):
            block.append(_assembled([p[i] for p in passes], -1, y.shape + x.shape, y))
    return blocks


def _basis(t: Tensor) -> list[Any]:
    """The arrays of the shape of `t` that are 1 at one place and else 0."""
    found: list[Any] = []
    for i in range(t.size):
        e = np.zeros(t.size, t.dtype)
        e[i] = 1
        found.append(e.reshape(t.shape))
    return found


def _assembled(parts: list[Tensor], axis: int, shape: tuple[int, ...], y: Tensor) -> Tensor:
    if not parts:
        return wrap(np.zeros(shape, y.dtype))
    if any(p.node is not None for p in parts):
        return reshape(stack(parts, axis=axis), shape)
    return wrap(np.stack([p.value for p in parts], axis).reshape(shape))


@function()
def hessian(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """A function that returns all second derivatives of `f`: forward mode over reverse mode.

    For an output of shape `s` and an input of shape `t` the result has shape `s + t + t`; for trees it is
    a tree like the output, of trees like the argument, of trees like the argument.

    >>> import backlit as bl
    >>> bl.hessian(lambda x: x[0] * x[0] * x[1])(bl.tensor([1.0, 2.0]))
    tensor([[4., 2.],
            [2., 0.]], dtype=float32)
    """
    return jacobian(jacobian(f, argnums, "reverse", has_aux), argnums, "forward", has_aux)


@function()
def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """The Hessian of the scalar function `f` times a vector, without the Hessian: forward over reverse mode.

    The cost is a few times that of a gradient, whatever the number of inputs (Pearlmutter 1994, 'Fast
    exact multiplication by the Hessian'). `primals` and `tangents` are sequences, one entry for each
    argument of `f`, as for `jvp`; the result has the same structure.

    >>> import backlit as bl
    >>> bl.hvp(lambda x: (x * x * x).sum(), [bl.tensor([1.0, 2.0])], [bl.tensor([1.0, 0.0])])
    (tensor([6., 0.], dtype=float32),)
    """
    listed(primals, "primals", "hvp")
    gradient = grad(f, tuple(range(len(primals))))
    return jvp(gradient, primals, tangents)[1]
