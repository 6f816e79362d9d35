"""`Replay`: where a training broke. A state kept now and then, and from it the same steps once more, to the same bits.

The order of the samples and all random numbers are functions of epoch and step, so the native plan comes to the very
state before the step that broke. That one is then computed eagerly, with every value kept, and looked at.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autodiff.functions import grad
from ..base.config import no_grad
from ..base.higher import higher
from ..base.trees import leaves, leaves_with_paths, tree_map
from ..graph.tensor import Tensor
from ..ops.random import fold_in
from .blocks import blocks
from .steps import State, objective

if TYPE_CHECKING:
    from .trainer import Trainer

#: A state is kept again after so many times what keeping it takes: a thousandth of the time goes into it at most,
#: and what must be run again is no longer than that.
SPACING = 1000
#: But not before so many seconds.
LEAST = 1.0


class _Kept(NamedTuple):
    state: State
    epoch: int
    done: int


class Replay:
    """The last state that was kept, and what can be told from it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Keep the next state: something else than steps has changed the one there is."""
        self._kept: _Kept | None = None
        self._due = 0.0

    def keep(self, trainer: Trainer) -> None:
        """Keep a copy of the trainer's state, if it is time to."""
        start = perf_counter()
        if start < self._due:
            return
        state = _copy(trainer.running_state)
        if self._kept is None or _finite(state.params):  # from broken parameters nothing could be found any more
            self._kept = _Kept(state, trainer.epoch, trainer.done)
        now = perf_counter()
        self._due = now + max(LEAST, SPACING * (now - start))

    def origin(self, trainer: Trainer, step: int) -> Any:
        """The `Origin` of what made the loss of a step of this epoch no finite number; None where nothing is found."""
        kept = self._kept
        if kept is None:
            return None
        with no_grad(), np.errstate(all="ignore"):
            first, last = 0, (trainer.epoch - kept.epoch) * trainer.data.steps + step - kept.done
            state = self._after(trainer, last)
            if not _finite(state.params):  # broken before: look for the first step after which they are
                probe = last - 1
                while last - first > 1:
                    at = self._after(trainer, probe)
                    first, last = (probe, last) if _finite(at.params) else (first, probe)
                    probe = (first + last) // 2
                last = first
                state = self._after(trainer, last)
            found = _traced(trainer, state, *self._place(trainer, last))
        return None if found is None else found._replace(notes=(*found.notes, *self._growth(state, last)))

    def _place(self, trainer: Trainer, steps: int) -> tuple[int, int]:
        """Epoch and step of the epoch, so many steps after the state that was kept."""
        assert self._kept is not None
        epochs, done = divmod(self._kept.done + steps, trainer.data.steps)
        return self._kept.epoch + epochs, done

    def _after(self, trainer: Trainer, steps: int) -> State:
        """The state that so many steps lead to, from the one that was kept."""
        assert self._kept is not None
        state, epoch, done = _copy(self._kept.state), self._kept.epoch, self._kept.done
        losses, sums = trainer.blanks()
        while steps:
            for block in blocks(trainer.data, epoch, done):
                stop = min(block.stop, done + steps)
                state, losses, sums = trainer.steps(state, losses, sums, block, done, stop)
                steps, done = steps - (stop - done), stop
                if not steps:
                    break
            epoch, done = epoch + 1, 0
        return state

    def _growth(self, state: State, steps: int) -> list[str]:
        """How the parameters have grown meanwhile, where they have."""
        assert self._kept is not None
        before, now = _largest(self._kept.state.params), _largest(state.params)
        if now[1] < 10 * before[1]:
            return []
        many = f"{steps} step{'s' * (steps > 1)}"
        return [f"the parameters have grown from {before[1]:.3g} at most to {now[1]:.3g} ({now[0]}) in {many}"]


def _traced(trainer: Trainer, state: State, epoch: int, step: int) -> Any:
    """The Origin within one step: in its loss, its gradients, or its update."""
    rows = trainer.data.rows(epoch)[step * trainer.data.batch_size :][: trainer.data.batch_size]
    *inputs, targets = trainer.data.read(rows, epoch)
    weights = (targets,) if trainer.weighted else ()
    if weights:
        targets = inputs.pop()
    trace = higher("trace_nonfinite")
    key = fold_in(trainer.key, state.step)

    def loss(params: Any, inputs: Any, targets: Any, *weights: Any) -> Any:
        parts = inputs if isinstance(inputs, list) else [inputs]
        return objective(trainer.model, trainer.goal, params, state.buffers, (*parts, targets, *weights), key)[0]

    args = inputs[0] if len(inputs) == 1 else inputs, targets, *weights
    found = trace(loss, state.params, *args, wrt="params", names={})
    if found is None:
        found = _in_update(trainer, state, grad(loss)(state.params, *args))
    if found is None:
        return None
    where = f"step {step + 1} of epoch {epoch + 1}"
    per_sample = found.shape[:1] == (len(rows),) and not found.name.startswith("params")
    if per_sample and found.number < np.prod(found.shape):
        samples = dict.fromkeys(int(rows[e[0]]) for e in found.entries)
        many = "s" * (len(samples) > 1)
        where += f"; the entries shown belong to sample{many} {', '.join(map(str, samples))} of the training data"
    return found._replace(notes=(where, *found.notes))


def _in_update(trainer: Trainer, state: State, gradients: Any) -> Any:
    """The Origin within the optimizer, where loss and gradients are finite."""

    def updated(params: Any, gradients: Any, optimizer: Any) -> Any:
        return trainer.optimizer.update(params, gradients, optimizer)[0]

    new = leaves_with_paths(updated(state.params, gradients, state.optimizer))
    for i, (path, x) in enumerate(new):
        if not np.isfinite(x.numpy()).all():
            found = higher("trace_nonfinite")(
                lambda params, gradients, optimizer, i=i: leaves(updated(params, gradients, optimizer))[i],
                state.params,
                gradients,
                state.optimizer,
            )
            end = f"The update of {path} is not finite, though its gradient is"
            mend = "lower the learning rate, or give the optimizer a larger eps"
            divided = (
                {"reason": "division by 0 in the optimizer", "key": "division by 0"} if found.op == "divide" else {}
            )
            return found._replace(end=end, mend=mend, **divided)
    return None


def _copy(state: State) -> State:
    """The same values in memory of their own: the loop takes that of its state."""
    return tree_map(lambda x: Tensor(np.array(x.numpy())), state)


def _finite(tree: Any) -> bool:
    return all(np.isfinite(x.numpy()).all() for x in leaves(tree))


def _largest(params: dict[str, Any]) -> tuple[str, float]:
    arrays = ((path, np.abs(x.numpy())) for path, x in params.items())
    sizes = ((path, float(np.max(x, where=np.isfinite(x), initial=0.0))) for path, x in arrays)
    return max(sizes, key=lambda pair: pair[1], default=("", 0.0))
