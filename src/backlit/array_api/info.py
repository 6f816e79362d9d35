"""What the namespace says of itself (Array API standard, 'Inspection')."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.config import config
from ..base.errors import ArgumentError
from ..graph.opdef import SUPPLIED
from ..ops.operands import on_cpu
from .dtypes import isdtype

VERSION = "2024.12"

#: Earlier versions, whose functions are all here too.
VERSIONS = ("2021.12", "2022.12", "2023.12", VERSION)


class Info:
    """Devices, dtypes, defaults and capabilities: what `bl.__array_namespace_info__()` returns."""

    def capabilities(self) -> dict[str, Any]:
        """Masks may index, shapes may depend on values (eagerly), and arrays have as many axes as NumPy allows."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The only device."""
        return "cpu"

    def devices(self) -> list[str]:
        """All devices."""
        return ["cpu"]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, Any]:
        """The dtypes that results have where nothing else is said; floats follow `bl.settings(default_dtype=...)`."""
        on_cpu(device, "default_dtypes")
        real = config.get().default_dtype
        return {
            "real floating": real,
            "complex floating": dtypes.complex128 if real == dtypes.float64 else dtypes.complex64,
            "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, Any]:
        """The standard's dtypes by name, all or those of a kind."""
        on_cpu(device, "dtypes")
        found = [d for d in dtypes.ALL if d != dtypes.float16]
        return {d.name: d for d in found if kind is None or isdtype(d, kind)}


def array_namespace(api_version: str | None = None) -> ModuleType:
    """The namespace of a Tensor: the package itself."""
    if api_version is not None and api_version not in VERSIONS:
        raise ArgumentError(
            f"__array_namespace__: version {api_version!r} of the Array API standard is not supported; "
            f"there are {', '.join(VERSIONS)}."
        )
    return sys.modules[__name__.partition(".")[0]]


SUPPLIED["array_namespace"] = array_namespace

#: Names of the standard that are no functions of arrays.
CONSTANTS: dict[str, Any] = {
    "e": float(np.e), "inf": float(np.inf), "nan": float(np.nan), "newaxis": None, "pi": float(np.pi),
    "__array_api_version__": VERSION, "__array_namespace_info__": Info,
}  # fmt: skip
