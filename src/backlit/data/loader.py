"""`Loader`: the order in which samples are gone through, epoch by epoch, and their batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, ShapeError, shown
from ..base.shapes import as_index
from ..graph.tensor import Tensor
from ..ops.random import fold_in, permutation, uniform
from ..ops.random import key as key_of
from ..ops.threefry import threefry2x32
from .ahead import ahead
from .arrays import Array, compact, gather, on_disk
from .dataset import Part
from .transform import Transform

#: Keys for single samples are made from a stream of their own, apart from those that make the order of an epoch.
_SAMPLES = 0xFFFFFFFF


class Loader:
    """Batches of samples, in an order that is a pure function of a key and the number of the epoch.

    `for x, y in loader` goes through one epoch, and through the next one each time that it is started.

    Attributes:
        size: samples an epoch.
        batch_size: samples a batch; the last batch of an epoch may be smaller.
        steps: batches an epoch.
        resident: the arrays, where a batch is just `array[rows]` of ordinary arrays in memory. None with a transform,
            for memory-mapped arrays, and for views whose elements share memory, such as overlapping windows.

    >>> loader = Loader((np.arange(10.0), np.arange(10)), batch_size=4, shuffle=False)
    >>> [y.tolist() for x, y in loader]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    """

    def __init__(
        self,
        data: Part | Array | Sequence[Array],
        batch_size: int,
        *,
        shuffle: bool = True,
        key: int | Tensor | Array = 0,
        balanced: bool = False,
        weights: Any = None,
        transform: Callable[..., Array] | None = None,
        augment: bool = True,
        drop_last: bool = False,
        prefetch: int = 2,
    ) -> None:
        """
        Args:
            data: a `Part`, or an array or several whose first axis counts the samples. Memory-mapped arrays
                (`np.load(path, mmap_mode="r")`, `np.memmap`) stay on disk.
            shuffle: in random order, a new one each epoch? Otherwise in the order of the rows.
            key: the seed, or the `bl.random.key`, from which all that is random follows.
            balanced: draw samples with replacement, each class as often as any other. The class is the last array.
            weights: draw samples with replacement, each in proportion to its weight; shape (size,).
            transform: what is done to a batch of inputs (the first array), such as a `Standardize` or a `Compose`.
            augment: give a transform the keys that its chance comes from? Not for validation and test.
            drop_last: leave out the last batch of an epoch if it is smaller?
            prefetch: how many batches a thread reads ahead; 0 for none.

        Raises:
            ArgumentError, ShapeError: an argument that does not fit; the message says what would.
        """
        self.arrays = _arrays_of(data)
        self.size = len(self.arrays[0])
        self.batch_size = as_index(batch_size, "batch_size", "Loader")
        if self.batch_size < 1:
            raise ArgumentError(f"Loader: batch_size must be at least 1, got {self.batch_size}.")
        self.prefetch = as_index(prefetch, "prefetch", "Loader")
        if self.prefetch < 0:
            raise ArgumentError(f"Loader: prefetch must be 0 or more batches, got {self.prefetch}.")
        self.steps = self.size // self.batch_size if drop_last else -(-self.size // self.batch_size)
        if self.steps == 0:
            raise ArgumentError(
                f"Loader: {self.size} sample(s) make no batch of {self.batch_size}; give more samples"
                f"{', a smaller batch_size or drop_last=False' if self.size else ''}."
            )
        self.key = key if isinstance(key, (Tensor, np.ndarray)) else key_of(key)
        self.shuffle, self.transform, self.augment, self.drop_last = shuffle, transform, augment, drop_last
        if (balanced or weights is not None) and not shuffle:
            raise ArgumentError("Loader: balanced and weights draw samples at random, which shuffle=False rules out.")
        if balanced and weights is not None:
            raise ArgumentError("Loader: give balanced=True or weights, not both; balanced is a choice of weights.")
        self._shares = _shares(_balanced(self.arrays) if balanced else weights, self.size)
        plain = transform is None and all(compact(array) and not on_disk(array) for array in self.arrays)
        self.resident = self.arrays if plain else None
        self._epoch = 0
        self._stream: tuple[int | None, Any] = None, None  # the last epoch read, and its key for samples

    def rows(self, epoch: int) -> Array:
        """The numbers of the samples in the order of this epoch, int64 of shape (size,).

        A pure function of the key and the epoch: without weights `permutation(fold_in(key, epoch), size)`.
        """
        if not self.shuffle:
            return np.arange(self.size)
        fresh = fold_in.public(self.key, as_index(epoch, "epoch", "Loader.rows"))
        if self._shares is None:
            return permutation(fresh, self.size).numpy()
        drawn = uniform(fresh, (self.size,), np.float64).numpy()
        return np.searchsorted(self._shares, drawn, side="right")

    def read(self, rows: Array, epoch: int = 0) -> tuple[Array, ...]:
        """The samples in these rows as they are in this epoch: gathered and transformed.

        What an augmentation does to a sample depends on the key, the epoch and the number of its row alone.
        """
        x, *others = (gather(array, rows) for array in self.arrays)
        if isinstance(self.transform, Transform):
            x = self.transform(x, self._keys(rows, epoch) if self.augment else None)
        elif self.transform is not None:
            x = self.transform(x)
        return x, *others

    def batches(self, epoch: int = 0, start: int = 0) -> Iterator[tuple[Array, ...]]:
        """The batches of this epoch from the one with number `start` on, read ahead by a thread."""
        order = self.rows(epoch)
        begins = range(start * self.batch_size, self.steps * self.batch_size, self.batch_size)
        read = lambda begin: self.read(order[begin : begin + self.batch_size], epoch)
        return ahead(read, begins, self.prefetch)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        self._epoch += 1
        return self.batches(self._epoch - 1)

    def __repr__(self) -> str:
        return f"Loader({self.size} samples, {self.steps} batches of {self.batch_size})"

    def _keys(self, rows: Array, epoch: int) -> Array:
        """One random key for each of these samples, uint32 of shape (samples, 2)."""
        known, stream = self._stream
        if known != epoch:
            stream = fold_in.public(fold_in.public(self.key, _SAMPLES), epoch).numpy()
            self._stream = epoch, stream
        return np.stack(threefry2x32(stream, rows >> 32, rows & 0xFFFFFFFF), axis=-1)


def _arrays_of(data: Any) -> tuple[Array, ...]:
    given = (data.x, data.y) if isinstance(data, Part) else data
    arrays = (given,) if isinstance(given, (np.ndarray, Tensor)) else tuple(given)
    # asanyarray: a memory-mapped array is a subclass, and says so
    arrays = tuple(a.numpy() if isinstance(a, Tensor) else np.asanyarray(a) for a in arrays)
    shapes = ", ".join(str(a.shape) for a in arrays)
    if not arrays or any(a.ndim == 0 or len(a) != len(arrays[0]) for a in arrays):
        raise ShapeError(
            f"Loader: arrays of shapes {shapes or '(none at all)'}; expected one or more arrays whose first axis, "
            "which counts the samples, has one size."
        )
    return arrays


def _balanced(arrays: tuple[Array, ...]) -> Array:
    """A weight for each sample, such that each class weighs the same."""
    labels = arrays[-1]
    if len(arrays) < 2 or labels.ndim != 1:
        raise ShapeError(
            f"Loader: balanced=True takes the last of several arrays for the classes, of shape ({len(labels)},); here "
            f"the last of {len(arrays)} array(s) has shape {labels.shape}. Give weights in other cases."
        )
    _, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return 1 / counts[number]


def _shares(weights: Any, size: int) -> Array | None:
    """The upper ends of the samples' shares of [0, 1), in the order of the samples."""
    if weights is None:
        return None
    given = np.asarray(weights, np.float64)
    if given.shape != (size,) or not np.all(np.isfinite(given)) or np.any(given < 0) or not np.any(given > 0):
        raise ArgumentError(
            f"Loader: weights must be {size} finite numbers of 0 or more, not all 0, one for each sample; got "
            f"shape {given.shape}, {shown(given.tolist())}."
        )
    ends = np.cumsum(given)
    return ends / ends[-1]
