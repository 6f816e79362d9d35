"""How well networks learn on real data, and how fast, beside torch and scikit-learn: `python -m bench.accuracy`.

MNIST over several seeds, and Tiny Shakespeare. The files are looked for in $BACKLIT_DATA. For each seed all contenders
start from the same parameters and train in turns, each with the same optimizer, schedule and batch size; on images each
shuffles in its own way, on the text all take the same batches.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from math import cos, pi
from typing import Any, NamedTuple

from . import peers
from .networks import images
from .worker import rest
from .workload import THREADS

BATCH = 128
#: What training gives: a figure on data that were not trained on, and the seconds it took.
Result = tuple[float, float]
Trains = Callable[[int], Result]


class Part(NamedTuple):
    """A network and its data.

    Attributes:
        title: what is trained, and how long.
        figure: what is measured after training, on data that were not trained on.
        goal: what its mean should come to; None: what torch comes to.
        contenders: each trains from a seed.
    """

    title: str
    figure: str
    goal: float | None
    contenders: dict[str, Trains]


# --- MNIST -----------------------------------------------------------------------------------------


def perceptron(epochs: int) -> Part:
    """784-128-10, Adam whose rate goes down from 0.001 along a half cosine."""
    import numpy as np

    from backlit import nn, optim

    x, y, x_test, y_test = images()
    steps = epochs * -(-len(x) // BATCH)

    def network(seed: int) -> Any:
        return nn.Sequential(nn.Dense(128, "relu", init="he_normal"), nn.Dense(10)).build((784,), key=seed)

    def ours(seed: int) -> Result:
        return fitted(network(seed), optim.adam(optim.cosine(1e-3, steps)), epochs, seed)

    def theirs(seed: int) -> Result:
        import torch

        model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
        fill(model, [v.numpy() for v in network(seed).parameters().values()])
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return classified(model, optimizer, schedule, epochs, seed)

    def sklearn(seed: int) -> Result:
        """It has no schedule for Adam: the rate is set before each epoch."""
        from sklearn.neural_network import MLPClassifier

        model: Any = MLPClassifier((128,), alpha=0.0, batch_size=BATCH, learning_rate_init=1e-3, random_state=seed)
        model.partial_fit(x[:BATCH], y[:BATCH], classes=range(10))  # which makes what is replaced now
        start = [np.array(v.numpy()) for v in network(seed).parameters().values()]
        model.coefs_, model.intercepts_ = start[::2], start[1::2]
        del model._optimizer

        def train() -> None:
            for epoch in range(epochs):
                if epoch:
                    model._optimizer.learning_rate_init = 1e-3 * (1 + cos(pi * epoch / epochs)) / 2
                model.partial_fit(x, y)

        seconds = timed(train)
        return model.score(x_test, y_test), seconds

    contenders = {"Backlit": ours, "torch eager": theirs, "scikit-learn": sklearn}
    return Part(f"MNIST, 784-128-10, {epochs} epochs, Adam, cosine", "accuracy on the test", 0.978, contenders)


def lenet(epochs: int) -> Part:
    """Two convolutions of 5x5, 16 and 32 channels, each with ReLU and pooling, and a dense layer; one cycle of Adam."""
    from backlit import nn, optim

    peak, steps = 6e-3, epochs * -(-60_000 // BATCH)

    def network(seed: int) -> Any:
        return nn.Sequential(
            nn.Conv2d(16, 5, activation="relu", init="he_normal"), nn.MaxPool2d(2),
            nn.Conv2d(32, 5, activation="relu", init="he_normal"), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dense(10),
        ).build((1, 28, 28), key=seed)  # fmt: skip

    def ours(seed: int) -> Result:
        return fitted(network(seed), optim.adam(optim.one_cycle(peak, steps)), epochs, seed, (1, 28, 28))

    def theirs(seed: int) -> Result:
        import torch

        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 16, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(16, 32, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Flatten(), torch.nn.Linear(512, 10),
        )  # fmt: skip
        fill(model, [v.numpy() for v in network(seed).parameters().values()])
        model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(model.parameters(), lr=peak, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, steps, cycle_momentum=False)
        return classified(model, optimizer, schedule, epochs, seed, (1, 28, 28))

    title = f"MNIST, LeNet of 16 and 32 channels, {epochs} epochs, Adam, one cycle"
    return Part(title, "accuracy on the test", 0.991, {"Backlit": ours, "torch eager": theirs})


def fitted(model: Any, optimizer: Any, epochs: int, seed: int, shape: Sequence[int] = (784,)) -> Result:
    """The accuracy after `model.fit` on MNIST."""
    x, y, x_test, y_test = images()
    x, x_test = (a.reshape((-1, *shape)) for a in (x, x_test))
    seconds = timed(
        lambda: model.fit(
            x, y, epochs=epochs, batch_size=BATCH, optimizer=optimizer, seed=seed, threads=THREADS, verbose=False
        )
    )
    return model.evaluate(x_test, y_test, threads=THREADS)["accuracy"], seconds


def classified(
    model: Any, optimizer: Any, schedule: Any, epochs: int, seed: int, shape: Sequence[int] = (784,)
) -> Result:
    """The accuracy of a torch module after training on MNIST: rows of one Tensor by a permutation, in each step."""
    import torch

    x, y, x_test, y_test = map(torch.from_numpy, images())
    x, x_test = (a.reshape((-1, *shape)) for a in (x, x_test))
    torch.manual_seed(seed)

    def train() -> None:
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad(set_to_none=True)
                torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
                schedule.step()

    seconds = timed(train)
    with torch.no_grad():
        pairs = zip(x_test.split(1000), y_test.split(1000), strict=True)
        right = sum(int((model(a).argmax(1) == b).sum()) for a, b in pairs)
    return right / len(x_test), seconds


def fill(model: Any, values: Sequence[Any]) -> None:
    """Give a torch module these parameters, in its order; the weights of dense layers lie the other way round there."""
    import torch

    with torch.no_grad():
        for p, v in zip(model.parameters(), values, strict=True):
            p.copy_(torch.tensor(v.T if v.ndim == 2 else v))


# --- Tiny Shakespeare ------------------------------------------------------------------------------


def text(name: str, steps: int) -> Part:
    """A network of `backlit.train.networks` that predicts the next character; Adam, batches of 64."""
    from backlit import data, optim
    from backlit.train import Trainer
    from backlit.train.networks import network

    found = data.load("tiny-shakespeare", download=False)
    size, rate = 64, {"lstm": 2e-3, "transformer": 1e-3}[name]

    def loader(seed: int) -> Any:
        """One epoch holds all steps, so that both take the same batches."""
        import numpy as np

        whole = data.Loader(found.train, size, key=seed, drop_last=True)
        rows = [whole.rows(epoch)[: whole.steps * size] for epoch in range(-(-steps // whole.steps))]
        order = np.concatenate(rows)[: steps * size]
        return data.Loader(found.train.take(order), size, shuffle=False)

    def built(seed: int) -> Any:
        return network(name, found).build(found.train.x[:1], key=seed)

    def ours(seed: int) -> Result:
        model, batches = built(seed), loader(seed)
        trainer = Trainer(model, optim.adam(rate), metrics=[], seed=seed, threads=THREADS)
        seconds = timed(lambda: trainer.fit(batches, 1))
        return model.evaluate(found.validation.x, found.validation.y, metrics=[], threads=THREADS)["loss"], seconds

    def theirs(seed: int) -> Result:
        import numpy as np
        import torch
        from torch.nn.functional import cross_entropy

        from .twins import twin

        torch.manual_seed(seed)
        model = twin(name, built(seed))
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
        x, y = (torch.from_numpy(np.asarray(a).astype(np.int64)) for a in loader(seed).arrays)
        x_valid, y_valid = (
            torch.from_numpy(a.astype(np.int64)) for a in (found.validation.x, found.validation.y)
        )  # fmt: skip

        def train() -> None:
            for a, b in zip(x.split(size), y.split(size), strict=True):
                optimizer.zero_grad(set_to_none=True)
                cross_entropy(model(a).flatten(0, 1), b.flatten()).backward()
                optimizer.step()

        seconds = timed(train)
        model.eval()
        with torch.no_grad():
            pairs = zip(x_valid.split(size), y_valid.split(size), strict=True)
            total = sum(float(cross_entropy(model(a).flatten(0, 1), b.flatten())) * len(a) for a, b in pairs)
        return total / len(x_valid), seconds

    title = f"Tiny Shakespeare, {name}, {steps:,} steps of 64 windows of 64 characters, Adam at {rate:g}"
    return Part(title, "loss in validation", None, {"Backlit": ours, "torch eager": theirs})


# --- the run ---------------------------------------------------------------------------------------


def timed(train: Callable[[], Any]) -> float:
    """The seconds that it takes, after the threads of whoever came before have come to rest."""
    rest(patience=10)
    start = time.perf_counter()
    train()
    return time.perf_counter() - start


def spread(values: Sequence[float]) -> float:
    """The standard deviation; 0 of one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def table(part: Part, results: dict[str, list[Result]]) -> str:
    """A line for each contender: mean and standard deviation over the seeds, seconds, and their multiple of ours."""
    head = f"{'':<14}{part.figure:>22}{'± (one seed)':>14}{'seconds':>10}{'±':>8}{'of ours':>9}"
    lines = [part.title, head]
    means = {name: statistics.mean(s for _, s in runs) for name, runs in results.items()}
    for name, runs in results.items():
        figures, seconds = zip(*runs, strict=True)
        lines.append(
            f"{name:<14}{statistics.mean(figures):>22.4f}{spread(figures):>14.4f}{means[name]:>10.2f}"
            f"{spread(seconds):>8.2f}{means[name] / means['Backlit']:>9.2f}"
        )
    if part.goal is not None:
        reached = statistics.mean(f for f, _ in results["Backlit"])
        lines.append(f"goal {part.goal:.3f}: {'reached' if reached >= part.goal else 'missed'}")
    return "\n".join(lines)


