"""Every kernel of the page against NumPy: the samples of every op's record, computed in a browser."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from backlit.base.trees import leaves
from backlit.graph.bind import PICK
from backlit.graph.node import Node
from backlit.graph.opdef import OPS, Spec
from backlit.graph.tensor import leaf_node
from backlit.show.explore import kernels
from backlit.show.explore.assets import COMPUTING, asset
from backlit.show.explore.payload import Payload
from backlit.testing.cases import Case, plain, samples_of

#: Ops of `kernels.names()` that take integers as bits or work on complex numbers.
BITS = {
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "threefry",
    "nextafter",
    "erfinv",
}


def nodes_of(case: Case) -> tuple[list[Node], dict[Node, Any], list[Node]]:
    """The case as a node on leaves: all nodes, the values of the leaves, and the results."""
    args, kwargs = case.with_arrays(case.arrays)
    inputs, params = case.op.split(args, kwargs)
    values: dict[Node, Any] = {}
    ins: list[Any] = []
    for x in map(plain, inputs):
        if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fb":
            leaf = leaf_node(None, like=Spec(x.shape, x.dtype))
            values[leaf] = x
            ins.append(leaf)
        else:
            ins.append(x)
    found = case.op.eval(*map(plain, inputs), **params)
    several = case.op.results is not None
    specs = [Spec(np.shape(f), np.asarray(f).dtype) for f in (found if several else [found])]
    like: Any = tuple(specs) if several else specs[0]
    node = Node(case.op, tuple(ins), params, None, like)
    picks = [Node(PICK, (node,), {"index": i}, None, s) for i, s in enumerate(like)] if several else []
    outs = picks or [node]
    for out, value in zip(outs, found if several else [found], strict=True):
        values[out] = value
    return [*(x for x in ins if isinstance(x, Node)), node, *picks], values, outs


def cases() -> list[tuple[str, Case]]:
    rng = np.random.default_rng(0)
    found = []
    for name in kernels.names():
        if name in BITS:
            continue
        for case in samples_of(OPS[name], rng):
            if any(a.dtype.kind == "c" for a in leaves(case.tree) if isinstance(a, np.ndarray)):
                continue
            found.append((name, case))
            if case.arrays and case.arrays[0].dtype == np.float64:
                found.append((name, case.narrow()))
    return found


def test_every_kernel_computes_what_numpy_does(browser: Any) -> None:
    every: list[Node] = []
    values: dict[Node, Any] = {}
    results: list[tuple[str, Node]] = []
    with np.errstate(all="ignore"):
        for name, case in cases():
            nodes, known, outs = nodes_of(case)
            every += nodes
            values |= known
            results += [(f"{name}: {case}", out) for out in outs]
    payload = Payload(every, values)
    wanted = [(what, node) for what, node in results if node not in payload.reasons]
    assert {what.split(":")[0] for what, _ in wanted} == set(kernels.names()) - BITS
    found = computed(browser, payload)
    for what, node in wanted:
        expected = np.asarray(values[node])
        got = np.array(found[payload.numbers[node]], float).reshape(expected.shape)
        close = {"f": 2e-12, "i": 0, "b": 0, "u": 0}[expected.dtype.kind] if expected.dtype.itemsize != 4 else 3e-6
        scale = float(np.max(np.abs(np.asarray(expected, float)), initial=1.0))
        np.testing.assert_allclose(got, expected, rtol=close, atol=close * scale, err_msg=what)


def computed(browser: Any, payload: Payload) -> Any:
    """The values of all nodes, computed in the browser."""
    page = browser.new_page()
    problems: list[Any] = []
    page.on("pageerror", lambda e: problems.append(e))
    scripts = "\n".join([payload.script(), *map(asset, COMPUTING)])
    page.set_content(f"<script>{scripts}\nconst data = {json.dumps(payload.data())};</script>")
    found = page.evaluate(
        "() => new Program(data).values.map(a => a && Array.from(a.data, v => Number.isFinite(v) ? v : String(v)))"
    )
    page.close()
    assert not problems
    return found
