"""Reading IDX files, dividing data, transforms and minibatches."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

import backlit.data as data
from backlit.base.errors import ArgumentError, DataError, MissingExtra
from backlit.base.extras import require


def idx(array, code=0x08):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


@pytest.mark.parametrize(("code", "dtype"), [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0D, ">f4"), (0x0E, ">f8")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_round_trip(tmp_path, code, dtype, pack):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    path = tmp_path / "x"
    path.write_bytes(pack(idx(array, code)))
    found = data.read_idx(path)
    assert found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)


GOOD = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "at offset 0 expected two zero bytes.*found the end of the file"),
        (b"PK\x03\x04", "at offset 0 expected two zero bytes.*found 50 4b 03 04"),
        (b"\0\0\x07\x01", "at offset 2 expected a type out of 0x08.*found 0x07"),
        (GOOD[:9], "at offset 4 expected the sizes of 2 axes.*after 5 bytes"),
        (GOOD[:-1], r"at offset 12 expected 6 bytes of values, for shape \(2, 3\) of uint8, found 5"),
        (GOOD + b"!", "at offset 12 expected 6 bytes.*found 7"),
        (gzip.compress(GOOD, mtime=0)[:-4], "damaged gzip data"),
        (gzip.compress(GOOD, mtime=0)[:-9] + b"\0" * 9, "damaged gzip data"),
    ],
)
def test_malformed_idx_says_where_and_what(tmp_path, raw, message):
    path = tmp_path / "train"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        data.read_idx(path)
    assert str(path) in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        data.read_idx(tmp_path / "nowhere")


def test_batches_visit_every_sample_once_in_the_order_of_the_seed():
    part = data.Part(np.arange(10.0), np.arange(10))
    rng = np.random.default_rng(1)
    first = [b.y.tolist() for b in data.batches(part, 4, rng)]
    second = [b.y.tolist() for b in data.batches(part, 4, rng)]
    assert first == [b.y.tolist() for b in data.batches(part, 4, np.random.default_rng(1))]
    assert first != second
    assert sorted(row for batch in first for row in batch) == list(range(10))
    assert [len(b) for b in data.batches(part, 4, drop_last=True)] == [4, 4]
    with pytest.raises(ArgumentError, match="at least 1"):
        next(data.batches(part, 0))


def test_a_missing_extra_says_how_to_install_it():
    with pytest.raises(MissingExtra, match=r'pip install "backlit\[data\]"'):
        require("no_such_package_at_all", "data")
