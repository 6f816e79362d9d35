"""The picture of a flow: how each layer changes the gradient on its way back, and by what."""

from __future__ import annotations

from math import isfinite, log
from pathlib import Path
from textwrap import fill

import numpy as np

from ..explain.flow import CAUSES, Flow, LayerFlow
from . import style

_COLOURS = {
    "weights": style.BLUE,
    "slope": style.ORANGE,
    "products": style.PURPLE,
    "normalisation": style.GREEN,
    "dropout": style.AMBER,
    "loss": style.FAINT,
    "structure": style.SKY,
}


def flow_picture(path: str | Path, flow: Flow, by: str = "layers") -> None:
    """Left, the norm of the gradient on its way back; right, the factor of each layer, split into causes.

    Args:
        path: of the PNG.
        by: "layers" or "turns".
    """
    parts = getattr(flow, by)
    title = (flow.sentences() or [f"The gradient comes through: ×{np.exp(flow.gain):.3g} in all"])[0]
    height = 1.6 + 0.26 * min(len(parts), 60)
    with style.picture(path, fill(title, 88), columns=2, size=(9.5, height), sharey=True, width_ratios=(2, 3)) as (
        figure,
        (left, right),
    ):
        places = np.arange(len(parts))
        norms = flow.start * np.exp(np.cumsum([part.gain for part in parts]))
        shown = norms > 0
        left.plot(norms[shown], places[shown], color=style.INK, marker="o", markersize=3.5)
        for place in places[~shown]:
            left.annotate("0", (0.02, place), xycoords=("axes fraction", "data"), color=style.ORANGE, va="center")
        left.set(xscale="log", xlabel="norm of the gradient behind it")
        left.set_yticks(places, [_name(part) for part in parts])
        left.invert_yaxis()
        for cause, colour in _COLOURS.items():
            gains = np.array([_finite(part.causes.get(cause, 0.0)) for part in parts]) / log(10)
            if np.any(np.abs(gains) > 1e-3):
                right.barh(places, gains, left=_starts(parts, cause), height=0.62, color=colour, label=CAUSES[cause])
        right.axvline(0, color=style.INK, linewidth=0.8)
        right.set(xlabel="its factor (powers of ten): shrinks | enlarges")
        figure.legend(loc="outside lower right", ncols=4)


def _starts(parts: tuple[LayerFlow, ...], cause: str) -> list[float]:
    """Where the bar of a cause begins: after those before it of the same sign."""
    starts: list[float] = []
    for part in parts:
        own, start = _finite(part.causes.get(cause, 0.0)), 0.0
        for other in _COLOURS:
            if other == cause:
                break
            gain = _finite(part.causes.get(other, 0.0))
            start += gain if (gain < 0) == (own < 0) else 0.0
        starts.append(start / log(10))
    return starts


def _finite(gain: float) -> float:
    """The end of the signal is drawn as twenty powers of ten."""
    return gain if isfinite(gain) else -20 * log(10)


def _name(part: LayerFlow) -> str:
    return f"{part.path} {part.kind}".strip() or "the graph"
