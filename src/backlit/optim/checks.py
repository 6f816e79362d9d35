"""Checks of the numbers that optimizers, schedules and wrappers are made with."""

from __future__ import annotations

import math
from typing import Any

from ..base.errors import ArgumentError, shown


def positive(**values: Any) -> None:
    """Each value must be a finite number above 0."""
    for name, value in values.items():
        if not (_is_number(value) and value > 0):
            raise ArgumentError(f"{name}: expected a positive number, got {shown(value)}.")


def not_negative(**values: Any) -> None:
    """Each value must be a finite number that is 0 or more."""
    for name, value in values.items():
        if not (_is_number(value) and value >= 0):
            raise ArgumentError(f"{name}: expected a number of 0 or more, got {shown(value)}.")


def fraction(**values: Any) -> None:
    """Each value must be in [0, 1)."""
    for name, value in values.items():
        if not (_is_number(value) and 0 <= value < 1):
            raise ArgumentError(f"{name}: expected a number from 0 up to, but not including, 1, got {shown(value)}.")


def whole(**values: Any) -> None:
    """Each value must be an integer above 0."""
    for name, value in values.items():
        if not (_is_number(value) and value == int(value) and value > 0):
            raise ArgumentError(f"{name}: expected a positive whole number, got {shown(value)}.")


def two_fractions(betas: Any) -> tuple[float, float]:
    """The two decay rates of running means, each in [0, 1)."""
    try:
        first, second = betas
    except (TypeError, ValueError):
        raise ArgumentError(f"betas: expected two numbers, such as (0.9, 0.999), got {shown(betas)}.") from None
    fraction(**{"betas[0]": first, "betas[1]": second})
    return float(first), float(second)


def learning_rate(lr: Any) -> None:
    """`lr` must be a positive number or a schedule."""
    if not callable(lr):
        try:
            positive(lr=lr)
        except ArgumentError:
            raise ArgumentError(
                f"lr: expected a positive number or a schedule such as optim.cosine(0.1, 1000), got {shown(lr)}."
            ) from None


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:
        return False
