"""`check_op`: examine the record of an op from every side, on its own samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff.functions import jvp, vjp
from ..base.dtypes import COMPLEX, FLOAT, as_dtype
from ..base.errors import ArgumentError, DtypeError, GradientError, shown
from ..base.trees import leaves
from ..graph.bind import bind, infer
from ..graph.graph import Graph, trace
from ..graph.op import Op
from ..graph.opdef import Spec
from .cases import Case, View, as_complex, drawn, plain, samples_of
from .gradcheck import check_grad
from .saves import OpMismatch, check_saves
from .tolerances import tolerance

Check = Callable[[Case, np.random.Generator], None]


def check_op(
    record: Op | Callable[..., Any],
    rng: np.random.Generator | None = None,
    orders: Sequence[int] = (1, 2, 3),
    *,
    view: View | None = None,
    complex: bool = True,
) -> None:
    """Check a record on its own samples.

    That is: the shape rule agrees with the value; float32 stays float32, in derivatives too; inputs are left
    alone; the graph run later equals the eager call to the bit, derivatives included; reverse and forward
    mode agree to rounding; derivatives of the given orders agree with finite differences, for complex numbers
    too where the op takes them; `saves` names what the derivative needs, no less and no more; other dtypes
    are refused; elementwise ops take empty, zero-dimensional, broadcast and strided inputs; an op
    without derivative says why.

    Args:
        record: what `@op`, `elementwise` or `@composite` returned, or its public function (`bl.sin`).
        rng: draws the samples; seeded with 0 by default.
        orders: orders of derivative to compare with finite differences.
        view: maps the result to what is differentiated, for results that are fixed only up to a sign or an order.
        complex: check derivatives for complex numbers too, where the op takes them.

    Raises:
        OpMismatch: naming the op, the call and what was found.

    >>> import numpy as np
    >>> from backlit.graph.op import Op
    >>> square = Op("square", np.square, partials=(lambda out, x: 2 * x,), saves="x", family="elementwise",
    ...             dtypes="numeric", infer=lambda x: x, samples=[(-2, 2)])
    >>> check_op(square)
    """
    record = getattr(record, "op", record)
    if not isinstance(record, Op):
        raise ArgumentError(f"check_op: expected the record of an op or its public function, got {shown(record)}.")
    rng = np.random.default_rng(0) if rng is None else rng
    cases = list(samples_of(record, rng, view))
    if not cases:
        raise OpMismatch(f"{record.name}: its samples are empty.")
    odd = record.family == "elementwise"
    for case in cases:
        for check in (_shape_rule, _keeps_float32, _static_equals_eager, *([_odd_shapes] if odd else [])):
            _run(check, case, rng)
    for check in (_takes_dtypes, _refuses_dtypes):
        _run(check, cases[0], rng)
    if record.nondiff is not None:
        _run(_says_why, cases[0], rng)
        return
    others = [c for c in (as_complex(case, rng) for case in cases) if c is not None] if complex else []
    if record.composite is None and record.saves is not None:
        check_saves(record, [*cases, *others])
    for case in cases:
        derivatives: list[Check] = [_gradient_dtype, _modes_agree, _static_gradient, _finite_differences(orders)]
        for check in [*derivatives, *([_odd_gradients] if odd else [])]:
            _run(check, case, rng)
    for case in others:
        for check in (_modes_agree, _finite_differences(orders[:2])):
            _run(check, case, rng)


def _run(check: Check, case: Case, rng: np.random.Generator) -> None:
    try:
        with np.errstate(all="ignore"):
            check(case, rng)
    except AssertionError as problem:
        raise OpMismatch(f"{case}: {problem}") from None
    except Exception as problem:
        raise OpMismatch(f"{case}: {check.__name__.strip('_')}: {type(problem).__name__}: {problem}") from problem


# --- values ----------------------------------------------------------------------------------------


def _shape_rule(case: Case, rng: np.random.Generator) -> None:
    """`infer` says the shape and dtype that `eval` gives."""
    op = case.op
    if "eager_only" in op.traits:
        return
    if case.arrays:
        specs = [Spec(y.shape, y.dtype) for y in _traced(case).outputs]
    elif op.composite is None:
        args, kwargs = case.with_arrays(())
        inputs, params = op.split(args, kwargs)
        specs = _flat_specs(infer(op, [plain(x) for x in inputs], params))
    else:
        return
    found = [Spec(y.shape, y.dtype) for y in case.results()]
    assert specs == found, f"the shape rule says {_shown(specs)}, the value has {_shown(found)}."


def _keeps_float32(case: Case, rng: np.random.Generator) -> None:
    """float32 in gives float32 out, close to what float64 gives."""
    if not case.arrays or _names_a_dtype(case):
        return
    narrow, wide = case.narrow(), case.results()
    for y, z in zip(narrow.results(), wide, strict=True):
        expected = {"float64": "float32", "complex128": "complex64"}.get(z.dtype.name, z.dtype.name)
        assert y.dtype.name == expected, f"the value of float32 inputs has dtype {y.dtype.name}, not {expected}."
        if z.dtype.char in FLOAT and case.view is None:
            close = np.allclose(y, z, rtol=1e-3, atol=1e-3 * float(np.max(np.abs(z), initial=0.0)), equal_nan=True)
            assert close, "the value in float32 is not close to that in float64."


def _static_equals_eager(case: Case, rng: np.random.Generator) -> None:
    """Traced on edges without values and run later, the op gives the same bits."""
    if "eager_only" in case.op.traits:
        return
    for later, now in zip(leaves(_traced(case)(*case.arrays)), case.results(), strict=True):
        _assert_same(later, now, "the value run later differs from the eager one")


def _odd_shapes(case: Case, rng: np.random.Generator) -> None:
    """Empty, zero-dimensional and strided inputs give the results that plain ones give."""
    strided: list[Any] = []
    for a in case.arrays:
        wide = np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a
        strided.append(np.asfortranarray(wide)[::-1][::-1] if a.ndim else a)
    for y, z in zip(case.results(*strided), case.results(), strict=True):
        _assert_same(y, z, "a strided input gives another value")
    for shape in ((0,), (2, 0), ()):
        hollow = _like(case, shape, rng)
        for y in hollow.results():
            assert y.shape == shape, f"inputs of shape {shape} give a result of shape {y.shape}."


def _like(case: Case, shape: tuple[int, ...], rng: np.random.Generator) -> Case:
    if not callable(case.op.samples):
        return drawn(case.op, (shape,) * len(case.op.input_names), rng)
    return case.resized(shape)


def _takes_dtypes(case: Case, rng: np.random.Generator) -> None:
    """Inputs of every dtype within the op's category are taken, and the shape rule holds for them."""
    if case.op.composite is not None or not case.arrays:
        return
    for dtype in ("bool", "int32", "uint8", "float32", "complex64"):
        if as_dtype(dtype).char not in case.op.chars:
            continue
        try:
            _shape_rule(case.cast(dtype), rng)
        except ArgumentError:  # the numbers do not suit, as a negative power of an integer
            continue
        except DtypeError:
            if case.op.dtypes != "any":
                raise


