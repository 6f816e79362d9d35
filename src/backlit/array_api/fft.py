"""`bl.fft`: the public functions of the registry's "fft" namespace."""

from __future__ import annotations

from .namespace import gather

_names = gather("fft")
globals().update(_names)
__all__ = sorted(_names)  # pyright: ignore[reportUnsupportedDunderAll]
