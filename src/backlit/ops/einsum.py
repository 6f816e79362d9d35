"""Einstein summation: `einsum`, and the two ops on one and on two operands that it is made of.

An einsum of many operands is a chain of products of pairs, so that its derivative reuses the partial
products. The product of a pair is a trilinear form in (x1, x2, cotangent) and hence its own transpose,
with the labels exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ..base.dtypes import COMPLEX
from ..base.errors import ArgumentError, ShapeError, shown
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .arithmetic import multiply
from .complex import conj
from .movement import broadcast_to, permute_dims, reshape
from .operands import operand


def conjugated(x: Any) -> Any:
    """The complex conjugate, which for a real `x` is `x` itself, not a copy."""
    return conj(x) if x.dtype.char in COMPLEX else x


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def label_sizes(terms: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The size that each label stands for; a size of 1 gives way to a larger one."""
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if len(term) != len(shape):
            raise ShapeError(
                f"einsum: {term!r} labels {len(term)} axes, but its operand has shape {shape}; "
                "label each axis, or write ... for those that only broadcast."
            )
        for label, n in zip(term, shape, strict=True):
            known = sizes.get(label, 1)
            if n != known and n != 1 and known != 1:
                raise ShapeError(f"einsum: label {label!r} stands for sizes {known} and {n}; they must be equal.")
            sizes[label] = n if known == 1 else known
    return sizes


# --- one operand: diagonals, sums and the order of axes ----------------------------------------------


def _spread_labels(g: Any, x: Any, *, term: str, out: str) -> Any:
    """The transpose of `einsum_one`: broadcast along what was summed, and put diagonals back into place."""
    unique = "".join(dict.fromkeys(term))
    sizes = label_sizes([term], [x.shape])
    g = permute_dims(g, tuple(out.index(c) for c in unique if c in out))
    g = reshape(g, tuple(sizes[c] if c in out else 1 for c in unique))
    g = broadcast_to(g, tuple(sizes[c] for c in unique))
    if len(unique) == len(term):
        return g
    first = {c: term.index(c) for c in unique}
    order = sorted(range(len(unique)), key=lambda i: first[unique[i]])
    g = reshape(permute_dims(g, order), tuple(sizes[c] if first[c] == i else 1 for i, c in enumerate(term)))
    for i, c in enumerate(term):
        if first[c] != i:  # a diagonal: the identity matrix in these two axes
            shape = tuple(sizes[c] if j in (i, first[c]) else 1 for j in range(len(term)))
            g = multiply(g, np.eye(sizes[c], dtype=x.dtype).reshape(shape))
    return g


@op(
    name="einsum_one", namespace="hidden", saves="", traits="jointly_linear", dtypes="numeric", onnx="Einsum",
    infer=lambda x, *, term, out: Spec(tuple(label_sizes([term], [x.shape])[c] for c in out), x.dtype),
    transpose=(_spread_labels,),
    samples=lambda rng: [((rng.normal(size=(2, 3, 2)),), {"term": "aba", "out": out}) for out in ("a", "ba", "")],
)  # fmt: skip
def einsum_one(x: Any, /, *, term: str, out: str) -> Any:
    """The axes of `x`, labelled by `term`: repeated labels take the diagonal, those not in `out` are summed."""
    label_sizes([term], [x.shape])
    unique = "".join(dict.fromkeys(term))
    if unique != term:
        x = np.einsum(f"{term}->{unique}", x)
    summed = tuple(i for i, c in enumerate(unique) if c not in out)
    if summed:
        x = np.add.reduce(x, axis=summed, dtype=x.dtype)
    kept = [c for c in unique if c in out]
    return np.transpose(x, [kept.index(c) for c in out]) if "".join(kept) != out else x


# --- two operands ------------------------------------------------------------------------------------


def _pair_spec(x1: Any, x2: Any, *, one: str, two: str, out: str) -> Spec:
    sizes = label_sizes([one, two], [x1.shape, x2.shape])
    return Spec(tuple(sizes[c] for c in out), x1.dtype)


