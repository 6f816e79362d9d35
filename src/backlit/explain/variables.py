"""`variables`: what the user calls the Tensors that we are to speak of."""

from __future__ import annotations

import os.path
import sys
from typing import Any

import numpy as np

from ..graph.tensor import Tensor
from ..nn import Layer

#: Longer collections among the variables of the caller are not searched for Tensors.
MANY = 1000
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def variables() -> dict[str, Any]:
    """The Tensors, arrays, networks and collections of them among the variables of whoever called us, by name."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    found: dict[str, Any] = {}
    if frame is None:
        return found
    for name, value in frame.f_locals.items():
        if not name.isidentifier() or name.startswith("_") or name in ("In", "Out"):
            continue
        if isinstance(value, (Tensor, np.ndarray, Layer)) or (
            isinstance(value, (dict, list, tuple)) and len(value) <= MANY
        ):
            found[name] = value
    return found
