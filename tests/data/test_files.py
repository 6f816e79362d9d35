"""IDX, npz and npy files: read as they were written, and refused by name and place however they are damaged."""

from __future__ import annotations

import gzip
import io
import struct

import numpy as np
import pytest

from backlit import data
from backlit.base.errors import DataError
from backlit.data.arrays import on_disk

from .damage import cuts, flips, survivors

VALUES = np.arange(24).reshape(2, 3, 4)


def idx(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def npz(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# --- IDX -----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("pack", [bytes, lambda raw: gzip.compress(raw, mtime=0)], ids=["plain", "gzip"])
def test_a_damaged_idx_file_is_never_read_as_something_else(tmp_path, pack):
    values = VALUES.astype(np.uint8)
    raw = pack(idx(values))
    assert survivors(tmp_path / "a", cuts(raw), data.read_idx) == []
    # Turned bits that leave the values alone: the type byte between unsigned and signed, gzip's date and its like.
    for found in survivors(tmp_path / "a", flips(raw, range(16)), data.read_idx):
        assert found.shape == values.shape
        assert found.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\0\0\x08\x41" + b"\0" * 260, "at offset 3 expected at most 64 axes, found 65"),
        (b"\0\0\x08\x04" + b"\0" * 4 + b"\xff" * 12, "at offset 4 expected sizes that an array can have"),
    ],
)
def test_impossible_shapes(tmp_path, raw, message):
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(DataError, match=message):
        data.read_idx(tmp_path / "a")


def test_an_idx_file_may_hold_nothing(tmp_path):
    (tmp_path / "a").write_bytes(idx(np.zeros((0, 28, 28), np.uint8)))
    assert data.read_idx(tmp_path / "a").shape == (0, 28, 28)


# --- npz -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_gives_back_its_arrays(tmp_path, save):
    arrays = {
        "x": np.asfortranarray(VALUES.astype(">f4")),
        "y": np.array(["a", "bc"]),
        "none": np.zeros((0, 3)),
        "one": np.array(5.0),
    }
    (tmp_path / "a.npz").write_bytes(npz(save, **arrays))
    found = data.read_npz(tmp_path / "a.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.writeable


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_archive_is_never_read_as_something_else(tmp_path, save):
    arrays = {"x": VALUES.astype(np.float32), "y": np.arange(2)}
    raw = npz(save, **arrays)
    assert survivors(tmp_path / "a", cuts(raw, 11), data.read_npz) == []
    whole = raw.index(b"PK\x01\x02")  # the arrays with their headers, and the table of contents after them
    for found in survivors(tmp_path / "a", flips(raw, range(0, whole, 13)), data.read_npz):
        assert found.keys() == arrays.keys()  # such as a bit of a date
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
    for found in survivors(tmp_path / "a", flips(raw, range(whole, len(raw), 7)), data.read_npz):
        for name in found.keys() & arrays.keys():
            np.testing.assert_array_equal(found[name], arrays[name])


def test_python_objects_are_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(npz(x=np.arange(3), y=np.array([{}], object)))
    with pytest.raises(DataError, match=r"a.npz: not a valid npz file: at offset \d\d+ expected .* Python objects"):
        data.read_npz(tmp_path / "a.npz")
    (tmp_path / "a.npy").write_bytes(npy(np.array([{}], object)))
    with pytest.raises(DataError, match=r"at offset 0 expected the header of a plain array.*Python objects"):
        data.read_npy(tmp_path / "a.npy")


# --- npy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("array", [VALUES, np.asfortranarray(VALUES), VALUES[:0], np.array(3.0), VALUES.astype(">u2")])
def test_an_npy_file_stays_on_disk(tmp_path, array):
    (tmp_path / "a.npy").write_bytes(npy(array))
    found = data.read_npy(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert on_disk(found) == (array.size > 0)


def test_a_damaged_npy_file(tmp_path):
    raw = npy(VALUES.astype(np.uint8))
    read = lambda path: np.array(data.read_npy(path))
    assert survivors(tmp_path / "a", cuts(raw), read) == []
    for found in survivors(tmp_path / "a", flips(raw, range(len(raw) - 24)[::3]), read):
        assert found.nbytes == 24  # a bit of the shape or the dtype can turn without a trace; the size is checked
        assert found.tobytes(order="A") in (VALUES.astype(np.uint8).tobytes(), found.T.tobytes())


@pytest.mark.parametrize("read", [data.read_idx, data.read_npz, data.read_npy])
def test_missing_files_are_named(tmp_path, read):
    with pytest.raises(DataError, match=r"nowhere: cannot be read \(No such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)
