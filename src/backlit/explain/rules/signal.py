"""Rules on the signal: units that do not answer, slopes that are flat, gradients that vanish or burst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, isfinite, log

from ..faults import limit
from ..findings import Findings, LayerFigures
from ..flow import CAUSES, LOSS, LayerFlow
from ..verdict import Verdict

#: Activations that are flat on both sides.
SQUASHING = ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "softsign")


def dead(f: Findings) -> Iterator[Verdict]:
    """The layer with the most units that give 0 for every sample."""
    share = limit("dead units", "share")
    for step, layers in _times(f):
        when = _after(step)
        found = [(path, x) for path, x in layers if x.dead >= share]
        if found and not (f.inputs is not None and not f.inputs.varies):
            path, x = found[0]
            rest = f"; {len(found) - 1} more such layers follow" if len(found) > 1 else ""
            yield Verdict(
                "dead units", path,
                f"{x.dead:.0%} of the units of {_called(path, x)} give 0 for every sample{when}, so that no gradient "
                f"passes{rest}", {"share": x.dead, "limit": share}, step=step,
            )  # fmt: skip
            return


def saturated(f: Findings) -> Iterator[Verdict]:
    """The layer with the most elements where its activation is flat; the last one, which may be sure, excepted, and
    networks that are sure because they are right.
    """
    share, good = limit("saturated activations", "share"), limit("saturated activations", "good")
    for step, layers in _times(f):
        when, now = _after(step), f.first if step == 0 or f.last is None else f.last
        if now.loss < good * f.baseline:
            continue
        found = [
            (path, x)
            for path, x in layers
            if x.activation in SQUASHING and x.saturated >= share and path != f.last_op[1]
        ]
        if found:
            path, x = max(found, key=lambda item: item[1].saturated)
            yield Verdict(
                "saturated activations", path,
                f"{x.saturated:.0%} of the elements of {_called(path, x)} lie where {x.activation} is flat{when}: mean "
                f"|f'| = {x.slope:.2g}", {"share": x.saturated, "limit": share, "slope": x.slope}, step=step,
            )  # fmt: skip
            return


def vanishing(f: Findings) -> Iterator[Verdict]:
    """A gradient that shrinks with each layer, or with each turn of a loop."""
    yield from _changing(f, "vanishing gradient", -1.0)


def exploding(f: Findings) -> Iterator[Verdict]:
    """A gradient that grows with each layer, or with each turn of a loop."""
    yield from _changing(f, "exploding gradient", 1.0)


def _changing(f: Findings, fault: str, sign: float) -> Iterator[Verdict]:
    if f.flow is None or not f.first.finite:
        return
    layers = [part for part in f.flow.layers if part.path != LOSS]
    many = sum(_weighs(f, part.path) for part in layers)
    whole = limit(fault, "whole")
    turns = [t for t in f.flow.turns if isfinite(t.gain)]
    if len(turns) > 2:
        late, each, gain = limit(fault, "through time"), limit(fault, "turn"), sum(t.gain for t in turns)
        recurrent = max(layers, key=lambda part: abs(part.gain))
        if sign * gain > sign * log(late) and sign * gain / len(turns) > sign * log(each):
            yield Verdict(
                fault, recurrent.path,
                f"through {len(turns)} turns the gradient becomes {_exp(abs(gain)):.2g} times "
                f"{'smaller' if sign < 0 else 'larger'}, ×{_exp(gain / len(turns)):.2g} with each; "
                f"{_shares(turns, sign)}",
                {"factor": _exp(gain), "limit": late, "turn": _exp(gain / len(turns)), "turn limit": each},
            )  # fmt: skip
            return
        layers = [part for part in layers if part.path != recurrent.path]
    gain = sum(part.gain for part in layers)
    if many > 2 and sign * gain > sign * log(whole):
        yield Verdict(
            fault, layers[0].path if len(layers) == 1 else "",
            f"over {many} layers with weights the gradient becomes {_exp(abs(gain)):.2g} times "
            f"{'smaller' if sign < 0 else 'larger'}; {_shares(layers, sign)}",
            {"factor": _exp(gain), "limit": whole},
        )  # fmt: skip


def _shares(parts: Sequence[LayerFlow], sign: float) -> str:
    """'92 % of it by the slope of the activation'."""
    causes: dict[str, float] = {}
    for part in parts:
        for cause, gain in part.causes.items():
            causes[cause] = causes.get(cause, 0.0) + gain
    ways = {c: g for c, g in causes.items() if sign * g > 0}
    total = sum(ways.values())
    best = sorted(ways.items(), key=lambda item: -abs(item[1]))[:2]
    return ", ".join(f"{g / total:.0%} of it by {CAUSES[c]}" for c, g in best if g / total > 0.05)


def _weighs(f: Findings, path: str) -> bool:
    return any(p.rpartition(".")[0] == path and len(x.shape) > 1 for p, x in f.first.parameters.items())


def _times(f: Findings) -> Iterator[tuple[int, list[tuple[str, LayerFigures]]]]:
    """The layers at the start, and after so many steps of the trial."""
    yield 0, list(f.first.layers.items())
    if f.last is not None:
        yield f.last.step - f.first.step, list(f.last.layers.items())


def _after(step: int) -> str:
    return f" after {step} steps" if step else ""


def _called(path: str, x: LayerFigures) -> str:
    return f"{path} {x.kind}".strip() or "the network"


def _exp(gain: float) -> float:
    return exp(min(gain, 700.0))
