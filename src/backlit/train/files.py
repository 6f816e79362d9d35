"""Files of a run, written whole or not at all: a reader never meets half a file, whenever the process dies."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from ..base.extras import require

Array = np.ndarray[Any, Any]


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Write a file through a temporary one beside it, flushed to disk and then renamed.

    The folder is flushed too, so that after a loss of power the new name is there.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_arrays(path: str | Path, arrays: Mapping[str, Any], about: Mapping[str, Any] | None = None) -> None:
    """Arrays by name as a safetensors file, with `about` (anything that JSON can say) in its header."""
    plain = {name: np.asarray(x, order="C") for name, x in arrays.items()}
    header = {"backlit": json.dumps(about)} if about is not None else None
    write_whole(path, require("safetensors.numpy", "train").save(plain, header))


def load_arrays(path: str | Path) -> tuple[dict[str, Array], Any]:
    """The arrays in a safetensors file, and what `save_arrays` put into its header.

    Raises:
        DataError: the file is not there, damaged, or no safetensors file.
    """
    safetensors = require("safetensors", "train")
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file.")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            header = (file.metadata() or {}).get("backlit")
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(header) if header else None  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError) as problem:
        raise DataError(f"{path}: not a whole safetensors file ({problem}).") from None


def save_values(path: str | Path, values: Mapping[str, Any]) -> None:
    """Parameters and state of a model by path, as a safetensors file."""
    save_arrays(path, values)


def load_values(path: str | Path, like: Mapping[str, Any]) -> dict[str, Array]:
    """What `save_values` wrote, or another program: exactly the names and shapes of `like` are expected.

    Raises:
        DataError: the file is damaged, or holds other names or shapes.
    """
    found, _ = load_arrays(path)
    if found.keys() != like.keys():
        missing, more = sorted(like.keys() - found.keys()), sorted(found.keys() - like.keys())
        parts = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(more)} besides"] * bool(more)
        raise DataError(f"{path}: the file is of another model: {' and '.join(parts)}.")
    for name, x in like.items():
        if found[name].shape != tuple(x.shape):
            raise DataError(f"{path}: {name}: expected shape {tuple(x.shape)}, found {found[name].shape}.")
    return found
