"""The datasets known by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..base.errors import ArgumentError
from . import generators, image_sets, small_sets, text
from .dataset import Dataset

SOURCES: dict[str, Callable[..., Dataset]] = {
    "digits": small_sets.digits,
    "iris": small_sets.iris,
    "wine": small_sets.wine,
    "breast-cancer": small_sets.breast_cancer,
    "diabetes": small_sets.diabetes,
    "mnist": image_sets.mnist,
    "fashion-mnist": image_sets.fashion_mnist,
    "cifar10": image_sets.cifar10,
    "tiny-shakespeare": text.tiny_shakespeare,
    "moons": generators.moons,
    "circles": generators.circles,
    "blobs": generators.blobs,
    "spirals": generators.spirals,
}

#: Those whose files are downloaded.
REMOTES = {r.name: r for r in (image_sets.MNIST, image_sets.FASHION, image_sets.CIFAR, text.SHAKESPEARE)}


def names() -> list[str]:
    """The names that `load` knows.

    >>> "iris" in names()
    True
    """
    return list(SOURCES)


def load(name: str, *, download: bool = True, **options: Any) -> Dataset:
    """The dataset of this name, divided into a training, a validation and a test part, always the same way.

    Args:
        name: one of `names()`.
        download: may files that are not in `$BACKLIT_DATA/NAME`, `$BACKLIT_DATA` or the cache be downloaded into it?
        options: what this dataset can be told, such as `samples`, `noise` and `seed` of generated points, or the
            `window` of a text.

    Raises:
        ArgumentError: no such name or option.
        DataError: the files cannot be had, or are not what they should be.
        MissingExtra: an optional package is needed; the message says how to install it.

    >>> load("moons", samples=100)
    Dataset('moons', classification, 70 train, 10 validation, 20 test, inputs (2,) float32)
    """
    if name not in SOURCES:
        close = get_close_matches(name, SOURCES, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"no dataset is named {name!r}; there are {', '.join(SOURCES)}.{hint}")
    known = inspect.signature(SOURCES[name]).parameters
    if unknown := [option for option in options if option not in known]:
        raise ArgumentError(f"load: {name} takes no option {unknown[0]!r}; it takes {', '.join(known) or 'none'}.")
    return SOURCES[name](**({"download": download} if "download" in known else {}), **options)


def find(name: str) -> Path | None:
    """The folder on this machine that holds the files of a dataset; None if they would have to be downloaded.

    Raises:
        ArgumentError: the dataset has no files to be downloaded.
    """
    if name not in REMOTES:
        raise ArgumentError(f"find: {name!r} is not downloaded; {', '.join(REMOTES)} are.")
    return REMOTES[name].find()
