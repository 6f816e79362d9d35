"""Formulas: what is printed is what is computed, for every op of the library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.explain.expression import Expression
from backlit.explain.formula import derivative, formula, jacobian, pullback
from backlit.explain.local import locals_of
from backlit.explain.reasons import reason
from backlit.explain.symbols import Applied, Formula, Name, applied, simplified, text
from backlit.explain.symbols_latex import latex
from backlit.explain.tape import Tape, tape_of
from backlit.graph.opdef import OPS, OpDef

from ..programs import Ours


def computed(f: Formula, values: dict[str, Any]) -> Any:
    """The value of a formula."""
    if isinstance(f, Name):
        return values[f.text]
    if isinstance(f, Applied):
        args = [computed(a, values) for a in f.args]
        if f.op.name in ("concat", "stack"):
            return np.asarray(f.op.eval(*args, **f.params))
        if f.op.name in ("add", "subtract", "multiply"):  # of truth values: the cast before goes without saying
            args = [1.0 * a for a in args]
        return f.op.eval(*map(np.asarray, args), **f.params)
    return np.float64(f)


def sampled(op: OpDef) -> tuple[Tape, Any]:
    """A Tape of one call of an op, and the cotangent of its output."""
    rng = np.random.default_rng(0)
    if callable(op.samples):
        args, options = op.samples(rng)[0]
    else:
        intervals = [part if isinstance(part, tuple) else part[-1] for part in op.samples]
        args, options = tuple(rng.uniform(low, high, 3) for low, high in intervals), {}
    floats = [a for a in args if isinstance(a, (np.ndarray, np.floating)) and a.dtype.kind == "f"]

    def f(*new: Any) -> Any:
        rest = iter(new)
        return op.public(*(next(rest) if any(a is x for x in floats) else a for a in args), **options)

    y = f(*map(bl.tensor, floats))
    first = y[0] if isinstance(y, tuple) else y
    g = rng.normal(size=first.shape)
    return tape_of(f, *floats, cotangent=g), g


#: What a formula may hold that cannot be computed from it: arrays without a name, rules without a formula, one of
#: several outputs.
OPAQUE = ("constant", "mask", "vjp of", ")[0]", ")[1]", "concat(")

OPS_WITH_RULES = sorted(
    n for n, op in OPS.items()
    if op.samples is not None and op.composite is None and op.nondiff is None and op.dtypes != "boolean"
    and op.namespace not in ("hidden", "fft", "random") and n not in ("nextafter", "concat", "stack", "roll", "cond")
)  # fmt: skip


@pytest.mark.parametrize("name", OPS_WITH_RULES)
def test_the_printed_derivative_is_the_derivative(name: str) -> None:
    tape, g = sampled(OPS[name])
    values = {tape.name(n): n.value for n in tape.nodes} | {"G": g}
    assert tape.edges
    for edge in tape.edges:
        if edge.target.op.name != name or edge.target.op.results is not None:
            continue
        whole = formula(tape, edge.target)
        assert whole is not None
        assert text(whole)
        assert latex(whole)
        assert reason(tape, edge)
        expected = tape.pulled(edge, g if edge.target is tape.output else tape.cotangents[edge.target])
        for f in (pullback(tape, edge), derivative(tape, edge)):
            assert f is None or latex(f)
            if f is None or expected is None or any(part in text(f) for part in OPAQUE):
                continue
            found = computed(f, values | {"G": tape.cotangents[edge.target]})
            found = found if f == pullback(tape, edge) else found * tape.cotangents[edge.target]
            if np.size(found) == np.size(expected):
                found = np.reshape(found, expected.shape)
            found = np.broadcast_to(found, expected.shape)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


RAISED = {c: f"**{n}" for c, n in zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)}


def read(told: str) -> Expression | None:
    """A formula read back from its text; None where the text has what expressions have not."""
    found = told.replace("argument ", "a").replace("^", "**").replace("⁻¹", "**(-1)").replace("⁻²", "**(-2)")
    for sign, power in RAISED.items():
        found = found.replace(sign, power)
    try:
        return Expression(found)
    except bl.ArgumentError:
        return None


def test_what_is_written_reads_as_what_is_meant() -> None:
    """Parentheses stand where they must: text read back by another parser has the same value."""
    count = 0
    for name in (n for n in OPS_WITH_RULES if OPS[n].family == "elementwise"):
        tape, _ = sampled(OPS[name])
        values = {tape.name(n): n.value for n in tape.nodes}
        short = {k.replace("argument ", "a"): v for k, v in values.items()}
        for edge in tape.edges:
            for f in (formula(tape, edge.target), derivative(tape, edge)):
                again = read(text(f)) if f is not None else None
                if f is None or again is None or any(s in text(f) for s in "<>=≤≥≠"):
                    continue
                # constants are written with six digits
                np.testing.assert_allclose(again.value(short, Ours()), computed(f, values), rtol=1e-4, atol=1e-6)
                count += 1
    assert count > 80


def test_formulas_are_simple() -> None:
    x, y = Name("x"), Name("y")
    minus, half = applied("negative", x), applied("divide", x, y)
    assert text(applied("multiply", minus, y)) == "-x · y"
    assert text(applied("multiply", y, minus)) == "-y · x"
    assert text(applied("negative", minus)) == "x"
    assert text(applied("add", x, minus)) == "x - x"
    assert text(applied("subtract", x, applied("negative", y))) == "x + y"
    assert text(applied("subtract", 0.0, y)) == "-y"
    assert text(applied("divide", half, y)) == "x / y²"
    assert text(applied("pow", x, 3.0)) == "x³"
    assert text(applied("pow", x, applied("negative", y))) == "x^(-y)"
    assert text(applied("multiply", applied("add", x, 2.0), 3.0)) == "3 · (x + 2)"
    assert applied("multiply", 2.0, 3.0) == 6.0
    assert applied("add", 2.0, 3.0) == 5.0
    assert applied("subtract", 2.0, 3.0) == -1.0
    assert text(applied("subtract", x, applied("add", x, y))) == "x - (x + y)"
    assert latex(applied("multiply", applied("add", x, 1e-7), -2.0)) == (
        r"\left(-2\right) \cdot \left(x + 1 \cdot 10^{-7}\right)"
    )
    assert latex(applied("square", applied("tanh", Name("h3")))) == r"\tanh(h_{3})^2"
    assert simplified(x) == x


def test_shapes_and_reasons_of_products_of_every_rank() -> None:
    rng = np.random.default_rng(0)
    cases = [
        ((4, 3), (3, 2)),
        ((3,), (3, 2)),
        ((4, 3), (3,)),
        ((3,), (3,)),
        ((5, 4, 3), (3, 2)),
        ((5, 4, 3), (5, 3, 2)),
    ]
    for a, b in cases:
        x, w = rng.normal(size=a), rng.normal(size=b)
        tape = tape_of(lambda x, w: x @ w, x, w, cotangent=rng.normal(size=(x @ w).shape))
        for local in locals_of(tape):
            assert local.shapes.endswith(f"→ {local.edge.source.shape}")
            told = reason(tape, local.edge)
            assert "Σ" in told
            values = {"x": x, "w": w, "G": tape.seed}
            np.testing.assert_allclose(
                np.reshape(computed(local.pullback, values), local.edge.source.shape),
                tape.cotangents[local.edge.source],
            )
    tape = tape_of(lambda x, w: x @ w, np.ones((4, 3)), np.ones((3, 2)), cotangent=np.ones((4, 2)))
    assert [local.shapes for local in locals_of(tape)] == ["(4, 2)·(3, 2)ᵀ → (4, 3)", "(4, 3)ᵀ·(4, 2) → (3, 2)"]


def test_the_jacobian_is_that_of_the_library() -> None:
    x = np.array([0.3, -1.0, 2.0])
    tape = tape_of(bl.softmax, x, cotangent=np.ones(3))
    (edge,) = tape.edges
    np.testing.assert_allclose(jacobian(tape, edge), bl.jacobian(bl.softmax)(x).numpy(), rtol=1e-12)
    large = tape_of(lambda x: bl.sum(bl.tanh(x)), np.ones(9))
    assert [jacobian(large, e) is None for e in large.edges] == [True, False]


def test_names_of_constants_are_those_of_the_user() -> None:
    scale = np.float64(3.0)
    y = bl.tensor(2.0, dtype="float64", requires_grad=True) * scale
    tape = tape_of(y, names={"scale": scale, "y": y})
    assert text(formula(tape, tape.output) or 0.0) in ("leaf 1 · scale", "leaf 1 · 3")


def test_an_input_that_is_left_out_has_no_name() -> None:
    tape = tape_of(lambda x: bl.clip(x, None, 2.0), 1.0)
    (edge,) = tape.edges
    assert derivative(tape, edge) is not None


def test_complex_numbers_and_places_that_are_inputs_are_written() -> None:
    z, e, i = np.ones(3, np.complex64), np.ones((4, 2)), np.array([0, 0, 2])
    tape = tape_of(lambda z: bl.sum(bl.abs(2j * z)), z)
    assert [text(formula(tape, n)) for n in tape.nodes[1:]] == ["2j · z", "abs(h1)", "sum(h2)"]
    assert text(pullback(tape, tape.edges[1])) == "G · sign(h1)"
    tape = tape_of(lambda e, i: bl.sum(e[i]), e, i)
    assert text(formula(tape, tape.nodes[1])) == "e[i]"
    assert text(pullback(tape, tape.edges[0])) == "place(G, [i], (4, 2))"
