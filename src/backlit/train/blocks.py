"""The batches of an epoch as a native loop wants them: whole arrays with row numbers, or one block after another.

Data in memory are handed over as they are, and the loop gathers the rows. Others (on disk, or changed on the way) come
in blocks of many batches; while one is worked on, a thread reads the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ..base.trees import leaves, tree_map
from ..data import Loader

#: A block that is read ahead takes about so many bytes.
BLOCK = 32 << 20


class Block(NamedTuple):
    """Steps in a row whose batches have one size.

    Attributes:
        data: arrays, and
        order: the row numbers of their batches: those of step i in row `i - first`.
        first: the step of the epoch that `order` begins with.
        start, stop: the steps to do.
    """

    data: Any
    order: np.ndarray[Any, Any]
    first: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Samples in a batch."""
        return self.order.shape[1]


def blocks(loader: Loader, epoch: int, start: int = 0) -> Iterator[Block]:
    """The blocks of an epoch from step `start` on."""
    rows, size = loader.rows(epoch), loader.batch_size
    whole = len(rows) // size
    parts = [(0, rows[: whole * size].reshape(whole, size))] if whole else []
    if loader.steps > whole:
        parts.append((whole, rows[whole * size :].reshape(1, -1)))
    for first, order in parts:
        stop = first + len(order)
        if start < stop:
            if loader.resident is not None:
                yield Block(loader.resident, order, first, max(start, first), stop)
            else:
                yield from _read(loader, epoch, first, order, max(start, first))


def _read(loader: Loader, epoch: int, first: int, order: Any, start: int) -> Iterator[Block]:
    size = order.shape[1]
    sample = loader.read(order[0, :1], epoch)
    steps = max(1, min(len(order), BLOCK // max(1, size * sum(x.nbytes for x in leaves(sample)))))

    def block(begin: int) -> Block:
        some = order[begin - first : begin - first + steps]
        data = loader.read(some.ravel(), epoch)
        if len(some) < steps:  # all blocks have one shape, so that one plan does for them
            data = tree_map(
                lambda x: np.concatenate([x, np.zeros((steps * size - len(x), *x.shape[1:]), x.dtype)]), data
            )
        return Block(data, np.arange(steps * size).reshape(steps, size), begin, begin, begin + len(some))

    begins = range(start, first + len(order), steps)
    with ThreadPoolExecutor(1, "backlit-read") as reader:
        ahead = reader.submit(block, begins[0])
        for following in [*begins[1:], None]:
            now = ahead.result()
            if following is not None:
                ahead = reader.submit(block, following)
            yield now