def run(part: Part, seeds: Sequence[int], told: Callable[[str], None] = print) -> dict[str, list[Result]]:
    """Train all contenders from each seed, in turns."""
    results: dict[str, list[Result]] = {name: [] for name in part.contenders}
    for seed in seeds:
        for name, trains in part.contenders.items():
            results[name].append(trains(seed))
            told(f"  seed {seed}  {name:<14}{results[name][-1][0]:.4f}  {results[name][-1][1]:8.2f} s")
    return results


PARTS: dict[str, Callable[[], Part]] = {
    "perceptron": lambda: perceptron(20),
    "lenet": lambda: lenet(10),
    "lstm": lambda: text("lstm", 1000),
    "transformer": lambda: text("transformer", 500),
}


def main() -> None:
    """Train what is asked for, and print a table for each part."""
    parser = argparse.ArgumentParser(prog="bench.accuracy", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts: {', '.join(PARTS)}")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds; texts take at most two")
    options = parser.parse_args()
    if unknown := [name for name in options.only.split(",") if name not in PARTS]:
        parser.error(f"--only: no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    wanted = peers.environment()
    if dict(os.environ) != wanted:  # libraries read it when they are loaded
        os.execve(sys.executable, [sys.executable, "-m", "bench.accuracy", *sys.argv[1:]], wanted)
    peers.hold()
    peers.settle("torch eager")
    for name in options.only.split(","):
        part = PARTS[name]()
        seeds = range(min(options.seeds, 2) if name in ("lstm", "transformer") else options.seeds)
        print(f"\n{table(part, run(part, seeds, lambda line: print(line, flush=True)))}", flush=True)


if __name__ == "__main__":
    main()
