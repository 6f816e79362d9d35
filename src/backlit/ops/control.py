"""Control flow: of derivatives (`stop_gradient`) and of values (`cond`, `while_loop`, `fori_loop`, `scan`)."""

from __future__ import annotations

from typing import Any

from ..graph.op import op
from ..graph.opdef import Spec


@op(
    infer=lambda x: Spec(x.shape, x.dtype), traits="stops", nondiff="stop_gradient ends differentiation here",
    latex="\\bot\\left({0}\\right)", samples=lambda rng: [((rng.normal(size=(2, 3)),), {})],
)  # fmt: skip
def stop_gradient(x: Any, /) -> Any:
    """The same value as a constant: no derivative passes through it.

    >>> import backlit as bl
    >>> bl.grad(lambda x: x * bl.stop_gradient(x))(3.0)
    tensor(3., dtype=float32)
    """
    return x
