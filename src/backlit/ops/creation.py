"""Arrays made from nothing: these are functions, not ops, for there is no Tensor they are computed from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph.op import function
from ..graph.tensor import Tensor


def zeros_of(x: Any) -> Any:
    """A NumPy array of zeros with the shape and dtype of `x` (anything that has these)."""
    return np.zeros(x.shape, x.dtype)


@function()
def tensor(data: Any, dtype: Any = None, *, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """A Tensor of a number, nested lists, a NumPy array or a Tensor; always a copy.

    >>> import backlit as bl
    >>> bl.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]], dtype=int64)
    """
    return Tensor(data, dtype, requires_grad=requires_grad, name=name)
