"""Rules on how a network and its loss are put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..faults import limit
from ..findings import Findings
from ..verdict import Verdict

#: What the outputs of an op lie within.
RANGES = {
    "relu": (0.0, np.inf), "softplus": (0.0, np.inf), "relu6": (0.0, 6.0), "sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "hard_tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0),
    "log_softmax": (-np.inf, 0.0),
}  # fmt: skip
#: Losses that take scores from minus to plus infinity and make probabilities of them.
FROM_SCORES = {
    "cross_entropy": ("softmax", "sigmoid", "hard_sigmoid", "relu", "tanh"),
    "binary_cross_entropy": ("softmax", "sigmoid", "hard_sigmoid", "relu"),
}
FROM_NUMBERS = ("mse", "mae", "huber", "smooth_l1")


def nonfinite(f: Findings) -> Iterator[Verdict]:
    """A number that is not finite, from the start, or in training at whatever rate."""
    if f.nonfinite is not None:
        layer, told, step = f.nonfinite
        when = f"after {step} steps, also of a smaller rate, " if step else ""
        yield Verdict("numerical problem", layer, when + told, {"loss": f.first.loss}, step=step)


def broadcast(f: Findings) -> Iterator[Verdict]:
    """(n, 1) against (n,) in the loss."""
    if f.slips:
        yield Verdict("broadcasting slip", "", f"in the loss {'; '.join(f.slips)}", {"places": len(f.slips)})


def wrong_loss(f: Findings) -> Iterator[Verdict]:
    """The last op against the loss, and its range against the targets."""
    op, layer = f.last_op
    if op in FROM_SCORES.get(f.loss, ()):
        yield Verdict(
            "wrong loss", layer,
            f"{f.loss} expects scores, of any size, and makes probabilities of them; the network ends with {op}, whose "
            f"outputs lie {_within(op)}, so that the loss cannot come near 0 and the gradient is damped twice", {},
        )  # fmt: skip
    elif f.loss in FROM_NUMBERS and f.targets is not None and op in RANGES:
        low, high = RANGES[op]
        least, most = f.targets
        width = most - least
        outside = (max(0.0, low - least) + max(0.0, most - high)) / width if width > 0 else 0.0
        if outside > limit("wrong loss", "outside"):
            yield Verdict(
                "wrong loss", layer,
                f"the targets lie between {least:.3g} and {most:.3g}; the network ends with {op}, whose outputs lie "
                f"{_within(op)} and cannot reach them", {"outside": outside, "limit": limit("wrong loss", "outside")},
            )  # fmt: skip


def _within(op: str) -> str:
    low, high = RANGES[op]
    if np.isinf(high):
        return f"above {low:g}"
    return f"below {high:g}" if np.isinf(low) else f"between {low:g} and {high:g}"


def unused(f: Findings) -> Iterator[Verdict]:
    """Parameters that the loss does not depend on, told once for each layer."""
    idle = (p for p, figures in f.first.parameters.items() if not figures.used and p not in f.cut)
    for layer, paths in _by_layer(idle).items():
        yield Verdict(
            "unused parameter", layer,
            f"the loss does not depend on {', '.join(paths)}: forward never uses {'them' if len(paths) > 1 else 'it'}",
            {"parameters": len(paths)},
        )  # fmt: skip


def unchanged(f: Findings) -> Iterator[Verdict]:
    """Parameters with no gradient, by `stop_gradient` or a cast, or with none of the updates that others get."""
    used = {p: figures for p, figures in f.first.parameters.items() if figures.used}
    for layer, paths in _by_layer(f.cut).items():
        yield Verdict(
            "unchanged parameter", layer,
            f"the loss changes with {', '.join(paths)}, but no gradient comes there: it is stopped on the way "
            "(stop_gradient, detach, or a cast to integers)", {"parameters": len(paths)},
        )  # fmt: skip
    if not any(f.moved.values()):
        return
    still = [p for p in used if p not in f.cut and used[p].gradient > 0 and not f.moved.get(p, True)]
    for layer, paths in _by_layer(still).items():
        alike = [p for p in used if p.rpartition(".")[0] == layer]
        if set(alike) <= {*paths, *f.cut}:
            steps = f.trial.steps if f.trial else 0
            yield Verdict(
                "unchanged parameter", layer,
                f"{', '.join(paths)} got gradients and stayed as {'they were' if len(paths) > 1 else 'it was'} in "
                f"{steps} steps, while others moved: the optimizer leaves {'them' if len(paths) > 1 else 'it'} out",
                {"parameters": len(paths), "steps": steps}, step=steps,
            )  # fmt: skip


def _by_layer(paths: Iterable[str]) -> dict[str, list[str]]:
    """Paths of parameters by the layer they are of; one that hangs on the network itself stands for itself."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(path.rpartition(".")[0] or path, []).append(path)
    return found
