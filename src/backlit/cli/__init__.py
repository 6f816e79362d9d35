"""The command `backlit`."""

from .main import main

__all__ = ["main"]
