"""`Dropout`: in training, units are left out by chance; `ChannelDropout`: whole channels are."""

from __future__ import annotations

from typing import Any

from ..base.errors import ArgumentError
from ..ops.comparison import where
from ..ops.random import bernoulli
from .layer import Layer


class Dropout(Layer):
    """In training sets each entry to 0 with probability `rate` and divides the others by `1 - rate`
    (Srivastava et al. 2014, in the inverted form); in evaluation the identity.
    """

    def __init__(self, rate: float = 0.5) -> None:
        if not 0 <= rate < 1:
            raise ArgumentError(f"{type(self).__name__}: rate must be from 0 up to, but not including, 1, got {rate}.")
        self.rate = rate

    def forward(self, x: Any) -> Any:
        if not self.training or not self.rate:
            return x
        kept = bernoulli(self.random_key(), 1 - self.rate, self.drawn(x.shape))
        return where(kept, x / (1 - self.rate), 0.0)

    def drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the draws for an input of this shape."""
        return shape


class ChannelDropout(Dropout):
    """Dropout of whole channels: of (batch, channels, ...) each channel of a sample is kept or left out as one
    (Tompson et al. 2015, section 3.2), since neighbours in an image tell each other's values.
    """

    def drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:2], *(1 for _ in shape[2:]))
