"""decompose: what ops become, that a loss and its gradient share one softmax, and that NaN and infinities stay."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.compiler import pipeline
from backlit.compiler.passes.cse import cse
from backlit.compiler.passes.decompose import decompose
from backlit.compiler.passes.rewrite import BODIES
from backlit.ops.index import getitem, place
from backlit.ops.indexing import Cut, Filled, Index

from .running import I64, body, specified, traced, unchanged

INF, NAN = np.inf, np.nan


def test_softmax():
    graph = specified(lambda x: bl.softmax(x, axis=0), ((3, 4),))
    assert body(decompose(graph)) == [
        "%1 = max(%0, axis=(0,), keepdims=True) float32(1, 4)",
        "%2 = subtract(%0, %1) float32(3, 4)",
        "%3 = exp(%2) float32(3, 4)",
        "%4 = sum(%3, axis=(0,), keepdims=True) float32(1, 4)",
        "%5 = divide(%3, %4) float32(3, 4)",
        "return %5",
    ]


def test_a_loss_and_its_gradient_share_one_softmax():
    graph = specified(bl.value_and_grad(bl.softmax_cross_entropy), ((4, 5),), ((4,), I64))
    assert body(cse(decompose(graph))) == [
        "%2 = max(%0, axis=(1,), keepdims=True) float32(4, 1)",
        "%3 = subtract(%0, %2) float32(4, 5)",
        "%4 = exp(%3) float32(4, 5)",
        "%5 = sum(%4, axis=(1,), keepdims=True) float32(4, 1)",
        "%6 = log(%5) float32(4, 1)",
        "%7 = astype(%1, dtype=dtype('int32')) int32(4,)",
        "%8 = reshape(%7, shape=(4, 1)) int32(4, 1)",
        "%9 = equal(%8, int32(5,)) bool(4, 5)",
        "%10 = where(%9, %3, 0) float32(4, 5)",
        "%11 = sum(%10, axis=(1,), keepdims=True) float32(4, 1)",
        "%12 = reshape(%1, shape=(4, 1)) int64(4, 1)",
        "%13 = less(%12, 5) bool(4, 1)",
        "%14 = greater_equal(%12, 0) bool(4, 1)",
        "%15 = logical_and(%14, %13) bool(4, 1)",
        "%16 = subtract(%6, %11) float32(4, 1)",
        "%17 = where(%15, %16, nan) float32(4, 1)",
        "%18 = sum(%17, axis=(0, 1), keepdims=False) float32()",
        "%19 = divide(%18, 4) float32()",
        "%20 = divide(%4, %5) float32(4, 5)",
        "%21 = astype(%9, dtype=dtype('float32')) float32(4, 5)",
        "%22 = subtract(%20, %21) float32(4, 5)",
        "%23 = multiply(%22, np.float32(0.25)) float32(4, 5)",
        "return %19, %23",
    ]


def test_var_shares_the_mean():
    graph = specified(lambda x: (bl.mean(x, axis=1, keepdims=True), bl.var(x, axis=1)), ((3, 4),))
    assert body(cse(decompose(graph))) == [
        "%1 = sum(%0, axis=(1,), keepdims=True) float32(3, 1)",
        "%2 = divide(%1, 4) float32(3, 1)",
        "%3 = subtract(%0, %2) float32(3, 4)",
        "%4 = multiply(%3, %3) float32(3, 4)",
        "%5 = sum(%4, axis=(1,), keepdims=False) float32(3,)",
        "%6 = divide(%5, 4.0) float32(3,)",
        "return %2, %6",
    ]


def test_basic_indices_have_one_form():
    graph = specified(lambda x: (x[-1, ..., None, ::-2], x[1:, 0], x[:]), ((3, 4, 5),))
    assert body(decompose(graph)) == [
        "%1 = getitem(%0, index=[2:3:1, 0:4:1, 0:5:2]) float32(1, 4, 3)",
        "%2 = flip(%1, axis=(2,)) float32(1, 4, 3)",
        "%3 = reshape(%2, shape=(4, 1, 3)) float32(4, 1, 3)",
        "%4 = getitem(%0, index=[1:3:1, 0:1:1, 0:5:1]) float32(2, 1, 5)",
        "%5 = reshape(%4, shape=(2, 5)) float32(2, 5)",
        "return %3, %5, %0",
    ]


def test_the_transpose_of_a_basic_index_is_padding():
    def function(y, z):
        return place(y, index=Index((1, Cut(None, 2))), shape=(3, 4)), place(
            z, index=Index((Cut(0, 4, 2),)), shape=(4,)
        )

    assert body(decompose(specified(function, ((2,),), ((2,),)))) == [
        "%2 = reshape(%0, shape=(1, 2)) float32(1, 2)",
        "%3 = pad_zeros(%2, pads=((1, 1), (0, 2))) float32(3, 4)",
        "%4 = place(%1, index=[0:4:2], shape=(4,)) float32(4,)",
        "return %3, %4",
    ]


def test_arrays_along_one_axis_are_taken():
    graph = specified(lambda x, i: (x[:, i], bl.take(x, i, axis=1), x[i, i]), ((3, 4),), ((2,), I64))
    assert body(decompose(graph)) == [
        "%2 = take(%0, %1, axis=1) float32(3, 2)",
        "%3 = take(%0, %1, axis=1) float32(3, 2)",
        "%4 = getitem(%0, %1, %1, index=[#, #]) float32(2,)",
        "return %2, %3, %4",
    ]


def test_products_have_two_dimensions_or_more():
    graph = specified(lambda m, v, b: (m @ v, v @ v, b @ m), ((3, 3),), ((3,),), ((2, 2, 3),))
    assert body(decompose(graph)) == [
        "%3 = reshape(%1, shape=(3, 1)) float32(3, 1)",
        "%4 = matmul(%0, %3) float32(3, 1)",
        "%5 = reshape(%4, shape=(3,)) float32(3,)",
        "%6 = multiply(%1, %1) float32(3,)",
        "%7 = sum(%6, axis=(0,), keepdims=False) float32()",
        "%8 = reshape(%2, shape=(4, 3)) float32(4, 3)",
        "%9 = matmul(%8, %0) float32(4, 3)",
        "%10 = reshape(%9, shape=(2, 2, 3)) float32(2, 2, 3)",
        "return %5, %7, %10",
    ]


def test_joining_and_taking_apart():
    graph = specified(lambda x: (bl.stack(bl.unstack(x), axis=1), *bl.split(x, [1], axis=1)), ((2, 3),))
    after = decompose(graph)
    assert {n.op.name for n in after.nodes} == {"getitem", "reshape", "concat"}
    unchanged(graph, [np.arange(6, dtype="f").reshape(2, 3)], ulps=0)


def test_functions_kept_as_one_op_are_what_they_do():
    @bl.custom_derivative
    def double(x):
        return bl.square(x) * 2

    double.vjp(lambda g, out, x: g * x)
    graph = specified(lambda x: bl.checkpoint(lambda x: bl.sin(double(x)))(x), ((3,),))
    assert body(decompose(graph)) == [
        "%1 = multiply(%0, %0) float32(3,)",
        "%2 = multiply(%1, 2) float32(3,)",
        "%3 = sin(%2) float32(3,)",
        "return %3",
    ]
    unchanged(specified(bl.grad(lambda x: bl.checkpoint(double)(x).sum()), ((3,),)), [np.ones(3, "f")], ulps=0)


def test_no_grad_makes_no_other_ops():
    def function(x):
        with bl.no_grad():
            return bl.exp(x)

    graph = specified(function, ((3,),))
    assert graph.nodes[0].op is not bl.exp.op
    assert decompose(graph).nodes[0].op is bl.exp.op


def test_loops_are_taken_along():
    graph = specified(
        lambda x: bl.scan(lambda c, x: (c * bl.softmax(x), bl.cond(c[0] > 0, bl.square, bl.sqrt, c)), x[0], x),
        ((3, 4),),
    )
    names = {n.op.name for one in pipeline.nested(decompose(graph)) for n in one.nodes}
    assert names >= {"scan", "cond", "exp", "sqrt"}
    assert not names & {"softmax", "square"}


def test_new_nodes_belong_to_the_line_and_the_name_of_the_old():
    graph = specified(lambda x: bl.grad(lambda x: bl.std(x))(x), ((3,),))
    (old,) = (n for n in graph.nodes if n.op.name == "std")
    after = [n for n in decompose(graph).nodes if n.op.name == "sqrt"]
    assert after[0].place == old.place
    derived = [n for n in decompose(graph).nodes if n.origin is not None]
    assert {n.origin.op.name for n in derived} == {"std"}
    assert all(n.place is not None for n in derived)


SPECIAL = np.array(
    [
        [0.0, -0.0, 1.0, -1.0], [INF, 0, 1, 2], [-INF, 0, 1, 2], [-INF] * 4, [INF, -INF, 0, 0], [NAN, 0, 1, 2],
        [1000, -1000, 0, 0], [INF] * 4,
    ],
    "f",
)  # fmt: skip
LABELS = np.array([0, 1, 0, 2, 1, 3, 1, 0])


@pytest.mark.parametrize("function", [
    bl.softmax, bl.log_softmax, lambda x: bl.softmax(x, axis=0), lambda x: bl.logsumexp(x, axis=1), bl.logsumexp,
    lambda x: bl.softmax_cross_entropy(x, LABELS, reduction="none"), lambda x: bl.softmax_cross_entropy(x, LABELS),
    lambda x: bl.softmax_cross_entropy(x, bl.one_hot(LABELS, 4), reduction="none"),
    lambda x: bl.mean(x, axis=1), lambda x: bl.var(x, axis=1), lambda x: bl.std(x, axis=0, correction=1),
    lambda x: bl.linalg.vector_norm(x, axis=1), lambda x: bl.linalg.vector_norm(x, axis=1, ord=3), bl.count_nonzero,
    bl.tril, lambda x: bl.pad(x, 1)[::2], lambda x: bl.roll(x, 3), bl.relu, lambda x: bl.where(x > 0, bl.sqrt(x), 0),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_and_infinities_stay(function):
    both = lambda x: (function(x), bl.grad(lambda x: bl.sum(bl.astype(function(x), bl.float32)))(x))
    unchanged(traced(both, SPECIAL), [SPECIAL])
    unchanged(traced(function, SPECIAL.astype("e")), [SPECIAL.astype("e")])


@pytest.mark.parametrize("function", [
    bl.softmax, bl.log_softmax, lambda x: bl.softmax(x, axis=0), lambda x: bl.logsumexp(x, axis=1), lambda x: x[1:],
    lambda x: bl.sum(x), bl.prod, lambda x: bl.var(x, axis=0), bl.count_nonzero, lambda x: bl.roll(x, 1), bl.tril,
    lambda x: bl.linalg.vector_norm(x, axis=1), lambda x: x @ bl.ones((0, 2)), bl.stack, bl.zeros_like,
    lambda x: bl.split(x, 2, axis=1), lambda x: bl.einsum("ij,ik->jk", x, x),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_empty_arrays(function):
    x = np.ones((2, 0), "f")
    unchanged(traced(function, x), [x], ulps=0)


def test_labels_that_name_no_class_give_nan():
    graph = specified(
        lambda x, y: (bl.softmax_cross_entropy(x, y, reduction="none"), bl.one_hot(y, 3)), ((3, 3),), ((3,), I64)
    )
    losses, rows = decompose(graph)(np.zeros((3, 3), "f"), np.array([3, -1, 2**32 + 1]))
    assert np.isnan(losses).all()
    assert np.isnan(rows).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "uint64"])
def test_labels_of_any_integer_dtype(dtype):
    x = np.random.default_rng(0).normal(size=(3, 200)).astype("f")
    labels = np.array([0, 5, 127], dtype)
    unchanged(traced(bl.value_and_grad(bl.softmax_cross_entropy), x, labels), [x, labels])


def test_large_triangles_are_no_constants():
    graph = specified(lambda x: bl.tril(x, k=1), ((2, 100, 100),))
    constants = [x for n in pipeline.run(graph).nodes for x in n.inputs if isinstance(x, np.ndarray)]
    assert max(x.size for x in constants) == 100
    unchanged(graph, [np.ones((2, 100, 100), "f")], ulps=0)


def test_bodies_name_every_graph_among_parameters():
    for op, names in BODIES.items():
        assert set(names) <= set(op.param_names)


def test_an_index_filled_twice_adds_up():
    rows = np.array([0, 2, 0])
    function = lambda y: place(y, rows, index=Index((Cut(), "#")), shape=(2, 3))
    y = np.ones((2, 3), "f")
    assert getitem(y, Filled(Index((Cut(), "#")), (rows,))).shape == (2, 3)
    unchanged(traced(function, y), [y], ulps=0)
