"""Rules on sizes: of the data, and of the weights that a training begins with."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, prod, sqrt

from ..faults import limit
from ..findings import Findings, ParameterFigures
from ..verdict import Verdict

#: Of these layers the weights are no factors of a product over inputs.
TABLES = ("Embedding", "LearnedPositions")


def unnormalised(f: Findings) -> Iterator[Verdict]:
    """What the first weights get, against what initial scales assume."""
    x = f.inputs
    if x is None or not x.varies:
        return
    large, small, uneven = (limit("unnormalised input", n) for n in ("large", "small", "uneven"))
    where = f"the inputs of the first weights lie between {x.low:.3g} and {x.high:.3g}, rms {x.rms:.3g}"
    figures = {"rms": x.rms, "low": x.low, "high": x.high}
    if x.rms > large:
        yield Verdict("unnormalised input", "", f"{where}; about 1 is expected", {**figures, "limit": large})
    elif x.rms < small:
        yield Verdict("unnormalised input", "", f"{where}; about 1 is expected", {**figures, "limit": small})
    elif x.largest > uneven * x.smallest:
        yield Verdict(
            "unnormalised input", "",
            f"the features of the first weights' inputs spread from {x.smallest:.3g} to {x.largest:.3g}: one counts "
            f"{x.largest / x.smallest:.0f} times as much as another",
            {**figures, "smallest": x.smallest, "largest": x.largest, "limit": uneven},
        )  # fmt: skip


def initial(f: Findings) -> Iterator[Verdict]:
    """The weights of each layer, against the size that keeps a signal; and weights that are all alike. Those of a
    network that has learned are no longer what it began with.
    """
    if f.first.loss < limit("bad initial scale", "learned") * f.baseline:
        return
    small, large = limit("bad initial scale", "small"), limit("bad initial scale", "large")
    off: list[tuple[str, str, float]] = []
    for path, p in f.first.parameters.items():
        layer, _, name = path.rpartition(".")
        if len(p.shape) < 2 or not p.used or name == "recurrent" or prod(p.shape) < 4 or _kind(f, layer) in TABLES:
            continue
        if p.spread == 0:
            if not f.last or _blocks(f, path):
                yield Verdict(
                    "bad initial scale", layer,
                    f"all {prod(p.shape)} weights of {path} are {p.rms:.3g}: its units are all alike, and no signal "
                    "tells them apart", {"spread": 0.0},
                )  # fmt: skip
            continue
        into, out = fans(p)
        if p.spread < small * sqrt(2 / (into + out)):
            off.append((layer, path, p.spread / sqrt(2 / (into + out))))
        elif p.spread * sqrt(into) > large:
            off.append((layer, path, p.spread * sqrt(into)))
    if not off:
        return
    layer, path, ratio = max(off, key=lambda o: abs(log(o[2])))
    p = f.first.parameters[path]
    rest = f", as are those of {len(off) - 1} other layers" if len(off) > 1 else ""
    usual = sqrt(2 / sum(fans(p))) if ratio < small else 1 / sqrt(fans(p)[0])
    yield Verdict(
        "bad initial scale", layer if len(off) == 1 else "",
        f"the weights {path} have standard deviation {p.spread:.3g}, {ratio:.3g} times what keeps a signal's size "
        f"({usual:.3g}){rest}", {"ratio": ratio, "small": small, "large": large, "layers": len(off)},
    )  # fmt: skip


def fans(p: ParameterFigures) -> tuple[int, int]:
    """How many inputs each output of these weights sums over, and to how many outputs each input goes: of (in, out) in
    dense layers, (out, in, ...) in others.
    """
    if len(p.shape) == 2:
        return p.shape[0], p.shape[1]
    window = prod(p.shape[2:])
    return p.shape[1] * window, p.shape[0] * window


def _kind(f: Findings, layer: str) -> str:
    figures = f.first.layers.get(layer)
    return figures.kind if figures else ""


def _blocks(f: Findings, path: str) -> bool:
    """Are the weights still alike after the trial, or do parameters still get no gradient at all because of them?"""
    assert f.last is not None
    now = f.last.parameters[path]
    zero = [p for p in f.last.parameters.values() if p.used and p.gradient == 0]
    return now.spread == 0 or bool(zero)
