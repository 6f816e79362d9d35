"""What is said of a finished run: the figures on the test part, pictures, `report.md`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..data import Dataset
from ..show import training as pictures
from ..train import Trainer, evaluate, predict, write_whole
from ..train.run_folder import RunFolder

TEST = "test.json"


def report(folder: RunFolder, trainer: Trainer, data: Dataset) -> str:
    """Measure on the test part, write pictures and the report; a few lines for the terminal."""
    test = evaluate(trainer.model, data.test)
    write_whole(folder.path / TEST, json.dumps({k: v for k, v in test.items() if isinstance(v, float)}) + "\n")
    images: list[str] = ["![Loss and figures by epoch](curves.png)"]
    if data.task == "classification":
        images += _classified(folder, trainer, data)
    write_whole(folder.path / "report.md", _text(folder, trainer, data, test, images))
    files = ", ".join(sorted(p.name for p in folder.path.iterdir()))
    return f"{_verdict(test, data)}\nSaved in {folder.path}: {files}"


def _verdict(test: dict[str, Any], data: Dataset) -> str:
    if data.task == "classification":
        return f"Test accuracy {100 * test['accuracy']:.2f} % on {len(data.test):,} samples that training never saw."
    if data.task == "text":
        bits = test["loss"] / np.log(2)
        return f"Test loss {test['loss']:.4f} nats a character ({bits:.3f} bits) on text that training never saw."
    return f"Test loss {test['loss']:.4g} on {len(data.test):,} samples that training never saw."


def _classified(folder: RunFolder, trainer: Trainer, data: Dataset) -> list[str]:
    scores, y = predict(trainer.model, data.test.x), data.test.y
    said = scores.argmax(1)
    counts = np.zeros((len(data.classes), len(data.classes)), np.int64)
    np.add.at(counts, (y, said), 1)
    wrong = int(np.sum(said != y))
    pictures.confusion_matrix(
        folder.path / "confusion.png", counts, data.classes,
        f"{wrong} of {len(y):,} test samples taken for another class",
    )  # fmt: skip
    found = ["![Confusion matrix](confusion.png)"]
    if data.test.x.ndim == 3:
        title = f"The {min(wrong, 24)} surest of {wrong} misread images" if wrong else "Not one image misread"
        pictures.misread(folder.path / "misread.png", data.test.x, y, scores, data.classes, title)
        found.append("![Misread images](misread.png)")
    return found


def _text(folder: RunFolder, trainer: Trainer, data: Dataset, test: dict[str, Any], images: list[str]) -> str:
    config, history = folder.config, trainer.history
    found = config["settings"]
    seconds = sum(row["seconds"] for row in history)
    column = "validation_accuracy" if "validation_accuracy" in history[-1] else "validation_loss"
    best = history.best(column)
    rest = "".join(
        f", {name.removeprefix('optim.')} {value}"
        for name, value in found.items()
        if name.startswith("optim.") and name not in ("optim.name", "optim.lr") and value is not None
    )
    stopped = ["", f"{history.stopped[:1].upper()}{history.stopped[1:]}."] if history.stopped else []
    network = found["model"].rpartition(":")[2]
    lines = [
        f"# {network} on {data.name}",
        "",
        f"**{_verdict(test, data)}**",
        *stopped,
        "",
        "| | |",
        "|---|---|",
        f"| data | {len(data.train):,} training, {len(data.validation):,} validation, {len(data.test):,} test |",
        f"| network | `{config['model']}` |",
        f"| parameters | {sum(int(np.prod(s)) for s in config['parameters'].values()):,} |",
        f"| loss | {config['loss']} |",
        f"| optimizer | {found['optim.name']}, learning rate {found['optim.lr']:g}"
        f"{rest}; batches of {found['batch_size']}, "
        f"seed {found['seed']} |",
        f"| training | {len(history)} epochs in {seconds:.1f} s, "
        f"{np.mean([row['samples_per_second'] for row in history]):,.0f} samples a second |",
        f"| best {column.replace('_', ' ')} | {best[column]:.4f} after epoch {int(best['epoch'])} |",
        "",
        *images,
        "",
        "`params.safetensors` holds the parameters, `checkpoints/` what a run needs to go on, `log.csv` every epoch, "
        "`config.json` settings, versions and the checksum of the data.",
    ]
    return "\n".join(lines) + "\n"
