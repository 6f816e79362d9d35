"""NumPy's own files: archives of arrays (.npz), and single arrays (.npy) that stay on disk. Nothing is unpickled."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from .arrays import Array
from .faults import contents, fault, unreadable


def read_npz(path: str | Path) -> dict[str, Array]:
    """The arrays in an .npz archive by name, each checked against its CRC-32.

    Raises:
        DataError: the file cannot be read, is damaged, or holds Python objects, which only pickle could read.
    """
    raw = contents(path)
    offset = 0
    arrays: dict[str, Array] = {}
    # zipfile raises a dozen kinds of errors at damaged archives, NumPy some more at damaged headers; all mean the same.
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for member in archive.infolist():
                offset = member.header_offset
                arrays[member.filename.removesuffix(".npy")] = _array(archive.read(member))
    except Exception as error:
        raise fault(path, "npz file", f"offset {offset}", "an archive of plain arrays", _said(error)) from None
    return arrays


def read_npy(path: str | Path) -> Array:
    """The array in an .npy file, memory-mapped: it stays on disk, and its rows are read where they are used.

    Raises:
        DataError: the file cannot be read, is damaged, or holds Python objects.
    """
    try:
        with Path(path).open("rb") as file:
            shape, fortran, dtype = _header(file)
            offset = file.tell()
            size = file.seek(0, io.SEEK_END) - offset
    except OSError as error:
        raise unreadable(path, error) from None
    except Exception as error:  # as above
        raise fault(path, "npy file", "offset 0", "the header of a plain array", _said(error)) from None
    if size != (wanted := _bytes(shape, dtype)):
        expected = f"{wanted} bytes of values, for shape {shape} of {dtype.name}"
        raise fault(path, "npy file", f"offset {offset}", expected, str(size))
    if not size:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _array(raw: bytes) -> Array:
    file = io.BytesIO(raw)
    shape, fortran, dtype = _header(file)
    if len(raw) - file.tell() != (wanted := _bytes(shape, dtype)):
        raise ValueError(f"{len(raw) - file.tell()} bytes of values where {shape} of {dtype.name} needs {wanted}")
    return np.ndarray(shape, dtype, bytearray(raw[file.tell() :]), order="F" if fortran else "C")


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version[0]}.{version[1]} of the format, of which 1.0 and 2.0 are known")
    shape, fortran, dtype = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects; save it with a dtype of its own, as numbers or as text")
    if any(size < 0 for size in shape):
        raise ValueError(f"shape {shape}")
    return shape, fortran, dtype


def _bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    total = dtype.itemsize
    for size in shape:
        total *= size
    return total


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
