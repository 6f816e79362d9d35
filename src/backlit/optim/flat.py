"""A tree of parameters as one vector, and back: what methods that look at all parameters together work on."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from ..base.trees import leaves, rebuild
from ..graph.closure import as_tensor
from ..graph.tensor import Tensor
from ..ops.joining import concat


class Flat(NamedTuple):
    """How trees like one given are turned into vectors, and vectors into such trees.

    Attributes:
        vector: `vector(tree)`, all its numbers in one array, of the dtype that all dtypes in the tree fit in.
        tree: `tree(vector)`, with the shapes and dtypes of the tree given; further axes in front stay in front.
    """

    vector: Callable[[Any], Tensor]
    tree: Callable[[Any], Any]


def flat(like: Any) -> Flat:
    """The way between trees like `like` and vectors."""
    specs = [(leaf.shape, leaf.dtype) for leaf in map(as_tensor, leaves(like))]
    dtype = np.result_type(*(dtype for _, dtype in specs)) if specs else np.dtype(np.float32)
    ends = list(accumulate((math.prod(shape) for shape, _ in specs), initial=0))

    def vector(tree: Any) -> Tensor:
        parts = [as_tensor(leaf).astype(dtype).reshape((-1,)) for leaf in leaves(tree)]
        return parts[0] if len(parts) == 1 else as_tensor(concat(parts)) if parts else Tensor(np.zeros(0, dtype))

    def tree(vector: Any) -> Any:
        pieces = zip(specs, ends, ends[1:], strict=False)
        return rebuild(like, (_part(vector, i, j, *spec) for spec, i, j in pieces))

    return Flat(vector, tree)


def _part(vector: Any, begin: int, end: int, shape: tuple[int, ...], dtype: Any) -> Tensor:
    return vector[..., begin:end].reshape((*vector.shape[:-1], *shape)).astype(dtype)
