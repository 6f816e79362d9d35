"""Derivatives: the reverse and forward engines and the functions built on them."""

from . import functions, graphs, jacobian

__all__ = ["functions", "graphs", "jacobian"]
