"""Control flow: of values (`cond`, `while_loop`, `fori_loop`, `scan`) and of derivatives (`stop_gradient`).

With values at hand the functions simply run, step by step, and the tape differentiates what they did.
Where a value they need is not there yet (a function being traced, a static graph), the Python functions are
traced once and kept as graphs in one node (`ops/loops.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base.dtypes import BOOL, INTEGER, WEAK, int64, scalar_dtype
from ..base.errors import ArgumentError, DtypeError, ShapeError, shown
from ..base.shapes import as_index
from ..base.trees import leaves, leaves_with_paths, rebuild, same_structure, tree_map
from ..graph.closure import as_tensor, close, spec_of
from ..graph.defer import defer, is_static
from ..graph.node import Turn, mark, note
from ..graph.op import function, op
from ..graph.opdef import Spec
from ..graph.tensor import Tensor, edge, symbol, wrap
from .joining import stack, unstack
from .loops import COND, SCAN, WHILE
from .movement import astype

Function = Callable[..., Any]


@op(
    name="stop_gradient", namespace="hidden", infer=lambda x: Spec(x.shape, x.dtype), traits="stops",
    nondiff="stop_gradient ends differentiation here",
    latex="\\bot\\left({0}\\right)", samples=lambda rng: [((rng.normal(size=(2, 3)),), {})],
)  # fmt: skip
def stopped(x: Any, /) -> Any:
    """The same value as a constant."""
    return x


@function()
def stop_gradient(x: Any, /) -> Any:
    """The same value as a constant: no derivative passes through it. Of a tree, each leaf.

    >>> import backlit as bl
    >>> bl.grad(lambda x: x * bl.stop_gradient(x))(3.0)
    tensor(3., dtype=float32)
    """
    return tree_map(stopped.public, x)


@function()
def cond(pred: Any, true_fn: Function, false_fn: Function, *operands: Any) -> Any:
    """`true_fn(*operands)` if `pred`, else `false_fn(*operands)`; only that one is computed.

    Both return trees of the same structure, shapes and dtypes. They may close over Tensors; every
    derivative, of any order, is taken through the branch that ran.

    >>> import backlit as bl
    >>> bl.grad(lambda x: bl.cond(x > 0, lambda x: x * x, lambda x: -x, x))(3.0)
    tensor(6., dtype=float32)
    """
    if _static((pred, operands)):
        return defer("cond", cond, (pred, true_fn, false_fn, *operands), {})
    pred = _decision(pred, "cond")
    if pred.value is not None:
        return (true_fn if bool(pred) else false_fn)(*operands)
    given = tree_map(as_tensor, list(operands))
    branches = [close(f, given) for f in (true_fn, false_fn)]
    _equal_specs(branches[0].tree, branches[1].tree, "cond", "the result", "true_fn gives", "false_fn gives",
                 "both branches must give the same shapes and dtypes; convert with .astype or reshape")  # fmt: skip
    captured = list(dict.fromkeys(n for b in branches for n in b.captured))
    true, false = (b.graph(captured) for b in branches)
    out = COND(pred, *map(edge, captured), *leaves(given), true=true, false=false)
    return rebuild(branches[0].tree, iter(out))


@function()
def while_loop(cond_fn: Function, body_fn: Function, init: Any) -> Any:
    """`init`, taken through `body_fn` again and again, while `cond_fn` of it holds.

    `init` is a tree, and `body_fn` returns a tree of the same structure, shapes and dtypes. In a graph
    only forward mode differentiates it, because the number of steps is not known when the graph is made;
    `fori_loop` and `scan` have every derivative.

    >>> import backlit as bl
    >>> bl.while_loop(lambda x: x < 100, lambda x: x * 2, 1.0)
    tensor(128., dtype=float32)
    """
    if _static(init):
        return defer("while_loop", while_loop, (cond_fn, body_fn, init), {})
    carry = tree_map(as_tensor, init)
    marks = [mark()]
    while True:
        go = _decision(cond_fn(carry), "while_loop")
        if is_static(go):
            return defer("while_loop", lambda _, x: while_loop(cond_fn, body_fn, x), (go, init), {})
        if go.value is None or _symbolic(carry):
            return _traced_while(cond_fn, body_fn, init)
        if not bool(go):
            return _noted(carry, "while_loop", marks)
        new = tree_map(as_tensor, body_fn(carry))
        if len(marks) == 1:
            if (adopted := _adopted(init, new)) is not None:
                return while_loop(cond_fn, body_fn, adopted)
            _same_carry(carry, new, "while_loop")
        carry = new
        marks.append(mark())


def _traced_while(cond_fn: Function, body_fn: Function, init: Any) -> Any:
    carry = tree_map(as_tensor, init)
    test, body = close(cond_fn, [carry]), close(body_fn, [carry])
    if (adopted := _adopted(init, body.tree)) is not None:
        return _traced_while(cond_fn, body_fn, adopted)
    _same_carry(carry, body.tree, "while_loop")
    out = WHILE(
        *map(edge, (*test.captured, *body.captured)), *leaves(carry),
        test=test.graph(), body=body.graph(), constants=(len(test.captured), len(body.captured)),
    )  # fmt: skip
    return rebuild(carry, iter(out))


@function()
def fori_loop(lower: Any, upper: Any, body: Function, init: Any) -> Any:
    """`init`, taken through `x = body(i, x)` for each integer i from `lower` up to, and without, `upper`.

    With bounds that are numbers it has every derivative; with bounds that are values of a graph it is a
    `while_loop`, and has forward mode only.

    >>> import backlit as bl
    >>> bl.fori_loop(1, 6, lambda i, x: x * i, 1)
    tensor(120, dtype=int64)
    """
    if _static((lower, upper, init)):
        return defer("fori_loop", fori_loop, (lower, upper, body, init), {})
    low, high = _bound(lower), _bound(upper)
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        limit = as_tensor(high)
        state = (as_tensor(low), init)
        return while_loop(lambda s: s[0] < limit, lambda s: (s[0] + 1, body(s[0], s[1])), state)[1]
    return scan(lambda s, _: ((s[0] + 1, body(s[0], s[1])), None), (low, init), None, max(high - low, 0))[0][1]


def _bound(bound: Any) -> int | Tensor:
    """A bound of `fori_loop`: an int where it is known, else the Tensor."""
    if isinstance(bound, Tensor) and bound.value is None:
        if bound.shape != () or bound.dtype.char not in INTEGER:
            raise DtypeError(f"fori_loop: a bound must be one integer, got {bound.dtype.name}{bound.shape}.")
        return astype(bound, int64)
    return as_index(bound, "a bound", "fori_loop")


@function()
def scan(f: Function, init: Any, xs: Any, length: int | None = None, reverse: bool = False) -> tuple[Any, Any]:
    """Carry a state along the leading axis of arrays: `carry, y = f(carry, x)` for each slice x of `xs`.

    Returns the last carry and the ys, stacked. `init`, `xs` and y are trees; the carry keeps its
    structure, shapes and dtypes. It has every derivative; the reverse pass keeps of each step the carry and what
    costs more than a few instructions to compute again (`bl.checkpoint(f)` keeps the carries alone).

    Args:
        f: the step.
        init: the first carry. Numbers in it take the dtype that the step gives them.
        xs: arrays with a common leading size, or None, with `length`, where there are none.
        length: the number of steps; needed where `xs` is None.
        reverse: go from the last slice to the first; ys keep the places of their xs.

    >>> import backlit as bl
    >>> bl.scan(lambda total, x: (total + x, total * x), 0.0, bl.tensor([1.0, 2.0, 3.0]))
    (tensor(6., dtype=float32), tensor([0., 2., 9.], dtype=float32))
    """
    if _static((init, xs)):
        return defer("scan", scan, (f, init, xs, length, reverse), {})
    xs = tree_map(as_tensor, xs)
    n = _steps(xs, length)
    if n == 0 or _symbolic((init, xs)):
        return _traced_scan(f, init, xs, n, reverse)
    columns = [unstack(x) for x in leaves(xs)]
    carry, rows, tree, marks = tree_map(as_tensor, init), [], None, [mark()]
    for i in range(n - 1, -1, -1) if reverse else range(n):
        new, y = _pair(f(carry, rebuild(xs, (c[i] for c in columns))))
        new, y = tree_map(as_tensor, new), tree_map(as_tensor, y)
        if not rows:
            if (adopted := _adopted(init, new)) is not None:
                return scan(f, adopted, xs, n, reverse)
            _same_carry(carry, new, "scan")
            tree = y
        if _symbolic((new, y)):
            return _traced_scan(f, init, xs, n, reverse)
        carry = new
        rows.append(leaves(y))
        marks.append(mark())
    if reverse:
        rows.reverse()
    ys = rebuild(tree, iter([stack(column) for column in zip(*rows, strict=True)]))
    return _noted((carry, ys), "scan", marks, reverse)


def _steps(xs: Any, length: int | None) -> int:
    """The number of steps that the arrays, or `length`, ask for."""
    found = None if length is None else as_index(length, "length", "scan")
    name = f"length={length}"
    for path, x in leaves_with_paths(xs, "xs"):
        if x.ndim == 0:
            raise ShapeError(
                f"scan: {path} has shape (), it needs a leading axis to go along; carry it, or close over it."
            )
        if found is not None and x.shape[0] != found:
            raise ShapeError(f"scan: {path} has {x.shape[0]} slices, but {name} asks for {found}; make them equal.")
        found, name = x.shape[0], path
    if found is None or found < 0:
        raise ArgumentError(f"scan: without xs, give length=, the number of steps (0 or more); got {length}.")
    return found


def _pair(out: Any) -> tuple[Any, Any]:
    if not isinstance(out, tuple) or len(out) != 2:
        raise ArgumentError(f"scan: f must return the pair (carry, y), got {shown(out)}; y may be None.")
    return out


def _traced_scan(f: Function, init: Any, xs: Any, n: int, reverse: bool) -> tuple[Any, Any]:
    slices = tree_map(lambda x: symbol(Spec(tuple(x.shape[1:]), x.dtype)), xs)
    first = tree_map(as_tensor, init)
    body = close(lambda carry, x: _pair(f(carry, x)), [first, slices])
    carry, y = body.tree
    if (adopted := _adopted(init, carry)) is not None:
        return _traced_scan(f, adopted, xs, n, reverse)
    _same_carry(first, carry, "scan")
    start = leaves(first)
    out = SCAN(
        *map(edge, body.captured), *start, *leaves(xs), body=body.graph(),
        constants=len(body.captured), carries=len(start), length=n, reverse=bool(reverse),
    )  # fmt: skip
    return rebuild(carry, iter(out[: len(start)])), rebuild(y, iter(out[len(start) :]))


# --- what they share -------------------------------------------------------------------------------


def _noted(result: Any, loop: str, marks: list[int], reverse: bool = False) -> Any:
    """Note on what a loop returns which nodes its turns made, for explanations; `marks` lie between the turns."""
    n = len(marks) - 1
    turns = [Turn(loop, n - 1 - i if reverse else i, marks[i], marks[i + 1]) for i in range(n)]
    for t in leaves(result):
        if isinstance(t, Tensor) and t.node is not None and t.node.serial > marks[0]:
            note(t.node, turns)
    return result


def _static(tree: Any) -> bool:
    return any(is_static(x) for x in leaves(tree))


def _symbolic(tree: Any) -> bool:
    return any(isinstance(x, Tensor) and x.value is None for x in leaves(tree))


def _decision(pred: Any, where: str) -> Tensor:
    """A condition as one boolean."""
    t = as_tensor(pred)
    if None in t.shape or t.size != 1 or t.dtype.char not in BOOL + INTEGER:
        raise ArgumentError(
            f"{where}: the condition must be one boolean, got {t.dtype.name}{t.shape}; "
            "reduce it with bl.all or bl.any, or choose element by element with bl.where."
        )
    return t


def _adopted(init: Any, after: Any) -> Any:
    """The carry to start again with, where numbers in `init` are to take the dtypes that a step gives them; or None.

    So that `0.0` may start a sum of float64, as it may be added to one.
    """
    given, found = leaves(init), [as_tensor(y) for y in leaves(after)]
    if len(given) != len(found):
        return None
    new = [
        wrap(y.dtype.type(x)) if type(x) in WEAK and scalar_dtype(x, y.dtype) == y.dtype else as_tensor(x)
        for x, y in zip(given, found, strict=True)
    ]
    if all(a.dtype == as_tensor(x).dtype for a, x in zip(new, given, strict=True)):
        return None
    return rebuild(init, iter(new))


def _same_carry(before: Any, after: Any, where: str) -> None:
    _equal_specs(before, after, where, "the carry", "goes in as", "comes out as",
                 "a loop keeps the shapes and dtypes of its carry; convert one of them with .astype, or shape init as "
                 "the step leaves it")  # fmt: skip


def _equal_specs(one: Any, other: Any, where: str, what: str, gives: str, gives_other: str, mend: str) -> None:
    """Raise an error naming the first leaf at which two trees differ in shape or dtype."""
    same_structure(one, other, where=f"{where}: {what}")
    pairs = zip(leaves_with_paths(one), leaves(other), strict=True)
    for (path, x), y in pairs:
        a, b = spec_of(as_tensor(x)), spec_of(as_tensor(y))
        if a != b:
            place = f"{what} at {path!r}" if path else what
            error = ShapeError if a.shape != b.shape else DtypeError
            raise error(
                f"{where}: {place} {gives} {a.dtype.name}{a.shape}, {gives_other} {b.dtype.name}{b.shape}; {mend}."
            )
