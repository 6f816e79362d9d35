"""Optimizers as pairs of functions over trees of parameters."""

from .optimizers import Optimizer, adam, momentum, sgd

__all__ = ["Optimizer", "adam", "momentum", "sgd"]
