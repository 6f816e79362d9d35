"""The training loop, written plainly: take a batch, get loss and gradients, step, count; once an epoch, validate."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autodiff.functions import value_and_grad
from ..base.config import no_grad
from ..base.errors import BacklitError
from ..data import Dataset, Part, Standardize, batches
from ..graph.tensor import Tensor
from ..ops.losses import softmax_cross_entropy
from ..optim import Optimizer
from .models import Model, Params


class Stop:
    """A wish to stop, to be asked for after every step."""

    wanted = False

    @contextmanager
    def on_interrupt(self) -> Iterator[None]:
        """Inside this block the first Ctrl-C only sets the wish; the second one interrupts as usual."""

        def note(number: int, frame: Any) -> None:
            self.wanted = True
            signal.signal(signal.SIGINT, before)

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: means over its training batches, and the validation part at its end."""

    epoch: int
    steps: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    samples_per_second: float


@dataclass(frozen=True)
class Progress:
    """Where a running epoch stands."""

    epoch: int
    done: int
    samples: int
    loss: float
    accuracy: float
    samples_per_second: float


class DivergedError(BacklitError, ArithmeticError):
    """The loss is no longer a finite number."""


@dataclass
class Training:
    """A network being trained on a dataset; `params` are its parameters as they stand now."""

    model: Model
    data: Dataset
    optimizer: Optimizer
    batch_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        init, self._order = (np.random.default_rng([self.seed, stream]) for stream in (0, 1))
        self.scale = Standardize.fit(self.data.train.x, axis=None)
        self.params = self.model.init(init, self.data.train.x.shape[1:], len(self.data.classes))
        self._state = self.optimizer.init(self.params)
        self._loss_and_grad = value_and_grad(self._loss, has_aux=True)

    def _loss(self, params: Params, batch: Part) -> tuple[Tensor, Tensor]:
        scores = self.model.apply(params, Tensor(self.scale(batch.x)))
        return softmax_cross_entropy(scores, batch.y), scores

    def step(self, batch: Part) -> tuple[float, int]:
        """One step of the optimizer; the batch's mean loss and how many were right, both from before the step."""
        (loss, scores), gradients = self._loss_and_grad(self.params, batch)
        self.params, self._state = self.optimizer.update(self.params, gradients, self._state)
        return loss.item(), int(np.sum(scores.numpy().argmax(1) == batch.y))

    def epochs(
        self, count: int, stop: Stop, watch: Callable[[Progress], None] = lambda progress: None
    ) -> Iterator[Epoch]:
        """Train for `count` epochs, one at a time; `stop` ends the last one after the step that is under way."""
        for epoch in range(1, count + 1):
            start = time.perf_counter()
            done = steps = right = 0
            total = 0.0
            for batch in batches(self.data.train, self.batch_size, self._order):
                loss, hits = self.step(batch)
                if not np.isfinite(loss):
                    raise DivergedError(f"epoch {epoch}, step {steps + 1}: the loss is {loss}; try a smaller --lr.")
                done, steps, right, total = done + len(batch), steps + 1, right + hits, total + loss * len(batch)
                speed = done / (time.perf_counter() - start)
                watch(Progress(epoch, done, len(self.data.train), total / done, right / done, speed))
                if stop.wanted:
                    break
            seconds = time.perf_counter() - start
            validation = self.evaluate(self.data.validation)
            yield Epoch(epoch, steps, total / done, right / done, *validation, seconds, done / seconds)
            if stop.wanted:
                return

    def scores(self, part: Part) -> np.ndarray[Any, Any]:
        """The scores of the classes for every sample of `part`."""
        with no_grad():
            rows = [self.model.apply(self.params, Tensor(self.scale(b.x))).numpy() for b in batches(part, 500)]
        return np.concatenate(rows)

    def evaluate(self, part: Part) -> tuple[float, float]:
        """Mean loss and accuracy on `part`."""
        scores = self.scores(part)
        return softmax_cross_entropy(scores, part.y).item(), float(np.mean(scores.argmax(1) == part.y))


def confusion(y: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], classes: int) -> np.ndarray[Any, Any]:
    """How often each class (row) was taken for each (column)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (y, predicted), 1)
    return counts
