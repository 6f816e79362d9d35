"""Files of a run, written whole or not at all: a reader never meets half a file, whenever the process dies."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from ..base.trees import leaves_with_paths, rebuild
from ..graph.tensor import Tensor


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Write a file through a temporary one beside it, flushed to disk and then renamed."""
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


def save_params(path: str | Path, params: Any) -> None:
    """The leaves of a tree as an .npz archive, each under its path such as `layers.0.weight`; nothing is pickled."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in leaves_with_paths(params)}
    np.savez(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def load_params(path: str | Path, like: Any) -> Any:
    """A tree of the structure and shapes of `like`, its leaves read from `path`."""
    with np.load(path, allow_pickle=False) as archive:
        found = dict(archive)
    wanted = dict(leaves_with_paths(like))
    if found.keys() != wanted.keys():
        raise DataError(f"{path}: expected the parameters {sorted(wanted)}, found {sorted(found)}.")
    for name, leaf in wanted.items():
        if found[name].shape != leaf.shape:
            raise DataError(f"{path}: {name}: expected shape {leaf.shape}, found {found[name].shape}.")
    return rebuild(like, iter([Tensor(found[name]) for name in wanted]))
