"""merge_scans, batch_matmuls, split_products, join_pads: recurrent networks before and after."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import backlit as bl
from backlit.compiler import pipeline
from backlit.compiler.passes.batch import batch_matmuls
from backlit.compiler.passes.decompose import decompose
from backlit.compiler.passes.join import join_pads
from backlit.compiler.passes.merge import merge_scans
from tests.recurrent import LOSSES, LSTM, OUT, TARGET, XS, B, D, H, T, V, arrays, cell, lstm

from .running import F64, body, specified, traced, unchanged

M = SimpleNamespace(
    sigmoid=bl.sigmoid, tanh=bl.tanh, scan=bl.scan, zeros=lambda shape: bl.zeros(shape, dtype=bl.float64),
    concat=lambda parts: bl.concat(parts, axis=-1),
)  # fmt: skip


def scans(graph):
    """The loops of a graph in the order in which they run."""
    return [n for n in graph.nodes if n.op.name == "scan"]


def products(node):
    return sum(n.op.name == "matmul" for n in node.params["body"].nodes)


def step_of(loss, count, m=M):
    """A step of gradient descent on the first `count` arguments, and the loss."""

    def step(*given):
        value, slopes = bl.value_and_grad(lambda *a: loss(m, *a), argnums=tuple(range(count)))(*given)
        return value, [w - 0.1 * g for w, g in zip(given, slopes, strict=False)]

    return step


#: The products left in the body of each loop: of a layer's state with its weights forward, of its cotangent backward.
LEFT = {
    "lstm": [1, 1], "lstm of one sequence": [1, 1], "joined": [1, 1], "stacked": [3, 3], "layers": [1, 1, 1, 1],
    "gru": [2, 2],
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_a_training_step_keeps_in_its_loops_only_the_products_that_wait_for_the_state(name):
    loss, given, count = LOSSES[name]
    graph = traced(step_of(loss, count), *given)
    after = unchanged(graph, given, ulps=4096)
    assert [products(n) for n in scans(after)] == LEFT[name]


def test_each_derivative_of_a_loop_shares_its_forward_pass():
    """A Hessian times a vector: five scans are traced, a forward and a backward one are left."""
    hvp = lambda *a: bl.hvp(lambda *w: lstm(M, *w, *a[3:]), list(a[:3]), list(a[:3]))
    graph = traced(hvp, *LSTM, XS, TARGET)
    after = unchanged(graph, [*LSTM, XS, TARGET], ulps=4096)
    assert (len(scans(graph)), len(scans(after))) == (5, 2)


def test_no_step_runs_its_products_twice():
    """Already as traced: the derivative keeps the gates, and computes no more than their derivatives from them."""
    graph = traced(step_of(lstm, 3), *LSTM, XS, TARGET)
    *_, back = scans(graph)
    names = {n.op.name for n in back.params["body"].nodes}
    assert not names & {"sigmoid", "tanh"}
    assert products(back) == 4  # those of the cotangents, and none of the forward pass


def test_embedding_and_loss_in_the_loop_leave_it():
    ids = np.random.default_rng(2).integers(0, V, (T, B, 2))

    def loss(m, table, wx, wh, b, out, ids):
        def step(s, i):
            s = cell(m, s, bl.take(table, i[:, 0], axis=0), wx, wh, b)
            return s, bl.softmax_cross_entropy(s[0] @ out, i[:, 1])

        zero = m.zeros((B, H))
        return m.scan(step, (zero, zero), ids)[1].mean()

    given = [*arrays((V, D)), *LSTM, OUT, ids]
    after = unchanged(traced(step_of(loss, 5), *given), given, ulps=4096)
    forward, back = scans(after)
    assert products(forward) == products(back) == 1
    assert not {"exp", "take"} & {n.op.name for n in forward.params["body"].nodes}
    assert "place" not in {n.op.name for n in back.params["body"].nodes}


def test_loops_in_loops():
    """Steps of training in a loop: what is done to the loops in its body is done."""

    def train(wx, wh, b, xs, target):
        def step(i, w):
            slopes = bl.grad(lambda w: lstm(M, *w, xs * (i + 1.0), target))(w)
            return tuple(w - 0.1 * g for w, g in zip(w, slopes, strict=True))

        return bl.fori_loop(0, 3, step, (wx, wh, b))

    given = [*LSTM, XS, TARGET]
    (loop,) = scans(unchanged(traced(train, *given), given, ulps=4096))
    assert len(loop.inputs) == loop.params["constants"] + loop.params["carries"]  # it counts, and reads no array
    assert [products(n) for n in scans(loop.params["body"])] == [1, 1]


def test_a_map_over_slices_becomes_one_product():
    after = unchanged(traced(step_of(lambda m, w, xs: m.scan(lambda c, x: (c, m.tanh(x @ w)), None, xs)[1].sum(), 1),
                             *arrays((D, H)), XS), [*arrays((D, H)), XS])  # fmt: skip
    assert all(products(n) == 0 for n in scans(after))


def test_large_products_stay():
    """A step whose product has many rows is efficient as it is, and its operands may be too large to keep."""

    def loss(w, xs):
        return bl.scan(lambda total, x: (total + bl.tanh(x @ w).mT @ x, None), bl.zeros((2, 2), dtype=bl.float64), xs)[
            0
        ]

    graph = decompose(specified(loss, ((2, 2), F64), ((3, 256, 2), F64)))
    assert batch_matmuls(graph) is graph


# --- the graphs in full ----------------------------------------------------------------------------


def test_merge_scans_in_full():
    """The second starts from the same and steps in the same way, and gives out something else."""

    def function(x, start):
        one = bl.scan(lambda c, v: (c * v, None), start, x)[0]
        return one, bl.scan(lambda c, v: (c * v, (c, v + 1)), start, x)[1]

    graph = specified(function, ((3,),), ((),))
    after = merge_scans(graph)
    (loop,) = scans(after)
    assert body(loop.params["body"])[-1] == "return %2, %0, %3"
    assert sorted(line.split(" = ")[1] for line in body(loop.params["body"])[:-1]) == [
        "add(%1, 1) float32()", "multiply(%0, %1) float32()",
    ]  # fmt: skip
    values = [np.array([2, 3, 5], "f"), np.float32(1)]
    pipeline.compare(graph, after, values)


@pytest.mark.parametrize(
    "other",
    [
        lambda x, s: bl.scan(lambda c, v: (c + v, c), s, x)[1],  # another step
        lambda x, s: bl.scan(lambda c, v: (c * v, c), s, x, reverse=True)[1],  # the other way
        lambda x, s: bl.scan(lambda c, v: (c * v, c), s, x[1:])[1],  # another length
    ],
)
def test_loops_without_common_work_stay_apart(other):
    graph = specified(lambda x, s: (bl.scan(lambda c, v: (c * v, c), s, x)[1], other(x, s)), ((3,),), ((),))
    assert merge_scans(graph) is graph


def test_carries_are_one_only_where_all_that_they_depend_on_is():
    """Both carry pairs start alike; the second differs in how its second part is stepped, and so in its first."""
    one = lambda c, v: ((c[0] + c[1], c[1] * v), None)
    two = lambda c, v: ((c[0] + c[1], c[1] * v + 1), bl.exp(v) * v)
    function = lambda x: (bl.scan(one, (x[0], x[0]), x)[0], bl.scan(two, (x[0], x[0]), x))
    graph = specified(function, ((3,),))
    after = merge_scans(graph)
    pipeline.compare(graph, after, [np.array([2, 3, 5], "f")])
    assert sum(n.params["carries"] for n in scans(after)) == 4


def test_batch_matmuls_in_full():
    """The inputs' product before the loop, the weights' gradient after it."""

    def function(w, xs, gs):
        total, ys = bl.scan(lambda t, s: (t + s[0].mT @ s[1], s[0] @ w), bl.zeros((2, 3)), (xs, gs))
        return total, ys

    graph = specified(function, ((2, 3),), ((4, 5, 2),), ((4, 5, 3),))
    after = pipeline.run(graph)
    assert body(after) == [
        "%3 = reshape(%1, shape=(20, 2)) float32(20, 2)",
        "%4 = matmul(%3, %0) float32(20, 3)",
        "%5 = reshape(%4, shape=(4, 5, 3)) float32(4, 5, 3)",
        "%6 = permute_dims(%3, axes=(1, 0)) float32(2, 20)",
        "%7 = reshape(%2, shape=(20, 3)) float32(20, 3)",
        "%8 = matmul(%6, %7) float32(2, 3)",
        "return %8, %5",
    ]


def test_join_pads_in_full():
    def function(a, b, c):
        loss = lambda x: (x[:, 4:] * c).sum() + (x[:, :2] * a).sum() + (x[:, 2:4] * b).sum() + (x * x).sum()
        return bl.grad(loss)(bl.concat([a, b, c], axis=1))

    graph = specified(function, ((2, 2),), ((2, 2),), ((2, 3),))
    after = join_pads(decompose(graph))
    assert [n.op.name for n in after.nodes].count("pad_zeros") == 0
    assert [n.op.name for n in after.nodes].count("concat") == 2
    pipeline.compare(graph, after, [np.full(s, i + 1, "f") for i, s in enumerate([(2, 2), (2, 2), (2, 3)])])
