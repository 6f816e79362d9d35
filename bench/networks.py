"""W14, W15, W8nn, W9nn: what layers and the trainer cost: epochs of MNIST by `Trainer.fit`, W8 and W9 by layers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from .dense import Epoch, examples
from .epochs import Epochs
from .images import LeNet
from .sequences import Gpt, Lstm
from .workload import THREADS, Contender

MNIST = 60_000


@cache
def images() -> tuple[Any, Any, Any, Any]:
    """MNIST's images as rows of standardised pixels, and their labels: to train on, and for the test."""
    import numpy as np

    from backlit import data

    found = data.load("mnist", download=False)
    whole = [np.concatenate([getattr(part, axis) for part in (found.train, found.validation)]) for axis in "xy"]
    mean, spread = np.mean(whole[0], dtype=np.float64), np.std(whole[0], dtype=np.float64)

    def rows(x: Any) -> Any:
        return ((x.reshape((len(x), -1)) - mean) / spread).astype(np.float32)

    x, y = whole
    return rows(x), y.astype(np.int64), rows(found.test.x), found.test.y.astype(np.int64)


def mnist() -> tuple[Any, Any]:
    """The training images of MNIST where they are on this machine, else as many random ones."""
    from backlit import data

    return examples(MNIST, 784, 10) if data.find("mnist") is None else images()[:2]


class Fitted(Epochs):
    """An epoch as a user gets it: shuffled, batches gathered, the loss and the accuracy kept, progress paced.

    The others do not keep the accuracy. A subclass gives the network, whose parameters are in the order of `start()`.
    """

    def network(self) -> Any:
        """The `backlit.nn` model, with its parameters made."""
        raise NotImplementedError

    def backlit(self, compiled: bool = True) -> Contender:
        if not compiled:
            return super().backlit(compiled=False)
        from backlit.data import Loader
        from backlit.train import Trainer

        model = self.network()
        model.load_values(dict(zip(model.parameters(), self.start(), strict=True)))
        trainer = Trainer(model, self.backlit_optimizer(), metrics=["accuracy"], threads=THREADS)
        ordered, shuffled = (
            Loader(self.batch(), self.size, shuffle=shuffle, drop_last=True) for shuffle in (False, True)
        )

        def run(data: Any) -> float:
            return trainer.fit(data, trainer.epoch + 1)[-1]["loss"]

        return Contender(lambda: run(shuffled), lambda: [run(ordered)])


class FittedDense(Fitted, Epoch):
    """The perceptron."""

    tolerance = 1e-3  # each Adam adds its epsilon at a place of its own

    def __init__(
        self, sizes: Sequence[int] = (784, 128, 10), batch: int = 128, examples: int = MNIST,
        target: float | None = 65e-3,
    ) -> None:  # fmt: skip
        super().__init__("W14", sizes, batch, examples, "adam", target)
        self.title = f"{'-'.join(map(str, sizes))} by Trainer.fit, Adam, an epoch of {examples:,} with accuracy"

    def network(self) -> Any:
        from backlit import nn

        *hidden, last = self.sizes[1:]
        return nn.Sequential(*(nn.Dense(n, "relu") for n in hidden), nn.Dense(last)).build((self.sizes[0],))

    def batch(self) -> tuple[Any, Any]:
        return mnist() if self.examples == MNIST else super().batch()

    def sklearn(self) -> Contender:
        from sklearn.neural_network import MLPClassifier

        x, y = (array[: self.steps * self.size] for array in self.batch())
        model = MLPClassifier(
            self.sizes[1:-1],
            solver="adam",
            alpha=0.0,
            batch_size=self.size,
            learning_rate_init=self.rate,
            shuffle=False,
        )
        classes = list(range(self.sizes[-1]))
        model.partial_fit(
            x[:2], y[:2], classes=classes
        )  # which makes the parameters, to be replaced, and their optimizer
        model.coefs_, model.intercepts_ = self.start()[::2], self.start()[1::2]
        del model._optimizer

        def run(shuffle: bool) -> float:
            model.set_params(shuffle=shuffle)
            return model.partial_fit(x, y).loss_

        return Contender(lambda: run(True), lambda: [run(False)])


class FittedLeNet(Fitted, LeNet):
    """The small convolutional network of W6, with Adam."""

    tolerance = 2e-3  # rounding grows over the steps of an epoch: torch and jax differ by 3e-4
    optimizer = "adam"
    scanned = False
    slow = frozenset({"torch.compile", "TensorFlow XLA"})

    def __init__(self, batch: int = 128, examples: int = MNIST, target: float | None = 0.3) -> None:
        super().__init__(batch, target)
        self.key = "W15"
        self.title = f"LeNet of 8 and 16 channels by Trainer.fit, Adam, an epoch of {examples:,} with accuracy"
        self.of(examples)

    def network(self) -> Any:
        from backlit import nn

        layers = [
            layer
            for n in (8, 16)
            for layer in (nn.Conv2d(n, 5, activation="relu"), nn.MaxPool2d(2))
        ]  # fmt: skip
        return nn.Sequential(*layers, nn.Flatten(), nn.Dense(10)).build((1, 28, 28))

    def batch(self) -> tuple[Any, Any]:
        x, y = mnist() if self.examples == MNIST else examples(self.examples, 784, 10)
        return x.reshape((-1, *self.image)), y


class LstmLayers(Lstm):
    """W8 with `nn.LSTM` and `nn.Dense`."""

    key = "W8nn"

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.title = "the same by nn.LSTM and nn.Dense"

    def loss_backlit(self, params: Any, x: Any, y: Any) -> Any:
        import backlit as bl
        from backlit import nn

        model = nn.Sequential(nn.LSTM(self.width, last=True), nn.Dense(1)).build((self.length, self.features))
        values = dict(zip(model.parameters(), params, strict=True))
        out, _ = model.apply(values, bl.permute_dims(x, (1, 0, 2)), training=True)
        return nn.losses.mse(out, y)


class GptLayers(Gpt):
    """W9 with `nn.TransformerEncoder`."""

    key = "W9nn"

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.title = "the same by nn.TransformerEncoder"

    def loss_backlit(self, params: Any, x: Any, y: Any) -> Any:
        import backlit as bl
        from backlit import nn

        n = self.width
        model = nn.Sequential(
            nn.Embedding(self.vocabulary, n), nn.LearnedPositions(self.length),
            nn.TransformerEncoder(
                self.layers, self.heads, causal=True, norm_first=True, dropout=0.0,
                activation=partial(bl.gelu, approximate="tanh"),
            ),
            nn.Dense(self.vocabulary),
        ).build((self.length,), dtype="int64")  # fmt: skip
        flat = [*params[:2]]
        for s1, t1, wa, ba, wo, bo, s2, t2, w1, b1, w2, b2 in self.blocks(params):
            for part in (slice(i * n, (i + 1) * n) for i in range(3)):  # query, key, value
                flat += [wa[:, part], ba[part]]
            flat += [wo, bo, s1, t1, w1, b1, w2, b2, s2, t2]
        values = dict(zip(model.parameters(), [*flat, *params[-4:]], strict=True))
        out, _ = model.apply(values, x, training=True)
        return nn.losses.cross_entropy(out, y)
