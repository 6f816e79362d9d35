"""Optimizers as pairs of functions over trees of parameters, schedules of their rates, and wrappers around them."""

from .adafactor import adafactor
from .adam import adam, adamw, nadam
from .adaptive import adadelta, adagrad, rmsprop
from .descent import lion, sgd
from .gradients import chain, clip_by_global_norm, clip_by_norm, clip_by_value, global_norm
from .groups import freeze, groups
from .lbfgs import Searcher, lbfgs
from .minimize import Minimum, minimize, minimizer
from .optimizer import Optimizer, State
from .plateau import Plateau, PlateauState, plateau
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
from .wrappers import accumulate, averaged, ema, rate_scaled, with_scale

__all__ = [
    "Minimum",
    "Optimizer",
    "Plateau",
    "PlateauState",
    "Searcher",
    "State",
    "accumulate",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamw",
    "averaged",
    "chain",
    "chained",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "cosine",
    "cosine_restarts",
    "ema",
    "exponential",
    "freeze",
    "global_norm",
    "groups",
    "lbfgs",
    "linear",
    "lion",
    "minimize",
    "minimizer",
    "multistep",
    "nadam",
    "one_cycle",
    "plateau",
    "polynomial",
    "product",
    "rate_scaled",
    "rmsprop",
    "sgd",
    "step_decay",
    "warm_up",
    "with_scale",
]
