"""Twins of every op in PyTorch, JAX and TensorFlow: the registry is covered, and values and cotangents agree."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from backlit.graph.opdef import OPS
from backlit.graph.tensor import Tensor
from backlit.interop.beside import difference
from backlit.interop.foreign import NoTwin, pulled, run
from backlit.interop.libraries import LIBRARIES, Library, library, moves
from backlit.interop.local import Local
from backlit.interop.twins import TWINS, Without
from backlit.testing.cases import Case, as_complex, samples_of

INSTALLED = [name for name in LIBRARIES if find_spec(name) is not None]
OWN: dict[str, Any] = {name: op for name, op in OPS.items() if op.composite is None}

#: What a library cannot do on the samples, in its own words.
REFUSED = {
    ("jax", "pool_max"): "VJP not implemented .* with window dilation",
    ("tensorflow", "pool_max"): "not supported in conjunction",
    ("torch", "svd"): "singular vectors .* are specified up to multiplication",
    ("torch", "eig"): "eigenvectors .* are specified up to multiplication",
}
#: Where a library's derivative is another one.
DIFFERS = {("tensorflow", "cumulative_prod"): "its derivative is 0 behind a factor of 0"}
#: Where a library itself is that far off in float64: constants rounded to float32, polygammas of ten digits.
OFF = {
    ("torch", "celu"): 1e-6, ("torch", "hard_sigmoid"): 1e-7, ("torch", "polygamma"): 1e-8, ("torch", "digamma"): 1e-8,
    ("torch", "lgamma"): 1e-8, ("tensorflow", "gelu"): 1e-7,
}  # fmt: skip


@pytest.fixture(scope="module", params=INSTALLED)
def there(request: pytest.FixtureRequest) -> Library:
    return library(request.param)


@pytest.fixture(scope="module")
def torch() -> Library:
    pytest.importorskip("torch")
    return library("torch")


def test_every_op_has_a_twin_or_a_reason() -> None:
    assert sorted(TWINS) == sorted(OWN)
    for twin in TWINS.values():
        for entry in twin:
            if isinstance(entry, Without):
                assert len(entry.reason) > 20


def test_how_many_there_are(there: Library) -> None:
    """180 and more of the 205 ops that are not made of others."""
    assert sum(twin.function(there) is not None for twin in TWINS.values()) > 180


@pytest.mark.parametrize("name", OWN)
def test_agrees_on_the_samples(there: Library, name: str) -> None:
    if isinstance(TWINS[name].entry(there), Without):
        return
    cases = list(samples_of(OWN[name], np.random.default_rng(3)))
    if there.name == "jax":  # compiles each op for each shape and dtype: the largest case is enough
        cases = [max(cases, key=lambda c: sum(a.size for a in c.arrays))]
    for case in cases:
        agree(there, name, case)
        if there.name != "jax":
            agree(there, name, case.narrow())


#: Complex numbers: torch does not take them, or warns; matrices that are not Hermitian.
REAL_ONLY = {"astype", "nan_to_num", "round", "cholesky", "eigh", "eigvalsh"}


@pytest.mark.parametrize("name", [n for n in OWN if n not in REAL_ONLY and OWN[n].nondiff is None])
def test_agrees_with_torch_on_complex_numbers(torch: Library, name: str) -> None:
    rng = np.random.default_rng(4)
    for case in samples_of(OWN[name], rng):
        if not isinstance(TWINS[name].torch, Without) and (one := as_complex(case, rng)) is not None:
            agree(torch, name, one)


def agree(there: Library, name: str, case: Case) -> None:
    op = OWN[name]
    inputs, params = op.split(*case.tree)
    values = tuple(x.value if isinstance(x, Tensor) else x for x in inputs)
    here = Local(op, values, params, ())
    here = here._replace(outs=tuple(map(np.asarray, here.again(values))))
    rng = np.random.default_rng(5)
    gs = tuple(_cotangent(y, rng) for y in here.outs)
    here = here._replace(cotangents=gs)
    said = ""
    try:
        ran = run(there, op, values, params, here.outs)
        theirs = pulled(there, ran, gs) if here.differentiable else []
    except NoTwin as problem:
        said, ran, theirs = str(problem), None, []
    if ran is None:
        assert re.search(REFUSED.get((there.name, name), "^$"), said), said
        return
    for ours, other, slack in zip(here.outs, ran.outs, here.slack(), strict=True):
        close(there, name, ours, other, slack, f"value of {case}")
    if not here.differentiable:
        return
    if (there.name, name) in DIFFERS:
        return
    found = here.pulled()
    for x, ours, other, slack in zip(values, found, theirs, here.slack_of_cotangents(found), strict=True):
        if moves(x) and (ours is not None or other is not None):
            zeros = np.zeros(np.shape(x), x.dtype)
            mine, yours = (zeros if g is None else np.asarray(g) for g in (ours, other))
            close(there, name, mine, yours, slack, f"cotangent of {case}")


def close(there: Library, name: str, ours: Any, theirs: Any, slack: Any, what: str) -> None:
    assert ours.shape == theirs.shape, what
    assert ours.dtype == theirs.dtype, what
    if (there.name, name) in OFF:
        slack = OFF[there.name, name] * (np.abs(ours) + np.max(np.abs(ours), initial=0.0))
        slack = np.maximum(slack, 1e-4 * np.max(np.abs(ours), initial=0.0)) if ours.dtype == np.float32 else slack
    share, ulp, entry, mine, yours = difference(ours, theirs, slack)
    assert share <= 1, f"{what}: {mine} and {yours} at {entry}, {ulp} ulp, {share:.3g} times what is allowed"


def _cotangent(y: Any, rng: np.random.Generator) -> Any:
    if y.dtype.kind not in "fc":
        return None
    g = rng.normal(size=y.shape) + (1j * rng.normal(size=y.shape) if y.dtype.kind == "c" else 0)
    return np.asarray(g).astype(y.dtype)
