"""`Trainer`: epochs of native steps over a data set, and what happens between them.

All that training changes is in one `State`, and every random number and the order of the samples follow from the seed,
the epoch and the step. So a training that goes on from a checkpoint comes to the same bits as one that never stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from time import perf_counter
from typing import Any

import numpy as np

from ..base.config import no_grad
from ..base.errors import ArgumentError, BacklitError, shown
from ..base.shapes import as_index
from ..base.trees import leaves_with_paths, rebuild, tree_map
from ..data import Loader
from ..graph.tensor import Tensor
from ..modes.interrupts import Interrupts
from ..modes.pace import Pace
from ..nn import Layer
from ..nn.metrics import Metric
from ..ops.random import key as random_key
from ..optim import Optimizer, adam
from ..runtime.pool import default_threads
from .blocks import Block, blocks
from .callbacks import Callback
from .evaluating import Evaluation
from .goals import Loss, goal_of
from .history import History
from .replay import Replay
from .steps import State, training_loop


class DivergedError(BacklitError, ArithmeticError):
    """The loss is no longer a finite number.

    Attributes:
        origin: the `Origin` of the first number that was not finite (see `backlit.trace_nonfinite`); None where it was
            not found.
    """

    origin: Any = None


class Trainer:
    """A model being trained.

    Args:
        model: the network; its parameters are the start, and what `fit` has reached is written back to it.
        optimizer: of `backlit.optim`.
        loss: a function `loss(outputs, targets)`, its name in `nn.losses`, or "auto": by the targets.
        metrics: metrics of `nn.metrics` or their names; None for those that suit the targets.
        seed: of dropout and of parameters that are not there yet.
        callbacks: what is to happen between epochs or every few steps.
        weighted: does the last array of the data hold the weights of the samples? The loss gets them as `weights=`.
        threads: how many threads a step uses; by default as many as there are cores.

    Attributes:
        state: parameters, buffers, state of the optimizer, number of steps.
        epoch: epochs done.
        done: steps done of the epoch under way.
        history: a row for each epoch done.
        measuring: seconds that the last epoch's validation took.
        diverged: why training ended, where the loss became no finite number.
    """

    def __init__(
        self, model: Layer, optimizer: Optimizer | None = None, loss: str | Loss = "auto", *,
        metrics: Sequence[str | Metric] | None = None, seed: int = 0, callbacks: Sequence[Callback] = (),
        weighted: bool = False, threads: int | None = None,
    ) -> None:  # fmt: skip
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            raise ArgumentError(
                f"optimizer: expected one of backlit.optim, made by a call, such as optim.adam(1e-3), got "
                f"{shown(optimizer)}. optim.lbfgs fits whole functions, not batches: see backlit.minimize."
            )
        if wrong := [c for c in callbacks if not isinstance(c, Callback)]:
            raise ArgumentError(
                f"callbacks: expected objects of classes made from train.Callback, such as train.EarlyStopping(), got "
                f"{shown(wrong[0])}."
            )
        self.model, self.optimizer = model, optimizer or adam()
        self.seed = as_index(seed, "seed", "Trainer")
        self.callbacks, self.weighted = sorted(callbacks, key=lambda c: c.last), weighted
        self.threads = threads or default_threads()
        self.history = History()
        self.epoch = self.done = 0
        self.measuring = 0.0
        self.state: State | None = None
        self.diverged: DivergedError | None = None
        self._asked = loss, metrics
        self._losses: Any = None
        self._sums: dict[str, Any] = {}
        self._resumed: Mapping[str, Any] | None = None
        self._form: Any = None
        self._replay = Replay()

    def fit(self, data: Loader, epochs: int, validation: Loader | None = None) -> History:
        """Train until `epochs` epochs are done.

        The first Ctrl-C ends training after the steps under way; `history.stopped` says so then, and what was reached
        is in the model.

        Raises:
            DivergedError: the loss became infinite or NaN; the model is as it was before, the checkpoints are there.
        """
        self.epochs, self.data = as_index(epochs, "epochs", "fit"), data
        if self.epochs < 0:
            raise ArgumentError(f"fit: epochs must be 0 or more, got {self.epochs}.")
        self._prepare(data)
        self.goal.check(data, "fit")
        if validation is not None:
            self.goal.check(validation, "validation")
        evaluation = None if validation is None else Evaluation(self.model, self.goal, self.threads)
        self.history.stopped = ""
        self.diverged = None
        self._replay.forget()
        interrupts = Interrupts()
        try:
            with no_grad(), interrupts.held():
                self._call("begin")
                while self.epoch < self.epochs and not self.history.stopped:
                    self._train_epoch(interrupts)
                    if self.done == data.steps:
                        self._end_epoch(evaluation, validation)
                        self._heed(interrupts)
        finally:
            self._call("end")
            self.put_back()
        return self.history

    def stop(self, reason: str) -> None:
        """End training after the step or epoch under way; for callbacks."""
        self.history.stopped = reason

    def put_back(self) -> None:
        """Write the parameters and buffers reached into the model."""
        if self.state is not None:
            self.model.load_values(self.values())

    @property
    def fresh(self) -> bool:
        """Is this training at its beginning: not one step done, and not gone on from a checkpoint?"""
        return not (self.epoch or self.done)

    @property
    def running_state(self) -> State:
        """The state, which is there once `fit` has begun."""
        if self.state is None:
            raise ArgumentError("Trainer: there is no state yet; it is made when fit begins.")
        return self.state

    def values(self) -> dict[str, Any]:
        """Parameters and buffers as they stand, by path."""
        return {**self.running_state.params, **self.running_state.buffers}

    def take_over(self, values: Mapping[str, Any]) -> None:
        """Go on with these parameters and buffers."""
        state = self.running_state
        params, buffers = ({k: Tensor(np.array(values[k])) for k in d} for d in (state.params, state.buffers))
        self.state = state._replace(params=params, buffers=buffers)
        self._replay.forget()

    def set_optimizer_state(self, state: Any) -> None:
        """Go on with this state of the optimizer."""
        self.state = self.running_state._replace(optimizer=state)
        self._replay.forget()

    # --- an epoch ----------------------------------------------------------------------------------

    def _train_epoch(self, interrupts: Interrupts) -> None:
        """The rest of the epoch from step `done` on."""
        data, pace = self.data, Pace()
        self.began, self._first = perf_counter(), self.done
        self.rate = self._rate()
        if not self.done:
            self._losses, self._sums = self.blanks()
        for block in blocks(data, self.epoch, self.done):
            while self.done < block.stop:
                count = min(pace.next(block.stop - self.done), self._to_next_call())
                start = perf_counter()
                self._run(block, self.done + count)
                pace.took(perf_counter() - start, count)
                self._call("steps")
                if self.done < data.steps:
                    self._heed(interrupts)
                    if self.history.stopped:
                        return

    def _heed(self, interrupts: Interrupts) -> None:
        """Stop if Ctrl-C was pressed."""
        if interrupts.raised():
            where = f"step {self.done} of epoch {self.epoch + 1}" if self.done else f"epoch {self.epoch}"
            self.stop(f"stopped by Ctrl-C after {where}")

    def blanks(self) -> tuple[Tensor, Any]:
        """Losses and sums of metrics for an epoch in which nothing was done yet."""
        return Tensor(np.zeros(self.data.steps, np.float32)), tree_map(lambda x: Tensor(np.zeros_like(x)), self._blank)

    def steps(self, state: State, losses: Tensor, sums: Any, block: Block, start: int, stop: int) -> Any:
        """State, losses and sums after some steps of a block; the memory of those given is taken."""
        first, begin, end = np.int64(block.first), np.int64(start), np.int64(stop)
        return self._loop(state, losses, sums, block.data, block.order, first, begin, end, self.key)

    def _run(self, block: Block, stop: int) -> None:
        self._replay.keep(self)
        self.state, self._losses, self._sums = self.steps(
            self.running_state, self._losses, self._sums, block, self.done, stop
        )
        losses = self._losses.numpy()[self.done : stop]
        if not np.isfinite(losses).all():
            bad = self.done + int(np.argmin(np.isfinite(losses)))
            self.diverged = self._at_fault(bad, losses[bad - self.done])
            self.state = None  # what came after that step is worth nothing
            raise self.diverged
        self.done = stop

    def _at_fault(self, step: int, loss: float) -> DivergedError:
        """The error for a loss that is no finite number, with what made it so."""
        origin = self._replay.origin(self, step)
        error = DivergedError(
            f"epoch {self.epoch + 1}, step {step + 1}: the loss is {loss}"
            + (f".\n{origin}" if origin else "; a smaller learning rate or clipped gradients may help.")
        )
        error.origin = origin
        return error

    def _end_epoch(self, evaluation: Evaluation | None, validation: Loader | None) -> None:
        seconds = perf_counter() - self.began
        samples = sum(self._sizes(self._first, self.done))
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "step": self.running_state.step.item(),
            "loss": self.mean_loss(),
        }
        row |= {m.name: m.value(self._sums[m.name].numpy()) for m in self.goal.metrics}
        start = perf_counter()
        if evaluation is not None and validation is not None:
            row |= {f"validation_{k}": v for k, v in evaluation(self.values(), validation).items()}
        self.measuring = perf_counter() - start
        row |= {"lr": self.rate, "seconds": seconds, "samples_per_second": samples / max(seconds, 1e-9)}
        self.history.append(row)
        self.epoch, self.done = self.epoch + 1, 0
        self._call("epoch", row)

    def mean_loss(self) -> float:
        """The mean loss of the epoch so far, each batch before its step."""
        sizes = self._sizes(0, self.done)
        return float(np.average(self._losses.numpy()[: self.done].astype(np.float64), weights=sizes)) if sizes else inf

    def losses(self) -> np.ndarray[Any, Any]:
        """The loss of each step of this epoch so far; between two epochs, of the one just done."""
        if self._losses is None:
            return np.zeros(0, np.float32)
        return self._losses.numpy()[: self.done or None].copy()

    def _sizes(self, start: int, stop: int) -> list[int]:
        size, last = self.data.batch_size, self.data.steps - 1
        return [size if i < last else self._last for i in range(start, stop)]

    def _rate(self) -> Any:
        rate = self.optimizer.rate and self.optimizer.rate(self.running_state.optimizer)
        return float(rate) if rate is not None and not isinstance(rate, dict) else rate

    def _to_next_call(self) -> int:
        """Steps until a callback wants to be called."""
        step = self.epoch * self.data.steps + self.done
        return min((c.every - step % c.every for c in self.callbacks if c.every), default=self.data.steps)

    def _call(self, when: str, *args: Any) -> None:
        step = self.epoch * self.data.steps + self.done
        for callback in reversed(self.callbacks) if when == "end" else self.callbacks:
            if when != "steps" or not callback.every or step % callback.every == 0:
                getattr(callback, when)(self, *args)

    # --- the beginning -----------------------------------------------------------------------------

    def _prepare(self, data: Loader) -> None:
        """Make parameters, loss and plans for these data; take up what a checkpoint holds."""
        sample = data.read(np.zeros(1, np.int64), 0)
        form = [(x.dtype, x.shape) for x in sample]
        if self._form != (form, self.model.__tree_key__()):  # another fit on the like takes the plans that are there
            self.goal = goal_of(self.model, sample, *self._asked, weighted=self.weighted, seed=self.seed)
            self._loop = training_loop(self.model, self.goal, self.optimizer, self.threads)
            self._form = form, self.model.__tree_key__()
        self._last = min(data.size - data.batch_size * (data.steps - 1), data.batch_size)
        self._blank = self.goal.blank
        self.key = random_key(self.seed)
        params, buffers = self.model.parameters(), self.model.state()
        if self.state is None:
            params, buffers = ({k: _plain(v) for k, v in d.items()} for d in (params, buffers))
            self.state = State(params, buffers, self.optimizer.init(params), Tensor(0, np.int64))
        if self._resumed is not None:
            self._take_up(self._resumed)

    # --- what a checkpoint holds ----------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arrays and notes from which training can go on to the same bits; see `resume`."""
        arrays = dict(leaves_with_paths(self.state, "state"))
        notes: dict[str, Any] = {
            "epoch": self.epoch, "done": self.done, "seed": self.seed, "threads": self.threads,
            "history": list(self.history), "data": self._about_data(), "callbacks": [],
        }  # fmt: skip
        if self.done:
            arrays |= {"losses": self._losses, **dict(leaves_with_paths(self._sums, "sums"))}
        for i, callback in enumerate(self._remembering()):
            kept = dict(callback.state())
            arrays |= {f"callbacks.{i}.{name}": x for name, x in kept.pop("arrays", {}).items()}
            notes["callbacks"].append({"name": type(callback).__name__, **kept})
        return {name: np.asarray(x) for name, x in arrays.items()}, notes

    def resume(self, arrays: Mapping[str, Any], notes: Mapping[str, Any]) -> Trainer:
        """Go on, in the next `fit`, where a snapshot was taken; with the same model, data, optimizer and callbacks."""
        self._resumed = {"arrays": arrays, "notes": notes}
        self.seed, self.threads = notes["seed"], notes["threads"]
        return self

    def _take_up(self, resumed: Mapping[str, Any]) -> None:
        arrays, notes = resumed["arrays"], resumed["notes"]
        for what, found in self._about_data().items():
            if notes["data"].get(what) != found:
                raise ArgumentError(
                    f"resume: the checkpoint is of a training with {what} {notes['data'].get(what)}, this one "
                    f"has {found}; "
                    "to the same bits it goes on with the same data and batches only."
                )
        known = {path for path, _ in leaves_with_paths(self.state, "state")}
        if other := [path for path in arrays if path.startswith("state.") and path not in known]:
            raise ArgumentError(
                f"resume: the checkpoint holds {other[0]}, which is not here: another model or optimizer."
            )
        self.state = _filled(self.state, arrays, "state")
        self.epoch, self.done = notes["epoch"], notes["done"]
        self.history = History(notes["history"])
        if self.done:
            self._losses = Tensor(arrays["losses"])
            self._sums = _filled(self._blank, arrays, "sums")
        names = [type(c).__name__ for c in self._remembering()]
        if names != [c["name"] for c in notes["callbacks"]]:
            raise ArgumentError(
                f"resume: the checkpoint was written with the callbacks {[c['name'] for c in notes['callbacks']]}, "
                f"this training has {names}; give the same ones."
            )
        for i, (callback, kept) in enumerate(zip(self._remembering(), notes["callbacks"], strict=True)):
            own = f"callbacks.{i}."
            kept = {**kept, "arrays": {k.removeprefix(own): x for k, x in arrays.items() if k.startswith(own)}}
            callback.restore(kept)
        self._resumed = None

    def _remembering(self) -> list[Callback]:
        """The callbacks that keep something in checkpoints; others may come and go."""
        return [c for c in self.callbacks if type(c).state is not Callback.state]

    def _about_data(self) -> dict[str, Any]:
        return {"samples": self.data.size, "batch size": self.data.batch_size, "steps": self.data.steps}


def _filled(like: Any, arrays: Mapping[str, Any], prefix: str) -> Any:
    """A tree like `like` with the arrays of its paths."""
    rows: list[Tensor] = []
    for path, x in leaves_with_paths(like, prefix):
        found = arrays.get(path)
        if found is None or found.shape != tuple(x.shape):
            what = "nothing" if found is None else f"an array of shape {found.shape}"
            raise ArgumentError(
                f"resume: the checkpoint holds {what} at {path}, where {tuple(x.shape)} is expected: another "
                "model or optimizer."
            )
        rows.append(Tensor(found if found.ndim else found[()]))
    return rebuild(like, iter(rows))


def _plain(x: Tensor) -> Tensor:
    return Tensor(np.array(x.numpy()))
