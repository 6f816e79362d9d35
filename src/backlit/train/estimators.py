"""Networks as scikit-learn's estimators: for pipelines, grid searches and cross-validation.

What scikit-learn asks of an estimator (parameters kept as they were given, checks of the input, attributes with an
underscore after `fit`) is done with its own helpers.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..base.errors import ArgumentError
from ..data import Loader
from ..nn import Dense, Dropout, Layer, Sequential
from ..optim import Optimizer
from .callbacks import EarlyStopping
from .fitting import optimizer_of, predict
from .progress import Progress
from .trainer import Trainer

Array = np.ndarray[Any, Any]

#: Samples in a batch of prediction.
BATCH = 64


class _Network(BaseEstimator):
    """What classifiers and regressors share: how a network is made, trained, and trained on."""

    _loss: str

    def __init__(
        self, model: Layer | Callable[[], Layer] | None = None, *, optimizer: str | Optimizer = "adam",
        learning_rate: float | None = 1e-3, epochs: int = 200, batch_size: int = 32, early_stopping: bool = False,
        validation_fraction: float = 0.1, patience: int = 10, tol: float = 1e-4, warm_start: bool = False,
        random_state: Any = None, verbose: bool = False,
    ) -> None:  # fmt: skip
        self.model, self.optimizer, self.learning_rate = model, optimizer, learning_rate
        self.epochs, self.batch_size, self.early_stopping = epochs, batch_size, early_stopping
        self.validation_fraction, self.patience, self.tol = validation_fraction, patience, tol
        self.warm_start, self.random_state, self.verbose = warm_start, random_state, verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    # --- training ----------------------------------------------------------------------------------

    def _network(self, outputs: int) -> Layer:
        """A network that is not trained yet, with so many outputs."""
        if self.model is None:
            raise ArgumentError(
                f"{type(self).__name__}: give model=, a network of backlit.nn or a function that makes one."
            )
        if isinstance(self.model, Layer):
            return deepcopy(self.model)
        make: Callable[..., Layer] = self.model
        return make(outputs) if signature(make).parameters else make()

    def _optimizer(self) -> Optimizer:
        if isinstance(self.optimizer, Optimizer):
            return self.optimizer
        return optimizer_of(self.optimizer, self.learning_rate)

    def _train(self, x: Array, y: Array, weights: Array | None, outputs: int, epochs: int, keep: bool) -> None:
        """Train for some epochs: anew, or on from where training was."""
        random = check_random_state(self.random_state)
        seed = int(random.randint(np.iinfo(np.int32).max))
        if not (keep and hasattr(self, "network_")):
            self.network_ = self._network(outputs)
            self.network_.build(x[:1], key=seed)
            self.loss_curve_: list[float] = []
            self.validation_curve_: list[float] = []
            self.n_iter_ = 0
        arrays = (x, y) if weights is None else (x, y, weights)
        measured, callbacks = None, []
        if self.early_stopping:
            rows = random.permutation(len(x))
            cut = max(1, round(self.validation_fraction * len(x)))
            if cut >= len(x):
                raise ArgumentError(f"early_stopping: {len(x)} sample(s) are too few to keep some for validation.")
            measured = Loader(tuple(a[rows[:cut]] for a in arrays), 256, shuffle=False)
            arrays = tuple(a[rows[cut:]] for a in arrays)
            callbacks.append(EarlyStopping("validation_loss", patience=self.patience, min_delta=self.tol))
        if self.verbose:
            callbacks.append(Progress())
        size = len(arrays[0])
        trainer = Trainer(
            self.network_, self._optimizer(), self._loss, metrics=[], seed=seed, callbacks=callbacks,
            weighted=weights is not None, threads=1 if size * x.shape[1] < 100_000 else None,
        )  # fmt: skip
        history = trainer.fit(Loader(arrays, min(self.batch_size, size), key=seed), epochs, measured)
        self.loss_curve_ += history["loss"]
        self.validation_curve_ += history["validation_loss"] if measured is not None else []
        self.loss_, self.n_iter_ = self.loss_curve_[-1], self.n_iter_ + len(history)

    def _inputs(self, x: Any, reset: bool) -> Array:
        """Samples as a dense array of float32, checked; sparse ones are filled up."""
        x = validate_data(self, x, accept_sparse="csr", dtype=np.float32, reset=reset, ensure_min_samples=1)
        return _dense(x)

    def _outputs(self, x: Any) -> Array:
        check_is_fitted(self)
        x = self._inputs(x, reset=False)
        # Batches of one size: what is said of a sample does not depend, to the bit, on those beside it.
        filled = np.zeros((-(-len(x) // BATCH) * BATCH, *x.shape[1:]), x.dtype)
        filled[: len(x)] = x
        return predict(self.network_, filled, batch_size=BATCH)[: len(x)]


def _dense(x: Any) -> Array:
    return x.toarray() if hasattr(x, "toarray") else x


class NetworkClassifier(ClassifierMixin, _Network):
    """A network of backlit.nn as a classifier; its outputs are scores, one for each class, of which the softmax is
    taken.

    Args:
        model: a network (copied for each fit), or a function that makes one, given the number of outputs if it takes an
            argument. The last layer must have as many units as
            there are classes.
        optimizer: the name of an optimizer, or one of `backlit.optim`, which has its own rate.
        learning_rate: of an optimizer given by name; None for its usual one.
        epochs: passes over the data.
        batch_size: samples in a step.
        early_stopping: keep `validation_fraction` of the samples, stop when the loss on them has not become smaller by
            `tol` for `patience` epochs, and take the best parameters.
        class_weight: None, "balanced", or a dict from classes to weights.
        warm_start: go on from where the last fit ended.
        random_state: of first weights, order of samples, dropout.
        verbose: print a line for each epoch.

    Attributes:
        network_: the trained network.
        classes_: the classes, in the order of the scores.
        loss_curve_, validation_curve_: the loss by epoch; the latter with early stopping.
        n_iter_: epochs done.

    >>> from backlit import nn
    >>> from backlit.sklearn import NetworkClassifier
    >>> x, y = [[0.0], [1.0], [2.0], [3.0]] * 8, ["small", "small", "large", "large"] * 8
    >>> model = nn.Sequential(nn.Dense(8, "relu"), nn.Dense(2))
    >>> sizes = NetworkClassifier(model, learning_rate=0.02, random_state=0).fit(x, y)
    >>> sizes.predict([[0.1], [2.9]]).tolist()
    ['small', 'large']
    """

    _loss = "cross_entropy"

    def __init__(
        self, model: Layer | Callable[[], Layer] | None = None, *, optimizer: str | Optimizer = "adam",
        learning_rate: float | None = 1e-3, epochs: int = 200, batch_size: int = 32, early_stopping: bool = False,
        validation_fraction: float = 0.1, patience: int = 10, tol: float = 1e-4, class_weight: Any = None,
        warm_start: bool = False, random_state: Any = None, verbose: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            model, optimizer=optimizer, learning_rate=learning_rate, epochs=epochs, batch_size=batch_size,
            early_stopping=early_stopping, validation_fraction=validation_fraction, patience=patience, tol=tol,
            warm_start=warm_start, random_state=random_state, verbose=verbose,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkClassifier:
        """Train on samples X (n, features) and classes y (n,)."""
        x, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float32, multi_output=False)
        check_classification_targets(y)
        classes = unique_labels(y)
        keep = self.warm_start and hasattr(self, "network_")
        if keep and not np.array_equal(classes, self.classes_):
            raise ValueError(f"warm_start: the classes were {self.classes_}, now they are {classes}.")
        self.classes_ = classes
        self._fit(_dense(x), y, sample_weight, self.epochs, keep)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> NetworkClassifier:
        """One epoch on these samples; the first call must be given all classes."""
        first = not hasattr(self, "network_")
        x, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float32, reset=first)
        check_classification_targets(y)
        if first:
            if classes is None:
                raise ValueError("partial_fit: classes, all that will ever come, must be given in the first call.")
            self.classes_ = unique_labels(classes)
        if strange := set(np.unique(y)) - set(self.classes_):
            raise ValueError(
                f"partial_fit: y contains {sorted(strange)}, which are none of the classes {self.classes_}."
            )
        self._fit(_dense(x), y, sample_weight, 1, keep=True)
        return self

    def _fit(self, x: Array, y: Array, sample_weight: Any, epochs: int, keep: bool) -> None:
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, x, dtype=np.float32)
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y).astype(np.float32)
            weights = by_class if weights is None else weights * by_class
        numbers = np.searchsorted(self.classes_, y).astype(np.int64)
        self._train(x, numbers, weights, max(2, len(self.classes_)), epochs, keep)

    def decision_function(self, X: Any) -> Array:
        """Scores (n, classes) before the softmax; of two classes the difference, (n,)."""
        scores = self._outputs(X).astype(np.float64)
        if len(self.classes_) == 2:
            return scores[:, 1] - scores[:, 0]
        return scores[:, : len(self.classes_)]

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (n, classes)."""
        scores = self._outputs(X).astype(np.float64)
        scores = scores[:, : len(self.classes_)]
        odds = np.exp(scores - scores.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    def predict(self, X: Any) -> Array:
        """The class with the largest score, (n,)."""
        scores = self._outputs(X)
        return self.classes_[scores[:, : len(self.classes_)].argmax(1)]


class NetworkRegressor(RegressorMixin, _Network):
    """A network of backlit.nn as a regressor; its outputs are compared with the targets by their mean squared error.

    The arguments are those of `NetworkClassifier`, without `class_weight`. Targets are standardised for training and
    the outputs scaled back, so that the learning rate need not know their unit.
    """

    _loss = "mse"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """Train on samples X (n, features) and targets y (n,) or (n, targets)."""
        x, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float32, multi_output=True, y_numeric=True)
        keep = self.warm_start and hasattr(self, "network_")
        self._fit(_dense(x), y, sample_weight, self.epochs, keep)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """One epoch on these samples; their unit is taken from the first call."""
        first = not hasattr(self, "network_")
        x, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=np.float32, multi_output=True, y_numeric=True, reset=first,
        )  # fmt: skip
        self._fit(_dense(x), y, sample_weight, 1, keep=True)
        return self

    def _fit(self, x: Array, y: Array, sample_weight: Any, epochs: int, keep: bool) -> None:
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, x, dtype=np.float32)
        columns = y.reshape(len(y), -1).astype(np.float64)
        if not (keep and hasattr(self, "network_")):
            self._flat = y.ndim == 1
            self._centre, spread = columns.mean(0), columns.std(0)
            self._unit = np.where(spread > 0, spread, 1.0)
        scaled = ((columns - self._centre) / self._unit).astype(np.float32)
        self._train(x, scaled, weights, columns.shape[1], epochs, keep)

    def predict(self, X: Any) -> Array:
        """The targets, (n,) or (n, targets)."""
        found = self._outputs(X).astype(np.float64) * self._unit + self._centre
        return found[:, 0] if self._flat else found


