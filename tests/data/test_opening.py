"""`open` reads a path as what it is, with the division that it brings or gets."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest

from backlit import data
from backlit.base.errors import ArgumentError, DataError
from backlit.data.arrays import on_disk

from .test_files import idx

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)).astype(np.float32), np.arange(60) % 3


def sizes(found):
    return [len(part) for part in (found.train, found.validation, found.test)]


def rows_of(found):
    """Where in X the samples of all parts come from."""
    x = np.concatenate([found.train.x, found.validation.x, found.test.x])
    return [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in x]


def test_an_archive_of_inputs_and_targets(tmp_path):
    np.savez(tmp_path / "mine.npz", x=X, y=np.array(["a", "b", "c"])[Y])
    found = data.open(tmp_path / "mine.npz")
    assert (found.name, found.task, found.classes, found.source) == (
        "mine", "classification", ("a", "b", "c"), str(tmp_path / "mine.npz"),
    )  # fmt: skip
    assert sizes(found) == [42, 6, 12]
    rows = rows_of(found)
    assert sorted(rows) == list(range(60))
    np.testing.assert_array_equal(np.concatenate([found.train.y, found.validation.y, found.test.y]), Y[rows])
    assert data.open(tmp_path / "mine.npz", seed=1).checksum != found.checksum
    np.savez(tmp_path / "values.npz", x=X, y=X[:, 0].astype(np.float64))
    measured = data.open(tmp_path / "values.npz")
    assert (measured.task, measured.classes, measured.train.y.dtype) == ("regression", (), np.float32)


def test_an_archive_with_a_division_of_its_own(tmp_path):
    parts = {"x_train": X[:48], "y_train": Y[:48] + 5, "x_test": X[48:], "y_test": Y[48:] + 5}
    np.savez(tmp_path / "a.npz", **parts)
    found = data.open(tmp_path / "a.npz")
    assert (sizes(found), found.classes) == ([45, 3, 12], ("5", "6", "7"))
    np.testing.assert_array_equal(found.test.x, X[48:])
    np.savez(tmp_path / "a.npz", x_val=X[:2], y_val=Y[:2] + 5, **parts)
    assert sizes(data.open(tmp_path / "a.npz")) == [48, 2, 12]


def test_tables(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(kind=Y)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    csv, parquet = (data.open(tmp_path / name, target="kind") for name in ("a.csv", "a.parquet"))
    assert csv.checksum == parquet.checksum
    assert (sizes(csv), csv.classes) == ([42, 6, 12], ("0", "1", "2"))
    assert data.open(tmp_path / "a.csv", target="a").task == "regression"
    with pytest.raises(ArgumentError, match="is a table; name the column to be predicted"):
        data.open(tmp_path / "a.csv")


def test_a_text(tmp_path):
    (tmp_path / "poem.txt").write_text("to be or not to be, " * 50)
    found = data.open(tmp_path / "poem.txt", window=10)
    assert (found.name, found.task, found.train.x.shape[1]) == ("poem", "text", 10)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files(tmp_path, pack):
    images = RNG.integers(0, 256, (60, 4, 4), dtype=np.uint8)
    ending = "" if pack is bytes else ".gz"
    for prefix, rows in (("train", slice(48)), ("t10k", slice(48, None))):
        (tmp_path / f"{prefix}-images-idx3-ubyte{ending}").write_bytes(pack(idx(images[rows])))
        (tmp_path / f"{prefix}-labels-idx1-ubyte{ending}").write_bytes(pack(idx(Y[rows].astype(np.uint8))))
    found = data.open(tmp_path)
    assert (sizes(found), found.classes, found.train.y.dtype) == ([45, 3, 12], ("0", "1", "2"), np.int64)
    np.testing.assert_array_equal(found.test.x, images[48:])
    (tmp_path / f"t10k-labels-idx1-ubyte{ending}").write_bytes(pack(idx(np.zeros(5, np.uint8))))
    with pytest.raises(DataError, match=r"as many rows of inputs as of targets, found shapes \(12, 4, 4\) and \(5,\)"):
        data.open(tmp_path)


def test_arrays_on_disk_stay_there(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    found = data.open(tmp_path)
    assert sizes(found) == [42, 6, 12]
    assert all(on_disk(part.x) for part in (found.train, found.validation, found.test))
    np.testing.assert_array_equal(found.test.y, Y[48:])


def test_pictures(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    for part, count in (("train", 24), ("test", 6)):
        for kind in ("cat", "dog"):
            (tmp_path / "flat" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "parts" / part / kind).mkdir(parents=True)
            for i in range(count):
                file = tmp_path / "parts" / part / kind / f"{i}.png"
                image_module.fromarray(RNG.integers(0, 256, (5, 4), dtype=np.uint8)).save(file)
                shutil.copy(file, tmp_path / "flat" / kind / f"{part}{i}.png")
    found = data.open(tmp_path / "parts")
    assert (sizes(found), found.classes, found.train.x.shape[1:]) == ([44, 4, 12], ("cat", "dog"), (5, 4))
    found = data.open(tmp_path / "flat", size=(2, 2), seed=3)
    assert (sizes(found), found.train.x.shape[1:], found.name) == ([42, 6, 12], (2, 2), "flat")
    shutil.rmtree(tmp_path / "parts" / "test" / "dog")
    with pytest.raises(DataError, match="expected the classes cat, dog and pictures"):
        data.open(tmp_path / "parts")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, "at its names expected arrays x and y, or x_train.*found a"),
        ({}, "found nothing"),
        ({"x_train": X, "y_train": Y}, "found x_train, y_train"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "found x_train, y_train, x_test"),
        ({"x": X, "y": Y[:3]}, r"found shapes \(60, 3\) and \(3,\)"),
        ({"x": np.array(["a"] * 60), "y": Y}, "at x expected numbers"),
        ({"x": X, "y": np.zeros((60, 2), int)}, r"at y expected one class.*found int64 \(60, 2\)"),
        ({"x": X, "y": Y * 1j}, "found complex128"),
    ],
)
def test_archives_that_are_no_dataset(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        data.open(tmp_path / "a.npz")


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match=r"a.npz: cannot be read \(No such file"):
        data.open(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"ends in \.csv, \.parquet, \.npz, \.txt; there is no such file"):
        data.open(tmp_path / "nowhere")
    (tmp_path / "a.doc").write_text("?")
    with pytest.raises(DataError, match="found another file"):
        data.open(tmp_path / "a.doc")
    with pytest.raises(ArgumentError, match=r"a\.npz takes seed; not 'target'"):
        data.open(tmp_path / "a.npz", target="y")
    np.savez(tmp_path / "a.npz", x=X[:3], y=Y[:3] * 1.0)
    with pytest.raises(ArgumentError, match="3 samples leave 2 for training, 0 for validation and 1 for the test"):
        data.open(tmp_path / "a.npz")
