"""Networks: layers, and models made of them, whose parameters form a tree with readable paths."""

from . import initialisers, losses, metrics
from .dense import Dense
from .dropout import Dropout
from .layer import Layer
from .norms import BatchNorm
from .recurrent import GRU, LSTM, RNN
from .sequential import Residual, Sequential

FullConnection = Dense

__all__ = [
    "GRU", "LSTM", "RNN", "BatchNorm", "Dense", "Dropout", "FullConnection", "Layer", "Residual", "Sequential",
    "initialisers", "losses", "metrics",
]  # fmt: skip
