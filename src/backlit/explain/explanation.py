"""`explain`: a value, how it was computed, and by which paths each gradient reaches what it depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from ..base.errors import ArgumentError
from ..base.higher import higher
from ..graph.node import Node
from ..graph.tensor import Tensor
from ..modes.static.session import Session
from .contributions import shares
from .formula import formula
from .local import Local, locals_of
from .paths import Paths, paths_of
from .symbols import Formula
from .tape import Edge, Tape, tape_of
from .variables import variables

#: Paths of each leaf, and of each of many.
USUAL, FEW, MANY_LEAVES = 8, 3, 6


class Row:
    """One node in the table of an explanation.

    Attributes:
        node: of the tape.
        name: the user's own, or h1, h2, and so on.
        locals: the local derivatives by its inputs.
    """

    def __init__(self, tape: Tape, node: Node, found: Sequence[Local]) -> None:
        self.tape, self.node, self.name, self.locals = tape, node, tape.name(node), tuple(found)

    @cached_property
    def formula(self) -> Formula | None:
        """How it was computed; None for a leaf."""
        return formula(self.tape, self.node)

    @property
    def value(self) -> Any:
        """What it is: an array, or a tuple of them."""
        return self.node.value

    @property
    def cotangent(self) -> Any:
        """The derivative of the output by it; None where the output does not change with it."""
        return self.tape.cotangents.get(self.node)


class Explanation:
    """What `explain` found: read it as text, in a notebook, or save it.

    Attributes:
        tape: the graph with all values and cotangents.
        symbol: what the output is called.
        wrt: the nodes whose gradients are explained.
    """

    def __init__(
        self, tape: Tape, symbol: str, wrt: Sequence[Node], most: int | None = None, stations: str | None = None
    ) -> None:
        self.tape, self.symbol, self.wrt = tape, symbol, tuple(wrt)
        self._most, self._stations = most if most is not None else FEW if self.many else USUAL, stations

    @property
    def many(self) -> bool:
        """Are there so many leaves that little is said of each?"""
        return len(self.wrt) > MANY_LEAVES

    @cached_property
    def nodes(self) -> tuple[Row, ...]:
        """Every node, inputs before their users."""
        found: dict[Node, list[Local]] = {n: [] for n in self.tape.nodes}
        for local in locals_of(self.tape):
            found[local.edge.target].append(local)
        return tuple(Row(self.tape, n, own) for n, own in found.items())

    @cached_property
    def locals(self) -> dict[Edge, Local]:
        """The local derivatives, by edge."""
        return {local.edge: local for row in self.nodes for local in row.locals}

    @cached_property
    def parts(self) -> dict[str, Paths]:
        """The paths to each leaf of `wrt`, by its name."""
        found: dict[str, Paths] = {}
        for node in self.wrt:
            name, times = self.tape.name(node), 1
            while name in found:  # two Tensors may have been given one name
                times += 1
                name = f"{self.tape.name(node)} ({times})"
            found[name] = paths_of(self.tape, node, self._most, self._stations)
        return found

    def __getitem__(self, name: str) -> Paths:
        """The paths to the leaf of this name."""
        if name not in self.parts:
            raise ArgumentError(f"explain: {name!r} is not among what is explained: {', '.join(self.parts)}.")
        return self.parts[name]

    @property
    def paths(self) -> Any:
        """The strongest paths, strongest first; where several leaves are explained, a dict of them by name."""
        return self._each("shown")

    @property
    def gradient(self) -> Any:
        """The gradient; where several leaves are explained, a dict of them by name."""
        return self._each("gradient")

    @property
    def remainder(self) -> Any:
        """What all paths that are not shown bring together; where several leaves are explained, a dict by name."""
        return self._each("remainder")

    def shares(self, name: str | None = None) -> dict[Edge, float]:
        """How much of the gradient of a leaf comes by each edge (see `contributions`): widths for a drawing."""
        if name is None and len(self.wrt) == 1:
            return shares(self.tape, self.wrt[0])
        found = dict(zip(self.parts, self.wrt, strict=True))
        if name not in found:
            raise ArgumentError(f"explain: shares of which leaf? Give one of {', '.join(found)}.")
        return shares(self.tape, found[name])

    def _each(self, field: str) -> Any:
        found = {name: getattr(part, field) for name, part in self.parts.items()}
        return next(iter(found.values())) if len(found) == 1 else found

    def __str__(self) -> str:
        from .explanation_text import written

        return written(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .explanation_html import fragment

        return fragment(self)

    def latex(self) -> str:
        """Nodes, local derivatives, paths and their sums in LaTeX, as `align*` environments."""
        from .explanation_latex import document

        return document(self)

    def picture(self, path: str | FilePath | None = None) -> Any:
        """The graph as a drawing; where one gradient is explained, with edges as wide as their share of it."""
        drawing = higher("draw")(self)
        if path is not None:
            drawing.save(path)
        return drawing

    def save(self, path: str | FilePath) -> FilePath:
        """Write the explanation to a file: `.html`, `.tex`, `.txt` or (a drawing) `.svg`, by its ending."""
        path = FilePath(path)
        kind = path.suffix.lower()
        if kind == ".html":
            from .explanation_html import page

            path.write_text(page(self), "utf-8")
        elif kind == ".tex":
            path.write_text(self.latex(), "utf-8")
        elif kind == ".txt":
            path.write_text(f"{self}\n", "utf-8")
        elif kind == ".svg":
            self.picture().save(path)
        else:
            raise ArgumentError(f"explain: cannot save as {path.name}: the ending must be .html, .tex, .txt or .svg.")
        return path


def explain(
    y: Any,
    *args: Any,
    wrt: Any = None,
    feed_dict: Mapping[Any, Any] | None = None,
    session: Session | None = None,
    paths: int | None = None,
    stations: str | None = None,
    cotangent: Any = None,
    names: Mapping[str, Any] | None = None,
) -> Explanation:
    """Explain how a value depends on what it was computed from: the chain rule with numbers.

    Of each leaf the gradient is taken apart by paths. What the paths that are shown bring, and a remainder that is
    computed on its own, add up to the gradient, however many paths the graph has (`backlit.explain.paths`).

    Args:
        y: a Tensor that was computed, also by a compiled function (before `backward()` lets the graph go); or a
            function, compiled or not, which is called with `args`; or a tensor of a static graph, with `session`.
        args: of the function; every floating-point leaf of them is explained.
        wrt: what to explain the gradient by: a Tensor, a name, or a list of these; by default all leaves.
        feed_dict: for a static graph.
        session: for a static graph.
        paths: how many paths to show for each leaf; by default 8, and 3 where there are more than 6 leaves.
        stations: "node": paths from op to op; "layer": from layer to layer, and from turn to turn of a loop; by default
            "layer" where there are layers or loops.
        cotangent: of y, where it has more than one element.
        names: names of Tensors, besides the variables of the function that calls this.

    Raises:
        GradientError: nothing is recorded, or the graph was let go.
        ArgumentError: something of `wrt` is no part of y.

    >>> import backlit as bl
    >>> w, x, b = (bl.tensor(v, requires_grad=True) for v in (0.0, 1.0, 0.0))
    >>> found = bl.explain(bl.sigmoid(w * x + b), wrt=w)
    >>> float(found.gradient)
    0.25
    >>> print(str(found).splitlines()[0])
    y = h3 = 0.5   at w = 0, x = 1, b = 0
    """
    given = dict(names or {})  # of two names for one Tensor the first counts
    names = given | {name: x for name, x in variables().items() if name not in given}
    wanted = [] if wrt is None else list(wrt) if isinstance(wrt, (list, tuple)) else [wrt]
    others = [x for x in wanted if isinstance(x, Tensor)]
    tape = tape_of(
        y, *args, wrt=others, cotangent=cotangent, feed_dict=feed_dict, session=session, names=names, where="explain"
    )
    return Explanation(tape, _symbol(tape, y), _chosen(tape, wanted, wrt is not None), paths, stations)


def _named(named: Mapping[str, Node], name: str) -> Node | None:
    """The node of this name, or the only one whose path ends with it: "0.bias" of "model.0.bias"."""
    ends = [node for path, node in named.items() if path.endswith(f".{name}")]
    return named.get(name, ends[0] if len(ends) == 1 else None)


def _chosen(tape: Tape, wanted: Sequence[Any], given: bool) -> list[Node]:
    if not given:
        return [n for n in tape.leaves if n in tape.cotangents]
    named = {tape.name(n): n for n in tape.nodes if n.op.results is None}
    found: list[Node] = []
    for x in wanted:
        node = _named(named, x) if isinstance(x, str) else tape.image(x)
        if node is None:
            leaves = ", ".join(tape.name(n) for n in tape.leaves)
            what = repr(x) if isinstance(x, str) else f"a Tensor of shape {x.shape}" if isinstance(x, Tensor) else x
            raise ArgumentError(
                f"explain: wrt names {what}, which {tape.name(tape.output)} was not computed from; the leaves are "
                f"{leaves}."
            )
        found.append(node)
    return found


def _symbol(tape: Tape, y: Any) -> str:
    """What the output is called: the user's name, the function's, y or f."""
    name = tape.name(tape.output)
    if name != f"h{tape.numbers.get(tape.output, 0)}":
        return name
    own = getattr(getattr(y, "function", y), "__name__", "")
    taken = {tape.name(n) for n in tape.nodes}
    return next(s for s in (own, "y", "f", "the output") if s == "the output" or (s.isidentifier() and s not in taken))
