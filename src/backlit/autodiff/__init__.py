"""Derivatives: the reverse and forward engines and the functions built on them."""

from . import checkpoint, custom, functions, graphs, jacobian, residuals

__all__ = ["checkpoint", "custom", "functions", "graphs", "jacobian", "residuals"]
