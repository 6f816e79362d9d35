"""`epochs`: training over a data set as native loops, minibatches gathered and shuffled within, back to Python in time.

One compiled function runs any number of steps in a row: it reads the rows of the order in which the data are gone
through, gathers each batch, and writes what a step returns beside the new state into a buffer. How many steps it does
before it comes back to Python follows from the time they take, so that Ctrl-C and progress wait for a tenth of a
second at most. The results do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ..base.config import no_grad
from ..base.errors import ArgumentError, ShapeError, shown
from ..base.shapes import as_index
from ..base.trees import leaves, leaves_with_paths, rebuild, same_structure, tree_map
from ..graph.closure import as_tensor, spec_of
from ..graph.opdef import Spec
from ..graph.tensor import Tensor, as_value, symbol, wrap
from ..ops.control import fori_loop
from ..ops.index import index_update, take
from ..ops.random import fold_in, permutation
from .interrupts import Interrupted, Interrupts
from .pace import Pace
from .repeating import fits


class Run(NamedTuple):
    """What a training run has reached.

    Attributes:
        state: the state after the last step, a tuple as it was given.
        values: what the steps returned beside it, such as the loss, along two leading axes: epoch and step.
    """

    state: tuple[Any, ...]
    values: Any


def chunk_of(step: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function that runs the steps `start` to `stop` of an epoch, one batch for each row of `order`."""

    def chunk(state: Any, values: Any, data: Any, order: Any, start: Any, stop: Any) -> Any:
        def once(i: Any, both: Any) -> Any:
            state, values = both
            batch = tree_map(lambda x: take.public(x, order[i], axis=0), data)
            new, rest = parted(step(*state, *batch), state, name)
            return new, tree_map(lambda buffer, y: index_update.public(buffer, i, y), values, rest)

        return fori_loop(start, stop, once, (state, values))

    chunk.__name__ = f"{name}.epochs"
    return chunk


def parted(result: Any, state: tuple[Any, ...], name: str) -> tuple[tuple[Any, ...], Any]:
    """The result of a step as the new state and the rest, checked against the old state."""
    whole = type(result) is not tuple
    results = (result,) if whole else result
    if len(results) < len(state):
        raise ArgumentError(
            f"{name}.epochs: the state has {len(state)} parts, but {name} returns {len(results)} result(s); a step "
            "takes the parts of the state and then those of a batch, and returns the new parts first: "
            "params, state, loss = step(params, state, x, y)."
        )
    fits(results[: len(state)], state, name)
    rest = results[len(state) :]
    return results[: len(state)], rest[0] if len(rest) == 1 else rest


def run_epochs(
    step: Callable[..., Any], chunk: Callable[..., Any], name: str, data: Any, batch_size: int, state: Any,
    shuffle: Any, epochs: int, first_epoch: int, on_epoch: Callable[..., Any] | None,
    on_progress: Callable[..., Any] | None, drop_last: bool,
) -> Run:  # fmt: skip
    """See `Compiled.epochs`; `chunk` is `chunk_of(step)`, compiled."""
    job = _Job(step, chunk, name, data, batch_size, state, drop_last)
    if not isinstance(shuffle, (Tensor, np.ndarray, type(None))):
        raise ArgumentError(f"{name}.epochs: shuffle must be a key, such as bl.random.key(0), got {shown(shuffle)}.")
    interrupts = Interrupts()
    for epoch in range(first_epoch, first_epoch + as_index(epochs, "epochs", f"{name}.epochs")):
        order = np.arange(job.size)
        if shuffle is not None:
            order = permutation(fold_in.public(shuffle, epoch), job.size).numpy()
        with interrupts.held(), no_grad():
            for done in job.epoch(order):
                if interrupts.raised():
                    raise Interrupted(job.run())
                if on_progress is not None:
                    on_progress(epoch, done, job.steps)
        if interrupts.raised():
            raise Interrupted(job.run())
        if on_epoch is not None:
            try:
                if on_epoch(epoch, job.handed_out(), job.history[-1]) is False:
                    break
            except StopIteration:
                break
    return job.run()


