"""The twin of every op in PyTorch, JAX and TensorFlow.

Ops that are made of other ops have none of their own: a graph holds what they are made of.
"""

from __future__ import annotations

from .elementwise import ELEMENTWISE
from .linalg import LINALG
from .movement import MOVEMENT
from .products import PRODUCTS
from .record import Shared, Twin, Without
from .reductions import REDUCTIONS

#: By the name of the op.
TWINS: dict[str, Twin] = {**ELEMENTWISE, **REDUCTIONS, **MOVEMENT, **PRODUCTS, **LINALG}

__all__ = ["TWINS", "Shared", "Twin", "Without"]
