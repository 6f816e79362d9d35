"""What a kernel reads once: reductions of the same arrays, and values that are computed again instead of written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.kernels.rows import Rows
from backlit.compiler.lower.steps import Run, walk

from .native import agree, check, eager, in_memory

RNG = np.random.default_rng(7)


def kernels(function: Any, *values: Any, **options: Any) -> list[Any]:
    """The kernels of the plan made for these values."""
    compiled: Any = bl.compile(function, **options)
    plan = compiled.plan(*values)
    return [s.kernel for step in plan.steps for s in walk([step]) if isinstance(s, Run)]


def sweeps(found: list[Any], size: int) -> list[int]:
    """For each kernel of rows that reduces arrays of `size` elements, how many results it reduces them to."""
    rows = [k for k in found if isinstance(k, Rows) and k.reductions and any(b.size == size for b in k.reads)]
    return [len(k.reductions) for k in rows]


@pytest.mark.parametrize(
    ("shape", "axes"), [((40, 96, 30), (0, 2)), ((500, 70), 0), ((70, 500), 1), ((40, 9, 5), (1, 2))]
)
def test_sums_of_the_same_arrays_are_one_sweep(shape, axes):
    x, y = (RNG.normal(size=shape).astype("f4") for _ in range(2))

    def sums(x, y):
        a, b, c = bl.sum(x, axis=axes), bl.sum(x * y, axis=axes), bl.max(x - y, axis=axes)
        return a * 2, b, bl.exp(c), a + b

    with in_memory():
        assert sweeps(kernels(sums, x, y), x.size) == [3]
        check(sums, [x, y], str(shape), ulps=512)


def test_what_needs_another_or_reads_nothing_in_common_stays_apart():
    x, y, z = (RNG.normal(size=(60, 300)).astype("f4") for _ in range(3))

    def function(x, y, z):
        mean = bl.mean(x, axis=0)
        return bl.sum((x - mean) * (x - mean), axis=0), bl.sum(y, axis=0), bl.sum(z, axis=1)

    with in_memory():
        assert sweeps(kernels(function, x, y, z), x.size) == [1, 1, 1, 1]
        check(function, [x, y, z], "apart", ulps=512)


def test_a_parameter_that_is_updated_can_be_read_again_before():
    """The product with the scale is not written to memory, although the scale itself is to be overwritten."""
    a, b, y = (RNG.normal(size=size).astype("f4") for size in ((400, 60), (60, 96), (400, 96)))
    scale = RNG.uniform(1, 2, 96).astype("f4")

    def step(scale, a, b, y):
        product = a @ b
        scaled = product * scale
        return scale - 0.01 * bl.sum(product * y, axis=0), product, scaled - bl.mean(scaled, axis=0)

    expected = eager(step, [scale, a, b, y])
    values = [bl.tensor(v) for v in (scale, a, b, y)]
    found = kernels(step, *values, donate="scale")
    assert sum(buffer.size == y.size for k in found for buffer in k.writes) == 2  # the product and the last result
    agree([r.numpy().copy() for r in bl.compile(step, donate="scale")(*values)], expected, "donated", ulps=512)


def test_the_result_of_a_product_is_kept_instead_of_several_values_made_of_it():
    a, b = (RNG.normal(size=size).astype("f4") for size in ((400, 60), (60, 96)))
    scale, shift = (RNG.normal(size=96).astype("f4") for _ in range(2))

    def function(a, b, scale, shift):
        product = a @ b
        made = [product * scale, product + shift, product - scale * shift]
        return [x - bl.mean(x, axis=0) for x in made]

    found = kernels(function, a, b, scale, shift)
    assert [sum(k.size == 400 * 96 for k in kernel.writes) for kernel in found if kernel.kind == "matmul"] == [1]
    check(function, [a, b, scale, shift], "kept", ulps=512)
