"""`Saver`: the values of variables in one file."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...base.errors import ArgumentError, DtypeError, GraphError, ShapeError
from .session import Session
from .variables import Variable, global_variables


class Saver:
    """Saves and restores the values of variables, by name, in one NumPy `.npz` file without pickles.

    A file is written whole or not at all, and restored whole or not at all.

    Args:
        var_list: the variables, or a dict from the names in the file to variables; by default all
            variables made so far in the default graph.
    """

    def __init__(self, var_list: Sequence[Variable] | Mapping[str, Variable] | None = None) -> None:
        chosen = global_variables() if var_list is None else var_list
        named = dict(chosen) if isinstance(chosen, Mapping) else {str(v.name): v for v in chosen}
        if not named:
            raise ArgumentError("Saver: there are no variables to save; make the Saver after the variables.")
        self._variables: dict[str, Variable] = named

    def save(self, session: Session, path: str | os.PathLike[str], global_step: Any = None) -> str:
        """Write the values to `path` (to `path-<step>` where a step is given); returns the path written."""
        step = session.run(global_step) if isinstance(global_step, Variable) else global_step
        target = Path(path if step is None else f"{os.fspath(path)}-{int(step)}")
        values = session.run(dict(self._variables))
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    for name, value in values.items():
                        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                            np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        return str(target)

    def restore(self, session: Session, path: str | os.PathLike[str]) -> None:
        """Give the variables the values in the file; they need no initializer then."""
        new: dict[Variable, Any] = {}
        try:
            with np.load(path, allow_pickle=False) as stored:
                for name, variable in self._variables.items():
                    if name not in stored:
                        raise GraphError(
                            f"restore: {os.fspath(path)} has no value named {name!r}; it holds {', '.join(stored)}."
                        )
                    new[variable] = self._checked(stored[name], variable, name)
        except (ValueError, zipfile.BadZipFile) as problem:
            if isinstance(problem, (ShapeError, ArgumentError)):
                raise
            raise ArgumentError(f"restore: {os.fspath(path)} is no file written by Saver: {problem}.") from problem
        session.load(new)

    @staticmethod
    def _checked(value: Any, variable: Variable, name: str) -> Any:
        label = variable._node.label
        if value.shape != variable.shape:
            raise ShapeError(f"restore: {label} has shape {variable.shape}, {name!r} in the file {value.shape}.")
        if value.dtype != variable.dtype:
            raise DtypeError(
                f"restore: {label} has dtype {variable.dtype.name}, {name!r} in the file {value.dtype.name}."
            )
        return value