def _refuses_dtypes(case: Case, rng: np.random.Generator) -> None:
    """Inputs of a dtype outside the op's category raise a DtypeError."""
    op = case.op
    if op.composite is not None or op.promotes == () or op.name == "divide":  # which takes integers to floating-point
        return
    args, kwargs = case.with_arrays(case.arrays)
    inputs, params = op.split(args, kwargs)
    for dtype in ("bool", "int64", "float64", "complex128"):
        if as_dtype(dtype).char in op.chars:
            continue
        met = range(len(inputs)) if op.promotes is None else op.promotes
        cast = [np.asarray(plain(x)).astype(dtype) if i in met and x is not None else x for i, x in enumerate(inputs)]
        try:
            bind(op, cast, params)
        except DtypeError:
            continue
        raise AssertionError(f"it takes {op.dtypes} dtypes, but did not refuse {dtype}.")


# --- derivatives -----------------------------------------------------------------------------------


def _gradients(case: Case) -> list[Any]:
    outs, pull = vjp(case.seen, *case.tensors())
    return list(pull([np.ones(y.shape, y.dtype) for y in outs])) if outs else []


def _gradient_dtype(case: Case, rng: np.random.Generator) -> None:
    """The gradient of a float32 input is float32."""
    narrow = case.narrow() if not _names_a_dtype(case) else case
    for a, g in zip(narrow.arrays, _gradients(narrow), strict=False):
        assert g.dtype == a.dtype, f"the gradient of a {a.dtype.name} input has dtype {g.dtype.name}."
        assert g.shape == a.shape, f"the gradient of an input of shape {a.shape} has shape {g.shape}."


def _odd_gradients(case: Case, rng: np.random.Generator) -> None:
    """The gradients of empty and zero-dimensional inputs have their shapes."""
    for shape in ((0,), (2, 0), ()):
        for g in _gradients(_like(case, shape, rng)):
            assert g.shape == shape, f"inputs of shape {shape} have a gradient of shape {g.shape}."


def _finite_differences(orders: Sequence[int]) -> Check:
    def finite_differences(case: Case, rng: np.random.Generator) -> None:
        outs = case.seen(*case.tensors()) if case.arrays else []
        if not outs or any(y.dtype.name not in ("float64", "complex128") for y in outs):
            return
        if 1 in orders:
            check_grad(case.seen, case.arrays, full=16, directions=1)
        if max(orders) > 1:
            check_grad(_bent(case, outs), case.arrays, order=max(orders), full=0, directions=1)

    return finite_differences


