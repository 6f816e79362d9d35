"""Optimizers as pairs of functions over trees of parameters, schedules of their rates, and wrappers around them."""

from .adafactor import adafactor
from .adam import adam, adamw, nadam
from .adaptive import adadelta, adagrad, rmsprop
from .descent import lion, sgd
from .optimizer import Optimizer, State
from .schedules import (
    chained,
    cosine,
    cosine_restarts,
    exponential,
    linear,
    multistep,
    one_cycle,
    polynomial,
    product,
    step_decay,
    warm_up,
)

__all__ = [
    "Optimizer",
    "State",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamw",
    "chained",
    "cosine",
    "cosine_restarts",
    "exponential",
    "linear",
    "lion",
    "multistep",
    "nadam",
    "one_cycle",
    "polynomial",
    "product",
    "rmsprop",
    "sgd",
    "step_decay",
    "warm_up",
]
