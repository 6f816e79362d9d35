"""The pictures of a training run: loss and accuracy by epoch, confusion matrix, misread images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import style

Array = np.ndarray[Any, Any]


def curves(path: str | Path, log: Sequence[Any], title: str) -> None:
    """Loss and error rate by epoch, on the training and the validation part; `log` holds `train.Epoch`s."""
    epochs = [e.epoch for e in log]
    marker = {"marker": "o", "markersize": 3} if len(log) < 40 else {}
    with style.picture(path, title, columns=2) as (_, (left, right)):
        for axes, get, what in (
            (left, lambda e: (e.loss, e.validation_loss), "cross-entropy (nats)"),
            (right, lambda e: (100 * (1 - e.accuracy), 100 * (1 - e.validation_accuracy)), "misread (%)"),
        ):
            for name, values in zip(("training", "validation"), zip(*map(get, log), strict=True), strict=True):
                axes.plot(epochs, values, label=name, **marker)
            axes.set(xlabel="epoch", ylabel=what)
            axes.xaxis.get_major_locator().set_params(integer=True)
        left.set(yscale="log", title="Loss")
        right.set(ylim=(0, None), title="Error rate")
        left.legend()


def confusion_matrix(path: str | Path, counts: Array, classes: Sequence[str], title: str) -> None:
    """Rows: what it was; columns: what the network said. Only mistakes are coloured, so that they stand out."""
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    with style.picture(path, title, size=(5.6, 5.6)) as (_, axes):
        axes.pcolormesh(wrong, cmap=style.warmth(), vmin=0, vmax=max(wrong.max(), 4), edgecolors=style.GRID, lw=0.8)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = style.FAINT if row == column else style.INK
                weight = "normal" if row == column else "bold"
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    count,
                    ha="center",
                    va="center",
                    fontsize=8.5,
                    color=colour,
                    fontweight=weight,
                )
        axes.set(xlabel="the network said", ylabel="it was", aspect="equal")
        axes.invert_yaxis()
        axes.set_xticks(np.arange(len(classes)) + 0.5, classes)
        axes.set_yticks(np.arange(len(classes)) + 0.5, classes)
        axes.tick_params(length=0)


def misread(path: str | Path, images: Array, y: Array, scores: Array, classes: Sequence[str], title: str) -> None:
    """The misread images of which the network was surest, worst first, with how sure it was."""
    odds = np.exp(scores - scores.max(1, keepdims=True))
    sure = odds.max(1) / odds.sum(1)
    said = scores.argmax(1)
    rows = np.flatnonzero(said != y)
    rows = rows[np.argsort(-sure[rows], kind="stable")][:24]
    columns = 8
    lines = max(1, -(-len(rows) // columns))
    with style.picture(path, title, rows=lines, columns=columns, size=(9, 0.6 + 1.5 * lines)) as (_, axes):
        cells = np.ravel(axes)
        for cell in cells:
            cell.axis("off")
        for cell, row in zip(cells, rows, strict=False):
            percent = f"{100 * sure[row]:.0f}" if sure[row] < 0.995 else "over 99"
            cell.imshow(images[row], cmap="gray_r")
            cell.set_title(
                f"{classes[int(y[row])]} read as {classes[int(said[row])]}\n{percent} % sure",
                fontsize=8, loc="center", pad=4,
            )  # fmt: skip
        if not len(rows):
            cells[0].text(0, 0.5, "None.", fontsize=10)
