"""`fit`, `evaluate` and `predict`: the short forms, for arrays, datasets and loaders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import numpy as np

from ..base.config import config, no_grad
from ..base.errors import ArgumentError, DtypeError, ShapeError, shown
from ..data import Dataset, Loader, Part, split
from ..graph.tensor import Tensor
from ..modes.compile import Compiled, compile
from ..nn import Layer
from ..nn.metrics import Metric
from ..optim import Optimizer, adadelta, adafactor, adagrad, adam, adamw, lion, nadam, rmsprop, sgd
from .callbacks import Callback
from .checkpoints import Checkpoints, latest, written
from .evaluating import Evaluation
from .goals import Loss, as_parameters, goal_of
from .history import History
from .progress import Progress
from .run_folder import CHECKPOINTS, RunFolder
from .trainer import Trainer

#: Those that can be asked for by name.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    f.__name__: f for f in (adadelta, adafactor, adagrad, adam, adamw, lion, nadam, rmsprop, sgd)
}


def fit(
    model: Layer, x: Any, y: Any = None, *, epochs: int = 1, batch_size: int = 32, validation: Any = None,
    optimizer: Optimizer | str = "adam", lr: Any = None, loss: str | Loss = "auto",
    metrics: Sequence[str | Metric] | None = None, weights: Any = None, callbacks: Sequence[Callback] | Callback = (),
    shuffle: bool = True, seed: int = 0, checkpoints: str | Path | None = None, run: str | Path | None = None,
    resume: bool = False, verbose: bool = True, threads: int | None = None,
) -> History:  # fmt: skip
    """Train a model, and return the history of its epochs.

    Args:
        model: the network; parameters that are not there yet are made.
        x, y: inputs (a tuple of arrays for a model with several) and targets; or a `Part`, a `Dataset` (whose
            validation part is taken then) or a `Loader` alone.
        epochs: passes over the data.
        batch_size: samples in a step.
        validation: data to measure on after each epoch: `(x, y)`, a `Part`, a `Loader`, or a share such as 0.1 of the
            samples, chosen by the seed and not trained on.
        optimizer: of `backlit.optim`, or the name of one with its usual settings.
        lr: the learning rate (or schedule) of an optimizer given by name.
        loss: a function of outputs and targets, its name, or "auto": cross-entropy for class numbers, the mean squared
            error for floating-point targets of the shape of the outputs.
        metrics: metrics or their names; None for the accuracy of a classifier.
        weights: (samples,), how much each counts in the loss.
        callbacks: see `backlit.train.callbacks`.
        shuffle: go through the samples in another order each epoch.
        seed: of the order, of dropout, of parameters that are to be made.
        checkpoints: a folder for checkpoints, one after each epoch.
        run: a folder for a whole run: checkpoints, log, settings, curves, parameters; see `RunFolder`.
        resume: go on from the newest checkpoint there, if there is one, to the bits that an unbroken run would reach.
        verbose: show progress.
        threads: how many threads a step uses.

    >>> import backlit as bl, numpy as np
    >>> from backlit import nn
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = (x[:, 0] * x[:, 1] > 0).astype(int)
    >>> model = nn.Sequential(nn.Dense(16, "tanh"), nn.Dense(2))
    >>> history = model.fit(x, y, epochs=60, lr=0.02, verbose=False)
    >>> history[-1]["accuracy"] > 0.9
    True
    """
    training, measured = loaders(x, y, weights, batch_size, validation, shuffle, seed)
    name = optimizer if isinstance(optimizer, str) else "given"
    if isinstance(optimizer, str):
        optimizer = optimizer_of(optimizer, lr)
    elif lr is not None:
        raise ArgumentError("fit: lr is for an optimizer given by name; give this one its rate when it is made.")
    every = [callbacks] if isinstance(callbacks, Callback) else [*callbacks]
    if verbose:
        every.append(Progress())
    folder = None if run is None else RunFolder(run)
    if folder is not None:
        about = {
            "epochs": epochs, "batch_size": training.batch_size, "seed": seed, "loss": str(loss), "optimizer": name,
            "lr": lr if isinstance(lr, (int, float)) else None,
        }  # fmt: skip
        every += folder.callbacks(about, x if isinstance(x, Dataset) else training)
        checkpoints = folder.path / CHECKPOINTS
    elif checkpoints is not None:
        every.append(Checkpoints(checkpoints))
    trainer = Trainer(
        model, optimizer, loss, metrics=metrics, seed=seed, callbacks=every,
        weighted=weights is not None, threads=threads,
    )  # fmt: skip
    if resume:
        if checkpoints is None:
            raise ArgumentError("fit: resume=True goes on from a checkpoint: name their folder, checkpoints= or run=.")
        if written(checkpoints):
            trainer.resume(*latest(checkpoints))
    history = trainer.fit(training, epochs, measured)
    if folder is not None:
        folder.finish(trainer)
    return history


def evaluate(
    model: Layer, x: Any, y: Any = None, *, batch_size: int = 256, loss: str | Loss = "auto",
    metrics: Sequence[str | Metric] | None = None, threads: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The mean loss and the metrics of a model on data, as `fit` takes them."""
    data = x if isinstance(x, Loader) else Loader(arrays_of(x, y), batch_size, shuffle=False)
    goal = goal_of(model, data.read(data.rows(0)[:1]), loss, metrics)
    goal.check(data, "evaluate")
    return Evaluation(model, goal, threads)(model.values(), data)


