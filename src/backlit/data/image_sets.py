"""The image datasets that are downloaded: MNIST, Fashion-MNIST, CIFAR-10. Pixels are uint8, after their channels."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from .arrays import Array
from .dataset import Dataset, Part
from .idx import read_idx
from .remote import Remote

#: The last training images are for validation, as in TensorFlow's first tutorial for MNIST.
_VALIDATION = 5000


def _idx_files(url: str, *digests: str) -> dict[str, tuple[str, str]]:
    kinds = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return {f"{kind}-ubyte.gz": (f"{url}{kind}-ubyte.gz", digest) for kind, digest in zip(kinds, digests, strict=True)}


MNIST = Remote(
    "mnist",
    _idx_files(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)

FASHION = Remote(
    "fashion-mnist",
    _idx_files(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    beside=False,
)
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

#: The binary version: that for Python is pickled.
CIFAR = Remote(
    "cifar10",
    {
        "cifar-10-binary.tar.gz": (
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )
    },
)
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def mnist(download: bool = True) -> Dataset:
    """70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes & Burges 1998)."""
    return _idx_files_in(MNIST.folder(download), "mnist", tuple("0123456789"))


def fashion_mnist(download: bool = True) -> Dataset:
    """70,000 pictures of clothes, 28 x 28 (Xiao, Rasul & Vollgraf 2017)."""
    return _idx_files_in(FASHION.folder(download), "fashion-mnist", FASHION_CLASSES)


def cifar10(download: bool = True) -> Dataset:
    """60,000 colour pictures of animals and vehicles, 3 x 32 x 32 (Krizhevsky 2009)."""
    folder = CIFAR.folder(download)
    records: dict[str, Array] = {}
    with tarfile.open(folder / "cifar-10-binary.tar.gz") as archive:
        for member in archive:  # in the order of the archive: going back would unpack it again from its beginning
            if member.name.endswith(".bin") and (file := archive.extractfile(member)):
                records[Path(member.name).name] = np.frombuffer(file.read(), np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    train = np.concatenate([records[f"data_batch_{i}.bin"] for i in range(1, 6)])
    x, y = _images_and_labels(train)
    test = Part(*_images_and_labels(records["test_batch.bin"]))
    return _with_validation("cifar10", x, y, test, CIFAR_CLASSES, folder)


def _images_and_labels(records: Array) -> tuple[Array, Array]:
    """A record is the number of the class, and the red, the green and the blue picture."""
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def _idx_files_in(folder: Path, name: str, classes: tuple[str, ...]) -> Dataset:
    """The dataset in the four files of MNIST's names in a folder."""
    read = lambda kind: read_idx(folder / f"{kind}-ubyte.gz")
    x, y = read("train-images-idx3"), read("train-labels-idx1").astype(np.int64)
    test = Part(read("t10k-images-idx3"), read("t10k-labels-idx1").astype(np.int64))
    return _with_validation(name, x, y, test, classes, folder)


def _with_validation(name: str, x: Array, y: Array, test: Part, classes: tuple[str, ...], folder: Path) -> Dataset:
    train, validation = Part(x[:-_VALIDATION], y[:-_VALIDATION]), Part(x[-_VALIDATION:], y[-_VALIDATION:])
    return Dataset(name, train, validation, test, classes, str(folder))
