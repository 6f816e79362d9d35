"""The IDX format of MNIST and its relatives, plain or gzip-compressed.

Format (LeCun, Cortes & Burges, 'The MNIST database', section 'FILE FORMATS'): two zero bytes, a byte for the
type, a byte for the number of axes, the size of each axis as a big-endian 32-bit integer, then the values.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from .faults import contents, fault

#: The type byte and the dtype of the values that follow.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

#: As many as NumPy's arrays can have.
_AXES = 64


def read_idx(path: str | Path) -> np.ndarray[Any, Any]:
    """The array in an IDX file; gzip compression is recognised by its first bytes.

    Raises:
        DataError: the file is missing, damaged or of another format; says where and what was expected.
    """
    raw = contents(path)
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path}: damaged gzip data ({error}). Delete the file and fetch it again.") from None
    return parse_idx(raw, str(path))


def parse_idx(raw: bytes, name: str) -> np.ndarray[Any, Any]:
    """The array in the bytes of an uncompressed IDX file; `name` is for messages."""

    def wrong(offset: int, expected: str, found: str) -> DataError:
        return fault(name, "IDX file", f"offset {offset}", expected, found)

    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise wrong(0, "two zero bytes, a type and a number of axes", raw[:4].hex(" ") or "the end of the file")
    code, axes = raw[2], raw[3]
    if code not in TYPES:
        raise wrong(2, f"a type out of {', '.join(f'0x{t:02x}' for t in TYPES)}", f"0x{code:02x}")
    if axes > _AXES:
        raise wrong(3, f"at most {_AXES} axes", str(axes))
    start = 4 + 4 * axes
    if len(raw) < start:
        raise wrong(4, f"the sizes of {axes} axes (4 bytes each)", f"the end of the file after {len(raw) - 4} bytes")
    shape = struct.unpack(f">{axes}I", raw[4:start])
    dtype = np.dtype(TYPES[code])
    count = 1
    for size in shape:
        count *= size
    if len(raw) - start != count * dtype.itemsize:
        expected = f"{count * dtype.itemsize} bytes of values, for shape {shape} of {dtype.name}"
        raise wrong(start, expected, f"{len(raw) - start}")
    try:
        found = np.frombuffer(raw, dtype, offset=start).reshape(shape)
    except ValueError as error:  # no values, along axes of billions
        raise wrong(4, "sizes that an array can have", f"{shape} ({error})") from None
    return found.astype(dtype.newbyteorder("="))
