"""Functions of the layers above, asked for by name: a network can be fitted, though it knows nothing of trainers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Where each of them lives; filled by `backlit/__init__.py`, which may know all layers.
PLACES: dict[str, str] = {}


def higher(name: str) -> Any:
    """The function of this name, its module loaded when it is first needed."""
    module, _, function = PLACES[name].rpartition(".")
    return getattr(import_module(module), function)
