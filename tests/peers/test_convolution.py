"""Products, convolution, pooling and attention beside PyTorch: values and derivatives of order 1 and 2."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import backlit as bl

from .both import agree

torch = pytest.importorskip("torch")
nn: Any = torch.nn.functional
SIZES = {1: (7,), 2: (6, 5), 3: (4, 5, 4)}
RNG = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


# kernel, stride, padding, dilation, groups
GEOMETRIES = [(2, 1, 0, 1, 1), (3, 1, 1, 1, 1), (2, 2, 1, 1, 2), (2, 3, 0, 2, 2), (1, 1, 0, 1, 1), (2, 1, 2, 2, 4)]
CONVOLUTIONS = list(itertools.product(SIZES, GEOMETRIES))


@pytest.mark.parametrize(("n", "geometry"), CONVOLUTIONS)
def test_convolution(n: int, geometry: Any) -> None:
    k, stride, padding, dilation, groups = geometry
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, w, b = normal(2, 4, *SIZES[n]), normal(4, 4 // groups, *(k,) * n), normal(4)
    ours, theirs = getattr(bl, f"conv{n}d"), getattr(nn, f"conv{n}d")
    agree(lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options), [x, w, b])
    options["output_padding"] = min(stride - 1, 1)
    ours, theirs = getattr(bl, f"conv_transpose{n}d"), getattr(nn, f"conv_transpose{n}d")
    agree(lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options), [x, w, normal(4)])


def test_convolution_of_complex_numbers() -> None:
    x, w = normal(2, 2, 5, 4) + 1j * normal(2, 2, 5, 4), normal(3, 2, 2, 3) + 1j * normal(3, 2, 2, 3)
    agree(lambda *a: bl.conv2d(*a, stride=2, padding=1), lambda *a: nn.conv2d(*a, stride=2, padding=1), [x, w])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("ties", [False, True])
def test_pooling(n: int, ties: bool) -> None:
    shape = (2, 3, *SIZES[n])
    x = RNG.integers(0, 3, size=shape).astype(float) if ties else normal(*shape)
    ours, theirs = getattr(bl, f"max_pool{n}d"), getattr(nn, f"max_pool{n}d")
    for k, s, p, d in [(2, None, 0, 1), (3, 2, 1, 1), (2, 1, 1, 2), (3, 1, 0, 1), (1, 2, 0, 1), (2, 3, 0, 1)]:
        agree(lambda x: ours(x, k, stride=s, padding=p, dilation=d), lambda x: theirs(x, k, s, p, d), [x])  # noqa: B023
    ours, theirs = getattr(bl, f"avg_pool{n}d"), getattr(nn, f"avg_pool{n}d")
    for k, s, p, c in [(2, None, 0, True), (3, 2, 1, True), (3, 2, 1, False), (2, 1, 1, False)]:
        agree(
            lambda x: ours(x, k, stride=s, padding=p, count_include_pad=c),  # noqa: B023
            lambda x: theirs(x, k, s, p, count_include_pad=c),  # noqa: B023
            [x],
        )
    for size, kind in itertools.product((1, 2, 3), ("avg", "max")):
        ours, theirs = getattr(bl, f"adaptive_{kind}_pool"), getattr(nn, f"adaptive_{kind}_pool{n}d")
        agree(lambda x: ours(x, size), lambda x: theirs(x, size), [x])  # noqa: B023


@pytest.mark.parametrize(("queries", "keys"), [(4, 4), (3, 5), (5, 3)])
def test_attention(queries: int, keys: int) -> None:
    ours, theirs = bl.scaled_dot_product_attention, nn.scaled_dot_product_attention
    inputs = [normal(2, 2, queries, 3), normal(2, 2, keys, 3), normal(2, 2, keys, 2)]
    seen = RNG.random((queries, keys)) < 0.6
    seen[:, 0] = True
    added = normal(2, 1, queries, keys)
    agree(ours, theirs, inputs)
    agree(lambda *a: ours(*a, causal=True), lambda *a: theirs(*a, is_causal=True), inputs)
    agree(lambda *a: ours(*a, seen), lambda *a: theirs(*a, attn_mask=torch.tensor(seen)), inputs)
    agree(
        lambda q, k, v, m: ours(q, k, v, m, scale=0.3),
        lambda q, k, v, m: theirs(q, k, v, attn_mask=m, scale=0.3),
        [*inputs, added],
    )


EINSUM = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("iij->j", (2, 2, 3)), ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("...ij,...jk->...ik", (4, 1, 2, 3), (5, 3, 2)), ("ab,bc,cd->ad", (2, 3), (3, 4), (4, 2)), ("i,j->ji", (2,), (3,)),
    ("ijk,il,jm,kn->lmn", (2, 3, 4), (2, 2), (3, 2), (4, 2)),
]  # fmt: skip


@pytest.mark.parametrize("case", EINSUM, ids=lambda c: c[0])
def test_einsum(case: Any) -> None:
    subscripts, *shapes = case
    for imaginary in (0, 1j):
        operands = [normal(*s) + imaginary * normal(*s) if imaginary else normal(*s) for s in shapes]
        agree(lambda *a: bl.einsum(subscripts, *a), lambda *a: torch.einsum(subscripts, *a), operands)


SHAPES = [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (2, 3, 4)), ((5, 2, 3), (3,)), ((5, 2, 3), (3, 4)),
          ((4, 1, 2, 3), (5, 3, 2))]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_matmul(a: Any, b: Any) -> None:
    agree(bl.matmul, torch.matmul, [normal(*a), normal(*b)])
    agree(bl.matmul, torch.matmul, [normal(*a) + 1j * normal(*a), normal(*b) + 1j * normal(*b)])
