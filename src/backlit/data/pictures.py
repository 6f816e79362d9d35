"""Folders of pictures, one folder for each class, read by Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ..base.errors import ArgumentError, DataError, shown
from ..base.extras import require
from .arrays import Array
from .faults import fault, unreadable


class Pictures(NamedTuple):
    """Pictures and what is on them.

    Attributes:
        x: uint8, (n, height, width) in shades of gray, (n, 3, height, width) in colour.
        y: the numbers of the classes (int64).
        classes: the names of the folders, sorted.
        files: where each picture was read from.
    """

    x: Array
    y: Array
    classes: tuple[str, ...]
    files: tuple[Path, ...]


def read_images(
    folder: str | Path, *, size: tuple[int, int] | None = None, mode: Literal["gray", "colour"] | None = None
) -> Pictures:
    """The pictures in a folder that has one folder for each class. Names that begin with a dot are passed over.

    Args:
        size: (height, width) that all pictures are brought to; without it, they must agree.
        mode: "gray" or "colour"; by default gray if all pictures are.

    Raises:
        DataError: a picture cannot be read, is damaged, or has another size than the first; no classes or pictures.
        MissingExtra: Pillow is not installed.
    """
    if mode not in (None, "gray", "colour"):
        raise ArgumentError(f"read_images: mode must be 'gray', 'colour' or None, got {shown(mode)}.")
    folders = _inside(folder, folders=True)
    if not folders:
        raise DataError(f"{folder}: expected one folder for each class, found none.")
    found: list[tuple[Path, int]] = []
    for number, place in enumerate(folders):
        files = _inside(place, folders=False)
        if not files:
            raise DataError(f"{place}: expected pictures of the class {place.name!r}, found none.")
        found += [(file, number) for file in files]
    pictures = [read_image(file, size=size, mode=mode) for file, _ in found]
    if mode is None and any(p.ndim == 3 for p in pictures):
        pictures = [p if p.ndim == 3 else np.stack([p] * 3) for p in pictures]
    first = pictures[0].shape
    for (file, _), picture in zip(found, pictures, strict=True):
        if picture.shape != first:
            raise DataError(
                f"{file}: expected {first[-2]} x {first[-1]} pixels (height x width) as in {found[0][0]}, found "
                f"{picture.shape[-2]} x {picture.shape[-1]}. Give size=(height, width) to bring all to one size."
            )
    y = np.array([number for _, number in found], np.int64)
    return Pictures(np.stack(pictures), y, tuple(f.name for f in folders), tuple(file for file, _ in found))


def read_image(
    path: str | Path, *, size: tuple[int, int] | None = None, mode: Literal["gray", "colour"] | None = None
) -> Array:
    """One picture: uint8, (height, width) in shades of gray, (3, height, width) in colour.

    Arguments are those of `read_images`. Transparent parts take the colour that is stored under them.

    Raises:
        DataError: the file cannot be read, or is damaged.
    """
    image_module = require("PIL.Image", "images")
    # Pillow raises OSError, SyntaxError, ValueError, struct.error and more at damaged files; all mean the same.
    try:
        with image_module.open(path) as check:
            check.verify()
        with image_module.open(path) as image:
            gray = mode == "gray" or (mode is None and image.mode in ("1", "L"))
            pixels: Any = image.convert("L" if gray else "RGB")
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise unreadable(path, error) from None
        raise fault(path, "picture", "some offset", "an image format that Pillow reads", str(error)) from None
    if size is not None:
        pixels = pixels.resize((size[1], size[0]), image_module.Resampling.BILINEAR)
    found = np.array(pixels, np.uint8)
    return found if gray else np.ascontiguousarray(np.moveaxis(found, -1, 0))


def _inside(folder: str | Path, folders: bool) -> list[Path]:
    """The folders, or the files, directly inside, sorted by name."""
    try:
        entries = sorted(Path(folder).iterdir())
    except OSError as error:
        raise unreadable(folder, error) from None
    return [e for e in entries if e.is_dir() == folders and not e.name.startswith(".")]