class _Job:
    """The state of a run, and what it goes over.

    Attributes:
        size: how many examples there are.
        steps: how many steps an epoch has.
        history: the values of each epoch so far.
    """

    def __init__(
        self, step: Any, chunk: Any, name: str, data: Any, batch_size: Any, state: Any, drop_last: bool
    ) -> None:
        self.chunk, self.name = chunk, name
        if type(state) is not tuple:
            raise ArgumentError(
                f"{name}.epochs: state must be a tuple of the arguments that a step returns changed, such as "
                f"state=(params,) or state=(params, optimizer_state), got {shown(state)}."
            )
        self.state: tuple[Any, ...] = tree_map(_fresh, state)
        self.data = tree_map(_contiguous, data if type(data) is tuple else (data,))
        self.size = self._size()
        self.batch = as_index(batch_size, "batch_size", f"{name}.epochs")
        if self.batch < 1:
            raise ArgumentError(f"{name}.epochs: batch_size must be 1 or more, got {self.batch}.")
        whole, left = divmod(self.size, self.batch)
        #: Batches of one size, and the size: the whole ones, then what is left.
        self.parts = [(n, b) for n, b in ((whole, self.batch), (0 if drop_last else int(left > 0), left)) if n]
        if not self.parts:
            raise ArgumentError(
                f"{name}.epochs: {self.size} example(s) make no batch of {self.batch}; "
                "give a smaller batch_size" + (" or drop_last=False." if drop_last else ".")
            )
        self.steps = sum(n for n, _ in self.parts)
        self.history: list[Any] = []
        self._pace = Pace()
        self._blanks = [self._values_of(step, b) for _, b in self.parts]
        for other in self._blanks[1:]:
            self._same_values(self._blanks[0], other)

    def epoch(self, order: Any) -> Iterator[int]:
        """Go once through the data in this order; after each chunk, how many steps are done."""
        before, end, columns = 0, 0, []
        for (steps, size), specs in zip(self.parts, self._blanks, strict=True):
            begin, end = end, end + steps * size
            rows = order[begin:end].reshape(steps, size)
            values = tree_map(lambda s: wrap(np.zeros((steps, *s.shape), s.dtype)), specs)  # noqa: B023 (used at once)
            start = 0
            while start < steps:
                stop = start + self._pace.next(steps - start)
                began = perf_counter()
                self.state, values = self.chunk(self.state, values, self.data, rows, np.int64(start), np.int64(stop))
                self._pace.took(perf_counter() - began, stop - start)
                start = stop
                if before + start < self.steps:
                    yield before + start
            before += steps
            columns.append(leaves(values))
        joined = [np.concatenate([t.value for t in column]) for column in zip(*columns, strict=True)]
        self.history.append(rebuild(self._blanks[0], iter(map(wrap, joined))))
        yield self.steps

    def handed_out(self) -> Any:
        """The state in Tensors of its own, which stay good: what they share memory with is copied, not overwritten."""
        return tree_map(lambda t: wrap(t.value), self.state)

    def run(self) -> Run:
        """What has been reached."""
        empty = tree_map(lambda s: np.zeros((0, self.steps, *s.shape), s.dtype), self._blanks[0])
        rows = [[t.value for t in leaves(values)] for values in self.history]
        stacked = [np.stack(column) for column in zip(*rows, strict=True)] if rows else leaves(empty)
        return Run(self.handed_out(), rebuild(empty, iter(map(wrap, stacked))))

    def _size(self) -> int:
        size, first = None, ""
        for path, x in leaves_with_paths(self.data, "data"):
            if not x.ndim or (size is not None and x.shape[0] != size):
                other = f", {first} has {size} rows" if size is not None else ""
                raise ShapeError(
                    f"{self.name}.epochs: {path} has shape {x.shape}{other}; all arrays of data need a leading axis of "
                    "one size, along which batches are taken."
                )
            size, first = x.shape[0], first or path
        if size is None:
            raise ArgumentError(f"{self.name}.epochs: data has no arrays; give a tuple such as (x, y).")
        return size

    def _values_of(self, step: Any, size: int) -> Any:
        """Shape and dtype of what a step on a batch of this size returns beside the state, as empty edges."""
        edges = tree_map(lambda x: symbol(spec_of(x)), self.state)
        batch = tree_map(lambda x: symbol(Spec((size, *x.shape[1:]), x.dtype)), self.data)
        _, rest = parted(step(*edges, *batch), edges, self.name)
        return tree_map(lambda y: symbol(spec_of(as_tensor(y))), rest)

    def _same_values(self, one: Any, other: Any) -> None:
        same_structure(one, other, where=f"{self.name}.epochs: what steps return")
        for (path, a), b in zip(leaves_with_paths(one), leaves(other), strict=True):
            if spec_of(a) != spec_of(b):
                at = f"value {path}" if path else "a value"
                raise ShapeError(
                    f"{self.name}.epochs: beside the state a step returns {at} of shape {a.shape}, but "
                    f"{b.shape} on the last, smaller batch; return what does not depend on the size of the batch, "
                    "such as a mean, or leave that batch out with drop_last=True."
                )


def _fresh(x: Any) -> Tensor:
    """A Tensor of its own for a value, without a history."""
    return wrap(x._known("epochs")) if isinstance(x, Tensor) else wrap(as_value(x))


def _contiguous(x: Any) -> Any:
    """An array that a plan can read as it is, call after call."""
    return np.asarray(x._known("epochs") if isinstance(x, Tensor) else as_value(x), order="C")
