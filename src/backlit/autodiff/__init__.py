"""Derivatives: the reverse and forward engines and the functions built on them."""

from . import functions, jacobian

__all__ = ["functions", "jacobian"]
