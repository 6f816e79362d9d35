"""The testers tested: faults are planted in functions and in records, and each must be found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import ArgumentError, DtypeError, GradientError
from backlit.graph.op import Op
from backlit.graph.opdef import Spec
from backlit.ops.arithmetic import multiply
from backlit.ops.exponential import exp
from backlit.ops.movement import broadcast_to
from backlit.ops.reduce import sum as sum_
from backlit.testing import GradientMismatch, OpMismatch, check_grad, check_op

OFF = 1.0005  # 0.05 %

rng = np.random.default_rng(0)
X = rng.uniform(0.5, 1.5, (2, 3))
Y = rng.uniform(0.5, 1.5, 3)


def unary(name: str = "planted", eval: Any = np.exp, **facets: Any) -> Op:
    """A record of exp, right unless `facets` say otherwise."""
    facets = {"family": "elementwise", "dtypes": "floating-point", "saves": "out", "samples": [(-2, 2)],
              "infer": lambda x: Spec(x.shape, x.dtype)} | facets  # fmt: skip
    if not {"partials", "transpose", "vjp", "nondiff"} & set(facets):
        facets["partials"] = (lambda out, x: out,)
    return Op(name, eval, **facets)


def exp_like(partial: Callable[..., Any], **facets: Any) -> Op:
    return unary(partials=(partial,), **facets)


def test_a_right_record_passes() -> None:
    check_op(unary())


# --- check_grad ------------------------------------------------------------------------------------


@pytest.mark.parametrize("modes", [("reverse",), ("forward",), ("reverse", "forward")])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_right_derivatives_pass(order: int, modes: tuple[str, ...]) -> None:
    error = check_grad(lambda x, p: bl.exp(x) * p["y"] / (x + p["s"]), [X, {"y": Y, "s": 2.0}], order, modes)
    assert 0 < error < 1


def test_right_derivatives_pass_for_large_complex_and_empty_arguments() -> None:
    check_grad(lambda x: bl.exp(x) * x, [rng.normal(size=(20, 10))], order=2)
    check_grad(lambda x, y: bl.exp(x) * bl.conj(y), [X + 1j, Y - 0.5j], order=3)
    assert check_grad(lambda x: x * 2, [np.zeros((0, 3))]) == 0


def test_complex_step_is_far_closer() -> None:
    assert check_grad(lambda x: bl.exp(x) * x, [X], order=3, complex_step=True) < 1
    slightly = exp_like(lambda out, x: out * (1 + 1e-8))
    check_grad(slightly.public, [X])
    with pytest.raises(GradientMismatch, match="complex step"):
        check_grad(slightly.public, [X], complex_step=True)


#: What is wrong, the function, its arguments, and words that the likely cause must contain.
CAUSES: list[tuple[str, Callable[..., Any], list[Any], str]] = [
    ("0.05 %", exp_like(lambda out, x: out * OFF).public, [X], "factor 1.0005"),
    ("a factor 2", exp_like(lambda out, x: 2 * out).public, [X], "a factor 2 too much"),
    ("half", exp_like(lambda out, x: 0.5 * out).public, [X], "a factor 2 is missing"),
    ("sign", exp_like(lambda out, x: -out).public, [X], "the sign is wrong"),
    ("no simple pattern", exp_like(lambda out, x: out + x).public, [X], "no simple pattern"),
    ("no path", lambda x: x * 2 + bl.exp(x).detach(), [X], "no simple pattern|factor"),
    ("cut", lambda x: bl.exp(x).detach() + 0 * x, [X], "no path"),
    ("a kink", lambda x: bl.where(x > 0, x, 0), [np.array([0.0, 1.0])], "a kink: the slopes"),
    ("a jump nearby", lambda x: bl.floor(x), [np.array([1.0 + 1e-5])], "a jump"),
    ("float32", lambda x: bl.exp(x.astype(bl.float32)), [X], "computes in float32"),
    ("a pole", lambda x: 1 / x, [np.array([0.0])], "not finite"),
    ("not analytic", exp_like(lambda out, x: bl.conj(out)).public, [X + 1j], "conj"),
]  # fmt: skip


def lower_triangle(x: Any, /) -> Any:
    """Reads only the lower triangle, as LAPACK does of symmetric matrices."""
    return np.tril(x) + np.swapaxes(np.tril(x, -1), -1, -2)


symmetric = Op(
    "symmetric", lower_triangle, infer=lambda x: x, saves="", transpose=(lambda g, x: g,), traits="jointly_linear"
)


def test_a_function_of_a_symmetric_matrix() -> None:
    f = lambda a: bl.sum(symmetric.public(a) * np.array([[1.0, 2.0], [2.0, 5.0]]))
    with pytest.raises(GradientMismatch, match="takes argument 0 for symmetric"):
        check_grad(f, [np.eye(2)])
    check_grad(lambda a: f((a + a.mT) / 2), [np.eye(2)])


@pytest.mark.parametrize(("f", "args", "cause"), [c[1:] for c in CAUSES], ids=[c[0] for c in CAUSES])
def test_wrong_first_derivatives(f: Any, args: list[Any], cause: str) -> None:
    with np.errstate(all="ignore"), pytest.raises(GradientMismatch, match=f"likely cause: .*({cause})"):
        check_grad(f, args)


frozen = Op("frozen", np.positive, nondiff="it was planted", traits="stops", infer=lambda x: x)

#: exp with a derivative right in itself, whose own derivative is off: by 0.05 %, or cut off.
LATER = {
    "off by 0.05 %": exp_like(lambda out, x: exp(OFF * x) * frozen(exp((1 - OFF) * x)), saves="x"),
    "cut off": exp_like(lambda out, x: frozen(exp(x)), saves="x"),
}


@pytest.mark.parametrize("op", LATER.values(), ids=LATER)
@pytest.mark.parametrize("modes", [("reverse",), ("forward",)])
def test_rules_wrong_only_in_their_own_derivative(op: Op, modes: tuple[str, ...]) -> None:
    check_grad(op.public, [X], 1, modes)
    with pytest.raises(GradientMismatch, match="order 2"):
        check_grad(op.public, [X], 2, modes)


def test_random_directions_find_one_wrong_entry_and_name_it() -> None:
    factors = np.ones(100)
    factors[37] = OFF
    op = exp_like(lambda out, x: out * factors)
    with pytest.raises(GradientMismatch, match=r"d output\[37\] / d argument 0\[37\]"):
        check_grad(op.public, [np.linspace(-1, 1, 100)])


def test_random_functions_are_told() -> None:
    with pytest.raises(GradientMismatch, match="different values"):
        check_grad(lambda x: x * np.random.default_rng().normal(), [X])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: check_grad(bl.exp, [X], modes=("sideways",)), ArgumentError, "modes"),
        (lambda: check_grad(bl.exp, [X], order=0), ArgumentError, "order"),
        (lambda: check_grad(bl.exp, [np.arange(3)]), GradientError, "no floating-point array"),
        (lambda: check_grad(lambda x: x > 0, [X]), GradientError, "nothing floating-point"),
    ],
)
def test_calls_that_make_no_sense(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# --- check_op --------------------------------------------------------------------------------------


def product(**facets: Any) -> Op:
    """A record of x1 · x2, right unless `facets` say otherwise."""
    both = (lambda out, x1, x2: x2, lambda out, x1, x2: x1)
    given = {"partials": both, "saves": "x1 x2", "samples": [(-2, 2)], "dtypes": "numeric", "family": "elementwise"}
    return Op("product", np.multiply, **(given | {"infer": multiply.infer} | facets))


def row_sum(x: Any, /, *, axis: int) -> Any:
    return np.sum(x, axis=axis)


def given_back(g: Any, x: Any, axis: int) -> Any:
    """The cotangent of a sum over `axis`, for each of its terms."""
    return broadcast_to(g[(slice(None),) * axis + (None,)], x.shape)


def reduction(**facets: Any) -> Op:
    given = {
        "infer": lambda x, *, axis: Spec(x.shape[:axis] + x.shape[axis + 1 :], x.dtype), "saves": "",
        "transpose": (lambda g, x, *, axis: given_back(g, x, axis),),
        "traits": "jointly_linear", "dtypes": "floating-point",
        "samples": lambda rng: [((rng.normal(size=(3, 3)),), {"axis": 0}), ((rng.normal(size=(3, 3)),), {"axis": 1})],
    }  # fmt: skip
    return Op("row_sum", row_sum, **(given | facets))


def test_right_records_of_other_kinds_pass() -> None:
    check_op(product())
    check_op(reduction())


def pair(x: Any, /) -> Any:
    return np.exp(x), x * 2


def two_outputs(vjp: Any, saves: str = "out") -> Op:
    return Op("pair", pair, results=tuple, vjp=vjp, saves=saves, dtypes="real floating-point",
              infer=lambda x: (x, x), samples=lambda rng: [((rng.normal(size=3),), {})])  # fmt: skip


def test_a_record_with_two_outputs() -> None:
    check_op(two_outputs(lambda g, out, x: (g[0] * out[0] + 2 * g[1],)))
    with pytest.raises(OpMismatch, match="wrong in"):
        check_op(two_outputs(lambda g, out, x: (g[0] * out[0] + 2 * OFF * g[1],)))


in_place = lambda x: np.exp(x, out=x)
ignorant = lambda x: np.exp(x) if x.dtype == np.float64 else np.exp(x).astype(np.float64)


def stateful(x: Any, /) -> Any:
    stateful.calls += 1
    return np.exp(x) * stateful.calls


def picky(x: Any, /) -> Any:
    if x.dtype.kind == "c":
        raise DtypeError("picky")
    return np.exp(x)


def curious(out: Any, x: Any) -> Any:
    return out if float(sum_(out)) > 0 else -out


def stack_of_two(x: Any, /) -> Any:
    return np.stack([x, x])


#: Its cotangent should be the sum of the two.
doubled = Op(
    "doubled", stack_of_two, infer=lambda x: Spec((2, *x.shape), x.dtype), saves="",
    vjp=lambda g, out, x: (g[0],), samples=lambda rng: [((rng.normal(size=3),), {})],
)  # fmt: skip

stateful.calls = 0  # type: ignore[attr-defined]

#: What is planted, the record, and words that must be in the complaint.
PLANTED: list[tuple[str, Op, str]] = [
    ("partial off by 0.05 %", exp_like(lambda out, x: out * OFF), "order 1 .*factor 1.0005"),
    ("second derivative off by 0.05 %", LATER["off by 0.05 %"], "order 2"),
    ("second derivative cut", LATER["cut off"], "order 2"),
    ("one partial of two", product(partials=(lambda out, x1, x2: x2, lambda out, x1, x2: x1 * OFF)), "order 1"),
    ("partials exchanged", product(partials=(lambda out, x1, x2: x1, lambda out, x1, x2: x2)), "order 1"),
    ("shape rule", unary(infer=lambda x: Spec((*x.shape, 1), x.dtype)), "shape rule says"),
    ("dtype rule", unary(infer=lambda x: Spec(x.shape, np.dtype(np.float32))), "shape rule says float32"),
    ("widened value", unary(eval=ignorant, saves="out"), "dtype float64, not float32"),
    ("widened gradient", exp_like(lambda out, x: out * np.ones(1)[0]), "gradient of a float32 input has dtype"),
    ("saves too little", exp_like(lambda out, x: out, saves=""), "needs the value of out"),
    ("saves the wrong one", exp_like(lambda out, x: out, saves="x"), "needs the value of out"),
    ("saves too much", exp_like(lambda out, x: out, saves="out x"), "keeps x alive"),
    ("wrong axis", reduction(transpose=(lambda g, x, *, axis: given_back(g, x, 1 - axis),)), "forward mode"),
    ("not forward", reduction(transpose=(lambda g, x, *, axis: 2 * given_back(g, x, axis),)), "forward mode"),
    ("no sum over what was repeated", doubled, "order 1"),
    ("integers it cannot take", unary(dtypes="numeric"), "shape rule says int32"),
    ("refuses what it says it takes", unary(eval=picky), "picky"),
    ("writes to its input", unary(eval=in_place), "read-only"),
    ("looks at values", exp_like(curious, dtypes="real floating-point"), "has no value"),
    ("another value each time", unary(eval=stateful), "not close"),
    ("breaks on empty input", unary(eval=lambda x: np.exp(x) + 0 * np.max(x)), "zero-size"),
    ("a lazy reason", unary(nondiff="it has none", saves=None, partials=None, samples=[]), "an interval for each"),
    ("no samples", unary(samples=None), "has no samples"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "words"), [p[1:] for p in PLANTED], ids=[p[0] for p in PLANTED])
def test_planted_faults_are_found(op: Op, words: str) -> None:
    with pytest.raises((OpMismatch, ArgumentError), match=f"(?s){words}"):
        check_op(op)


def test_an_op_without_derivative_says_why() -> None:
    check_op(unary(nondiff="it was planted", saves=None))


@pytest.mark.parametrize(
    ("f", "x"),
    [(bl.prod, np.array([0.0, 0.0, 0.0, 1.0])), (lambda x: x**5, np.zeros(2)), (lambda x: x * 0, np.ones(2))],
    ids=["three zeros", "a flat root", "zero"],
)
def test_what_vanishes_is_no_fault(f: Any, x: Any) -> None:
    assert check_grad(f, [x], order=3) < 1


def test_the_checkers_say_what_they_take() -> None:
    with pytest.raises(ArgumentError, match="args must be a list"):
        check_grad(bl.sin, 0.3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="expected the record of an op or its public function, got 'sin'"):
        check_op("sin")  # type: ignore[arg-type]
    assert check_grad(bl.sin, [0.3], modes="forward") < 1
    check_op(bl.sinh)
