"""Transforms of images by chance: shifted, mirrored, cropped, noisy. The last two axes are height and width.

With keys every image has its own chance, the same in whatever batch it is read; without keys, in evaluation, `Crop`
takes the middle and the others leave images as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base.errors import ArgumentError
from .arrays import Array
from .keys import integers, normals, uniforms
from .transform import Transform


def _windows(x: Array, top: Array, left: Array, size: tuple[int, int]) -> Array:
    """From every image the window of this size whose upper left corner is at (top, left)."""
    views = np.lib.stride_tricks.sliding_window_view(x, size, axis=(-2, -1))
    return views[(np.arange(len(x)), *[slice(None)] * (x.ndim - 3), top, left)]


def _padded(x: Array, margin: int, fill: float) -> Array:
    edges = [(0, 0)] * (x.ndim - 2) + [(margin, margin)] * 2
    return np.pad(x, edges, constant_values=np.asarray(fill).astype(x.dtype)) if margin else x


def _image(x: Array, name: str) -> None:
    if x.ndim < 3:
        raise ArgumentError(f"{name}: expected images, shape (n, ..., height, width), got {x.shape}.")


@dataclass(frozen=True)
class Shift(Transform):
    """Images moved by up to `most` pixels up or down, and left or right; what comes in from outside is `fill`.

    >>> Shift(2)(np.ones((1, 5, 5))).sum().item()
    25.0
    """

    most: int
    fill: float = 0.0

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        _image(x, "Shift")
        if keys is None or not self.most:
            return x
        top, left = integers(keys, 2, 2 * self.most + 1).T
        return _windows(_padded(x, self.most, self.fill), top, left, x.shape[-2:])


@dataclass(frozen=True)
class Flip(Transform):
    """Images mirrored with probability `p`, along `axis`: -1 swaps left and right, -2 top and bottom."""

    p: float = 0.5
    axis: int = -1

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1 or self.axis not in (-1, -2):
            raise ArgumentError(f"Flip: expected p within 0 to 1 and axis -1 or -2, got p={self.p}, axis={self.axis}.")

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        _image(x, "Flip")
        if keys is None:
            return x
        chosen = uniforms(keys, 1)[:, 0] < self.p
        return np.where(chosen.reshape(-1, *[1] * (x.ndim - 1)), np.flip(x, self.axis), x)


@dataclass(frozen=True)
class Crop(Transform):
    """A window of this height and width from anywhere in the image, which first gets `padding` zeros on each side.

    >>> Crop(2, 3)(np.zeros((4, 1, 6, 6))).shape
    (4, 1, 2, 3)
    """

    height: int
    width: int
    padding: int = 0

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        _image(x, "Crop")
        x = _padded(x, self.padding, 0)
        room = np.array(x.shape[-2:]) - (self.height, self.width)
        if min(self.height, self.width) < 1 or room.min() < 0:
            raise ArgumentError(
                f"Crop: a window of {self.height} x {self.width} does not fit into images of {x.shape[-2]} x "
                f"{x.shape[-1]} (padding included)."
            )
        top, left = (integers(keys, 2, room + 1) if keys is not None else np.tile(room // 2, (len(x), 1))).T
        return _windows(x, top, left, (self.height, self.width))


@dataclass(frozen=True)
class Noise(Transform):
    """Normal noise of this standard deviation added to every value; the result is float32."""

    scale: float

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        x = x.astype(np.float32)
        if keys is None:
            return x
        noise = normals(keys, int(np.prod(x.shape[1:]))).reshape(x.shape)
        return x + np.float32(self.scale) * noise