def predict(model: Layer, x: Any, *, batch_size: int = 256, threads: int | None = None) -> np.ndarray[Any, Any]:
    """The outputs of a model for all samples of `x`, computed batch by batch by a native plan."""
    data = Loader(_inputs(x), batch_size, shuffle=False)
    run: Compiled = compile(lambda values, *given: model.apply(values, *map(as_parameters, given))[0], threads=threads)
    values = {path: Tensor(v.numpy()) for path, v in model.values().items()}
    with no_grad():
        return np.concatenate([run(values, *batch).numpy() for batch in data.batches()])


def loaders(
    x: Any, y: Any, weights: Any, batch_size: int, validation: Any, shuffle: bool = True, seed: int = 0
) -> tuple[Loader, Loader | None]:
    """The loader of the training data, and that of the validation data, if any."""
    if isinstance(x, Loader):
        training = x
    else:
        if isinstance(x, Dataset):
            validation = x.validation if validation is None else validation
            x = x.train
        arrays = arrays_of(x, y)
        if weights is not None:
            arrays = (*arrays, np.asarray(weights, config.get().default_dtype))
        if isinstance(validation, float):
            kept, taken = _cut(arrays[-1 if weights is None else -2], validation, seed)
            validation = Loader(tuple(a[taken] for a in arrays), 256, shuffle=False)
            arrays = tuple(a[kept] for a in arrays)
        training = Loader(arrays, batch_size, shuffle=shuffle, key=seed)
    if validation is None or isinstance(validation, Loader):
        return training, validation
    if not (isinstance(validation, Part) or (isinstance(validation, tuple) and len(validation) in (2, 3))):
        raise ArgumentError(
            f"validation: expected (x, y), a Part, a Loader or a share such as 0.1, got {shown(validation)}."
        )
    given = (validation,) if isinstance(validation, Part) else validation
    arrays = arrays_of(*given[:2])
    if not len(arrays[-1]):
        raise ArgumentError("validation: there is no sample in it; give some, or leave validation out.")
    if weights is not None:
        arrays = (*arrays, *(given[2:] or [np.ones(len(arrays[-1]), config.get().default_dtype)]))
    return training, Loader(arrays, 256, shuffle=False)


def optimizer_of(name: str, lr: Any = None, **options: Any) -> Optimizer:
    """The optimizer of this name with its usual settings but for this learning rate and these options."""
    if name not in OPTIMIZERS:
        close = get_close_matches(name, OPTIMIZERS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"no optimizer is named {name!r}; there are {', '.join(OPTIMIZERS)}.{hint}")
    make = OPTIMIZERS[name]
    if lr is None and signature(make).parameters["lr"].default is Parameter.empty:
        raise ArgumentError(f"the optimizer {name} has no usual learning rate: give lr=.")
    return make(**options) if lr is None else make(lr, **options)


def arrays_of(x: Any, y: Any = None) -> tuple[Any, ...]:
    """Inputs (a tuple of arrays where there are several) and targets, or a `Part`, as a flat tuple of arrays."""
    if isinstance(x, Part):
        x, y = x.x, x.y
    if y is None:
        raise ArgumentError("the targets are missing: give model.fit(x, y), or a Part, a Dataset or a Loader alone.")
    return (*_inputs(x), _numbers(y))


def _inputs(x: Any) -> tuple[Any, ...]:
    return tuple(map(_numbers, x if isinstance(x, tuple) else (x,)))


def _numbers(x: Any) -> Any:
    """Arrays as they are, but float64 in the dtype of the parameters; what lies on disk stays there."""
    if isinstance(x, dict):
        raise ArgumentError(
            f"expected an array, got a dict with {', '.join(map(repr, x))}; several inputs of one model are a tuple of "
            "arrays, (x1, x2), several targets the columns of one array."
        )
    try:
        array = np.asanyarray(x)
    except ValueError:
        raise ShapeError(
            "samples of several shapes make no array; several inputs of one model are a tuple of arrays, (x1, x2)."
        ) from None
    if array.dtype.kind not in "biufc":
        raise DtypeError(
            f"expected numbers, got an array of {array.dtype} such as {shown(array.flat[0] if array.size else '')}; "
            "words that name classes become numbers with classes, y = np.unique(y, return_inverse=True)."
        )
    if array.dtype != np.float64 or isinstance(array, np.memmap):
        return array
    return array.astype(config.get().default_dtype)


def _cut(y: Any, share: float, seed: int) -> tuple[Any, Any]:
    """The rows to train on, and a share of all samples for validation, of each class as many as it has part."""
    if not 0 < share < 1:
        raise ArgumentError(f"validation: a share must lie between 0 and 1, got {share}.")
    classes = y if y.dtype.kind in "iub" and y.ndim == 1 else np.zeros(len(y), np.int64)
    kept, taken = split(classes, [1 - share, share], seed)
    if not (len(kept) and len(taken)):
        raise ArgumentError(f"validation: a share of {share} of {len(y)} sample(s) leaves one part empty.")
    return kept, taken
