"""One look for every picture: colours that the colour-blind can tell apart, quiet axes, titles that state the finding.

The colours are those of Okabe & Ito, 'Color Universal Design' (2008), the two light ones darkened for thin lines.
Matplotlib is imported when the first picture is made, and always draws into files (its 'Agg' canvas).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..base.extras import require

BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER = "#0072B2", "#D55E00", "#009E73", "#B0578D", "#3D9BD1", "#C98A00"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER)
INK, FAINT, GRID, PAPER = "#22282F", "#6B7480", "#E4E6EA", "#FFFFFF"

SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.9,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.dpi": 150,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.1,
    "image.cmap": "cividis",
}


@contextmanager
def picture(
    path: str | Path, title: str, *, rows: int = 1, columns: int = 1, size: Any = None, mosaic: Any = None, **grid: Any
) -> Iterator[tuple[Any, Any]]:
    """A figure with `rows` x `columns` axes under one title, saved as PNG to `path` when the block ends.

    `with picture(path, "What it shows") as (figure, axes):`. `size` is in inches. With `mosaic` (rows of names) the
    axes are a dict by name. `grid` goes to `plt.subplots` or `plt.subplot_mosaic`.
    """
    matplotlib = require("matplotlib", "plots")
    matplotlib.use("Agg")
    plt = require("matplotlib.pyplot", "plots")
    cycle = {"axes.prop_cycle": matplotlib.cycler(color=COLOURS)}
    with plt.rc_context(SETTINGS | cycle):
        if mosaic is None:
            figure, axes = plt.subplots(rows, columns, figsize=size or (4.6 * columns, 3.7 * rows), **grid)
        else:
            figure, axes = plt.subplot_mosaic(mosaic, figsize=size, **grid)
        try:
            figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold")
            yield figure, axes
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        finally:
            plt.close(figure)


def label(axes: Any, text: str, x: Any, y: Any, colour: str = INK, **options: Any) -> None:
    """A word beside what it names, on a paper-coloured halo so that lines do not cross it."""
    effects = require("matplotlib.patheffects", "plots")
    halo = [effects.withStroke(linewidth=3, foreground=PAPER)]
    axes.text(x, y, text, color=colour, fontsize=8.5, path_effects=halo, **options)


def diverging() -> Any:
    """Blue through paper to orange, for two classes or two signs."""
    colours = require("matplotlib.colors", "plots")
    return colours.LinearSegmentedColormap.from_list("diverging", [BLUE, "#8DBFE0", "#F7F7F7", "#F0B58A", ORANGE])


def warmth() -> Any:
    """Paper to orange, for counts of what should not be."""
    colours = require("matplotlib.colors", "plots")
    return colours.LinearSegmentedColormap.from_list("warmth", [PAPER, "#FBDDC4", "#F0A873", ORANGE])


def depth() -> Any:
    """Blue that lightens upward: the floor of a landscape is its darkest place."""
    colours = require("matplotlib.colors", "plots")
    return colours.LinearSegmentedColormap.from_list("depth", ["#2F6E9E", "#6FA8CF", "#B5D3E7", "#E3EEF6", "#F8FBFD"])
