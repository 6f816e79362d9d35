"""Loops and branches: `scan`, `while_loop` and `cond` as steps around the steps of their graphs."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ...graph.bind import PICK
from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.tensor import LEAF, symbol
from ...ops.loops import COND, SCAN, WHILE
from ..codegen.values import code_of
from ..kernels.tiny import fits
from ..kernels.views import Buffer, View
from .steps import Branch, Call, Loop, Run, Step, While, walk

if TYPE_CHECKING:
    from .region import Region


def lower_control(region: Region, node: Node) -> list[Step] | None:
    """The steps of a loop or branch; None for any other node, or where a graph within it has no native form."""
    for op, lowered in ((SCAN, _scan), (WHILE, _while), (COND, _cond)):
        if node.op is op:
            alone = _in_registers(region, node)
            if alone is not None:
                return alone
            steps = lowered(region, node)
            return None if any(isinstance(s, Call) for s in walk(steps)) else steps
    return None


def _in_registers(region: Region, node: Node) -> list[Step] | None:
    """A loop or branch as a graph of its own, where it fits into registers."""
    values = list(dict.fromkeys(node.parents))
    inputs = {x: symbol(x.spec)._node for x in values}
    twin = Node(
        node.op, tuple(inputs[x] if isinstance(x, Node) else x for x in node.inputs or ()), node.params, None, node.like
    )
    results = region.results(node)
    picked = [i for i, view in enumerate(results) if view is not None]
    picks = [Node(PICK, (twin,), {"index": i}, None, node.like[i]) for i in picked]
    graph = Graph([inputs[x] for x in values], picks)
    if not fits(graph, region.target):
        return None
    return _inside(region, graph, [region.view_of(x) for x in values], [results[i] for i in picked])


def _inside(region: Region, graph: Graph, given: Sequence[View], wanted: Sequence[View | None]) -> list[Step]:
    return type(region)(region.context, graph, given, wanted).steps


def _view(region: Region, x: Any) -> View:
    return region.view_of(x)


def _carries(
    region: Region, outputs: Sequence[Any], picked: Sequence[View | None], starts: Sequence[Any]
) -> tuple[list[View], list[Step]]:
    """The places of carries, and the copies that fill them before the first turn."""
    places: list[View] = []
    steps: list[Step] = []
    for end, place, start in zip(outputs, picked, starts, strict=True):
        if place is None:
            buffer = Buffer(region.context.names.unique("carry"), code_of(end.dtype), max(1, prod(end.shape)))
            place = View.whole(buffer, end.shape)
        places.append(place)
        if prod(place.shape):
            node = start if isinstance(start, Node) else Node(LEAF, (), {}, start, start)
            steps.append(Run(region.copy(node, _view(region, start), place)))
    return places, steps


def _moving(region: Region, view: View, length: int, reverse: bool, name: str) -> View:
    """The slice of an array that a loop is at."""
    shape, step = view.shape[1:], view.strides[0]
    buffer = Buffer(region.context.names.unique(f"{name}_slice"), view.buffer.code, view.buffer.size, "moving")
    start = view.offset + (length - 1) * step if reverse else view.offset
    buffer.of = View(view.buffer, shape, view.strides[1:], start)
    buffer.step = -step if reverse else step
    return View(buffer, shape, view.strides[1:])


def _scan(region: Region, node: Node) -> list[Step]:
    p = node.params
    body, constants, carries, length = p["body"], p["constants"], p["carries"], p["length"]
    inputs = list(node.inputs or ())
    picked = region.results(node)
    places, steps = _carries(region, body.outputs[:carries], picked[:carries], inputs[constants : constants + carries])
    given = [_view(region, x) for x in inputs[:constants]] + places
    moving: list[View] = []
    for x in inputs[constants + carries :]:
        moving.append(_moving(region, _view(region, x), length, p["reverse"], "in"))
    stacked = [None if v is None else _moving(region, v, length, p["reverse"], "out") for v in picked[carries:]]
    if length == 0:
        return steps
    inner = _inside(region, body, [*given, *moving], [*places, *stacked])
    buffers = [v.buffer for v in (*moving, *stacked) if v is not None]
    return [*steps, Loop(length, inner, buffers)]


def _while(region: Region, node: Node) -> list[Step]:
    p = node.params
    test, body, (first, second) = p["test"], p["body"], p["constants"]
    inputs = list(node.inputs or ())
    places, steps = _carries(region, body.outputs, region.results(node), inputs[first + second :])
    flag = View.whole(Buffer(region.context.names.unique("goes_on"), code_of(test.outputs[0].dtype), 1), ())
    asked = [_view(region, x) for x in inputs[:first]]
    fixed = [_view(region, x) for x in inputs[first : first + second]]
    testing = _inside(region, test, [*asked, *places], [flag._replace(shape=test.outputs[0].shape)])
    doing = _inside(region, body, [*fixed, *places], places)
    return [*steps, While(testing, flag, doing)]


def _cond(region: Region, node: Node) -> list[Step]:
    pred, *values = list(node.inputs or ())
    given = [_view(region, x) for x in values]
    wanted = region.results(node)
    branches = [_inside(region, node.params[name], given, wanted) for name in ("true", "false")]
    flag = _view(region, pred)
    return [Branch(View(flag.buffer, (), (), flag.offset), *branches)]
