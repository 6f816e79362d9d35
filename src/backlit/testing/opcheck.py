"""`check_op`: examine the record of an op from every side, on its own samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff.functions import jvp, vjp
from ..autodiff.rules import vjp_of
from ..base.dtypes import COMPLEX, FLOAT, as_dtype
from ..base.errors import BacklitError, DtypeError, GradientError, GraphError
from ..base.trees import leaves
from ..graph.bind import bind, infer
from ..graph.graph import Graph, trace
from ..graph.node import Node
from ..graph.op import Op
from ..graph.opdef import Spec
from ..graph.tensor import leaf_node
from .cases import Case, View, as_complex, drawn, samples_of
from .gradcheck import check_grad
from .tolerances import tolerance

Check = Callable[[Case, np.random.Generator], None]


class OpMismatch(BacklitError, AssertionError):
    """A record contradicts itself, or its derivatives are wrong."""


def check_op(
    record: Op,
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
        record: what `@op`, `elementwise` or `@composite` returned.
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
    rng = np.random.default_rng(0) if rng is None else rng
    cases = list(samples_of(record, rng, view))
    if not cases:
        raise OpMismatch(f"{record.name}: its samples are empty.")
    every: list[Check] = [_shape_rule, _keeps_float32, _static_equals_eager]
    if record.family == "elementwise":
        every.append(_odd_shapes)
    if record.nondiff is None:
        every += [_modes_agree, _static_gradient, _finite_differences(orders)]
    else:
        every.append(_says_why)
    for case in cases:
        for check in every:
            _run(check, case, rng)
    _run(_refuses_dtypes, cases[0], rng)
    if record.nondiff is not None:
        return
    others = [c for c in (as_complex(case, rng) for case in cases) if c is not None] if complex else []
    for case in others:
        for check in (_modes_agree, _finite_differences(orders[:2])):
            _run(check, case, rng)
    if record.composite is None and record.saves is not None:
        _saves(record, [*cases, *others])


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
    outs = case.results()
    if op.composite is None:
        args, kwargs = case.with_arrays(case.arrays)
        inputs, params = op.split(args, kwargs)
        specs = _flat_specs(infer(op, [_plain(x) for x in inputs], params))
    else:
        specs = [Spec(y.shape, y.dtype) for y in leaves(_traced(case).outputs)]
    found = [Spec(y.shape, y.dtype) for y in outs]
    assert specs == found, f"the shape rule says {_shown(specs)}, the value has {_shown(found)}."


def _keeps_float32(case: Case, rng: np.random.Generator) -> None:
    """float32 in gives float32 out, close to what float64 gives, and gradients of float32."""
    if not case.arrays or _names_a_dtype(case):
        return
    narrow = case.cast("float32") if not any(a.dtype.char in COMPLEX for a in case.arrays) else case.cast("complex64")
    wide = case.results()
    for y, z in zip(narrow.results(), wide, strict=True):
        expected = {"float64": "float32", "complex128": "complex64"}.get(z.dtype.name, z.dtype.name)
        assert y.dtype.name == expected, f"the value of float32 inputs has dtype {y.dtype.name}, not {expected}."
        if z.dtype.char in FLOAT and case.view is None:
            close = np.allclose(y, z, rtol=1e-3, atol=1e-3 * float(np.max(np.abs(z), initial=0.0)), equal_nan=True)
            assert close, "the value in float32 is not close to that in float64."
    if case.op.nondiff is not None:
        return
    outs, pull = vjp(narrow.seen, *narrow.tensors())
    for a, g in zip(narrow.arrays, pull([np.ones(y.shape, y.dtype) for y in outs]), strict=True) if outs else ():
        assert g.dtype == a.dtype, f"the gradient of a {a.dtype.name} input has dtype {g.dtype.name}."
        assert g.shape == a.shape, f"the gradient of an input of shape {a.shape} has shape {g.shape}."


def _static_equals_eager(case: Case, rng: np.random.Generator) -> None:
    """Traced on edges without values and run later, the op gives the same bits."""
    if "eager_only" in case.op.traits:
        try:
            _traced(case)
        except GraphError:
            return
        raise AssertionError("it is eager_only, yet could be traced.") if case.arrays else GraphError("")
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
        if case.op.nondiff is None and hollow.arrays:
            outs, pull = vjp(hollow.seen, *hollow.tensors())
            for g in pull([np.ones(y.shape, y.dtype) for y in outs]):
                assert g.shape == shape, f"inputs of shape {shape} have a gradient of shape {g.shape}."


def _like(case: Case, shape: tuple[int, ...], rng: np.random.Generator) -> Case:
    if not callable(case.op.samples):
        return drawn(case.op, (shape,) * len(case.op.input_names), rng)
    return case.resized(shape)


def _refuses_dtypes(case: Case, rng: np.random.Generator) -> None:
    """Inputs of a dtype outside the op's category raise a DtypeError."""
    op = case.op
    if op.composite is not None or op.promotes == ():
        return
    args, kwargs = case.with_arrays(case.arrays)
    inputs, params = op.split(args, kwargs)
    for dtype in ("bool", "int64", "float64", "complex128"):
        if as_dtype(dtype).char in op.chars or op.name == "divide":  # which takes integers to floating-point
            continue
        cast = [
            np.asarray(_plain(x)).astype(dtype) if x is not None and (op.promotes is None or i in op.promotes) else x
            for i, x in enumerate(inputs)
        ]
        try:
            bind(op, cast, params)
        except DtypeError:
            continue
        raise AssertionError(f"it takes {op.dtypes} dtypes, but did not refuse {dtype}.")


