"""`Optimizer`, and `by_rule`, which makes one from the arithmetic for a single parameter.

An optimizer is described by what differs from one to the next: the arrays it keeps for a parameter (its slots), the
numbers that are the same for all parameters in a step, and the change of one parameter. The walk over trees, the step
counter, schedules, weight decay and dtypes are here, once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..base.config import no_grad
from ..base.dtypes import COMPLEX, FLOAT
from ..base.errors import DtypeError
from ..base.trees import leaves, leaves_with_paths, rebuild, same_structure, tree_map
from ..graph.closure import as_tensor
from ..graph.tensor import Tensor
from ..ops.creation import zeros_of
from ..ops.exponential import expm1
from .checks import learning_rate, not_negative

#: A learning rate: a number, or a function of the steps done so far (a floating-point Tensor of shape ()).
Rate = float | Callable[[Any], Any]


class Update(Protocol):
    """`update(params, gradients, state) -> (params, state)`.

    `scale` multiplies the learning rate; it comes from `rate_scaled`, and wrappers hand it on.
    """

    def __call__(self, params: Any, gradients: Any, state: Any, scale: Any = None) -> tuple[Any, Any]: ...


class Optimizer(NamedTuple):
    """How parameters follow their gradients. The functions change none of their arguments.

    Attributes:
        init: `init(params) -> state`, a tree of arrays.
        update: `update(params, gradients, state) -> (params, state)`.
        rate: `rate(state)`, the learning rate that the next update will use (of `groups`: a dict of them); None where
            an optimizer has nothing to say about it.
    """

    init: Callable[[Any], Any]
    update: Update
    rate: Callable[[Any], Any] | None = None


class State(NamedTuple):
    """What an optimizer keeps between two updates.

    Attributes:
        step: updates done, an int32 of shape (); None where nothing depends on it.
        slots: by name, trees like the parameters.
    """

    step: Tensor | None
    slots: dict[str, Any]


def zeros(p: Tensor) -> Tensor:
    """What most slots begin with."""
    return Tensor(zeros_of(p))


def by_rule(
    name: str,
    lr: Rate,
    change: Callable[..., tuple[Any, ...]],
    *,
    slots: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    shared: Callable[[Any, Any], tuple[Any, ...]] = lambda rate, t: (rate,),
    counts: bool = True,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    allow_complex: bool = False,
) -> Optimizer:
    """The optimizer that subtracts `change` from each parameter.

    Args:
        name: for error messages.
        lr: learning rate, a number or a schedule.
        change: `change(p, g, *slots, *shared) -> (what is subtracted from p, *new slots)`, for one parameter.
        slots: for each array that is kept beside a parameter its name and how it begins.
        shared: `shared(rate, t)`, the numbers that are the same for all parameters; `t` counts updates from 1.
        counts: does `shared` look at `t`?
        weight_decay: the factor of the parameter that is added to its gradient (an L2 penalty), or,
        decoupled: by which, times the learning rate, the parameter itself shrinks (Loshchilov & Hutter 2019).
        allow_complex: does the formula hold for complex parameters?
    """
    learning_rate(lr)
    not_negative(weight_decay=weight_decay)
    makers = dict(slots or {})
    counts = counts or callable(lr)

    def init(params: Any) -> State:
        _check(params, name, allow_complex)
        step = Tensor(0, np.int32) if counts else None
        return State(step, {slot: tree_map(lambda p, m=m: m(as_tensor(p)), params) for slot, m in makers.items()})

    def rate(state: State, scale: Any = None, wide: Any = np.float32) -> Any:
        found = as_tensor(lr(_as(state.step, wide))).astype(wide) if callable(lr) else lr
        return found if scale is None else found * _as(scale, wide)

    def numbers(state: State, scale: Any, dtype: Any) -> tuple[Any, ...]:
        """The factor by which a parameter of this dtype shrinks, then what `change` is given."""
        wide = np.result_type(np.finfo(dtype).dtype, np.float32)
        now = rate(state, scale, wide)
        shrunk = 1 - now * weight_decay if decoupled and weight_decay else None
        found = shrunk, *shared(now, _as(state.step, wide) + 1 if counts else None)
        return found if wide == dtype else tuple(_as(x, dtype) if isinstance(x, Tensor) else x for x in found)

    @no_grad()
    def update(params: Any, gradients: Any, state: State, scale: Any = None) -> tuple[Any, State]:
        same_structure(params, gradients, where=name)
        known: dict[Any, tuple[Any, ...]] = {}
        rows = []
        kept = [leaves(tree) for tree in state.slots.values()]
        for p, g, *old in zip(leaves(params), leaves(gradients), *kept, strict=True):
            p = as_tensor(p)
            if p.dtype not in known:
                known[p.dtype] = numbers(state, scale, p.dtype)
            shrunk, *common = known[p.dtype]
            if weight_decay and not decoupled:
                g = g + weight_decay * p
            less, *new = change(p, g, *old, *common)
            rows.append((p - less if shrunk is None else p * shrunk - less, *new))
        columns = zip(*rows, strict=True) if rows else [()] * (1 + len(kept))
        moved, *trees = (rebuild(params, iter(column)) for column in columns)
        step = None if state.step is None else state.step + 1
        return moved, State(step, dict(zip(makers, trees, strict=True)))

    return Optimizer(init, update, rate)


def one_minus_power(decay: float, t: Any) -> Any:
    """`1 - decay**t` without the cancellation that costs float32 four digits in Adam's first steps."""
    return -expm1(t * (math.log(decay) if decay else -math.inf))


def _as(x: Any, dtype: Any) -> Any:
    return as_tensor(x).astype(dtype)


def _check(params: Any, name: str, allow_complex: bool) -> None:
    for path, leaf in leaves_with_paths(params):
        dtype = as_tensor(leaf).dtype
        if dtype.char not in FLOAT or (dtype.char in COMPLEX and not allow_complex):
            raise DtypeError(
                f"{name}: the parameter {path or 'given'} is {dtype.name}; expected a "
                f"{'' if allow_complex else 'real '}floating-point dtype. Keep what is not trained out of the tree."
            )
