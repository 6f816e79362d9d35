"""All workloads: at their full size, and at one that takes no time, for tests."""

from __future__ import annotations

from .dense import Dense, Epoch, Forward
from .elementwise import Chain
from .images import LeNet, Vgg
from .limits import Product, Triad
from .networks import FittedDense, FittedLeNet, GptLayers, LstmLayers
from .scalars import Himmelblau, Neuron, NeuronLoop, Xor
from .sequences import Gpt, Lstm
from .workload import Workload

_MNIST = (784, 128, 10)


def limits() -> list[Workload]:
    """What shows the limits of the machine."""
    return [Product(1024), Product(1536), Product(2048), Triad()]


def workloads() -> list[Workload]:
    """Those that are compared."""
    return [
        Neuron(),
        NeuronLoop(),
        Xor(),
        Himmelblau(),
        Dense("W4", _MNIST, 128, "sgd", 0.12e-3),
        Dense("W4adam", _MNIST, 128, "adam", 0.13e-3),
        Epoch("W4e", _MNIST, 128, 60_000, "sgd", 60e-3),
        Epoch("W4eadam", _MNIST, 128, 60_000, "adam", 65e-3),
        Dense("W5", (784, 1024, 1024, 10), 512, "sgd", 10.5e-3),
        LeNet(),
        Vgg(),
        Lstm(),
        LstmLayers(),
        Gpt(),
        GptLayers(),
        Chain(),
        Forward("W13", _MNIST, 4e-6),
        FittedDense(),
        FittedLeNet(),
    ]


def small() -> list[Workload]:
    """The same at a size that takes no time."""
    return [
        Neuron(),
        NeuronLoop(5),
        Xor(20),
        Himmelblau(20),
        Dense("W4", (20, 8, 4), 6, "sgd"),
        Dense("W4adam", (20, 8, 4), 6, "adam"),
        Epoch("W4e", (20, 8, 4), 6, 20, "sgd"),
        Epoch("W4eadam", (20, 8, 4), 6, 20, "adam"),
        Dense("W5", (20, 12, 8, 4), 6, "sgd"),
        LeNet(2),
        Vgg(2, 8, (2, 4)),
        Lstm(3, 4, 5, 2),
        LstmLayers(3, 4, 5, 2),
        Gpt(8, 2, 1, 4, 2, 11),
        GptLayers(8, 2, 1, 4, 2, 11),
        Chain(1009),
        Forward("W13", (20, 8, 4)),
        FittedDense((20, 8, 4), 6, 20),
        FittedLeNet(2, 5),
        Product(16),
        Triad(1009),
    ]
