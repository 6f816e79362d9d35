"""A run folder opened again: its model with the trained parameters, and what it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..base.errors import DataError
from ..data import Dataset
from ..nn import Layer
from ..train.networks import network
from ..train.run_folder import CHECKPOINTS, PARAMS, RunFolder, form_of


def opened(path: Path) -> tuple[RunFolder, Layer, Dataset]:
    """The folder, the model, and a blank data set of the form of the run's own; the data themselves are not needed."""
    folder = RunFolder(path)
    config = folder.config
    if "model" not in config["settings"]:
        raise DataError(
            f"{path}: its network was made by a script, which alone can make it again. There: "
            f'model.load("{path / PARAMS}"), and then model.evaluate, model.predict, or '
            f'bl.explore(loss, model=model, run="{path}").'
        )
    form = form_of(config["data"])
    model = network(config["settings"]["model"], form)
    model.build(form.train.x)
    best = path / CHECKPOINTS / "best.safetensors"
    file = path / PARAMS if (path / PARAMS).is_file() else best
    if not file.is_file():
        raise DataError(f"{path}: there are no parameters in it yet; go on with backlit train --resume {path}.")
    model.load(file)
    return folder, model, form


def one_line(figures: dict[str, Any]) -> str:
    """Figures by name in a line."""
    return "  ".join(
        f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items() if isinstance(value, float)
    )
