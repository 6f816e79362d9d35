"""`Origin`: where a number that is not finite was born, as text and as HTML."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .rows import as_html, as_text

#: Of a longer way only the ends are shown.
LONG = 9


class Input(NamedTuple):
    """An input of the op.

    Attributes:
        name: what the user calls it, or `h3` for the third value computed.
        made: the op that made it; empty for a leaf or constant.
        shape, dtype: its form.
        low, high: the range of its finite entries; NaN where there are none.
        bad: how many entries are not finite.
        at: its entries where the result is not finite, as far as they are shown; empty where shapes do not tell.
    """

    name: str
    made: str
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    bad: int
    at: tuple[float, ...]

    def __str__(self) -> str:
        form = f"{self.dtype}{self.shape if self.shape else ''}"
        what = f"{self.name} = {self.made}" if self.made else self.name
        size = int(np.prod(self.shape, dtype=int))
        known = "" if np.isnan(self.low) else f"from {_number(self.low)} to {_number(self.high)}"
        if size == 1 and self.at:
            known = f"= {_number(self.at[0])}"
        elif self.at:
            known += f"{', ' if known else ''}there {', '.join(map(_number, self.at))}"
        if self.bad:
            known += f"{', ' if known else ''}{self.bad} of {size} not finite"
        return f"{what}  {form}  {known}".rstrip()


class Step(NamedTuple):
    """A node on the way from the birth to the end.

    Attributes:
        op: its op, and whose derivative it is.
        line: the user's.
        layer: path of the layer; empty outside of one.
    """

    op: str
    line: str
    layer: str

    def __str__(self) -> str:
        places = ", ".join(p for p in (f"layer {self.layer}" if self.layer else "", self.line) if p)
        return f"{self.op} ({places})" if places else self.op


class Origin(NamedTuple):
    """Where the first number that is not finite was born.

    Attributes:
        direction: "forward", "backward", or "input" where it was given.
        op: the name of the op that made it; "leaf" for what was given.
        of: in the backward pass, the op whose derivative it belongs to; empty else.
        name: what the user calls the value.
        line: the user's code that called the op, such as `train.py:12`.
        layer: the path of the layer; empty outside of one.
        turn: which turn of which loop; empty outside of one.
        shape, dtype: of the value.
        what: "NaN", "inf", "-inf", or some of these.
        entries: the first entries that are not finite, by index.
        number: how many there are.
        inputs: of the op.
        way: the nodes from it to the output (or the gradient) that is not finite, itself first.
        end: what is not finite in the end.
        key: the name of the reason (see `explain/nonfinite_reasons.py`).
        reason: what happened.
        mend: what to do.
        notes: what else is known, such as the step of the training and the samples.
    """

    direction: str
    op: str
    of: str
    name: str
    line: str
    layer: str
    turn: str
    shape: tuple[int, ...]
    dtype: str
    what: str
    entries: tuple[tuple[int, ...], ...]
    number: int
    inputs: tuple[Input, ...]
    way: tuple[Step, ...]
    end: str
    key: str
    reason: str
    mend: str
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Line, layer and turn in words."""
        parts = (self.line and f"at {self.line}", self.layer and f"in layer {self.layer}", self.turn)
        return ", ".join(p for p in parts if p)

    @property
    def sentence(self) -> str:
        """The whole in one sentence."""
        born = self._born
        return f"{born[:1].lower()}{born[1:]}: {self.reason}."

    @property
    def _born(self) -> str:
        if self.direction == "input":
            what = f"{self.name} itself" if self.name else "A constant"
        elif self.of:
            what = f"The derivative of {self.of} ({self.op})"
        else:
            what = f"{self.op}"
        return f"{what}{' ' if self.place else ''}{self.place} is the first that is not finite"

    @property
    def _which(self) -> str:
        size = int(np.prod(self.shape, dtype=int))
        if size == 1:
            return f"{self.what}, {self.dtype}"
        first = ", ".join(str(list(e)) for e in self.entries)
        more = ", ..." if self.number > len(self.entries) else ""
        return f"{self.what} in {self.number} of {size} entries of {self.dtype}{self.shape}, at {first}{more}"

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What there is to say, as pairs of a word and a text."""
        steps = [f"{s} × {many}" if many > 1 else s for s, many in _runs([str(s) for s in self.way])]
        if len(steps) > LONG:
            steps = [*steps[: LONG - 4], f"... {len(steps) - LONG + 1} more ...", *steps[-3:]]
        found = [("value", self._which), ("reason", self.reason)]
        found += [("input" if i == 0 else "", str(x)) for i, x in enumerate(self.inputs)]
        found += [("way", " → ".join(steps))] if len(self.way) > 1 else []
        found += [("note", n) for n in self.notes]
        return [*found, ("mend", self.mend)]

    def __str__(self) -> str:
        return as_text(f"{self.end}. {self._born}.", self.rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(f"{self.end}. {self._born}.", self.rows)


def described(x: Any) -> str:
    """Which kinds of numbers that are not finite an array holds."""
    x = np.asarray(x)
    kinds = (("NaN", np.isnan(x)), ("inf", np.isposinf(x.real)), ("-inf", np.isneginf(x.real)))
    return " and ".join(word for word, there in kinds if there.any())


def _runs(words: list[str]) -> list[tuple[str, int]]:
    """Equal neighbours as one, with how many they are."""
    found: list[tuple[str, int]] = []
    for word in words:
        if found and found[-1][0] == word:
            found[-1] = word, found[-1][1] + 1
        else:
            found.append((word, 1))
    return found


def _number(x: float) -> str:
    return f"{x:.4g}"
