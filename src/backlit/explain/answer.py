"""`Why`: why a gradient is what it is, as text and as HTML."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from ..graph.node import Node
from .rows import as_html, as_text
from .tape import Tape

_SIZES = {
    "none": "There is no gradient", "zero": "The gradient is 0", "small": "The gradient is small",
    "nonfinite": "The gradient is not finite", "fine": "The gradient is fine",
}  # fmt: skip


class Place(NamedTuple):
    """Where in the user's code, and in the network.

    Attributes:
        op: the name of the op.
        line: the user's, such as `train.py:12`; empty where it is not known.
        layer: path of the layer; empty outside of one.
        turn: which turn of which loop; empty outside of one.
        node: of the Tape; None for what only an eager Tensor knows.
    """

    op: str
    line: str = ""
    layer: str = ""
    turn: str = ""
    node: Node | None = None

    @property
    def text(self) -> str:
        """Line, layer and turn in words."""
        parts = (self.line and f"at {self.line}", self.layer and f"in layer {self.layer}", self.turn)
        return ", ".join(p for p in parts if p)


def place_of(tape: Tape, node: Node) -> Place:
    """The place of a node of a Tape."""
    return Place(node.op.name, tape.line(node), tape.layer(node), tape.turn(node), node)


class Why(NamedTuple):
    """Why a gradient is None, zero, small, not finite or fine.

    Attributes:
        kind: the broken (or thin) link: "not recorded", "no graph", "not a leaf", "no backward yet", "replaced",
            "unused", "detached", "no_grad", "integer", "comparison", "step function", "no derivative", "dead units",
            "clipped", "saturated", "masked", "not selected", "multiplied by zero", "multiplied by small numbers",
            "dropped out", "flat", "not read", "shrunk", "cancelled", "nonfinite"; or "zero", "small", "fine" where no
            single link is to blame.
        size: "none", "zero", "small", "nonfinite" or "fine".
        name: what the parameter is called.
        where: the op that is to blame; None where there is none.
        evidence: what was found, with figures, a sentence each.
        mend: what to do; empty where nothing is wrong.
        norm: of the gradient; NaN where there is none.
        links: what each op on the strongest way does to the gradient, from the parameter on.
        origin: where the first number that is not finite was born, if that is it.
    """

    kind: str
    size: str
    name: str
    where: Place | None = None
    evidence: tuple[str, ...] = ()
    mend: str = ""
    norm: float = float("nan")
    links: tuple[Any, ...] = ()
    origin: Any = None

    @property
    def headline(self) -> str:
        """The answer in one line."""
        said = f"{_SIZES[self.size]} for {self.name}"
        if self.size == "fine" != self.kind:
            said = f"A gradient comes to {self.name}, by a thin link: {self.kind}"
        elif self.kind not in (self.size, "nonfinite"):
            said += f": {self.kind}"
        if self.where is not None:
            place = self.where.text
            said += f" ({self.where.op}{f' {place}' if place else ''})"
        return f"{said}."

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What there is to say, as pairs of a word and a text."""
        counted = Counter(self.evidence)
        said = [f"{text} ({many} times)" if many > 1 else text for text, many in counted.items()]
        found = [("because" if i == 0 else "", text) for i, text in enumerate(said)]
        return [*found, ("mend", self.mend)] if self.mend else found

    def __str__(self) -> str:
        return as_text(self.headline, self.rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.headline, self.rows)
