"""Numbers that are not finite, planted as they come up: each with the op that makes the first one, and why."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, optim

from .case import Planted, digits, images, of, rows, scaled, table
from .mlp import diabetes, squared, two, wine, xy
from .sequences import gru, rnn

Dense = nn.Dense


def at(p: Any, y: Any) -> Any:
    """The probability of the true class."""
    return bl.take_along_axis(p, y[:, None], axis=-1)


def log_loss(p: Any, y: Any) -> Any:
    """-ln p, written by hand."""
    return -bl.mean(bl.log(at(p, y)))


def binary_by_hand(p: Any, y: Any) -> Any:
    """-t ln p - (1 - t) ln(1 - p), written by hand."""
    t = y[:, None]
    return -bl.mean(t * bl.log(p) + (1 - t) * bl.log(1 - p))


def root(out: Any, y: Any) -> Any:
    """The mean length of the errors."""
    return bl.mean(bl.sqrt(bl.sum((out - y) ** 2, axis=-1)))


def of_logarithms(out: Any, y: Any) -> Any:
    """The squared error of logarithms."""
    return bl.mean((bl.log(1 + out) - bl.log(1 + y)) ** 2)


def poisson(out: Any, y: Any) -> Any:
    """The likelihood of counts, whose logarithm of the rate is the output."""
    return bl.mean(bl.exp(out) - y * out)


class HandMade(nn.Layer):
    """A softmax as in the textbook: exp(x) / sum(exp(x))."""

    def __init__(self, stable: bool) -> None:
        self.stable = stable

    def forward(self, x: Any) -> Any:
        if self.stable:
            return bl.softmax(x, axis=-1)
        e = bl.exp(x)
        return e / bl.sum(e, axis=-1, keepdims=True)


class Soft(nn.Layer):
    """softplus as in the textbook: log(1 + exp(x))."""

    def __init__(self, stable: bool) -> None:
        self.stable = stable

    def forward(self, x: Any) -> Any:
        return bl.softplus(x) if self.stable else bl.log(1 + bl.exp(x))


class Whiten(nn.Layer):
    """Each sample brought to mean 0 and deviation 1, over all axes but the first; with an epsilon, or without."""

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def forward(self, x: Any) -> Any:
        axes = tuple(range(1, x.ndim))
        spread = bl.std(x, axis=axes, keepdims=True)
        return (x - bl.mean(x, axis=axes, keepdims=True)) / (spread + self.epsilon)


class Deviation(nn.Layer):
    """E[x²] - E[x]² under a root: where a feature has a large mean, rounding makes it negative."""

    def __init__(self, careful: bool) -> None:
        self.careful = careful

    def forward(self, x: Any) -> Any:
        if self.careful:
            spread = bl.std(x, axis=-1, keepdims=True)
        else:
            spread = bl.sqrt(bl.mean(x * x, axis=-1, keepdims=True) - bl.mean(x, axis=-1, keepdims=True) ** 2)
        return (x - bl.mean(x, axis=-1, keepdims=True)) / (spread + 1e-4)


class Masked(nn.Layer):
    """Attention of each row to rows with ink, by scores of -inf for the others; blank pictures have none."""

    def __init__(self, careful: bool) -> None:
        self.query, self.key, self.value, self.head = Dense(16), Dense(16), Dense(16), Dense(10)
        self.careful = careful

    def forward(self, x: Any) -> Any:
        counts = bl.sum(x, axis=-1) > 0.0
        scores = self.query(x) @ bl.matrix_transpose(self.key(x)) / 4
        scores = bl.where(counts[:, None, :], scores, -1e9 if self.careful else -np.inf)
        scores = scores - bl.max(scores, axis=-1, keepdims=True)
        e = bl.exp(scores)
        look = e / bl.sum(e, axis=-1, keepdims=True)
        return self.head(bl.mean(look @ self.value(x), axis=1))


class Shares(nn.Layer):
    """Pixels as shares of all ink. Blank pictures give 0/0, and `where` leaves them out, but only behind a product: in
    the reverse pass of the product NaN times 0 is NaN.
    """

    def __init__(self, careful: bool) -> None:
        self.inner, self.head, self.careful = Dense(32), Dense(10), careful

    def forward(self, x: Any) -> Any:
        ink = bl.sum(x, axis=-1, keepdims=True)
        shares = x / (bl.where(ink > 0, ink, 1.0) if self.careful else ink)
        return self.head(bl.tanh(bl.where(ink > 0, self.inner(20 * shares), 0.0)))


class Power(nn.Layer):
    """A power of features that may be negative."""

    def __init__(self, careful: bool) -> None:
        self.careful = careful

    def forward(self, x: Any) -> Any:
        return bl.sign(x) * bl.abs(x) ** 1.5 if self.careful else x**1.5


class Length(nn.Layer):
    """A vector, and beside it its length, the root of a sum of squares."""

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def forward(self, x: Any) -> Any:
        return bl.concat([x, bl.sqrt(bl.sum(x * x, axis=-1, keepdims=True) + self.epsilon)], axis=-1)


def with_blank(x: Any, n: int = 3) -> Any:
    """Some pictures are blank."""
    x = x.copy()
    x[:n] = 0
    return x


def blank_images() -> tuple[Any, Any]:
    return with_blank(images()[0]), images()[1]


def blank_rows() -> tuple[Any, Any]:
    return with_blank(rows()[0]), rows()[1]


def blank_digits() -> tuple[Any, Any]:
    return with_blank(xy()[0]), xy()[1]


def missing(arrays: tuple[Any, Any], n: int = 4) -> tuple[Any, Any]:
    """Some measurements are missing, as NaN."""
    x = arrays[0].copy()
    x.reshape(len(x), -1)[:n, 2] = np.nan
    return x, arrays[1]


class Features(nn.Layer):
    """Each feature standardised over the batch, without a thought of those that are constant."""

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def forward(self, x: Any) -> Any:
        return (x - bl.mean(x, axis=0)) / bl.sqrt(bl.var(x, axis=0) + self.epsilon)


def large(factor: float, offset: float = 0.0) -> tuple[Any, Any]:
    x, y, *_ = digits()
    return (x * factor + offset).astype(np.float32), y


def counts(factor: float) -> tuple[Any, Any]:
    """Ink as a count, to be told from pixels of some size."""
    x, *_ = digits()
    return x * np.float32(factor), (x.sum(-1, keepdims=True) / 4).astype(np.float32)


def metres(factor: float) -> tuple[Any, Any]:
    """Numbers to be told, in a small unit."""
    x, y = diabetes(True)
    return x, (y * np.float32(factor)).astype(np.float32)


def positive() -> tuple[Any, Any]:
    x, y, *_ = table("diabetes")
    return scaled(x), y / 100


def zero(seed: int, loss: Any) -> Any:
    """A last layer that begins with zeros, and targets of which some are zero: the error is exactly 0."""
    x, y = diabetes(True)
    y = np.where(y < 0, 0, y).astype(np.float32)
    return of([Dense(32, "tanh"), Dense(1, init="zeros")], (x, y), seed, optim.adam(3e-3), loss)


def softly(out: Any, y: Any) -> Any:
    """`root`, with something under the root."""
    return bl.mean(bl.sqrt(bl.sum((out - y) ** 2, axis=-1) + 1e-6))


def infinite() -> tuple[Any, Any]:
    """Some pixels were divided by 0 when the data were prepared."""
    x = rows()[0].copy()
    x[:3, 0, 0] = np.inf
    return x, rows()[1]


def scale_last(factor: float) -> Any:
    """For `of`: the last weights larger, so that some outputs are below -1."""

    def change(model: Any) -> None:
        model.load_values({"1.weight": model.parameters()["1.weight"].numpy() * factor})

    return change


KIND = "numerical problem"
CASES = [
    Planted(
        "log of a softmax that underflows",
        "mlp",
        KIND,
        (),
        lambda s: of([Dense(64, "relu"), Dense(10), nn.Softmax()], large(1000.0), s, loss=log_loss),
        lambda s: of([Dense(64, "relu"), Dense(10)], large(1000.0), s, loss="cross_entropy"),
        reason=("log(0)", "log 0"),
        op=("log",),
    ),
    Planted(
        "log of 1 - sigmoid at 1",
        "mlp",
        KIND,
        (),
        lambda s: of(
            [Dense(32, "relu"), Dense(1, "sigmoid")],
            (table("breast-cancer")[0], table("breast-cancer")[1]),
            s,
            loss=binary_by_hand,
        ),
        lambda s: of(
            [Dense(32, "relu"), Dense(1)],
            (scaled(table("breast-cancer")[0]), table("breast-cancer")[1][:, None]),
            s,
            loss="binary_cross_entropy",
        ),
        reason=("log(0)", "log 0"),
        op=("log",),
    ),
    Planted(
        "softmax by hand",
        "mlp",
        KIND,
        ("2",),
        lambda s: of([Dense(64, "relu"), Dense(10), HandMade(False)], large(500.0), s, loss=log_loss),
        lambda s: of([Dense(64, "relu"), Dense(10)], large(500.0), s, loss="cross_entropy"),
        reason=("overflow",),
        op=("exp",),
    ),
    Planted(
        "softplus by hand",
        "cnn",
        KIND,
        ("2",),
        lambda s: of([nn.Conv2d(8, 3), nn.Flatten(), Soft(False), Dense(10)], (images()[0] * 500, images()[1]), s),
        lambda s: of([nn.Conv2d(8, 3), nn.Flatten(), Soft(True), Dense(10)], images(), s),
        reason=("overflow",),
        op=("exp",),
    ),
    Planted(
        "blank pictures divided by their deviation",
        "cnn",
        KIND,
        ("0",),
        lambda s: of([Whiten(0.0), nn.Conv2d(8, 3, activation="relu"), nn.Flatten(), Dense(10)], blank_images(), s),
        lambda s: of([Whiten(1e-5), nn.Conv2d(8, 3, activation="relu"), nn.Flatten(), Dense(10)], blank_images(), s),
        reason=("0/0", "0 / 0"),
        op=("divide",),
    ),
    Planted(
        "constant pixels divided by their deviation",
        "mlp",
        KIND,
        ("0",),
        lambda s: of([Features(0.0), *two()], xy(), s),
        lambda s: of([Features(1e-5), *two()], xy(), s),
        reason=("0/0", "0 / 0"),
        op=("divide",),
    ),
    Planted(
        "attention to nothing",
        "transformer",
        KIND,
        ("",),
        lambda s: of(Masked(False), blank_rows(), s, optim.adam(3e-3)),
        lambda s: of(Masked(True), blank_rows(), s, optim.adam(3e-3)),
        reason=("inf - inf", "inf-inf"),
        op=("subtract",),
    ),
    Planted(
        "infinite pixels minus their mean",
        "rnn",
        KIND,
        ("",),
        lambda s: of([Whiten(1e-5), *rnn()], infinite(), s),
        lambda s: of([Whiten(1e-5), *rnn()], rows(), s),
        reason=("inf - inf", "inf-inf", "input", "data"),
        op=("subtract", "std", "var", "mean", "leaf", ""),
    ),
    Planted(
        "the root of an error of 0",
        "mlp",
        KIND,
        (),
        lambda s: zero(s, root),
        lambda s: zero(s, softly),
        reason=("sqrt",),
        op=("sqrt",),
    ),
    Planted(
        "the length of a blank picture",
        "mlp",
        KIND,
        ("1",),
        lambda s: of([Dense(64, "relu", use_bias=False), Length(0.0), Dense(10)], blank_digits(), s),
        lambda s: of([Dense(64, "relu", use_bias=False), Length(1e-8), Dense(10)], blank_digits(), s),
        reason=("sqrt",),
        op=("sqrt",),
    ),
    Planted(
        "shares of no ink, left out by where",
        "mlp",
        KIND,
        ("",),
        lambda s: of(Shares(False), blank_digits(), s, optim.adam(3e-3)),
        lambda s: of(Shares(True), blank_digits(), s, optim.adam(3e-3)),
        reason=("where", "0/0", "0 / 0"),
        op=("divide", "where"),
    ),
    Planted(
        "missing measurements",
        "mlp",
        KIND,
        (),
        lambda s: of(two("relu", 32, 3), missing(wine(True)), s, batch_size=32),
        lambda s: of(two("relu", 32, 3), wine(True), s, batch_size=32),
        reason=("input", "data", "sample"),
        op=("leaf", "matmul", "linear", "add", ""),
    ),
    Planted(
        "missing values in a sequence",
        "rnn",
        KIND,
        (),
        lambda s: of(gru(), missing(rows()), s, optim.adam(3e-3)),
        lambda s: of(gru(), rows(), s, optim.adam(3e-3)),
        reason=("input", "data", "sample"),
        op=("leaf", "matmul", "linear", "add", "permute_dims", ""),
    ),
    Planted(
        "squares of distances in metres",
        "mlp",
        KIND,
        (),
        lambda s: of([Dense(32, "tanh"), Dense(1)], metres(3e19), s, optim.adam(3e-3), squared),
        lambda s: of([Dense(32, "tanh"), Dense(1)], metres(1.0), s, optim.adam(3e-3), squared),
        reason=("overflow",),
        op=("pow", "power", "square", "multiply"),
    ),
    Planted(
        "rates of counts that overflow",
        "mlp",
        KIND,
        (),
        lambda s: of([Dense(32, "relu"), Dense(1)], counts(500.0), s, optim.adam(3e-3), poisson),
        lambda s: of([Dense(32, "relu"), Dense(1)], counts(1.0), s, optim.adam(3e-3), poisson),
        reason=("overflow",),
        op=("exp",),
    ),
    Planted(
        "the logarithm of a negative output",
        "mlp",
        KIND,
        (),
        lambda s: of(
            [Dense(32, "tanh"), Dense(1)], positive(), s, optim.adam(3e-3), of_logarithms, change=scale_last(4.0)
        ),
        lambda s: of([Dense(32, "tanh"), Dense(1, "softplus")], positive(), s, optim.adam(3e-3), of_logarithms),
        reason=("negative",),
        op=("log",),
    ),
    Planted(
        "a broken power of negative numbers",
        "mlp",
        KIND,
        ("0",),
        lambda s: of([Power(False), *two("relu", 32, 3)], wine(True), s, batch_size=32),
        lambda s: of([Power(True), *two("relu", 32, 3)], wine(True), s, batch_size=32),
        reason=("negative",),
        op=("pow", "power"),
    ),
    Planted(
        "the root of a difference of squares",
        "rnn",
        KIND,
        ("0",),
        lambda s: of([Deviation(False), *gru()], (rows()[0] * np.float32(0.001) + 300, rows()[1]), s),
        lambda s: of([Deviation(True), *gru()], (rows()[0] * np.float32(0.001) + 300, rows()[1]), s),
        reason=("negative",),
        op=("sqrt",),
    ),
]
