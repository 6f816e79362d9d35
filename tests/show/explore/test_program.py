"""The program behind a page: its values in Python are those of the Tape, and those in the browser are Python's."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.explain.tape import Tape, tape_of
from backlit.graph.node import Node
from backlit.show.explore.assets import COMPUTING, asset
from backlit.show.explore.payload import MOST_ELEMENTS, Payload
from backlit.show.explore.program import Program

rng = np.random.default_rng(0)


def masked(x: Any) -> Any:
    return bl.sum(bl.where(x > 0, bl.sqrt(x), x * x)) + bl.max(x) * bl.min(bl.abs(x))


def network(model: nn.Layer, x: Any, loss: Any) -> Tape:
    model(x)
    return tape_of(lambda p, x: loss(model.apply(p, x)[0]), model.parameters(), x)


def convolutions() -> Tape:
    model = nn.Sequential(
        nn.Conv2d(3, 3, padding=1), nn.BatchNorm(), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten(),
        nn.Dense(4, "gelu"), nn.Dense(3),
    )  # fmt: skip
    return network(model, rng.normal(size=(2, 1, 8, 8)), lambda y: bl.softmax_cross_entropy(y, np.array([1, 2])))


def words() -> Tape:
    model = nn.Sequential(nn.Embedding(7, 3), nn.GRU(4))
    ids = np.array([[1, 2, 1]])
    model(ids)
    return tape_of(lambda p: bl.mean(model.apply(p, ids)[0] ** 2), model.parameters())


def text() -> Any:
    return rng.normal(size=(2, 5, 4))


def mean_square(y: Any) -> Any:
    return bl.mean(y**2)


TAPES = {
    "masked": lambda: tape_of(masked, np.array([-1.0, 2.0, 0.5, -0.3])),
    "convolutions": convolutions,
    "LSTM": lambda: network(nn.LSTM(3), text(), mean_square),
    "transformer": lambda: network(
        nn.TransformerEncoderLayer(2, 8, dropout=0), rng.normal(size=(2, 5, 4)), mean_square
    ),
    "words": words,
    "slices": lambda: tape_of(
        lambda x: bl.sum(bl.concat([x[:, ::-1], x[[0, 0, 1]]]) ** 2 * x[0, 1]), rng.normal(size=(2, 3))
    ),
}


def tape_named(name: str) -> Tape:
    with bl.settings(default_dtype=bl.float64), np.errstate(all="ignore"):
        return TAPES[name]()


def in_browser(browser: Any, payload: Payload, change: tuple[int, float] | None = None) -> list[Any]:
    """The values of all nodes of a program, computed in the browser, perhaps after element 0 of a leaf was changed."""
    tab = browser.new_page()
    scripts = "\n".join([payload.script(), *map(asset, COMPUTING)])
    tab.set_content(f"<script>{scripts}\nconst program = new Program({json.dumps(payload.data())});</script>")
    if change is not None:
        tab.evaluate("([leaf, x]) => program.change(leaf, 0, x)", list(change))
    found = tab.evaluate(
        "() => program.values.map(a => a && Array.from(a.data, v => Number.isFinite(v) ? v : String(v)))"
    )
    tab.close()
    return found


def compared(program: Program, payload: Payload, found: list[Any], expected: dict[Node, Any]) -> int:
    """How many values of the page are those that are expected; all that it computes must be."""
    count = 0
    for node in program.nodes:
        if node in payload.reasons or node.op.results is not None:
            continue
        want = np.asarray(expected[node], float).reshape(-1)
        got = np.array(found[payload.numbers[node]], float)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11, err_msg=node.label)
        count += 1
    return count


@pytest.mark.parametrize("name", list(TAPES))
def test_the_program_computes_what_the_tape_holds(browser: Any, name: str) -> None:
    tape = tape_named(name)
    program = Program(tape)
    for node, g in tape.cotangents.items():
        np.testing.assert_allclose(program.value(program.cotangents[node]), g, rtol=1e-9, atol=1e-12)
    for e, slope in program.slopes.items():
        piece = program.value(program.pieces[e])
        g = np.asarray(tape.cotangents[e.target])
        if np.shape(piece) == np.shape(g):
            with np.errstate(invalid="ignore"):  # behind a selection 0 times NaN is 0
                product = np.where(g == 0, 0, program.value(slope) * g)
            np.testing.assert_allclose(product, piece, rtol=1e-9, atol=1e-12)
    payload = Payload(program.nodes, program.values)
    assert compared(program, payload, in_browser(browser, payload), program.values) > len(tape.nodes)
    assert not payload.reasons


def test_a_change_in_the_browser_is_a_change_in_python(browser: Any) -> None:
    tape = tape_named("convolutions")
    program = Program(tape)
    payload = Payload(program.nodes, program.values)
    leaf = next(n for n in tape.leaves if tape.name(n) == "x")
    twin = program.twins[leaf]
    values = {n: v for n, v in program.values.items() if not n.inputs}
    changed = np.array(values[twin])
    changed.flat[0] = 3.5
    values[twin] = changed
    for node in program.nodes:
        if node not in values:
            args = [values[x] if isinstance(x, Node) else x for x in node.inputs or ()]
            values[node] = node.op.eval(*args, **node.params)
    found = in_browser(browser, payload, (payload.numbers[twin], 3.5))
    assert compared(program, payload, found, values) > 80


def test_a_wrong_kernel_would_be_found(browser: Any) -> None:
    tape = tape_of(lambda x: bl.sum(bl.exp(x)), np.arange(3.0))
    program = Program(tape)
    payload = Payload(program.nodes, program.values)
    payload.functions = {f.replace("Math.exp", "Math.expm1"): i for f, i in payload.functions.items()}
    with pytest.raises(AssertionError, match="exp"):
        compared(program, payload, in_browser(browser, payload), program.values)


def test_what_is_not_computed_in_the_page_says_why() -> None:
    x, many = rng.normal(size=(4, 4)), np.ones(MOST_ELEMENTS + 1)
    cases = {"op": (lambda x: bl.sum(bl.exp(bl.linalg.inv(x))), x), "size": (lambda x: bl.sum(x * x), many)}
    payloads = {}
    for name, (f, value) in cases.items():
        program = Program(tape_of(f, value))
        payloads[name] = Payload(program.nodes, program.values)
    reasons = {n.op.name: why for n, why in payloads["op"].reasons.items()}
    assert reasons["inv"] == "op inv"
    assert reasons["exp"] == "behind"
    assert payloads["size"].reasons[next(iter(payloads["size"].reasons))] == "size"