def _bent(case: Case, outs: Sequence[Any]) -> Callable[..., Any]:
    """The op followed by y + y²/2, so that the cotangent it is given changes with the inputs.

    From order 2 on, a rule is then also differentiated with respect to that, which is all there is to
    differentiate in the rule of a linear op. (Infinite outputs are left alone.)
    """
    finite = [bool(np.isfinite(y.numpy()).all()) for y in outs]

    def bent(*xs: Any) -> list[Any]:
        return [y + y * y / 2 if bend else y for y, bend in zip(case.seen(*xs), finite, strict=True)]

    return bent


def _modes_agree(case: Case, rng: np.random.Generator) -> None:
    """<w, J v> by forward mode equals <J* w, v> by reverse mode, to rounding."""
    if not case.arrays:
        return
    vs = [_direction(a, rng) for a in case.arrays]
    outs, tangents = jvp(case.seen, case.arrays, vs)
    if not outs:
        return
    ws = [_direction(y, rng) for y in outs]
    _, pull = vjp(case.seen, *case.tensors())
    cotangents = pull(ws)
    for t, y in zip(tangents, outs, strict=True):
        assert (t.shape, t.dtype) == (y.shape, y.dtype), f"the tangent of {_shown([y])} is {_shown([t])}."
    forward = [np.sum(np.real(np.conj(w) * t.numpy())) for w, t in zip(ws, tangents, strict=True)]
    reverse = [np.sum(np.real(np.conj(g.numpy()) * v)) for g, v in zip(cotangents, vs, strict=True)]
    size = sum(np.sum(np.abs(w) * np.abs(t.numpy())) for w, t in zip(ws, tangents, strict=True))
    size += sum(np.sum(np.abs(g.numpy()) * np.abs(v)) for g, v in zip(cotangents, vs, strict=True))
    a, b = float(np.sum(forward)), float(np.sum(reverse))
    allowed = max((tolerance(y.dtype).relative for y in (*outs, *vs)), default=0.0)
    assert abs(a - b) <= 16 * allowed * float(size) + np.finfo(float).tiny, (
        f"forward mode gives {a:.12g} where reverse mode gives {b:.12g}."
    )


def _static_gradient(case: Case, rng: np.random.Generator) -> None:
    """The gradient traced on edges without values and run later gives the bits of the eager one."""
    if not case.arrays or "eager_only" in case.op.traits:
        return
    outs = case.seen(*case.tensors())
    if not outs:
        return
    ws = [_direction(y, rng) for y in outs]
    now = vjp(case.seen, *case.tensors())[1](ws)
    graph = trace(lambda *xs: list(vjp(case.seen, *xs)[1](ws)), [Spec(a.shape, a.dtype) for a in case.arrays])
    for later, g in zip(graph(*case.arrays), now, strict=True):
        _assert_close(later, g.numpy(), "the gradient run later differs from the eager one")


def _says_why(case: Case, rng: np.random.Generator) -> None:
    """An op without derivative refuses to be differentiated, and gives its reason."""
    if case.op.unrecorded or not case.arrays:
        return
    try:
        outs, pull = vjp(case.seen, *case.tensors())
        if outs:
            pull([np.ones(y.shape, y.dtype) for y in outs])
    except GradientError as problem:
        if str(case.op.nondiff) not in str(problem):
            raise AssertionError(f"the error does not give the reason {case.op.nondiff!r}: {problem}") from None
        return
    assert not outs, "it has no derivative, yet its gradient could be taken."


# --- small tools -----------------------------------------------------------------------------------


def _traced(case: Case) -> Graph:
    return trace(lambda *xs: leaves(case(*xs)), [Spec(a.shape, a.dtype) for a in case.arrays])


def _flat_specs(specs: Any) -> list[Spec]:
    return [specs] if isinstance(specs, Spec) else list(specs)


def _direction(like: Any, rng: np.random.Generator) -> Any:
    v = rng.uniform(0.5, 1.0, like.shape) * rng.choice([-1.0, 1.0], like.shape)
    return np.asarray(v + 1j * rng.uniform(-1, 1, like.shape) if like.dtype.char in COMPLEX else v)


def _names_a_dtype(case: Case) -> bool:
    return any("dtype" in k for k in (*case.op.param_names, *case.tree[1]))


def _assert_same(a: Any, b: Any, what: str) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{what}: {_shown([a])} and {_shown([b])}."
    assert np.array_equal(a, b, equal_nan=a.dtype.char in FLOAT), f"{what}: by {np.max(np.abs(a - b)):.3g}."


def _assert_close(a: Any, b: Any, what: str) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{what}: {_shown([a])} and {_shown([b])}."
    allowed = tolerance(b.dtype)
    size = float(np.max(np.abs(b), initial=0.0))
    assert np.allclose(a, b, rtol=allowed.relative, atol=allowed.relative * size, equal_nan=True), (
        f"{what}: by {np.max(np.abs(a - b)):.3g}."
    )


def _shown(specs: Sequence[Any]) -> str:
    return ", ".join(f"{s.dtype.name}{tuple(s.shape)}" for s in specs)
