"""Logic and bits."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..graph.op import elementwise

DISCRETE = "its values are integers or booleans: there is nothing between them"


def _booleans(count: int) -> Any:
    return lambda rng: [(tuple(rng.random((2, 3)) < 0.5 for _ in range(count)), {})]


def _integers(count: int, high: int = 100) -> Any:
    def samples(rng: Any) -> Any:
        shapes = [(2, 3), (3,)][:count]
        return [(tuple(rng.integers(0, high, shape) for shape in shapes), {})]

    return samples


logical_and = elementwise(
    "logical_and", "x1 and x2.", eval=operator.and_, nondiff=DISCRETE, dtypes="boolean", result="boolean",
    native=lambda k, a, b: a & b,
    traits=["commutative", "idempotent"], array_api=True, onnx="And", latex="{0} \\wedge {1}", samples=_booleans(2),
)  # fmt: skip
logical_or = elementwise(
    "logical_or", "x1 or x2, or both.", eval=operator.or_, nondiff=DISCRETE, dtypes="boolean", result="boolean",
    native=lambda k, a, b: a | b,
    traits=["commutative", "idempotent"], array_api=True, onnx="Or", latex="{0} \\vee {1}", samples=_booleans(2),
)  # fmt: skip
logical_xor = elementwise(
    "logical_xor", "Either x1 or x2.", eval=operator.xor, nondiff=DISCRETE, dtypes="boolean", result="boolean",
    native=lambda k, a, b: a ^ b,
    traits="commutative", array_api=True, onnx="Xor", latex="{0} \\oplus {1}", samples=_booleans(2),
)  # fmt: skip
logical_not = elementwise(
    "logical_not", "Not x.", eval=np.logical_not, nondiff=DISCRETE, dtypes="boolean", result="boolean",
    native=lambda k, x: ~x,
    array_api=True, onnx="Not", latex="\\neg {0}", samples=_booleans(1),
)  # fmt: skip

bitwise_and = elementwise(
    "bitwise_and", "The bits set in both.", eval=operator.and_, nondiff=DISCRETE, dtypes="integer or boolean",
    native=lambda k, a, b: a & b,
    traits=["commutative", "idempotent"], array_api=True, onnx="BitwiseAnd", latex="{0} \\mathbin{{\\&}} {1}",
    samples=_integers(2),
)  # fmt: skip
bitwise_or = elementwise(
    "bitwise_or", "The bits set in one or both.", eval=operator.or_, nondiff=DISCRETE, dtypes="integer or boolean",
    native=lambda k, a, b: a | b,
    traits=["commutative", "idempotent"], array_api=True, onnx="BitwiseOr", latex="{0} \\mathbin{{|}} {1}",
    samples=_integers(2),
)  # fmt: skip
bitwise_xor = elementwise(
    "bitwise_xor", "The bits set in one of both.", eval=operator.xor, nondiff=DISCRETE, dtypes="integer or boolean",
    native=lambda k, a, b: a ^ b,
    traits="commutative", array_api=True, onnx="BitwiseXor", latex="{0} \\oplus {1}", samples=_integers(2),
)  # fmt: skip
bitwise_invert = elementwise(
    "bitwise_invert", "Every bit flipped.", eval=np.invert, nondiff=DISCRETE, dtypes="integer or boolean",
    native=lambda k, x: ~x,
    array_api=True, onnx="BitwiseNot", latex="\\sim {0}", samples=_integers(1),
)  # fmt: skip
bitwise_left_shift = elementwise(
    "bitwise_left_shift", "x1 · 2^x2.", eval=operator.lshift, nondiff=DISCRETE, dtypes="integer",
    native=lambda k, a, b: k.shift_left(a, b),
    array_api=True, onnx="BitShift", latex="{0} \\ll {1}", samples=_integers(2, 8),
)  # fmt: skip
bitwise_right_shift = elementwise(
    "bitwise_right_shift", "x1 / 2^x2, rounded down.", eval=operator.rshift, nondiff=DISCRETE, dtypes="integer",
    native=lambda k, a, b: k.shift_right(a, b),
    array_api=True, onnx="BitShift", latex="{0} \\gg {1}", samples=_integers(2, 8),
)  # fmt: skip