# --- derivatives -----------------------------------------------------------------------------------


def _finite_differences(orders: Sequence[int]) -> Check:
    def finite_differences(case: Case, rng: np.random.Generator) -> None:
        outs = case.seen(*case.tensors()) if case.arrays else []
        if outs and all(y.dtype.name in ("float64", "complex128") for y in outs):
            check_grad(lambda *xs: case.seen(*xs), case.arrays, order=max(orders), full=16, directions=1)

    return finite_differences


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


def _saves(op: Op, cases: Sequence[Case]) -> None:
    """What `saves` does not name is poisoned and must not matter; what it names must matter in some case."""
    saved = set((op.saves or "").split())
    needed: set[str] = set()
    for case in cases:
        node, g = _node(case)
        if node is None:
            continue
        plain = _pulled(node, g)
        for name in ("out", *op.input_names, *filter(None, [op.rest])):
            poisoned = _poisoned(node, name)
            if poisoned is None or _same(plain, poisoned, g):
                continue
            needed.add(name)
            if name not in saved:
                raise OpMismatch(f"{case}: its derivative needs the value of {name}; saves={op.saves!r} lacks it.")
    if idle := ", ".join(sorted(saved - needed)):
        raise OpMismatch(f"{op.name}: saves={op.saves!r} keeps {idle} alive, but no derivative uses it.")


def _same(plain: Sequence[Any], poisoned: Node, g: Any) -> bool:
    try:
        found = _pulled(poisoned, g)
    except Exception:  # a poisoned index may well be an illegal one
        return False
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(plain, found, strict=True))


def _uneven(out: Any) -> Any:
    """A cotangent without two equal entries: a rule that permutes must not pass unseen."""
    return np.linspace(0.6, 0.8, int(out.size)).reshape(out.shape).astype(out.dtype)


def _node(case: Case) -> tuple[Node | None, Any]:
    """The node of this call with every value kept, and a cotangent; None where nothing is differentiable."""
    op = case.op
    if not case.arrays:
        return None, None
    args, kwargs = case.with_arrays(case.arrays)
    inputs, params = op.split(args, kwargs)
    values = [_plain(x) for x in inputs]
    out = op.eval(*values, **params)
    sources = tuple(leaf_node(v) if hasattr(v, "dtype") else v for v in values)
    if op.results is not None:
        like: Any = tuple(Spec(o.shape, o.dtype) for o in out)
        g: Any = tuple(_uneven(o) for o in out)
    elif out.dtype.char not in FLOAT:
        return None, None
    else:
        like, g = Spec(out.shape, out.dtype), _uneven(out)
    return Node(op, sources, params, out, like), g


def _pulled(node: Node, g: Any) -> list[Any]:
    wanted = [isinstance(x, Node) and x.dtype.char in FLOAT for x in node.inputs or ()]
    with np.errstate(all="ignore"):
        return [np.asarray(c) for c in vjp_of(node, g, wanted, False) if c is not None]


def _poisoned(node: Node, name: str) -> Node | None:
    """The node again with the value of `name` made useless."""
    inputs, value = list(node.inputs or ()), node.value
    if name == "out":
        value = tuple(map(_poison, value)) if node.op.results is not None else _poison(value)
    else:
        first = node.op.input_names.index(name) if name in node.op.input_names else len(node.op.input_names)
        last = first + 1 if name in node.op.input_names else len(inputs)
        found = [i for i in range(first, min(last, len(inputs))) if isinstance(inputs[i], Node)]
        if not found:
            return None
        for i in found:
            inputs[i] = leaf_node(_poison(inputs[i].value), like=inputs[i].like)
    return Node(node.op, tuple(inputs), node.params, value, node.like)


def _poison(value: Any) -> Any:
    if value.dtype.char in FLOAT:
        return np.full(value.shape, np.nan, value.dtype)[()]
    if value.dtype.kind == "b":
        return np.logical_not(value)
    return np.full(value.shape, 113, value.dtype)[()]


# --- small tools -----------------------------------------------------------------------------------


def _traced(case: Case) -> Graph:
    return trace(lambda *xs: leaves(case(*xs)), [Spec(a.shape, a.dtype) for a in case.arrays])


def _plain(x: Any) -> Any:
    return x.numpy() if hasattr(x, "numpy") else x


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
