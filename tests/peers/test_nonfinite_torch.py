"""`trace_nonfinite` beside PyTorch's `detect_anomaly`, which names the op whose backward step first returned NaN."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl

torch = pytest.importorskip("torch")

INF = float("inf")

#: For each op that PyTorch blames what ours is called, a function of the library and x, and x.
CASES: dict[str, tuple[str, Callable[[Any, Any], Any], list[float]]] = {
    "Sqrt": ("sqrt", lambda lib, x: lib.sqrt(x - 1).sum(), [0.0, 2.0]),
    "Acos": ("acos", lambda lib, x: lib.acos(x).sum(), [2.0, 0.5]),
    "Pow": ("pow", lambda lib, x: (x**0.5).sum(), [-1.0, 2.0]),
    "Div": ("divide", lambda lib, x: (x / x.sum()).sum(), [0.0, 0.0]),
    "Softmax": ("softmax", lambda lib, x: lib.softmax(x - INF, -1).sum(), [0.0, 1.0]),
    "Mul": ("multiply", lambda lib, x: lib.sqrt((x * x).sum()), [0.0, 0.0]),
    "Exp": ("exp", lambda lib, x: 1 / lib.exp(100 * x).sum(), [1.0, 0.0]),
}


class Ours:
    """Backlit with PyTorch's positional axis."""

    sqrt, acos, exp = bl.sqrt, bl.acos, bl.exp
    softmax = staticmethod(lambda x, axis: bl.softmax(x, axis=axis))


@pytest.mark.parametrize("blamed", CASES)
def test_the_same_op_is_blamed(blamed: str) -> None:
    ours, function, numbers = CASES[blamed]
    x = torch.tensor(numbers, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly(), pytest.raises(RuntimeError) as caught:
            function(torch, x).backward()
    found = re.search(r"'(\w+)Backward\d' returned nan", str(caught.value))
    assert found is not None
    assert found[1] == blamed
    origin = bl.trace_nonfinite(lambda x: function(Ours, x), np.array(numbers, np.float32))
    assert origin is not None
    # An infinity that became NaN later is blamed on what made the infinity; the other op lies on the way.
    assert ours in (origin.op, origin.of) or any(step.op.endswith(f"of {ours}'") for step in origin.way)


def test_both_find_nothing_where_all_is_finite() -> None:
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly():
            torch.linalg.vector_norm(x * 0).backward()
    assert bl.trace_nonfinite(lambda x: bl.linalg.vector_norm(x * 0), bl.tensor([0.0, 1.0])) is None
