"""The datasets known by name, and where their files are looked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ..base.errors import ArgumentError, DataError, MissingExtra
from ..base.extras import require
from ..base.folders import cache_folder
from .arrays import Array
from .dataset import Dataset, Part
from .idx import read_idx
from .splits import split

#: The four official files and their SHA-256.
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"


def load(name: str, *, download: bool = True) -> Dataset:
    """The dataset of this name, divided into a training, a validation and a test part, always the same way.

    - `digits`: 1,797 images of 8 x 8 that come with scikit-learn; nothing is downloaded.
    - `mnist`: 70,000 images of 28 x 28, read from `$BACKLIT_DATA/mnist`, `$BACKLIT_DATA` or the cache, and
      otherwise downloaded into the cache (unless `download=False`).

    Raises:
        DataError: the files cannot be had, or are damaged.
        MissingExtra: an optional package is needed; the message says how to install it.
    """
    if name not in SOURCES:
        close = get_close_matches(name, SOURCES, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"no dataset is named {name!r}; there are {', '.join(SOURCES)}.{hint}")
    return SOURCES[name](download)


def find_mnist() -> Path | None:
    """The folder that holds the four files of MNIST, where there is one on this machine."""
    folders = [Path(cache_folder(), "mnist")]
    if given := os.environ.get("BACKLIT_DATA"):
        folders = [Path(given) / "mnist", Path(given), *folders]
    for folder in folders:
        if all((folder / file).is_file() for file in MNIST_FILES):
            return folder
    return None


def _download_mnist() -> Path:
    folder = Path(cache_folder(), "mnist")
    try:
        pooch = require("pooch", "data")
        pooch.get_logger().setLevel("WARNING")
        for file, digest in MNIST_FILES.items():
            pooch.retrieve(MNIST_URL + file, f"sha256:{digest}", fname=file, path=folder)
    except (OSError, ValueError, MissingExtra) as error:
        looked = f"$BACKLIT_DATA (now {os.environ.get('BACKLIT_DATA') or 'not set'})"
        raise DataError(
            f"MNIST is not on this machine and could not be downloaded from {MNIST_URL}: {error}\n"
            f"Put the files {', '.join(MNIST_FILES)} into one folder and set BACKLIT_DATA to it, or into {folder}. "
            f"Looked in {looked} and in the cache. Without a network: --data digits needs no download."
        ) from None
    return folder


def _mnist(download: bool) -> Dataset:
    folder = find_mnist()
    if folder is None:
        if not download:
            raise DataError("MNIST is not on this machine: set BACKLIT_DATA to a folder that holds its four files.")
        folder = _download_mnist()
    x, y = _images(folder, "train", 60_000)
    test = Part(*_images(folder, "t10k", 10_000))
    # The last 5,000 training images are for validation, as in TensorFlow's tutorial for MNIST.
    return Dataset(
        "mnist",
        train=Part(x[:-5000], y[:-5000]),
        validation=Part(x[-5000:], y[-5000:]),
        test=test,
        classes=tuple("0123456789"),
        source=str(folder),
    )


def _images(folder: Path, prefix: str, count: int) -> tuple[Array, Array]:
    images, labels = folder / f"{prefix}-images-idx3-ubyte.gz", folder / f"{prefix}-labels-idx1-ubyte.gz"
    x, y = read_idx(images), read_idx(labels)
    for path, array, shape in ((images, x, (count, 28, 28)), (labels, y, (count,))):
        if array.shape != shape or array.dtype != np.uint8:
            raise DataError(f"{path}: expected uint8 {shape}, found {array.dtype} {array.shape}.")
    return x, y.astype(np.int64)


def _digits(download: bool) -> Dataset:
    found = require("sklearn.datasets", "data").load_digits()
    images, labels = found.images.astype(np.uint8), found.target.astype(np.int64)
    whole = Part(images, labels)
    train, validation, test = (whole.take(rows) for rows in split(labels, [0.7, 0.1, 0.2]))
    return Dataset("digits", train, validation, test, tuple("0123456789"), source="scikit-learn")


SOURCES: dict[str, Callable[[bool], Dataset]] = {"digits": _digits, "mnist": _mnist}