def _perceptron(sizes: Any, activation: str, dropout: float, outputs: int) -> Layer:
    """Hidden layers of these sizes, each followed by dropout, and a linear one."""
    parts: list[Any] = []
    for units in np.atleast_1d(np.asarray(sizes, np.int64)).tolist():
        parts.append(Dense(units, activation, init="he_normal" if activation == "relu" else "glorot_uniform"))
        if dropout:
            parts.append(Dropout(dropout))
    return Sequential(*parts, Dense(outputs))


class MLPClassifier(NetworkClassifier):
    """A multi-layer perceptron as a classifier.

    Args:
        hidden_layer_sizes: units of each hidden layer.
        activation: of the hidden layers, by name.
        dropout: the share of hidden units left out in training.
        alpha: weight decay, decoupled from the gradient (Loshchilov & Hutter 2019); with an optimizer given by name
            that has it.
        others: see `NetworkClassifier`.
    """

    def __init__(
        self, hidden_layer_sizes: Any = (100,), *, activation: str = "relu", dropout: float = 0.0, alpha: float = 0.0,
        optimizer: str | Optimizer = "adam", learning_rate: float | None = 1e-3, epochs: int = 200,
        batch_size: int = 32, early_stopping: bool = False, validation_fraction: float = 0.1, patience: int = 10,
        tol: float = 1e-4, class_weight: Any = None, warm_start: bool = False, random_state: Any = None,
        verbose: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            None, optimizer=optimizer, learning_rate=learning_rate, epochs=epochs, batch_size=batch_size,
            early_stopping=early_stopping, validation_fraction=validation_fraction, patience=patience, tol=tol,
            class_weight=class_weight, warm_start=warm_start, random_state=random_state, verbose=verbose,
        )  # fmt: skip
        self.hidden_layer_sizes, self.activation, self.dropout, self.alpha = (
            hidden_layer_sizes,
            activation,
            dropout,
            alpha,
        )

    def _network(self, outputs: int) -> Layer:
        return _perceptron(self.hidden_layer_sizes, self.activation, self.dropout, outputs)

    def _optimizer(self) -> Optimizer:
        return _decayed(self, super()._optimizer)


