"""Trigonometric and hyperbolic functions."""
