"""Rules on the course of a training: of the loss at this rate and others, on training and on validation data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..faults import limit
from ..findings import Findings, Trial
from ..verdict import Verdict


def rate_too_high(f: Findings) -> Iterator[Verdict]:
    """The loss breaks, rises or stays, and ends lower at a smaller rate, or updates are as large as the weights."""
    here, slower = f.trial, f.slower
    if here is None or not f.first.finite or _learned(f):
        return
    better, wild, change = *(limit("learning rate too high", n) for n in ("better", "wild")), largest_change(f)
    told = f"in {here.steps} steps the loss goes {_course(here)}"
    by = f", with updates of {change:.2g} of the weights in each" if np.isfinite(change) else ""
    figures = {"end": here.end, "change": change, "better": better, "wild": wild}
    if slower is not None and slower.finite and _fell(slower) and (not here.finite or slower.end < better * here.end):
        yield Verdict(
            "learning rate too high", "", f"{told}{by}; at {slower.rate:g} times the rate to {slower.end:.3g}",
            {**figures, "slower": slower.end, "factor": slower.rate}, step=here.steps,
        )  # fmt: skip
    elif change > wild and _stuck(f):
        yield Verdict(
            "learning rate too high", "", f"{told}{by}, which leaves nothing of them", figures, step=here.steps
        )


def rate_too_low(f: Findings) -> Iterator[Verdict]:
    """The loss hardly moves, updates are tiny, and at a greater rate it falls."""
    here, faster = f.trial, f.faster
    if here is None or faster is None or not here.finite or not faster.finite:
        return
    falls, better, change = (limit("learning rate too low", n) for n in ("falls", "better", "change"))
    mine = largest_change(f)
    if mine < change and here.end > falls * here.start and faster.end < better * here.end:
        yield Verdict(
            "learning rate too low", "",
            f"in {here.steps} steps the loss goes {_course(here)}, with updates of {mine:.2g} of the weights in each; "
            f"at {faster.rate:g} times the rate to {faster.end:.3g}",
            {"end": here.end, "faster": faster.end, "factor": faster.rate, "change": mine, "limit": change},
            step=here.steps,
        )  # fmt: skip


def constant(f: Findings) -> Iterator[Verdict]:
    """Outputs that are the same for all samples, at the start and after the trial."""
    least = limit("constant output", "spread")
    ends = [s.layers[""] for s in (f.first, f.last) if s is not None and "" in s.layers]
    if not ends or any(not x.spread < least for x in ends):
        return
    cause = ": the inputs are the same for all samples" if f.inputs is not None and not f.inputs.varies else ""
    yield Verdict(
        "constant output", "",
        f"the outputs differ from sample to sample by {ends[-1].spread:.2g} of their size{cause}",
        {"spread": ends[-1].spread, "limit": least},
    )  # fmt: skip


def overfitting(f: Findings) -> Iterator[Verdict]:
    """The validation loss has turned while the training loss falls; or the training data are learned by heart, and
    much of the loss is left on others.
    """
    here = f.trial
    if here is None or len(f.validation) < 3 or not here.finite or (here.end > here.start and not _learned(f)):
        return
    rises, gap, heart, left = (limit("over-fitting", name) for name in ("rises", "gap", "heart", "left"))
    now, (step, best) = f.validation[-1][1], min(f.validation, key=lambda item: item[1])
    figures = {"validation": now, "least": best, "training": here.end, "rises": rises, "gap": gap}
    train = f"on the training data it is {here.end:.3g}"
    if now > rises * best and now > gap * here.end:
        yield Verdict(
            "over-fitting", "",
            f"the loss on validation data was least at step {step}, {best:.3g}, and is {now:.3g} after {here.steps}; "
            f"{train}",
            figures, step=here.steps,
        )  # fmt: skip
    elif now > heart * here.end and now > left * f.baseline and now > 0.95 * f.validation[len(f.validation) // 2][1]:
        yield Verdict(
            "over-fitting", "",
            f"the loss on validation data is {now:.3g} after {here.steps} steps, and falls no more (the best constant "
            f"has {f.baseline:.3g}); {train}: they are learned by heart",
            {**figures, "heart": heart, "left": left, "baseline": f.baseline}, step=here.steps,
        )  # fmt: skip


def collapse(f: Findings) -> Iterator[Verdict]:
    """One class is said of nearly all samples: after the trial, or before it with a certainty that costs much."""
    said, there, sure, rare = (limit("class collapse", n) for n in ("said", "there", "sure", "rare"))
    for when, s in (("", f.first), (" after the trial", f.last)):
        if s is None or len(f.shares) < 2 or len(s.classes) < len(f.shares):
            continue
        most = int(np.argmax(s.classes))
        own = f.shares[most] if most < len(f.shares) else 0.0
        if s.classes[most] < said or 1 - own < there:
            continue
        if s is f.first and not s.loss > sure * max(f.baseline, np.log(len(f.shares))):
            continue
        if s is f.last and _stuck(f) and own < rare:
            continue
        yield Verdict(
            "class collapse", f.last_op[1],
            f"class {most} is said of {s.classes[most]:.1%} of the samples{when}; {own:.1%} are of it",
            {"said": s.classes[most], "limit": said, "others": 1 - own},
            step=0 if s is f.first else s.step - f.first.step,
        )  # fmt: skip
        return


def stuck(f: Findings) -> Iterator[Verdict]:
    """After the trial the loss is no lower than that of a constant."""
    here = f.trial
    if here is not None and _stuck(f):
        yield Verdict(
            "loss not decreasing", "",
            f"after {here.steps} steps the loss is {here.end:.3g}; the best constant output has {f.baseline:.3g}: what "
            "is learned says nothing of the inputs",
            {"end": here.end, "baseline": f.baseline, "limit": limit("loss not decreasing", "baseline")},
            step=here.steps,
        )  # fmt: skip


def _stuck(f: Findings) -> bool:
    here, share = f.trial, limit("loss not decreasing", "baseline")
    return here is not None and here.finite and f.baseline > 0 and here.end > share * f.baseline


def _learned(f: Findings) -> bool:
    """Is so little of the loss left that what remains of its ups and downs is no matter?"""
    here, share = f.trial, limit("learning rate too high", "learned")
    return here is not None and here.finite and f.baseline > 0 and here.end < share * f.baseline


def largest_change(f: Findings) -> float:
    """The largest change of weights in one step, by their norm."""
    changes = [c for path, c in f.changes.items() if len(f.first.parameters[path].shape) > 1]
    return max(changes, default=float("nan"))


def _fell(t: Trial) -> bool:
    return t.end < 0.95 * t.start or not np.isfinite(t.start)


def _course(t: Trial) -> str:
    if t.finite:
        return f"from {t.start:.3g} to {t.end:.3g}"
    finite = np.isfinite(t.losses)
    where = "the end" if finite.all() else f"step {int(np.argmin(finite)) + 1}"
    return f"from {t.start:.3g} to no finite number at {where}"