@lru_cache(maxsize=1024)
def _layout(one: str, two: str, out: str) -> tuple[Any, ...]:
    """How a product of pairs becomes a batched matrix product, or None where it is none."""
    batch = [c for c in out if c in one and c in two]
    contracted = [c for c in one if c in two and c not in out]
    rows = [c for c in out if c in one and c not in two]
    columns = [c for c in out if c in two and c not in one]
    left = tuple(one.index(c) for c in batch + rows + contracted)
    right = tuple(two.index(c) for c in batch + contracted + columns)
    made = batch + rows + columns
    back = tuple(made.index(c) for c in out)
    product = bool(contracted and (rows or columns))
    return product, left, right, back if back != tuple(range(len(out))) else None, batch, rows, contracted, columns


def _pair_transpose(g: Any, out: str, other: Any, term: str, x: Any, wanted: str) -> Any:
    ct = einsum_pair(g, conjugated(other), one=out, two=term, out=wanted)
    # Where `other` has size 1 along a summed axis of `x`, all elements of `x` along it have the same cotangent.
    shape = tuple(m if n == 1 else n for m, n in zip(ct.shape, x.shape, strict=True))
    return ct if ct.shape == shape else broadcast_to(ct, shape)


@op(
    name="einsum_pair", namespace="hidden", saves="x1 x2", dtypes="numeric", onnx="Einsum", infer=_pair_spec,
    transpose=(
        lambda g, x1, x2, *, one, two, out: _pair_transpose(g, out, x2, two, x1, one),
        lambda g, x1, x2, *, one, two, out: _pair_transpose(g, out, x1, one, x2, two),
    ),
    samples=lambda rng: [
        ((rng.normal(size=(2, 3, 2)), rng.normal(size=(3, 4, 2))), {"one": "abc", "two": "bdc", "out": out})
        for out in ("cad", "dab", "abcd")
    ],
)  # fmt: skip
def einsum_pair(x1: Any, x2: Any, /, *, one: str, two: str, out: str) -> Any:
    """The product of two operands whose axes `one` and `two` label, no label twice in one term; `out` names what stays.

    Every label stands in at least two of the three terms.
    """
    sizes = label_sizes([one, two], [x1.shape, x2.shape])
    product, left, right, back, batch, rows, contracted, columns = _layout(one, two, out)
    if not product:  # elementwise, outer, or dot products: nothing for a BLAS
        return np.einsum(f"{one},{two}->{out}", x1, x2)

    if 1 in x1.shape or 1 in x2.shape:
        x1 = np.broadcast_to(x1, tuple(sizes[c] for c in one))
        x2 = np.broadcast_to(x2, tuple(sizes[c] for c in two))
    front, m, k, n = ([sizes[c] for c in labels] for labels in (batch, rows, contracted, columns))
    a = np.transpose(x1, left).reshape(*front, prod(m), prod(k))
    b = np.transpose(x2, right).reshape(*front, prod(k), prod(n))
    made = np.matmul(a, b).reshape(front + m + n)
    return made if back is None else np.transpose(made, back)


# --- any number --------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def parse_subscripts(subscripts: str, ndims: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """Subscripts as explicit terms and output: the ellipsis spelled out, the implicit output found."""
    text = subscripts.replace(" ", "")
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ArgumentError(
            f"einsum: {subscripts!r} has {len(terms)} terms for {len(ndims)} operands; separate the terms by commas."
        )
    for term in [*terms, out]:
        wrong = [c for c in term.replace("...", "", 1) if c not in _LETTERS]
        if wrong:
            raise ArgumentError(f"einsum: {wrong[0]!r} in {subscripts!r} is no label; a term has letters and one ...")
    free = [c for c in _LETTERS if c not in text]
    counts = [n - len(t.replace("...", "")) if "..." in t else 0 for t, n in zip(terms, ndims, strict=True)]
    if min(counts, default=0) < 0:
        i = next(i for i, c in enumerate(counts) if c < 0)
        raise ShapeError(
            f"einsum: {terms[i]!r} labels more axes than its operand has: its shape has {ndims[i]} dimension(s)."
        )
    if max(counts, default=0) > len(free):
        raise ArgumentError(f"einsum: {subscripts!r} needs more than {len(_LETTERS)} labels.")
    dots = "".join(free[: max(counts, default=0)])
    full = tuple(t.replace("...", dots[len(dots) - c :]) for t, c in zip(terms, counts, strict=True))
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        out = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    else:
        if dots and "..." not in out:
            raise ArgumentError(f"einsum: {subscripts!r} drops the axes of the ellipsis; write ... in the output too.")
        out = out.replace("...", dots)
    for c in out:
        if out.count(c) > 1 or not any(c in t for t in full):
            fault = "stands twice in" if out.count(c) > 1 else "is in no term but in"
            raise ArgumentError(f"einsum: label {c!r} {fault} the output of {subscripts!r}.")
    return full, out


