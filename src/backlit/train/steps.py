"""What runs natively: a step of training, the loop over steps, and the same without training.

The loop takes a data set, the row numbers of its batches, and the steps to do; where an epoch is cut into such calls
makes no difference to what comes out, to the bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..autodiff.functions import value_and_grad
from ..base.trees import tree_map
from ..modes.compile import Compiled, compile
from ..nn import Layer
from ..ops.control import fori_loop
from ..ops.index import index_update, take
from ..ops.movement import astype
from ..ops.random import fold_in
from ..optim import Optimizer
from .goals import Goal


class State(NamedTuple):
    """All that a step of training changes.

    Attributes:
        params: the parameters by path.
        buffers: what layers keep up to date by themselves, by path.
        optimizer: the state of the optimizer.
        step: how many steps were done, int64.
    """

    params: dict[str, Any]
    buffers: dict[str, Any]
    optimizer: Any
    step: Any


def objective(model: Layer, goal: Goal, params: Any, buffers: Any, batch: Any, key: Any) -> tuple[Any, Any]:
    """The loss of a batch in training; and the outputs, the targets, and the new buffers."""
    inputs, y, options = goal.opened(batch)
    out, new = model.apply({**params, **buffers}, *inputs, training=True, key=key)
    return goal.loss(out, y, **options), (out, y, new)


def training_loop(model: Layer, goal: Goal, optimizer: Optimizer, threads: int | None) -> Compiled:
    """The compiled function that trains for some steps.

    `loop(state, losses, sums, data, order, first, start, stop, key)` does the steps `start` to `stop` of an epoch,
    whose batches are the rows `order[i - first]` of `data`, and returns `(state, losses, sums)`: `losses[i]` is the
    mean loss of step i before its update, and to `sums` those of the metrics are added.
    """

    def step(state: State, batch: Any, key: Any) -> tuple[State, Any, Any]:
        def loss(params: Any) -> Any:
            return objective(model, goal, params, state.buffers, batch, fold_in(key, state.step))

        (value, (out, y, buffers)), gradients = value_and_grad(loss, has_aux=True)(state.params)
        params, optimizer_state = optimizer.update(state.params, gradients, state.optimizer)
        sums = {metric.name: metric.sums(out, y) for metric in goal.metrics}
        return State(params, buffers, optimizer_state, state.step + 1), value, sums

    def loop(
        state: Any, losses: Any, sums: Any, data: Any, order: Any, first: Any, start: Any, stop: Any, key: Any
    ) -> Any:
        def once(i: Any, carried: Any) -> Any:
            state, losses, sums = carried
            state, value, more = step(state, _batch(data, order[i - first]), key)
            return state, _put(losses, i, value), _added(sums, more)

        return fori_loop(start, stop, once, (state, losses, sums))

    loop.__name__ = "training"
    return compile(loop, donate=("state", "losses", "sums"), threads=threads)


def evaluation_loop(model: Layer, goal: Goal, threads: int | None) -> Compiled:
    """The compiled function `loop(values, losses, sums, data, order, first, start, stop)`; returns `(losses, sums)`."""

    def loop(values: Any, losses: Any, sums: Any, data: Any, order: Any, first: Any, start: Any, stop: Any) -> Any:
        def once(i: Any, carried: Any) -> Any:
            losses, sums = carried
            inputs, y, options = goal.opened(_batch(data, order[i - first]))
            out, _ = model.apply(values, *inputs)
            more = {metric.name: metric.sums(out, y) for metric in goal.metrics}
            return _put(losses, i, goal.loss(out, y, **options)), _added(sums, more)

        return fori_loop(start, stop, once, (losses, sums))

    loop.__name__ = "evaluation"
    return compile(loop, donate=("losses", "sums"), threads=threads)


def _batch(data: Any, rows: Any) -> Any:
    return tree_map(lambda array: take(array, rows, axis=0), data)


def _put(losses: Any, i: Any, value: Any) -> Any:
    return index_update.public(losses, i, astype(value, losses.dtype))


def _added(sums: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {name: total + astype(more[name], total.dtype) for name, total in sums.items()}
