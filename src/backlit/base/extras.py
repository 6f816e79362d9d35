"""Optional packages: imported when a function needs them, with a message that says how to install them."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import MissingExtra


def require(module: str, extra: str) -> Any:
    """The optional package `module`, which comes with `pip install "backlit[extra]"`."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtra(
            f'this needs the package {package!r}, which is not installed: pip install "backlit[{extra}]"'
        ) from error
