"""What `bl.watch` costs: whole trainings of MNIST's perceptron and of LeNet, with and without it, in turn.

    python -m bench.watching [--pairs 7]        (BACKLIT_DATA: the folder that MNIST lies in)

Both kinds are run by one trainer, in turn, that has run before: the plan of the training is compiled, and lies in the
same place for both. What the watch makes is in its own time.
"""

from __future__ import annotations

import argparse
import tempfile
from statistics import median
from time import perf_counter
from typing import Any


def networks() -> dict[str, tuple[Any, tuple[int, ...], int, int]]:
    """By name: the layers, the shape of a sample, the size of a batch, the epochs of a training."""
    from backlit import nn

    return {
        "perceptron": (lambda: [nn.Dense(128, "relu"), nn.Dense(10)], (784,), 64, 10),
        "LeNet": (
            lambda: [
                nn.Conv2d(6, 5, padding=2, activation="relu"), nn.MaxPool2d(2), nn.Conv2d(16, 5, activation="relu"),
                nn.MaxPool2d(2), nn.Flatten(), nn.Dense(120, "relu"), nn.Dense(84, "relu"), nn.Dense(10),
            ],
            (1, 28, 28), 64, 3,
        ),
    }  # fmt: skip


def main() -> None:
    """Measure, and print a line for each network."""
    import backlit as bl
    from backlit import nn, optim
    from backlit.data import Loader
    from backlit.train import Trainer

    from .networks import mnist

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7, help="trainings of each kind (%(default)s)")
    options = parser.parse_args()
    x, y = mnist()
    for name, (layers, shape, size, epochs) in networks().items():
        data = Loader((x.reshape(-1, *shape), y), size, key=0)
        model = nn.Sequential(*layers()).build(shape, key=0)
        trainer = Trainer(model, optim.adam(1e-3))
        start_values = {path: p.numpy().copy() for path, p in model.parameters().items()}
        times: dict[bool, list[float]] = {False: [], True: []}
        looks: list[int] = []
        for turn in range(options.pairs + 1):
            for watched in (False, True) if turn % 2 else (True, False):
                with tempfile.TemporaryDirectory() as folder:
                    seen = [bl.watch(folder)] if watched else []
                    model.load_values(start_values)
                    trainer.callbacks, trainer.state, trainer.epoch, trainer.done = seen, None, 0, 0
                    trainer.history.clear()
                    start = perf_counter()
                    trainer.fit(data, epochs)
                    if turn:
                        times[watched].append(perf_counter() - start)
                        looks += [len(s.record.looks) for s in seen if s.record is not None]
        plain, with_it = (median(times[w]) for w in (False, True))
        ratios = sorted(b / a for a, b in zip(times[False], times[True], strict=True))
        print(
            f"{name}: {epochs} epochs, {plain:.2f} s without and {with_it:.2f} s with {median(looks):g} looks; "
            f"ratio of medians {with_it / plain:.4f}, of pairs {ratios[0]:.4f} to {ratios[-1]:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
