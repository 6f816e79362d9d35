"""Versions of Python and of the packages that matter to a run."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = ("backlit", "numpy", "llvmlite", "safetensors", "matplotlib", "scikit-learn", "pooch", "rich")


def versions() -> dict[str, str | None]:
    """Python's and each package's version; None where a package is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found
