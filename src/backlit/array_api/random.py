"""`bl.random`: the public functions of the registry's "random" namespace."""

from __future__ import annotations

from ..graph.opdef import PUBLIC

_names = {name.removeprefix("random."): f for name, f in PUBLIC.items() if name.startswith("random.")}
globals().update(_names)
__all__ = sorted(_names)  # pyright: ignore[reportUnsupportedDunderAll]
