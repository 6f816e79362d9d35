"""The op records, one file per family. Importing this package fills the registry, and does nothing else."""

from . import (
    activation,
    arithmetic,
    attention,
    bits,
    comparison,
    complex,
    contraction,
    control,
    convolution,
    creation,
    einsum,
    exponential,
    fft,
    index,
    joining,
    linalg,
    movement,
    padding,
    pooling,
    random,
    reduce,
    rounding,
    scans,
    scatter,
    sets,
    sorting,
    special,
    trigonometric,
)

__all__ = [
    "activation", "arithmetic", "attention", "bits", "comparison", "complex", "contraction", "control", "convolution",
    "creation", "einsum", "exponential", "fft", "index", "joining", "linalg", "movement", "padding", "pooling",
    "random", "reduce", "rounding", "scans", "scatter", "sets", "sorting", "special", "trigonometric",
]  # fmt: skip
