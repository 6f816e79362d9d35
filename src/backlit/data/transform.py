"""What a transform is: a function of a batch of inputs, which may draw random numbers from one key for each sample."""

from __future__ import annotations

from typing import Any

from .arrays import Array


class Transform:
    """A function from a batch of inputs to a batch of inputs.

    `transform(x)` is what validation and test data see. `transform(x, keys)` is what training data see: `keys`, uint32
    of shape (samples, 2), holds one random key for each sample, so that what happens to a sample depends on its key
    alone. Only augmentations look at keys, and without them they leave `x` as it is.
    """

    def __call__(self, x: Array, keys: Any = None) -> Array:
        """The transformed batch; `x` itself is not changed."""
        raise NotImplementedError
