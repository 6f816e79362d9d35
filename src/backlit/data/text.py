"""Text as data: characters as numbers, in windows whose targets are the same window one character further on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..base.errors import ArgumentError, DataError
from .arrays import Array
from .dataset import Dataset, Part
from .remote import Remote

SHAKESPEARE = Remote(
    "tiny-shakespeare",
    {
        "tinyshakespeare.txt": (
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        )
    },
)


def tiny_shakespeare(download: bool = True, window: int = 64, stride: int | None = None) -> Dataset:
    """1.1 million characters of Shakespeare's plays, 65 different ones (Karpathy 2015); 90 / 5 / 5 by position."""
    path = SHAKESPEARE.folder(download) / "tinyshakespeare.txt"
    return text_dataset(read_text(path), window, stride, name="tiny-shakespeare", source=str(path))


def text_dataset(
    text: str, window: int = 64, stride: int | None = None, *, name: str = "text", source: str = "text"
) -> Dataset:
    """A text for learning which character comes next; the first 90 % to train, 5 % to validate, 5 % to test.

    Args:
        window: characters a sample.
        stride: from the beginning of a sample to that of the next; `window` if not given, so that each character is
            learned from once an epoch. With less, samples overlap (and share memory).

    Returns:
        A `Dataset` whose `x` and `y` have shape (samples, window); the numbers are places in `classes`, the sorted
        different characters, in the smallest unsigned dtype.

    >>> found = text_dataset("hello world. " * 40, window=5)
    >>> ["".join(found.classes[i] for i in row) for row in (found.train.x[0], found.train.y[0])]
    ['hello', 'ello ']
    """
    stride = window if stride is None else stride
    if window < 1 or stride < 1:
        raise ArgumentError(f"text: window and stride must be 1 or more, got {window} and {stride}.")
    classes, numbers = np.unique(np.array(list(text), dtype="U1"), return_inverse=True)
    numbers = numbers.astype(np.min_scalar_type(max(0, len(classes) - 1)))
    cuts = np.round(np.array([0.9, 0.95]) * len(numbers)).astype(int)
    pieces = np.split(numbers, cuts)
    if min(map(len, pieces)) <= window:
        raise ArgumentError(
            f"text: {len(text)} characters are too few for windows of {window}: 5 % of them should make at least one, "
            "with the character after it. Give a longer text or a smaller window."
        )
    train, validation, test = (_windows(piece, window, stride) for piece in pieces)
    return Dataset(name, train, validation, test, tuple(map(str, classes)), source, "text")


def _windows(numbers: Array, window: int, stride: int) -> Part:
    """Views of the numbers: nothing is copied."""
    if stride == window:
        end = (len(numbers) - 1) // window * window
        return Part(numbers[:end].reshape(-1, window), numbers[1 : end + 1].reshape(-1, window))
    x, y = (sliding_window_view(piece, window)[::stride] for piece in (numbers[:-1], numbers[1:]))
    return Part(x, y)


def read_text(path: str | Path) -> str:
    """The text in a file in UTF-8, line ends as they are.

    Raises:
        DataError: the file cannot be read, or is not UTF-8; says at which offset.
    """
    try:
        return Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not a text in UTF-8: at offset {error.start} found byte 0x{error.object[error.start]:02x} "
            f"({error.reason})."
        ) from None
