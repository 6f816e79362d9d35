"""From a graph to the steps that compute it on elements in registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...base.shapes import size_of
from ...graph.bind import PICK
from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.opdef import OPS
from ...graph.tensor import LEAF
from ...ops.indexing import ARRAY, Cut, positions
from ...ops.loops import COND, SCAN, WHILE
from ..codegen.values import LLVM, code_of
from ..codegen.values import size_of as bytes_of
from ..codegen.writer import Target
from .indexed import Status
from .tiny_loops import Block, Branches, Carry, Kept, Scan, While
from .tiny_memory import Taken
from .tiny_ops import Added, Contraction, Elementwise, Note, Position, neutral
from .tiny_values import Base, Constant, Elements, Loaded, Memory, Ref
from .views import Buffer, View, contiguous

#: Tensors of more elements stay in memory, or the graph is not tiny.
ELEMENTS = 128
#: Terms of one element of a sum or a product, at most.
DEPTH = 128


class Unfit(Exception):
    """A graph, or an op in it, has no tiny form."""


class Builder:
    """Turns nodes into steps.

    Attributes:
        block: the steps made so far in the loop that is being built.
        private: bytes of memory of its own that the function needs.
    """

    def __init__(
        self, target: Target, direct: dict[tuple[Node, int], View] | None = None, status: Status | None = None
    ) -> None:
        self.target, self.direct, self.status = target, direct or {}, status
        self.block: Block = []
        self.private = 0

    def build(self, graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        """The outputs of a graph from its inputs, each `Elements` or `Memory`."""
        env: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))
        for node in graph.nodes:
            env[node] = self._node(node, [env[x] if type(x) is Node else x for x in node.inputs or ()])
        return [self.value(env[o] if type(o) is Node else o) for o in graph.outputs]

    def note(self, node: Node) -> Note | None:
        """Where a node notes that its index is out of range."""
        return None if self.status is None else (self.status.buffer.name, self.status.number(node))

    def inside(self, graph: Graph, inputs: Sequence[Any]) -> tuple[Block, list[Elements]]:
        """The steps of the body of a branch, and what it gives."""
        before, self.block = self.block, []
        outputs = [self.elements(o) for o in self.build(graph, inputs)]
        block, self.block = self.block, before
        return block, outputs

    def input(self, view: View) -> Elements | Memory:
        """An input of the function: read into registers, if it is small."""
        memory = Memory(view, True)
        small = 0 < size_of(view.shape) <= ELEMENTS
        return self.elements(memory) if small else memory

    def add(self, step: Base, shape: Sequence[int]) -> Elements:
        """What a new step computes."""
        self.block.append(step)
        return Elements(tuple(shape), step.code, step.elements)

    def value(self, x: Any) -> Any:
        """A constant as elements; all else as it is."""
        if isinstance(x, (Elements, Memory, tuple)):
            return x
        array = np.asarray(x)
        self.check(array.shape, array.dtype)
        return Elements(array.shape, code_of(array.dtype), Constant(array, code_of(array.dtype)).elements)

    def elements(self, x: Any) -> Elements:
        """A value in registers; what is in memory is read, if it is small."""
        x = self.value(x)
        if isinstance(x, Memory):
            self.check(x.view.shape, x.view.buffer.code)
            return self.add(Loaded(x), x.view.shape)
        return x

    def memory(self, x: Any) -> Memory:
        """A value in memory; what is in registers is written there."""
        x = self.value(x)
        if isinstance(x, Memory):
            return x
        base = x.refs[0].base
        if isinstance(base, Loaded) and not base.moves and x.refs == base.elements:
            view = base.view.reshaped(x.shape)
            if view is not None:
                return Memory(view, base.fixed)
        kept = Memory(self.room(x.shape, x.code), False)
        self.block.append(Kept(kept, x))
        return kept

    def room(self, shape: Sequence[int], code: str) -> View:
        """Private memory for an array."""
        start = self.private
        self.private += -(-size_of(tuple(shape)) * bytes_of(code) // 64) * 64
        return View(Buffer("private", code, 0), tuple(shape), contiguous(shape), start // bytes_of(code))

    def check(self, shape: Sequence[Any], dtype: Any) -> None:
        """Raise `Unfit` where an array does not fit into a few registers."""
        code = dtype if type(dtype) is str else code_of(dtype)
        if code not in LLVM or code == "f2" or code[0] == "c":
            raise Unfit(f"dtype {code}")
        if None in shape or not 0 < size_of(tuple(shape)) <= ELEMENTS:
            raise Unfit(f"shape {tuple(shape)}")

    # --- nodes -------------------------------------------------------------------------------------

    def _node(self, node: Node, args: list[Any]) -> Any:
        if node.op is PICK:
            return args[0][node.params["index"]]
        if node.op is LEAF:
            if node.value is None:
                raise Unfit(f"{node.label} is given no value")
            return self.value(node.value)
        rule = _CONTROL.get(node.op) or RULES.get(node.op.name)
        if rule is not None and OPS.get(node.op.name, node.op).eval is node.op.eval:
            return rule(self, node, args)
        if node.op.native is not None or node.op.name == "astype":
            self.check(node.shape, node.dtype)
            return elementwise(self, node, args)
        raise Unfit(f"no tiny form of {node.op.name}")


Rule = Callable[[Builder, Node, list[Any]], Any]


def elementwise(b: Builder, node: Node, args: list[Any]) -> Elements:
    """An op of one element of each input."""
    operands = []
    for x in args:
        if not isinstance(x, (Elements, Memory)) and np.ndim(x) == 0:
            operands.append(x)
            continue
        x = b.elements(x)
        numbers = np.broadcast_to(np.arange(len(x.refs)).reshape(x.shape), node.shape).reshape(-1)
        operands.append(tuple(x.refs[i] for i in numbers.tolist()))
    return b.add(Elementwise(node, code_of(node.dtype), size_of(node.shape), operands), node.shape)


# --- movement ----------------------------------------------------------------------------------------


def movement(b: Builder, node: Node, args: list[Any]) -> Any:
    """An op whose results consist of elements of its inputs: which ones, its own kernel says of their numbers."""
    return _moved(b, node, args, [])


def reshape(b: Builder, node: Node, args: list[Any]) -> Any:
    """`reshape`, of an array in memory too."""
    view = args[0].view.reshaped(node.shape) if isinstance(args[0], Memory) else None
    return movement(b, node, args) if view is None else args[0]._replace(view=view)


def _moved(b: Builder, node: Node, args: list[Any], rest: list[Any]) -> Any:
    """The op applied to the numbers of the elements of `args`, from 1 on, and to `rest`; 0 stands for a zero."""
    sources = [b.elements(x) for x in args]
    refs = [Ref(Constant(0, sources[0].code), 0), *(r for x in sources for r in x.refs)]
    numbers, start = [], 1
    for x in sources:
        numbers.append(np.arange(start, start + len(x.refs)).reshape(x.shape))
        start += len(x.refs)
    out = node.op.eval(*numbers, *rest, **node.params)

    def taken(y: Any, spec: Any) -> Elements:
        b.check(spec.shape, spec.dtype)
        return Elements(tuple(spec.shape), sources[0].code, tuple(refs[i] for i in np.asarray(y).reshape(-1).tolist()))

    return taken(out, node) if node.op.results is None else tuple(map(taken, out, node.like))


def indexed(count: int, late: Rule) -> Rule:
    """An op of `count` arrays and of indices: movement where these are known, else what `late` makes of it."""

    def rule(b: Builder, node: Node, args: list[Any]) -> Any:
        if any(isinstance(x, (Elements, Memory)) for x in args[count:]):
            return late(b, node, args)
        if node.op.name == "place" and not node.params["index"].distinct:
            return _summed(b, node, args)
        return _moved(b, node, args[:count], args[count:])

    return rule


def _summed(b: Builder, node: Node, args: list[Any]) -> Elements:
    """`place`, where several elements may fall on the same place: there they are added up."""
    b.check(node.shape, node.dtype)
    y = b.elements(args[0])
    index, shape = node.params["index"], node.params["shape"]
    numbers = np.arange(len(y.refs)).reshape(y.shape)
    where = positions(shape, index, [np.asarray(a) for a in args[1:]])
    terms: list[list[Ref]] = [[] for _ in range(size_of(shape))]
    for place, i in zip(where.reshape(-1).tolist(), np.broadcast_to(numbers, where.shape).reshape(-1).tolist(),
                        strict=True):  # fmt: skip
        terms[place].append(y.refs[i])
    return _combined(b, "add", y.code, terms, shape)


def _combined(b: Builder, what: str, code: str, terms: list[list[Ref]], shape: Sequence[int]) -> Elements:
    """A contraction whose elements may have different numbers of terms."""
    depth = max(1, *map(len, terms))
    _shallow(depth)
    none = Ref(Constant(neutral(what, code), code), 0)
    full = [[*row, *[none] * (depth - len(row))] for row in terms]
    return b.add(Contraction(what, code, [full]), shape)


def cumulative(what: str) -> Rule:
    """The sums or products of the first elements along an axis."""

    def rule(b: Builder, node: Node, args: list[Any]) -> Elements:
        b.check(node.shape, node.dtype)
        x = b.elements(args[0])
        axis, start = node.params["axis"], int(not node.params["include_initial"])
        lines = np.moveaxis(np.arange(len(x.refs)).reshape(x.shape), axis, -1)
        # Each element may also be that of no terms, where the initial one stands first.
        counts = np.arange(start, lines.shape[-1] + 1)
        every = np.broadcast_to(lines[..., None, :], (*lines.shape[:-1], len(counts), lines.shape[-1]))
        taken = np.moveaxis(np.where(np.arange(lines.shape[-1]) < counts[:, None], every, -1), -2, axis)
        terms = [[x.refs[i] for i in row if i >= 0] for row in taken.reshape(-1, lines.shape[-1]).tolist()]
        return _combined(b, what, x.code, terms, node.shape)

    return rule


def _late_take(b: Builder, node: Node, args: list[Any]) -> Elements:
    b.check(node.shape, node.dtype)
    indices = b.elements(args[1])
    return b.add(Taken(b.memory(args[0]), node.params["axis"], indices, node.shape, b.note(node)), node.shape)


def _late_place(b: Builder, node: Node, args: list[Any]) -> Elements:
    *front, last = node.params["index"].parts
    if last != ARRAY or any(p != Cut() for p in front):
        raise Unfit("an index of several parts that is known only when it runs")
    b.check(node.shape, node.dtype)
    y, indices = b.elements(args[0]), b.elements(args[1])
    axis, count = len(front), node.shape[len(front)]
    many = len(indices.refs)
    if many > DEPTH:
        raise Unfit(f"{many} indices")
    rows = np.arange(len(y.refs)).reshape(*node.shape[:axis], many, *node.shape[axis + 1 :])
    rows = np.moveaxis(np.broadcast_to(np.expand_dims(rows, axis), (*node.shape[: axis + 1], *rows.shape[axis:])),
                       axis + 1, -1)  # fmt: skip
    places = np.arange(count).reshape(-1, *(1,) * (len(node.shape) - axis - 1))
    places = np.broadcast_to(places, node.shape).reshape(-1)
    chosen = [[y.refs[i] for i in row] for row in rows.reshape(-1, many).tolist()]
    return b.add(Added(y.code, indices.refs, count, chosen, places.tolist(), b.note(node)), node.shape)


def _late_index(b: Builder, node: Node, args: list[Any]) -> Elements:
    *front, last = node.params["index"].parts
    if last != ARRAY or any(p != Cut() for p in front):
        raise Unfit("an index of several parts that is known only when it runs")
    b.check(node.shape, node.dtype)
    indices = b.elements(args[1])
    return b.add(Taken(b.memory(args[0]), len(front), indices, node.shape, b.note(node)), node.shape)


def _late_update(b: Builder, node: Node, args: list[Any]) -> Elements:
    raise Unfit("places to write to that are known only when it runs")


# --- sums and products -------------------------------------------------------------------------------


def reduction(what: str, truth: bool = False) -> Rule:
    """An op that combines elements along axes."""

    def rule(b: Builder, node: Node, args: list[Any]) -> Elements:
        b.check(node.shape, node.dtype)
        x = b.elements(args[0])
        terms = _along(x, node.params["axis"])
        return b.add(Contraction(what, "b1" if truth else x.code, [terms]), node.shape)

    return rule


def _along(x: Elements, axis: Any) -> list[list[Ref]]:
    """For each element of a reduction the refs of its terms."""
    numbers = np.arange(len(x.refs)).reshape(x.shape)
    if axis is None:
        axis = tuple(range(len(x.shape)))
    axes = tuple(a % len(x.shape) for a in (axis if isinstance(axis, tuple) else (axis,))) if x.shape else ()
    last = np.moveaxis(numbers, axes, range(len(x.shape) - len(axes), len(x.shape)))
    depth = size_of(tuple(x.shape[a] for a in axes))
    _shallow(depth)
    return [[x.refs[i] for i in row] for row in last.reshape(-1, depth).tolist()]


def _shallow(depth: int) -> None:
    if depth > DEPTH:
        raise Unfit(f"{depth} terms")


def position(better: str) -> Rule:
    """`argmax` and `argmin`."""

    def rule(b: Builder, node: Node, args: list[Any]) -> Elements:
        b.check(node.shape, node.dtype)
        return b.add(Position(better, "i8", _along(b.elements(args[0]), node.params["axis"])), node.shape)

    return rule


def product(b: Builder, node: Node, args: list[Any]) -> Elements:
    """`matmul`."""
    b.check(node.shape, node.dtype)
    x1, x2 = map(b.elements, args)
    one, two = (np.arange(len(x.refs)).reshape(x.shape) for x in (x1, x2))
    one = one[None] if one.ndim == 1 else one
    two = two[:, None] if two.ndim == 1 else two
    _shallow(one.shape[-1])
    rows, columns = np.broadcast_arrays(one[..., :, None, :], np.swapaxes(two, -1, -2)[..., None, :, :])
    depth = rows.shape[-1]
    operands = [
        [[x.refs[i] for i in terms] for terms in numbers.reshape(-1, depth).tolist()]
        for x, numbers in ((x1, rows), (x2, columns))
    ]
    return b.add(Contraction("add", x1.code, operands), node.shape)


# --- loops and branches ------------------------------------------------------------------------------


def scan(b: Builder, node: Node, args: list[Any]) -> tuple[Any, ...]:
    """A loop of a known number of steps."""
    body, fixed, count = node.params["body"], node.params["constants"], node.params["carries"]
    length, reverse = node.params["length"], node.params["reverse"]
    carries = [Carry(b.elements(x)) for x in args[fixed : fixed + count]]
    arrays = [b.memory(x) for x in args[fixed + count :]]
    loop = Scan(carries, length, reverse)
    before, b.block = b.block, loop.block
    inputs = [*map(b.value, args[:fixed]), *(Elements(c.start.shape, c.start.code, c.inner.elements) for c in carries)]
    for view, unchanged in arrays:
        row = view._replace(shape=view.shape[1:], strides=view.strides[1:])
        b.check(row.shape, row.buffer.code)
        part = Loaded(Memory(row, unchanged), moves=True)
        loop.slices.append((part, view.strides[0]))
        inputs.append(b.add(part, row.shape))
    ends = [b.elements(o) for o in b.build(body, inputs)]
    b.block = before
    for carry, end in zip(carries, ends, strict=False):
        carry.end = end
    stacks = []
    for i, y in enumerate(ends[count:], count):
        view = b.direct.get((node, i)) or b.room((length, *y.shape), y.code)
        stacks.append(Memory(view, False))
        loop.stacked.append((stacks[-1], y))
    b.block.append(loop)
    return (*map(_after, carries), *stacks)


def _after(carry: Carry) -> Elements:
    return Elements(carry.start.shape, carry.start.code, carry.after.elements)


def while_loop(b: Builder, node: Node, args: list[Any]) -> tuple[Elements, ...]:
    """A loop that runs as long as its test holds."""
    test, body = node.params["test"], node.params["body"]
    first, second = node.params["constants"]
    asked, fixed = map(b.value, args[:first]), [*map(b.value, args[first : first + second])]
    asked = list(asked)
    carries = [Carry(b.elements(x)) for x in args[first + second :]]
    (start,) = b.build(test, [*asked, *(c.start for c in carries)])
    loop = While(carries, b.elements(start).refs[0])
    before, b.block = b.block, loop.block
    ends = b.build(body, [*fixed, *(Elements(c.start.shape, c.start.code, c.inner.elements) for c in carries)])
    for carry, end in zip(carries, ends, strict=True):
        carry.end = b.elements(end)
    (again,) = b.build(test, [*asked, *(c.end for c in carries)])
    loop.again = b.elements(again).refs[0]
    b.block = before
    b.block.append(loop)
    return tuple(map(_after, carries))


def cond(b: Builder, node: Node, args: list[Any]) -> tuple[Elements, ...]:
    """One of two branches."""
    which = b.elements(args[0]).refs[0]
    values = [b.value(x) for x in args[1:]]
    true, false = (b.inside(node.params[name], values) for name in ("true", "false"))
    step = Branches(which, true, false)
    b.block.append(step)
    return tuple(Elements(x.shape, x.code, r.elements) for x, r in zip(true[1], step.results, strict=True))


_CONTROL: dict[Any, Rule] = {SCAN: scan, WHILE: while_loop, COND: cond}

_MOVES = (
    "broadcast_to", "permute_dims", "matrix_transpose", "expand_dims", "squeeze", "flip", "roll", "copy", "positive",
    "stop_gradient", "pad_zeros", "concat", "stack", "unstack", "split", "tril", "triu", "diagonal", "from_diagonal",
)  # fmt: skip

#: How each op that is not elementwise becomes steps.
RULES: dict[str, Rule] = {
    **dict.fromkeys(_MOVES, movement),
    "reshape": reshape,
    "getitem": indexed(1, _late_index),
    "take": indexed(1, _late_take),
    "place": indexed(1, _late_place),
    "index_update": indexed(2, _late_update),
    "sum": reduction("add"),
    "prod": reduction("mul"),
    "max": reduction("maximum"),
    "min": reduction("minimum"),
    "all": reduction("and", truth=True),
    "any": reduction("or", truth=True),
    "cumulative_sum": cumulative("add"),
    "cumulative_prod": cumulative("mul"),
    "argmax": position("gt"),
    "argmin": position("lt"),
    "matmul": product,
}
