"""`open`: a file or a folder as a dataset, read as what it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..base.errors import ArgumentError, DataError
from .arrays import Array
from .dataset import Dataset, Part, Task
from .faults import fault
from .idx import read_idx
from .npz import read_npy, read_npz
from .pictures import read_images
from .splits import FRACTIONS, divided, split
from .tables import Table, read_csv, read_parquet
from .text import read_text, text_dataset

#: What is meant by the names of arrays and folders.
_PARTS = {"train": "train", "validation": "validation", "val": "validation", "valid": "validation", "test": "test"}
#: MNIST's names of the files, by part, inputs before targets.
_IDX = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
#: The share of the training samples that validate where there is a part for the test, and none for validation.
_VALIDATION = 1 / 12


def open(path: str | Path, **options: Any) -> Dataset:
    """The dataset in a file or folder, read as what it is.

    What has no division of its own gets one: 70 % of the samples for training, 10 % for validation, 20 % for the test,
    drawn from `seed`, each class in the same proportions. Which options there are depends on what the path is.

    - A CSV or Parquet file (`.csv`, `.parquet`): `target` names the column to be predicted; `words`, `task` and `seed`
      as in `read_csv`.
    - An archive of arrays (`.npz`): `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test` and, if they are there,
      `x_val`, `y_val`. Targets that are floats are measured values, all others classes. Takes `seed`.
    - A text (`.txt`): takes the `window` and `stride` of `text_dataset`.
    - A folder with `x.npy` and `y.npy`, which stay on disk and are divided by position: 70, 10 and 20 %. Write them in
      random order.
    - A folder with the four IDX files of MNIST's names, packed or not; takes `seed`.
    - A folder with a folder of pictures for each class, or with such folders in `train`, `test` and, if it is there,
      `validation`; takes the `size` and `mode` of `read_images`, and `seed`.

    Raises:
        ArgumentError: an option that this kind does not take, or one that it needs.
        DataError: the path is nothing of this, or damaged; says where.
    """
    path = Path(path)
    read = _reader(path)
    known = list(inspect.signature(read).parameters)[1:]
    if unknown := [option for option in options if option not in known]:
        raise ArgumentError(f"open: {path} takes {', '.join(known) or 'no options'}; not {unknown[0]!r}.")
    return read(path, **options)


def _reader(path: Path) -> Callable[..., Dataset]:
    if path.is_dir():
        if _idx_file(path, _IDX["train"][0]).is_file():
            return _idx
        return _mapped if (path / "x.npy").is_file() else _pictures
    kinds = {".csv": _csv, ".parquet": _parquet, ".npz": _archive, ".txt": _text}
    if path.suffix.lower() not in kinds:
        what = "found another file" if path.exists() else "there is no such file"
        raise DataError(f"{path}: expected a folder, or a file whose name ends in {', '.join(kinds)}; {what}.")
    return kinds[path.suffix.lower()]


def _csv(path: Path, target: str | None = None, words: Any = None, task: Task | None = None, seed: int = 0) -> Dataset:
    return _from_table(path, read_csv, target, words, task, seed)


def _parquet(
    path: Path, target: str | None = None, words: Any = None, task: Task | None = None, seed: int = 0
) -> Dataset:
    return _from_table(path, read_parquet, target, words, task, seed)


def _from_table(
    path: Path, read: Callable[..., Table], target: str | None, words: Any, task: Any, seed: int
) -> Dataset:
    if target is None:
        raise ArgumentError(f"open: {path} is a table; name the column to be predicted: target=...")
    found = read(path, target, words=words, task=task)
    return divided(path.stem, found.x, found.y, found.classes, str(path), seed=seed)


def _text(path: Path, window: int = 64, stride: int | None = None) -> Dataset:
    return text_dataset(read_text(path), window, stride, name=path.stem, source=str(path))


def _idx(path: Path, seed: int = 0) -> Dataset:
    read = {part: [read_idx(_idx_file(path, name)) for name in names] for part, names in _IDX.items()}
    return _with_parts(path, {part: _samples(path, x, y) for part, (x, y) in read.items()}, seed)


def _idx_file(folder: Path, name: str) -> Path:
    """The file as it is, or packed."""
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _archive(path: Path, seed: int = 0) -> Dataset:
    arrays = read_npz(path)
    if arrays.keys() == {"x", "y"}:
        return _whole(path, arrays["x"], arrays["y"], seed)
    parts: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        axis, _, part = name.partition("_")
        if axis not in ("x", "y") or part not in _PARTS:
            raise _unexpected(path, arrays)
        parts.setdefault(_PARTS[part], {})[axis] = array
    if not {"train", "test"} <= parts.keys() or any(len(part) < 2 for part in parts.values()):
        raise _unexpected(path, arrays)
    return _with_parts(path, {name: _samples(path, part["x"], part["y"]) for name, part in parts.items()}, seed)


def _unexpected(path: Path, arrays: dict[str, Array]) -> DataError:
    expected = "arrays x and y, or x_train, y_train, x_test and y_test (with x_val and y_val if there are any)"
    return fault(path, "dataset", "its names", expected, ", ".join(arrays) or "nothing")


def _mapped(path: Path) -> Dataset:
    whole = _samples(path, read_npy(path / "x.npy"), np.array(read_npy(path / "y.npy")))
    [y], classes = _targets(path, whole.y)
    first, second = np.round(np.cumsum(FRACTIONS[:2]) * len(whole)).astype(int)
    train, validation, test = (
        Part(whole.x[rows], y[rows]) for rows in (slice(first), slice(first, second), slice(second, None))
    )
    task = "classification" if classes else "regression"
    return Dataset(path.name, train, validation, test, classes, str(path), task)


def _pictures(
    path: Path, size: tuple[int, int] | None = None, mode: Literal["gray", "colour"] | None = None, seed: int = 0
) -> Dataset:
    inside = {_PARTS[place.name]: place for place in sorted(path.iterdir()) if place.name in _PARTS and place.is_dir()}
    if not {"train", "test"} <= inside.keys():
        found = read_images(path, size=size, mode=mode)
        return divided(path.name, found.x, found.y, found.classes, str(path), seed=seed)
    read = {name: read_images(place, size=size, mode=mode) for name, place in inside.items()}
    first = read["train"]
    for name, found in read.items():
        if found.classes != first.classes or found.x.shape[1:] != first.x.shape[1:]:
            raise DataError(
                f"{inside[name]}: expected the classes {', '.join(first.classes)} and pictures of shape "
                f"{first.x.shape[1:]} as in {inside['train']}, found {', '.join(found.classes)} and shape "
                f"{found.x.shape[1:]}."
            )
    words = {name: Part(found.x, np.array(found.classes)[found.y]) for name, found in read.items()}
    return _with_parts(path, words, seed)


def _whole(path: Path, x: Array, y: Array, seed: int) -> Dataset:
    whole = _samples(path, x, y)
    [targets], classes = _targets(path, whole.y)
    return divided(path.stem, whole.x, targets, classes, str(path), seed=seed)


def _with_parts(path: Path, parts: dict[str, Part], seed: int) -> Dataset:
    """A dataset that brings its own division; validation is taken from training if it is not among the parts."""
    targets, classes = _targets(path, *(part.y for part in parts.values()))
    parts = {name: Part(part.x, y) for (name, part), y in zip(parts.items(), targets, strict=True)}
    if "validation" not in parts:
        whole = parts["train"]
        train, validation = split(whole.y, [1 - _VALIDATION, _VALIDATION], seed)
        parts |= {"train": whole.take(np.sort(train)), "validation": whole.take(np.sort(validation))}
    task = "classification" if classes else "regression"
    return Dataset(path.stem, parts["train"], parts["validation"], parts["test"], classes, str(path), task)


def _samples(path: Path, x: Array, y: Array) -> Part:
    """Inputs and targets, after a check that they are."""
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise fault(
            path, "dataset", "x and y", "as many rows of inputs as of targets", f"shapes {x.shape} and {y.shape}"
        )
    if x.dtype.kind not in "biuf":
        raise fault(path, "dataset", "x", "numbers", x.dtype.name)
    return Part(x, y)


def _targets(path: Path, *targets: Array) -> tuple[list[Array], tuple[str, ...]]:
    """The targets of all parts as numbers of classes with the names of these, or as measured values without."""
    kinds = {y.dtype.kind for y in targets}
    if kinds == {"f"}:
        return [y.astype(np.float32) for y in targets], ()
    if not (kinds <= set("biu") or kinds == {"U"}) or any(y.ndim != 1 for y in targets):
        found = ", ".join(f"{y.dtype.name} {y.shape}" for y in targets)
        raise fault(path, "dataset", "y", "one class for each sample, a whole number or a word, or floats", found)
    classes = np.unique(np.concatenate(targets))
    return [np.searchsorted(classes, y).astype(np.int64) for y in targets], tuple(map(str, classes.tolist()))