@lru_cache(maxsize=512)
def _path(terms: tuple[str, ...], out: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    dummies = [np.broadcast_to(np.float32(0), s) for s in shapes]
    steps = np.einsum_path(f"{','.join(terms)}->{out}", *dummies, optimize="greedy")[0]
    return tuple(tuple(sorted(step)) for step in steps[1:])


def _reduced(x: Any, term: str, kept: str) -> tuple[Any, str]:
    """`x` with labels that stand in no other term summed away, and none twice."""
    unique = "".join(c for c in dict.fromkeys(term) if c in kept)
    return (x, term) if unique == term else (einsum_one(x, term=term, out=unique), unique)


def _product(x1: Any, one: str, x2: Any, two: str, kept: str) -> tuple[Any, str]:
    x1, one = _reduced(x1, one, two + kept)
    x2, two = _reduced(x2, two, one + kept)
    out = "".join(c for c in dict.fromkeys(one + two) if c in kept)
    if one == two == out:
        return multiply(x1, x2), out
    return einsum_pair(x1, x2, one=one, two=two, out=out), out


@composite(
    dtypes="numeric", onnx="Einsum",
    samples=lambda rng: [
        (("ij,jk->ik", rng.normal(size=(2, 3)), rng.normal(size=(3, 2))), {}),
        (("...i,...i", rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {}),
        (("iij->j", rng.normal(size=(2, 2, 3))), {}),
        (("ab,bc,cd->ad", rng.normal(size=(2, 3)), rng.normal(size=(3, 2)), rng.normal(size=(2, 2))), {}),
    ],
)  # fmt: skip
def einsum(subscripts: str, *operands: Any) -> Any:
    """The Einstein summation: products of elements with equal labels, summed over labels not in the output.

    Args:
        subscripts: a label for each axis of each operand and of the output, such as `"ij,jk->ik"`. A
            label twice in one term takes the diagonal; `...` stands for axes that broadcast. Without
            `->` the output has, in alphabetical order, the labels that occur once.
        operands: as many arrays as there are terms.

    Many operands are multiplied in pairs, in the order that a greedy search by size finds.

    >>> import backlit as bl
    >>> bl.einsum("ij,j->i", bl.tensor([[1.0, 2.0], [3.0, 4.0]]), bl.tensor([1.0, 10.0]))
    tensor([21., 43.], dtype=float32)
    """
    if not isinstance(subscripts, str) or not operands:
        raise ArgumentError(f"einsum: expected subscripts and one or more operands, got {shown(subscripts)} first.")
    values = [operand(x) for x in operands]
    parsed, out = parse_subscripts(subscripts, tuple(len(x.shape) for x in values))
    terms = list(parsed)
    sizes = label_sizes(terms, [x.shape for x in values])
    if len(values) > 2:
        steps = _path(tuple(terms), out, tuple(x.shape for x in values))
    else:
        steps = (tuple(range(len(values))),)
    for step in steps:
        taken = [(values[i], terms[i]) for i in step]
        values = [x for i, x in enumerate(values) if i not in step]
        terms = [t for i, t in enumerate(terms) if i not in step]
        x, term = taken[0]
        for n, (other, label) in enumerate(taken[1:], 2):
            later = "".join(terms) + out + "".join(t for _, t in taken[n:])
            x, term = _product(x, term, other, label, later if len(terms) + len(taken) - n else out)
        values.append(x)
        terms.append(term)
    (x,), (term,) = values, terms
    if term != out:
        x = einsum_one(x, term=term, out=out)
    shape = tuple(sizes[c] for c in out)
    return x if x.shape == shape else broadcast_to(x, shape)
