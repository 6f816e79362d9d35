"""The pictures of training runs: figures by epoch, of one or several, confusion matrix, misread images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import style

Array = np.ndarray[Any, Any]


def curves(path: str | Path, history: Sequence[Mapping[str, Any]], title: str) -> None:
    """The loss by epoch, and beside it the first other figure, on the training and on the validation part.

    `history` holds a row for each epoch, as `train.History` does. An accuracy is drawn as the share of errors.
    """
    epochs = [row["epoch"] for row in history]
    marker = {"marker": "o", "markersize": 3} if len(history) < 40 else {}
    others = [name for name in ("accuracy", "r2", "mse", "mae") if name in history[0]]
    columns = ["loss", *others[:1]]
    with style.picture(path, title, columns=len(columns), squeeze=False) as (_, grid):
        for axes, column in zip(grid[0], columns, strict=True):
            error = column == "accuracy"
            for name, key in (("training", column), ("validation", f"validation_{column}")):
                if key in history[0]:
                    values = [100 * (1 - row[key]) if error else row[key] for row in history]
                    axes.plot(epochs, values, label=name, **marker)
            axes.set(xlabel="epoch", title="Error rate" if error else column.capitalize())
            axes.set(ylabel="wrong (%)" if error else column)
            axes.xaxis.get_major_locator().set_params(integer=True)
            if error:
                axes.set(ylim=(0, None))
        if all(row["loss"] > 0 for row in history):
            grid[0][0].set(yscale="log")
        grid[0][0].legend()


def rate_curve(path: str | Path, found: Any) -> None:
    """Loss against learning rate, of a `train.RateCurve`, and the rate that it suggests."""
    low, start = found.losses.min(), found.losses[0]
    with style.picture(path, f"Try a learning rate of {found.suggestion:.1e}", size=(7.5, 4.2)) as (_, axes):
        axes.plot(found.rates, found.losses)
        axes.axvline(found.suggestion, color=style.ORANGE, linestyle="--")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        axes.set(ylim=(low - 0.1 * (start - low), start + 0.5 * (start - low)) if start > low else None)


def compared(path: str | Path, runs: Mapping[str, Sequence[Mapping[str, Any]]], column: str, title: str) -> None:
    """One figure of several runs by epoch, overlaid."""
    with style.picture(path, title, size=(7.5, 4.2)) as (_, axes):
        for name, history in runs.items():
            rows = [row for row in history if column in row]
            axes.plot([row["epoch"] for row in rows], [row[column] for row in rows], label=name)
        axes.set(xlabel="epoch", ylabel=column.replace("_", " "))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()


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
