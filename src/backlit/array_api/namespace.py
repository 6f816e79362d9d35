"""The public names of `backlit`, gathered from the registry."""

from __future__ import annotations

from typing import Any

from ..base import dtypes
from ..graph.opdef import PUBLIC


def build() -> dict[str, Any]:
    """Every public function without a dot in its name, and the dtypes."""
    names: dict[str, Any] = {name: f for name, f in PUBLIC.items() if "." not in name}
    names.update({d.name: d for d in dtypes.ALL})
    return names
