"""Reading IDX files, dividing data, transforms and minibatches."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

import backlit.data as data
from backlit.base.errors import ArgumentError, DataError, MissingExtra
from backlit.base.extras import require
from backlit.data import sources


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


def test_digits_are_divided_once_and_for_all():
    first, again = data.load("digits"), data.load("digits")
    assert first.checksum == again.checksum
    sizes = [len(p) for p in (first.train, first.validation, first.test)]
    assert sum(sizes) == 1797
    assert sizes[2] > 350
    for part in (first.train, first.validation, first.test):
        share = np.bincount(part.y, minlength=10) / len(part)
        assert np.all(abs(share - 0.1) < 0.02)
    assert "1258 train" in repr(first)


def test_unknown_dataset_suggests_the_nearest():
    with pytest.raises(ArgumentError, match="Did you mean 'mnist'"):
        data.load("mnits")


@pytest.fixture
def no_mnist(tmp_path, monkeypatch):
    monkeypatch.delenv("BACKLIT_DATA", raising=False)
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_without_network_mnist_says_what_to_do(no_mnist, monkeypatch):
    pooch = pytest.importorskip("pooch")

    def unreachable(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", unreachable)
    with pytest.raises(DataError, match=r"no route to host(?s:.*)set BACKLIT_DATA"):
        data.load("mnist")
    with pytest.raises(DataError, match="not on this machine"):
        data.load("mnist", download=False)


def test_mnist_is_found_and_checked(no_mnist, monkeypatch):
    counts = {"train": 60_000, "t10k": 10_000}
    folder = no_mnist / "mine" / "mnist"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for prefix, count in counts.items():
        images = np.zeros((count, 28, 28), np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images), 1))
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels), 1))
    for place in (folder, folder.parent):
        monkeypatch.setenv("BACKLIT_DATA", str(place))
        assert data.find_mnist() == folder
    found = data.load("mnist")
    assert (len(found.train), len(found.validation), len(found.test)) == (55_000, 5_000, 10_000)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match=r"expected uint8 \(10000,\), found uint8 \(3,\)"):
        data.load("mnist")


def test_downloads_carry_checksums_into_the_cache(no_mnist, monkeypatch):
    pooch = pytest.importorskip("pooch")
    asked = {}
    monkeypatch.setattr(pooch, "retrieve", lambda url, digest, fname, path: asked.update({fname: (url, digest, path)}))
    with pytest.raises(DataError, match="cannot be read"):
        data.load("mnist")
    assert set(asked) == set(sources.MNIST_FILES)
    for file, (url, digest, path) in asked.items():
        assert url.startswith("https://")
        assert digest == "sha256:" + sources.MNIST_FILES[file]
        assert path == no_mnist / "cache" / "mnist"


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
