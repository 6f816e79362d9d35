"""fold, cse, dce and hoist: the graph before, and what is expected after."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import IndexRangeError
from backlit.compiler import pipeline
from backlit.compiler.passes.counters import unroll_counters
from backlit.compiler.passes.cse import cse
from backlit.compiler.passes.dce import dce
from backlit.compiler.passes.decompose import decompose
from backlit.compiler.passes.fold import fold
from backlit.compiler.passes.hoist import hoist
from backlit.graph.graph import Graph
from backlit.graph.opdef import Spec
from backlit.graph.tensor import symbol

from .running import F32, body, specified, traced, unchanged


def loops(graph):
    return [n for n in graph.nodes if n.op.name in ("scan", "while_loop", "cond")]


# --- fold ------------------------------------------------------------------------------------------


def test_what_depends_on_constants_is_computed():
    def function(x):
        ones = bl.ones_like(x[0]) * 3
        return x + bl.exp(bl.sum(ones)) * ones

    after = fold(decompose(specified(function, ((2, 3),))))
    assert body(after) == ["%1 = add(%0, float32(3,)) float32(2, 3)", "return %1"]
    np.testing.assert_allclose(after.nodes[0].inputs[1], np.full(3, np.exp(9) * 3), rtol=1e-6)


def test_no_large_constants_are_made():
    after = fold(decompose(specified(lambda x: bl.exp(bl.zeros_like(x)) + x, ((100, 100),))))
    assert body(after) == [
        "%1 = broadcast_to(np.float32(0.0), shape=(100, 100)) float32(100, 100)",
        "%2 = exp(%1) float32(100, 100)",
        "%3 = add(%2, %0) float32(100, 100)",
        "return %3",
    ]


def test_an_error_is_left_for_the_run():
    graph = specified(lambda x: x + bl.take(bl.zeros_like(x), [5], axis=0), ((2,),))
    after = fold(decompose(graph))
    assert [n.op.name for n in after.nodes] == ["take", "add"]
    with pytest.raises(IndexRangeError):
        after(np.zeros(2, "f"))


def test_constants_given_to_loops_move_in():
    def function(x):
        two = bl.sum(bl.ones_like(x))
        last = bl.scan(lambda c, v: (c * two + v, None), x[0], x)[0]
        last = bl.while_loop(lambda c: c < two * 9, lambda c: c * two, last)
        return bl.cond(last > 0, lambda v: v / two, lambda v: v - two, last)

    after = fold(decompose(specified(function, ((2,),))))
    scan, loop, cond = loops(after)
    assert scan.params["constants"] == 0
    assert loop.params["constants"] == (0, 0)
    assert [str(g).splitlines()[-2:] for g in (scan.params["body"], loop.params["test"], loop.params["body"])] == [
        ["%3 = add(%2, %1) float32()", "return %3"],
        ["%1 = less(%0, np.float32(18.0)) bool()", "return %1"],
        ["%1 = multiply(%0, np.float32(2.0)) float32()", "return %1"],
    ]
    assert len(cond.inputs) == 2
    unchanged(specified(function, ((2,),)), [np.array([1.0, 2.0], "f")], ulps=1)


# --- cse -------------------------------------------------------------------------------------------


def test_equal_nodes_are_one():
    def function(x, y):
        return x * y + bl.exp(y * x), bl.exp(x * y), x - y, y - x, x + 1, 1.0 + x, x + 0.0, x + -0.0

    assert body(cse(specified(function, ((3,),), ((3,),)))) == [
        "%2 = multiply(%0, %1) float32(3,)",
        "%3 = exp(%2) float32(3,)",
        "%4 = add(%2, %3) float32(3,)",
        "%5 = subtract(%0, %1) float32(3,)",
        "%6 = subtract(%1, %0) float32(3,)",
        "%7 = add(%0, 1) float32(3,)",
        "%8 = add(%0, 0.0) float32(3,)",
        "%9 = add(%0, -0.0) float32(3,)",
        "return %4, %3, %5, %6, %7, %7, %8, %9",
    ]


def test_constants_are_compared_by_their_bytes():
    c = np.array([1.0, 2.0, 3.0], "f")
    function = lambda x: (x * c, x * c.copy(), x * c.astype("d").astype("f"), x * -c)
    assert len(cse(specified(function, ((3,),))).nodes) == 2


def test_a_reduction_and_the_same_with_axes_kept():
    function = lambda x: (bl.sum(x, axis=1), bl.sum(x, axis=1, keepdims=True), bl.max(x, axis=1))
    assert body(cse(specified(function, ((2, 3),)))) == [
        "%1 = sum(%0, axis=(1,), keepdims=False) float32(2,)",
        "%2 = reshape(%1, shape=(2, 1)) float32(2, 1)",
        "%3 = max(%0, axis=(1,), keepdims=False) float32(2,)",
        "return %1, %2, %3",
    ]


def test_random_numbers_of_one_key_are_one():
    key = np.array([1, 2], np.uint32)
    function = lambda k: (bl.random.normal(k, (3,)), bl.random.normal(k, (3,)), bl.random.uniform(k, (3,)))
    normal, again, uniform = cse(traced(function, key)).outputs
    assert normal is again
    assert normal is not uniform


def test_equal_loops_are_one():
    step = lambda c, v: (c + bl.sin(v), c * v)
    double = lambda c, v: (c + bl.sin(v), c * v * 2)
    function = lambda x: [bl.scan(f, x[0], x)[1] for f in (step, lambda c, v: step(c, v), double)]
    assert len(loops(cse(specified(function, ((4,),))))) == 2


# --- dce -------------------------------------------------------------------------------------------


def test_outputs_of_a_scan_that_nobody_picks():
    def function(x, w, unused):
        def step(c, v):
            a, b, d = c
            return (a * w + v["x"], b + a, d * unused.sum()), (a * 2, bl.sin(d))

        (a, _, _), (ys, _) = bl.scan(step, (x[0], x[1], x[2]), {"x": x, "z": unused})
        return a, ys

    graph = specified(function, ((4,),), ((),), ((4,),))
    (scan,) = loops(dce(decompose(graph)))
    assert (scan.params["constants"], scan.params["carries"]) == (1, 1)
    assert body(scan.params["body"]) == [
        "%3 = multiply(%1, %0) float32()",
        "%4 = add(%3, %2) float32()",
        "%5 = multiply(%1, 2) float32()",
        "return %4, %5",
    ]
    unchanged(graph, [np.arange(4, dtype="f"), np.float32(2), np.ones(4, "f")], ulps=1)


def test_carries_of_a_while_that_lead_nowhere():
    def function(x, y):
        def step(s):
            i, a, b, c = s
            return i + 1, a + c, b * y, c * x

        return bl.while_loop(lambda s: s[0] < 3, step, (0, x, y, x))[1]

    graph = specified(function, ((),), ((),))
    (loop,) = loops(dce(decompose(graph)))
    assert len(loop.like) == 3
    assert loop.params["constants"] == (0, 1)
    unchanged(graph, [np.float32(2), np.float32(3)], ulps=1)


def test_branches_compute_what_is_picked():
    def function(x, y):
        return bl.cond(x > 0, lambda: (bl.sin(x), bl.exp(y)), lambda: (x, y))[0]

    (cond,) = loops(dce(decompose(specified(function, ((),), ((),)))))
    assert [len(cond.params[k].outputs) for k in ("true", "false")] == [1, 1]
    assert len(cond.inputs) == 2
    unchanged(specified(function, ((),), ((),)), [np.float32(2), np.float32(3)], ulps=1)


def test_loops_within_loops_are_trimmed_from_the_outside_in():
    def function(x):
        def outer(c, v):
            inner = bl.scan(lambda d, u: (d + u, (d * u, bl.exp(d))), c, x)
            return inner[0], inner[1][1]

        return bl.scan(outer, x[0], x)[0]

    (scan,) = loops(dce(decompose(specified(function, ((4,),)))))
    (inner,) = loops(scan.params["body"])
    assert [n.op.name for n in inner.params["body"].nodes] == ["add"]


# --- hoist -----------------------------------------------------------------------------------------


def test_invariants_leave_the_loop():
    def function(x, w):
        return bl.scan(lambda c, v: (bl.exp(w.mT) @ c + v * (w * w).sum(), None), x[0], x)[0]

    graph = decompose(specified(function, ((5, 3),), ((3, 3),)))
    after = hoist(graph)
    (scan,) = loops(after)
    assert [n.op.name for n in after.nodes if n.op.name not in ("getitem", "reshape", "pick")] == [
        "permute_dims", "exp", "multiply", "sum", "scan",
    ]  # fmt: skip
    assert body(scan.params["body"]) == [
        "%5 = reshape(%3, shape=(3, 1)) float32(3, 1)",
        "%6 = matmul(%1, %5) float32(3, 1)",
        "%7 = reshape(%6, shape=(3,)) float32(3,)",
        "%8 = multiply(%4, %2) float32(3,)",
        "%9 = add(%7, %8) float32(3,)",
        "return %9",
    ]
    unchanged(specified(function, ((5, 3),), ((3, 3),)), [np.ones((5, 3), "f"), np.eye(3, dtype="f")])


def test_views_stay_in_the_loop():
    function = lambda x, w: bl.scan(lambda c, v: (c @ w.mT + v, None), x[0], x)[0]
    (scan,) = loops(hoist(decompose(specified(function, ((5, 3),), ((3, 3),)))))
    assert "permute_dims" in {n.op.name for n in scan.params["body"].nodes}


def test_a_carry_that_stays_is_a_constant():
    def function(x, w):
        (c, same), ys = bl.scan(lambda s, v: ((s[0] * s[1] + v, s[1]), s[0]), (x[0], w), x)
        return c, same, ys

    graph = specified(function, ((4,),), ((),))
    after = hoist(decompose(graph))
    (scan,) = loops(after)
    assert (scan.params["constants"], scan.params["carries"]) == (1, 1)
    assert after.outputs[1] is after.inputs[1]
    unchanged(graph, [np.arange(4, dtype="f"), np.float32(2)], ulps=1)


def test_what_may_raise_stays_in_a_loop_that_may_not_run():
    function = lambda x, w: bl.while_loop(lambda c: c < 9, lambda c: c + bl.linalg.inv(w)[0, 0] + bl.sin(w[0, 0]), x)
    graph = specified(function, ((),), ((2, 2),))
    (loop,) = loops(pipeline.run(graph))
    names = [n.op.name for n in loop.params["body"].nodes]
    assert "inv" in names
    assert "sin" not in names
    pipeline.run(graph)(np.float32(10), np.zeros((2, 2), "f"))


def test_invariants_leave_several_loops():
    def function(x, w):
        return bl.fori_loop(0, 3, lambda i, c: bl.fori_loop(0, 2, lambda j, d: d * bl.exp(w) + i, c), x)

    graph = specified(function, ((),), ((),))
    after = hoist(decompose(graph))
    assert "exp" in [n.op.name for n in after.nodes]
    unchanged(graph, [np.float32(1), np.float32(0.5)], ulps=2)


# --- the pipeline ----------------------------------------------------------------------------------


def test_stages_have_names_and_stay():
    graph = specified(lambda x: bl.softmax(x) + 0 * x, ((3,),))
    stages = pipeline.stages(graph)
    assert [name for name, _ in stages] == ["traced", *(name for name, _ in pipeline.PIPELINE)]
    assert stages[0][1] is graph
    assert "softmax" in str(graph)


def test_a_graph_that_nothing_changes_is_the_same_object():
    graph = specified(lambda x: bl.exp(x), ((3,),))
    assert pipeline.run(graph) is graph


def test_twenty_thousand_nodes():
    def function(x):
        for _ in range(5_000):
            x = x * x * 0.5 + bl.sin(x)
        return x

    graph = specified(function, ((),))
    assert len(graph.nodes) == 20_000
    assert len(pipeline.run(graph).nodes) == 20_000


def test_outputs_that_are_inputs_and_constants():
    x = symbol(Spec((2,), F32))._node
    after = pipeline.run(Graph([x], [x, np.float32(3)]))
    a, b = after(np.ones(2, "f"))
    assert a.tolist() == [1, 1]
    assert b == 3


@pytest.mark.parametrize("broken", ["value", "shape", "nan", "order"])
def test_wrong_passes_are_found(broken):
    graph = specified(lambda x: bl.exp(x) * 2, ((3,),))

    def wrong(_):
        other = {
            "value": lambda x: bl.exp(x) * 2.001,
            "shape": lambda x: bl.reshape(bl.exp(x) * 2, (3, 1)),
            "nan": lambda x: bl.exp(x) * np.array([2, 2, np.nan], "f"),
            "order": lambda x: bl.flip(bl.exp(x) * 2),
        }[broken]
        return specified(other, ((3,),))

    with pytest.raises(bl.GraphError, match="output 0"):
        pipeline.compare(graph, wrong(graph), pipeline.sample(graph, np.random.default_rng(0)))


def test_an_illegal_graph_is_found_and_the_pass_named():
    def wrong(graph):
        graph.nodes[-1].like = Spec((7,), F32)
        return graph

    with bl.settings(check=True), pytest.raises(bl.GraphError, match="after the pass 'wrong': verify: exp"):
        pipeline.run(specified(bl.exp, ((3,),)), passes=[("wrong", wrong)])


def test_a_loop_that_gets_too_little_is_found():
    def wrong(graph):
        scan = loops(graph)[0]
        scan.inputs = scan.inputs[:-1]
        return graph

    graph = specified(lambda x: bl.scan(lambda c, v: (c + v, None), x[0], x)[0], ((4,),))
    with bl.settings(check=True), pytest.raises(bl.GraphError, match=r"after the pass 'wrong': .*'body'"):
        pipeline.run(graph, passes=[("wrong", wrong)])


# --- counters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_functions_of_a_counter_leave_the_loop(reverse, dtype):
    def function(x, start, w):
        def step(s, v):
            i, c = s
            i = i + 2
            return (i, c * w + bl.cos(bl.astype(i, bl.float32) * w) * v), -bl.exp(-bl.astype(i, bl.float32))

        return bl.scan(step, (start, x[0]), x, reverse=reverse)

    values = [np.linspace(0, 1, 5, dtype="f"), dtype(3), np.float32(0.5)]
    graph = traced(function, *values)
    after = unroll_counters(decompose(graph))
    (scan,) = loops(after)
    assert {n.op.name for n in after.nodes} >= {"cos", "exp"}
    assert {n.op.name for n in scan.params["body"].nodes} == {"add", "multiply"}
    unchanged(graph, values)


def test_cheap_functions_of_a_counter_stay():
    graph = specified(lambda x: bl.fori_loop(0, 9, lambda i, c: c * bl.astype(i + 1, bl.float32), x), ((),))
    graph = decompose(graph)
    assert unroll_counters(graph) is graph


def test_no_large_arrays_are_made_of_counters():
    step = lambda i, c: c * bl.exp(bl.astype(i, bl.float32))
    graph = decompose(specified(lambda x: bl.fori_loop(0, 1 << 18, step, x), ((),)))
    assert unroll_counters(graph) is graph
