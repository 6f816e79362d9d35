"""The disk cache of object code: a folder of files, each named after what it was made from.

A file is a header (format, length, checksum) and the object code; nothing in it is ever unpickled or executed before
the checksum agrees. A file is written under another name, brought to the disk and renamed, so a reader sees all of it
or nothing, whoever else writes and whenever a process is killed. A file that is not what it should be is made again. A
folder that cannot be written or read costs time, not results: `status()` says what is wrong.

`BACKLIT_CACHE` names the folder (`0` turns the cache off) and `BACKLIT_CACHE_SIZE` its size in MB.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from ..base.errors import ArgumentError
from ..base.folders import cache_folder

try:
    from _blake2 import blake2b  # what hashlib offers, without opening OpenSSL, which takes 2 ms
except ImportError:
    from hashlib import blake2b

_MAGIC = b"backlit1"
_HEADER = struct.Struct("<8sQ32s")
_SUFFIX, _UNFINISHED = ".code", ".unfinished"
#: An unfinished file this old, in seconds, belongs to a process that was killed.
_ABANDONED = 3600
_DEFAULT_MB = 256


def digest(*parts: str | bytes) -> str:
    """A key for `cached`: 40 hexadecimal digits that stand for all the parts, in their order."""
    state = blake2b(digest_size=20)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def cached(key: str, make: Callable[[], bytes]) -> bytes:
    """The bytes kept under `key` (from `digest`); where none can be trusted, `make()`, kept from now on."""
    data = found(key)
    if data is None:
        data = make()
        keep(key, data)
        if (place := folder()) is not None:
            with suppress(OSError):
                _trim(place)
    return data


def found(key: str) -> bytes | None:
    """The bytes kept under `key`; None where none can be trusted, or the cache is turned off."""
    place = folder()
    return None if place is None else _read(os.path.join(place, key + _SUFFIX), key)


def keep(key: str, data: bytes) -> None:
    """Keep a few bytes under `key`, if the folder can be written. Old files stay until `cached` next makes one."""
    place = folder()
    if place is not None:
        with suppress(OSError):
            _write(os.path.join(place, key + _SUFFIX), key, data)


def folder() -> str | None:
    """Where the cache is; None when it is turned off."""
    return None if os.environ.get("BACKLIT_CACHE") == "0" else os.path.join(cache_folder(), "plans")


class Status(NamedTuple):
    """What `status()` found."""

    folder: str | None
    entries: int
    bytes: int
    limit: int
    problem: str | None


def status() -> Status:
    """The state of the cache: where it is, what is in it, and why it does not work if it does not (by trying it)."""
    place, found, problem = folder(), [], None
    if place is None:
        return Status(None, 0, 0, _limit(), "turned off by BACKLIT_CACHE=0")
    try:
        probe = os.path.join(place, f"probe-{os.getpid()}{_UNFINISHED}")
        _write(probe, "", b"")
        os.unlink(probe)
        found = [size for _, size, _ in _entries(place)]
    except OSError as error:
        problem = f"{type(error).__name__}: {error}"
    return Status(place, len(found), sum(found), _limit(), problem)


def _checksum(key: str, data: bytes) -> bytes:
    """Of the name too: a file under the name of another is not taken for it."""
    state = blake2b(key.encode(), digest_size=32)
    state.update(data)
    return state.digest()


def _read(path: str, key: str) -> bytes | None:
    """The code in a file; None where there is no file or it is not exactly what was written under this key."""
    try:
        with open(path, "rb") as file:
            content = file.read()
        magic, length, checksum = _HEADER.unpack_from(content)
    except (OSError, struct.error):
        return None
    data = content[_HEADER.size :]
    if magic != _MAGIC or length != len(data) or checksum != _checksum(key, data):
        return None
    with suppress(OSError):
        os.utime(path)  # used just now: the last to be thrown out
    return data


def _write(path: str, key: str, data: bytes) -> None:
    """Write a file so that at every instant it is there as a whole or not at all. Raises `OSError`."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    unfinished = f"{path}-{os.getpid()}-{time.monotonic_ns()}{_UNFINISHED}"
    try:
        with open(unfinished, "xb") as file:
            file.write(_HEADER.pack(_MAGIC, len(data), _checksum(key, data)))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise


def _entries(place: str, suffix: str = _SUFFIX) -> Iterator[tuple[float, int, str]]:
    """The files in the folder: when last used, size, path."""
    with os.scandir(place) as files:
        for file in files:
            with suppress(FileNotFoundError):  # another process may throw it out meanwhile
                if file.name.endswith(suffix):
                    stat = file.stat()
                    yield stat.st_mtime, stat.st_size, file.path


def _trim(place: str) -> None:
    """Throw out what was not used longest until the rest fits, and what killed processes left unfinished."""
    entries = sorted(_entries(place))
    excess = sum(size for _, size, _ in entries) - _limit()
    old = [path for used, _, path in _entries(place, _UNFINISHED) if used < time.time() - _ABANDONED]
    for _, size, path in entries:
        if excess <= 0:
            break
        excess -= size
        old.append(path)
    for path in old:
        with suppress(OSError):
            os.unlink(path)


def _limit() -> int:
    """The size of the cache in bytes, by `BACKLIT_CACHE_SIZE` (in MB)."""
    wanted = os.environ.get("BACKLIT_CACHE_SIZE", str(_DEFAULT_MB))
    if not wanted.isdecimal():
        raise ArgumentError(f"BACKLIT_CACHE_SIZE={wanted}: it must be a whole number of megabytes")
    return int(wanted) << 20