class MLPRegressor(NetworkRegressor):
    """A multi-layer perceptron as a regressor; the arguments are those of `MLPClassifier`, without `class_weight`."""

    def __init__(
        self, hidden_layer_sizes: Any = (100,), *, activation: str = "relu", dropout: float = 0.0, alpha: float = 0.0,
        optimizer: str | Optimizer = "adam", learning_rate: float | None = 1e-3, epochs: int = 200,
        batch_size: int = 32, early_stopping: bool = False, validation_fraction: float = 0.1, patience: int = 10,
        tol: float = 1e-4, warm_start: bool = False, random_state: Any = None, verbose: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            None, optimizer=optimizer, learning_rate=learning_rate, epochs=epochs, batch_size=batch_size,
            early_stopping=early_stopping, validation_fraction=validation_fraction, patience=patience, tol=tol,
            warm_start=warm_start, random_state=random_state, verbose=verbose,
        )  # fmt: skip
        self.hidden_layer_sizes, self.activation, self.dropout, self.alpha = (
            hidden_layer_sizes,
            activation,
            dropout,
            alpha,
        )

    def _network(self, outputs: int) -> Layer:
        return _perceptron(self.hidden_layer_sizes, self.activation, self.dropout, outputs)

    def _optimizer(self) -> Optimizer:
        return _decayed(self, super()._optimizer)


def _decayed(estimator: Any, plain: Callable[[], Optimizer]) -> Optimizer:
    """The optimizer with `alpha` as its weight decay."""
    if not estimator.alpha or isinstance(estimator.optimizer, Optimizer):
        return plain()
    name = "adamw" if estimator.optimizer == "adam" else estimator.optimizer
    return optimizer_of(name, estimator.learning_rate, weight_decay=estimator.alpha)
