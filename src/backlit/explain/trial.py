"""`tried`: does a mend help? The original and the mended experiment run side by side, and figures say what it did."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..base.errors import BacklitError
from .changes import plain, rate_of, rate_times
from .running import Run, Runner, best_rate, classes
from .verdict import Experiment, Mend, Verdict

#: A mend helps if it takes off at least this share of the loss that is left without it,
LESS = 0.1
#: or adds this much to the share that is right (or explained).
MORE = 0.05
#: A mend that leaves no more than this share of the loss, and after which
ENOUGH = 0.05
#: this share is right (or explained), is good enough: those after it are not tried.
GOOD = 0.9
#: What changes the size of signals and gradients may want another learning rate: it is looked for, after
RATE_TOO = frozenset(
    {
        "vanishing gradient", "exploding gradient", "dead units", "saturated activations", "bad initial scale",
        "unnormalised input", "loss not decreasing", "constant output", "numerical problem", "class collapse",
    }
)  # fmt: skip
#: and taken if it brings the loss down to this share.
MUCH = 0.5


class Outcome(NamedTuple):
    """What the best mend of a verdict did.

    Attributes:
        mend: the mend; None where none could be tried.
        before, after: figures of the original and of the mended training after the same number of steps: `loss start`,
            `loss end` (of the samples trained on), `quality` (the share that is right, or R²) and, where there are
            validation data, `validation loss`.
        helped: is the mended training better?
        sentence: what it did, in one sentence with figures.
        others: the same of the mends that did less.
    """

    mend: Mend | None
    before: dict[str, float]
    after: dict[str, float]
    helped: bool
    sentence: str
    others: tuple[str, ...] = ()


class _Tried(NamedTuple):
    mend: Mend
    runner: Runner
    run: Run
    same: bool  # is the loss measured as before?
    helped: bool
    rates: tuple[float | None, float | None]  # of learning: before, and with the mend
    other_loss: bool  # is it another function?
    comparable: bool  # is the quality of the same kind: both a share of classes, or both R²?


def tried(
    verdict: Verdict, experiment: Experiment, steps: int = 200, *, before: Run | None = None, most: int = 8
) -> Outcome:
    """Run the mends of a verdict beside the original, from the same values, on the same batches; tell of the best.

    Args:
        steps: of training, for each.
        before: the original's run, where there is one already.
        most: so many mends are tried, the first ones.

    Everything that is random follows from the experiment's seed, so two calls say the same.
    """
    if before is None:
        before = Runner(experiment)(steps, stops=_stops(experiment, steps))
    by = verdict.fault
    found: list[_Tried] = []
    failed: list[str] = []
    for mend in verdict.mends[:most]:
        try:
            changed = mend.apply(experiment)
            runner = Runner(changed)
            run = runner(steps, stops=_stops(changed, steps))
        except (BacklitError, TypeError, ValueError, AttributeError) as problem:  # of the user's own forward, too
            failed.append(f"not tried: {mend.what} ({str(problem).splitlines()[0]})")
            continue
        same = changed.loss is experiment.loss and changed.data[-1] is experiment.data[-1]
        rates = (
            rate_of(experiment.optimizer, experiment.model.parameters()),
            rate_of(changed.optimizer, runner.model.parameters()),
        )
        other_loss = changed.loss is not experiment.loss
        comparable = classes(plain(changed.data[-1])) == classes(plain(experiment.data[-1]))
        helps = _helps(before, run, same, by)
        found.append(_Tried(mend, runner, run, same, helps, rates, other_loss, comparable))
        if found[-1].helped and _left(run, by) < ENOUGH * min(_left(before, by), run.start) and run.quality >= GOOD:
            break
    if not found:
        sentence = failed[0] if failed else "not tried: nothing that can be changed on a copy of this model mends it"
        return Outcome(None, _figures(before), {}, False, sentence, tuple(failed[1:]))
    best = found[0]
    for other in found[1:]:
        if _better(other, best, by):
            best = other
    if verdict.fault in RATE_TOO:
        best = _with_its_rate(best, before, steps, by)
    rest = (_sentence(t, before, steps, by) for t in found if t is not best)
    return Outcome(
        best.mend, _figures(before), _figures(best.run), best.helped, _sentence(best, before, steps, by),
        (*rest, *failed),
    )  # fmt: skip


def _with_its_rate(found: _Tried, before: Run, steps: int, by: str) -> _Tried:
    """The same mend with the learning rate that suits it, where it is not good without, and much better with it."""
    if found.run.quality >= GOOD:
        return found
    factor, _ = best_rate(found.runner)
    run = found.runner(steps, factor, _stops(found.runner.experiment, steps))
    if not _left(run, by) < MUCH * _left(found.run, by):
        return found

    def apply(experiment: Experiment) -> Experiment:
        changed = found.mend.apply(experiment)
        return changed._replace(optimizer=rate_times(changed.optimizer, factor))

    mend = Mend(f"{found.mend.what}; {'raise' if factor > 1 else 'lower'} the learning rate", apply)
    old, new = found.rates
    rates = old, None if new is None else new * factor
    return found._replace(mend=mend, run=run, helped=_helps(before, run, found.same, by), rates=rates)


def _stops(experiment: Experiment, steps: int) -> list[int]:
    """Where validation is looked at: eight times, if there are data for it."""
    return [steps * k // 8 for k in range(1, 8)] if experiment.validation is not None else []


def _figures(run: Run) -> dict[str, float]:
    found = {"loss start": run.start, "loss end": run.end, "quality": run.quality}
    if run.curve:
        found["validation loss"] = run.validation
    return found


def _left(run: Run, by: str) -> float:
    """What counts, the less the better: the loss after the steps; on validation data where these were learned by heart,
    and the share that is wrong where the rare classes are. Infinite where training broke.
    """
    value = run.validation if by == "over-fitting" and run.curve else run.end
    if by == "class collapse" and np.isfinite(run.quality):
        value = 1 - run.quality
    return value if run.finite and np.isfinite(value) else np.inf


def _helps(before: Run, after: Run, same: bool, by: str) -> bool:
    then, now = _left(before, by), _left(after, by)
    if not np.isfinite(now):
        return False
    if not np.isfinite(then):
        return True
    if same and now <= then - LESS * max(abs(then), 1e-12):
        return True
    gained = after.quality - before.quality
    if np.isnan(before.quality) and np.isfinite(after.quality):
        gained = after.quality
    return bool(gained >= MORE) and (not same or now < then)


def _better(a: _Tried, b: _Tried, by: str) -> bool:
    """Did `a` do more? What helps before what does not; by the loss where both measure the same, else by quality."""
    if a.helped != b.helped:
        return a.helped
    if a.same and b.same:
        return _left(a.run, by) < _left(b.run, by)
    mine, other = (-np.inf if np.isnan(t.run.quality) else t.run.quality for t in (a, b))
    if abs(mine - other) > 0.01:
        return mine > other
    return a.same and not b.same


def _sentence(t: _Tried, before: Run, steps: int, by: str) -> str:
    told = f"{t.mend.what}: "
    if by == "over-fitting" and t.run.curve and before.curve:
        return told + (
            f"in {steps} steps the validation loss goes to {_number(t.run.validation)} (before: "
            f"{_number(before.validation)}), the training loss to {_number(t.run.end)} (before: {_number(before.end)})"
        )
    if not t.run.finite:
        return told + f"training breaks at step {_broken(t.run)} ({_course(before)} before)"
    old, new = t.rates
    rate = f", at a learning rate of {new:.3g} in the place of {old:.3g}," if old and new and old != new else ""
    told += f"in {steps} steps{rate} the loss goes {_course(t.run)} (before: {_course(before)}"
    if (not t.same or by == "class collapse") and np.isfinite(t.run.quality):
        what = "share that is right" if classes(plain(t.runner.experiment.data[-1])) else "R²"
        other = ", by the other loss" if t.other_loss else ""
        then = f" (before: {before.quality:.3g})" if t.comparable and np.isfinite(before.quality) else ""
        return f"{told}{other}), the {what} to {t.run.quality:.2f}{then}"
    return told + ")"


def _course(run: Run) -> str:
    if not np.isfinite(run.start):
        return "no finite number from the start"
    if not run.finite:
        return f"from {_number(run.start)} to no finite number at step {_broken(run)}"
    return f"from {_number(run.start)} to {_number(run.end)}"


def _broken(run: Run) -> int:
    """The step, counted from 1, whose loss was no finite number."""
    finite = np.isfinite(run.losses)
    return len(finite) if finite.all() else int(np.argmin(finite)) + 1


def _number(x: float) -> str:
    return "nothing" if np.isnan(x) else f"{x:.3g}"
