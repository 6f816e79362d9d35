"""`bl.linalg`: the registry's "linalg" namespace, and the products that the standard has in both places."""

from __future__ import annotations

from .namespace import gather

_names = gather("linalg", "matmul", "matrix_transpose", "outer", "tensordot", "vecdot")
globals().update(_names)
__all__ = sorted(_names)  # pyright: ignore[reportUnsupportedDunderAll]
