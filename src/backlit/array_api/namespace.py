"""The public names of `backlit`, gathered from the registry."""

from __future__ import annotations

from typing import Any

from ..base import dtypes
from ..graph.opdef import PUBLIC
from . import dtypes as _dtypes  # noqa: F401  (registers finfo and its relatives)
from .info import CONSTANTS


def build() -> dict[str, Any]:
    """Every public function without a dot in its name, the dtypes and the constants."""
    return {**gather(""), **{d.name: d for d in dtypes.ALL}, **CONSTANTS}


def gather(namespace: str, *more: str) -> dict[str, Any]:
    """The public functions of one namespace of the registry, and `more` of the main one."""
    found = {name.rpartition(".")[2]: f for name, f in PUBLIC.items() if name.rpartition(".")[0] == namespace}
    return {**found, **{name: PUBLIC[name] for name in more}}
