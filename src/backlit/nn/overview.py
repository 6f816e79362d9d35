"""`summary`: a model as a table of its layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from ..base.config import no_grad
from ..base.trees import leaves
from ..base.units import as_bytes, as_count
from ..graph.graph import Graph
from ..graph.node import Node, mark
from ..graph.tensor import Tensor
from ..graph.walk import ancestors
from .flops import flops
from .layer import Layer, example
from .members import layers, tensors
from .passes import Pass, unmade


@dataclass
class Row:
    """A call of a layer. Numbers are those of the layer itself, without the layers within it, so that they add up.

    Attributes:
        path: where it stands in the model; the model's own path is empty.
        layer: what it is.
        depth: how many layers it was called through.
        shape: of its output, one for each Tensor, separated by commas; empty where it failed.
        parameters: how many numbers are trained.
        state: how many others it keeps, such as running means.
        flops: floating-point operations (`nn.flops`).
        nbytes: the size of the values that it makes and gives out.
        again: was the layer called before?
        failed: did an error come up in it, or within it?
    """

    path: str
    layer: str
    depth: int
    shape: str = ""
    parameters: int = 0
    state: int = 0
    flops: int = 0
    nbytes: int = 0
    again: bool = False
    failed: bool = False


@dataclass
class Summary:
    """A model as a table; print it, or show it in a notebook.

    Attributes:
        rows: the calls of layers, in their order.
        inputs: the inputs, as text.
        uncalled: the paths of layers with parameters that forward did not call.
        error: what came up, where a layer failed.
    """

    rows: list[Row]
    inputs: str
    uncalled: list[str] = field(default_factory=list)
    error: Exception | None = None

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(row.parameters for row in self.rows)

    @property
    def state(self) -> int:
        """How many numbers are kept beside the parameters."""
        return sum(row.state for row in self.rows)

    @property
    def flops(self) -> int:
        """The floating-point operations of a forward pass."""
        return sum(row.flops for row in self.rows)

    @property
    def nbytes(self) -> int:
        """The size of the outputs of all layers."""
        return sum(row.nbytes for row in self.rows)

    @property
    def table(self) -> list[tuple[str, ...]]:
        """The table, as texts: a line of headings, then one line for each row."""
        lines: list[tuple[str, ...]] = [("layer", "output", "parameters", "FLOPs", "bytes")]
        for row in self.rows:
            last = row.path.rpartition(".")[2]
            name = "  " * row.depth + (f"{last}: {row.layer}" if last else row.layer)
            count = "again" if row.again else f"{row.parameters:,}" if row.parameters else ""
            shape = "failed" if row.failed else row.shape
            work = as_count(row.flops) if row.flops else ""
            lines.append((name, shape, count, work, as_bytes(row.nbytes) if row.nbytes else ""))
        return lines

    @property
    def notes(self) -> list[str]:
        """What stands below the table."""
        state = f", {self.state:,} more kept as state" if self.state else ""
        found = [
            f"{self.parameters:,} parameters{state}; {as_count(self.flops)} FLOPs and {as_bytes(self.nbytes)} of "
            f"outputs for {self.inputs}"
        ]
        if self.uncalled:
            found.append(f"not called, and not counted: {', '.join(self.uncalled)}")
        if self.error is not None:
            found.append(f"{type(self.error).__name__}: {self.error}")
            found += getattr(self.error, "__notes__", [])
        return found

    def __str__(self) -> str:
        lines = self.table
        widths = [max(len(line[i]) for line in lines) for i in range(5)]
        rule = "─" * (sum(widths) + 8)
        sides = "<<>>>"
        texts = ["  ".join(f"{t:{s}{w}}" for t, s, w in zip(line, sides, widths, strict=True)) for line in lines]
        return "\n".join(map(str.rstrip, [texts[0], rule, *texts[1:], rule, *self.notes]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape  # only notebooks need it

        def line(texts: tuple[str, ...], tag: str) -> str:
            cells = [
                f'<{tag} style="text-align:{"left" if i < 2 else "right"};white-space:pre">{escape(text)}</{tag}>'
                for i, text in enumerate(texts)
            ]
            return f"<tr>{''.join(cells)}</tr>"

        head, *body = self.table
        rows = "".join(line(texts, "td") for texts in body)
        notes = "<br>".join(map(escape, self.notes))
        return f"<table><thead>{line(head, 'th')}</thead><tbody>{rows}</tbody></table><p>{notes}</p>"


def summary(model: Layer, *inputs: Any, batch: int = 1, dtype: Any = None) -> Summary:
    """The layers of a model with the shapes of their outputs, their parameters, FLOPs and bytes.

    Nothing is computed: the model is traced, as in evaluation. Parameters that are not there yet are made, as by a
    first call; those that are there stay. Where a layer fails, the table ends with it, and the error stands below.

    Args:
        inputs: for each input the shape of one sample, such as `(28, 28)`, or an example batch.
        batch: how many samples.
        dtype: of inputs given as shapes; by default that of floats ("int64" for token numbers).

    >>> from backlit import nn
    >>> nn.summary(nn.Sequential(nn.Flatten(), nn.Dense(10, "relu")), (28, 28))
    layer                              output    parameters   FLOPs   bytes
    ───────────────────────────────────────────────────────────────────────
    Sequential                         (1, 10)
      0: Flatten()                     (1, 784)                      3.1 kB
      1: Dense(10, activation='relu')  (1, 10)        7,850  15.7 k    40 B
    ───────────────────────────────────────────────────────────────────────
    7,850 parameters; 15.7 k FLOPs and 3.2 kB of outputs for float32(1, 28, 28)
    """
    given = tuple(example(x, batch, dtype) for x in inputs)
    error: Exception | None = None
    with no_grad(), _Watch(model) as watch:
        try:
            watch.call(model, given, {})
        except Exception as problem:
            error = problem
    paths = {path for path, _ in layers(model)}
    uncalled = dict.fromkeys(unmade(model))
    for leaf in tensors(model):
        owner = _owner(leaf.path, paths)
        if owner not in watch.first:
            uncalled[owner] = None
            continue
        row, size = watch.first[owner], prod(leaf.value.shape)
        row.parameters += size if leaf.trained else 0
        row.state += 0 if leaf.trained else size
    shown = ", ".join(f"{x.dtype.name}{tuple(x.shape)}" for x in leaves(given))
    return Summary(watch.rows, shown, [] if error else list(uncalled), error)


class _Watch(Pass):
    """A pass that takes notes.

    Attributes:
        rows: a row for each call of a layer.
        first: by path, that of the first call.
    """

    def __init__(self, root: Layer) -> None:
        super().__init__(root, setup=0)
        self.rows: list[Row] = []
        self.first: dict[str, Row] = {}
        self._depth = 0
        self._counted: set[Node] = set()

    def call(self, layer: Layer, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        path = self.path(layer)
        inner = any(found is not layer for _, found in layers(layer))
        row = Row(path, type(layer).__name__ if inner else repr(layer), self._depth, again=path in self.first)
        self.rows.append(row)
        self.first.setdefault(path, row)
        self._depth += 1
        start, before = mark(), self.total()
        try:
            out = super().call(layer, inputs, options)
        except Exception:
            row.failed = True
            raise
        finally:
            self._depth -= 1
        made = [x for x in leaves(out) if isinstance(x, Tensor)]
        row.shape = ", ".join(str(tuple(x.shape)) for x in made)
        ends = [x.node for x in made if x.node is not None and x.node.serial > start]
        row.flops = flops(_since(start, ends)) - (self.total() - before)
        row.nbytes = sum(prod(n.shape) * n.dtype.itemsize for n in {*ends} - self._counted)
        self._counted.update(ends)
        return out

    def total(self) -> int:
        """The operations counted so far."""
        return sum(row.flops for row in self.rows)


def _since(start: int, ends: list[Node]) -> Graph:
    """The graph of what was made since `start`."""
    nodes = ancestors(ends, since=start)
    inside = set(nodes)
    before = dict.fromkeys(x for n in nodes for x in n.inputs or () if isinstance(x, Node) and x not in inside)
    return Graph(list(before), ends)


def _owner(path: str, paths: set[str]) -> str:
    """The path of the layer that a Tensor hangs on, among those of all layers."""
    while path and path not in paths:
        path = path.rpartition(".")[0]
    return path
