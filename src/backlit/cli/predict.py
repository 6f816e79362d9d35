"""`backlit predict`: what a trained network says of pictures, or how it goes on with a text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, DataError
from ..base.extras import require
from ..data import Dataset
from ..nn import Layer
from ..train import predict
from .arguments import add_run, positive
from .trained import opened

Array = np.ndarray[Any, Any]


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "predict",
        help="classify pictures, or go on with a text",
        description="Classify pictures with a trained network (they are made grey, and as large as its input; dark "
        "writing on a light ground is inverted, as the digits of MNIST are light on dark), or let a network of "
        "characters go on with a text.",
    )
    add_run(command)
    command.add_argument(
        "images", nargs="*", type=Path, metavar="IMAGE", help="pictures, in any format that Pillow reads"
    )
    command.add_argument("--text", metavar="TEXT", help="the beginning of a text")
    command.add_argument(
        "--length", type=positive(int), default=300, metavar="N", help="characters to add (%(default)s)"
    )
    command.add_argument(
        "--temperature", type=positive(float), default=0.8, metavar="T", help="of chance (%(default)s)"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of chance (%(default)s)")
    command.set_defaults(run=run, parser=command)


def run(options: argparse.Namespace) -> int:
    """Print what it says."""
    _, model, form = opened(options.folder)
    if form.task == "text":
        if options.text is None:
            raise ArgumentError(f"{options.folder}: the network goes on with texts: give --text.")
        print(_written(model, form, options.text, options.length, options.temperature, options.seed))
        return 0
    shape = form.train.x.shape[1:]
    if form.task != "classification" or len(shape) != 2:
        raise ArgumentError(
            f"{options.folder}: the network is for {form.task} of samples of shape {shape}, no grey pictures: "
            "load it in Python and call model.predict, or measure it with backlit evaluate."
        )
    if not options.images:
        raise ArgumentError(f"{options.folder}: the network classifies pictures: name one or more files.")
    high = 16 if form.name == "digits" else 255
    images = np.stack([read(path, shape) * high for path in options.images])
    scores = predict(model, images.astype(form.train.x.dtype))
    odds = np.exp(scores - scores.max(1, keepdims=True))
    for path, row in zip(options.images, odds / odds.sum(1, keepdims=True), strict=True):
        top = np.argsort(-row)[:3]
        print(f"{path}: " + ", ".join(f"{form.classes[i]} {100 * row[i]:.1f} %" for i in top))
    return 0


def read(path: Path, shape: tuple[int, ...]) -> Array:
    """A picture in grey from 0 to 1, of this height and width; inverted where its edge is light."""
    pillow = require("PIL.Image", "images")
    try:
        with pillow.open(path) as image:
            grey = image.convert("L").resize((shape[1], shape[0]), pillow.Resampling.LANCZOS)
    except OSError as problem:
        raise DataError(f"{path}: not a picture that can be read ({problem}).") from None
    found = np.asarray(grey, np.float32) / 255
    edge = np.concatenate([found[0], found[-1], found[:, 0], found[:, -1]])
    return 1 - found if np.median(edge) > 0.5 else found


def _written(model: Layer, form: Dataset, text: str, length: int, temperature: float, seed: int) -> str:
    """The text, and characters drawn one after the other from what the network expects."""
    numbers = {character: i for i, character in enumerate(form.classes)}
    if strange := sorted(set(text) - set(numbers)):
        raise ArgumentError(f"--text: the network has never seen {', '.join(map(repr, strange))}.")
    if not text:
        raise ArgumentError("--text: give one character or more.")
    rng, window = np.random.default_rng(seed), form.train.x.shape[1]
    found = [numbers[c] for c in text]
    for _ in range(length):
        recent = found[-window:]
        row = np.zeros((1, window), form.train.x.dtype)  # one shape, so that one plan does for all
        row[0, : len(recent)] = recent
        scores = predict(model, row)[0, len(recent) - 1].astype(np.float64) / temperature
        odds = np.exp(scores - scores.max())
        found.append(int(rng.choice(len(odds), p=odds / odds.sum())))
    return "".join(form.classes[i] for i in found)
