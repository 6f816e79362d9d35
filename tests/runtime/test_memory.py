"""Addresses agree with `__array_interface__`; buffers are aligned."""

from __future__ import annotations

import numpy as np
import pytest

from backlit.runtime.memory import _by_field, aligned, data_pointer


def arrays() -> list[np.ndarray]:
    base = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    frozen = base.copy()
    frozen.flags.writeable = False
    record = np.zeros(4, [("a", "i1"), ("b", "f8")])
    return [
        base, base[1:], base[:, 1:, 2:], base[::-1, ::-2], base.T, base[..., None], base[0, 0, 0:0], frozen, frozen[1],
        np.empty(0), np.empty((3, 0, 2)), np.array(5.0), np.broadcast_to(np.float64(3), (4, 4)),
        base.view(np.int8)[..., 3:],
        np.asfortranarray(base), np.frombuffer(bytearray(b"12345678"), np.uint8, offset=3), record["b"],
        np.ma.masked_array([1, 2]), np.array(["text"]), np.array([object()]), np.empty(3_000_000),
    ]  # fmt: skip


@pytest.mark.parametrize("k", range(len(arrays())))
def test_address(k: int) -> None:
    array = arrays()[k]
    assert data_pointer(array) == array.__array_interface__["data"][0]


def test_the_short_way_is_taken_here() -> None:
    assert data_pointer is _by_field


@pytest.mark.parametrize("nbytes", [0, 1, 63, 64, 65, 4097, 5 << 20])
@pytest.mark.parametrize("alignment", [64, 128])
def test_aligned(nbytes: int, alignment: int) -> None:
    buffer = aligned(nbytes, alignment)
    assert (buffer.dtype, buffer.shape) == (np.uint8, (nbytes,))
    assert data_pointer(buffer) % alignment == 0
    buffer[:] = 7
