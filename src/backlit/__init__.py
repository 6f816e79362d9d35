"""Backlit: backpropagation you can see through.

Automatic differentiation and neural networks on one computational graph, run eagerly
(`bl.Tensor`, `backward()`, `bl.grad`), as a static graph (`bl.static`), or compiled to machine code (`bl.compile`).

>>> import backlit as bl
>>> x = bl.tensor(3.0, requires_grad=True)
>>> y = x * x + 2 * x
>>> y.backward()
>>> x.grad.item()
8.0
"""

from __future__ import annotations

import importlib
from typing import Any

from . import autodiff as _autodiff  # noqa: F401  (registers grad and its relatives)
from . import ops as _ops  # noqa: F401  (fills the registry)
from .array_api import namespace as _namespace
from .base import higher as _higher
from .base.config import enable_grad as enable_grad
from .base.config import no_grad as no_grad
from .base.config import settings as settings
from .base.errors import ArgumentError as ArgumentError
from .base.errors import BacklitError as BacklitError
from .base.errors import DtypeError as DtypeError
from .base.errors import GradientError as GradientError
from .base.errors import GraphError as GraphError
from .base.errors import ShapeError as ShapeError
from .graph.tensor import Tensor as Tensor

__version__ = "0.4.0"

globals().update(_namespace.build())

_LAZY = {
    "static": ".static",
    "testing": ".testing",
    "nn": ".nn",
    "optim": ".optim",
    "data": ".data",
    "train": ".train",
    "sklearn": ".sklearn",
    "explain": ".explain",  # a package that can be called
    "linalg": ".array_api.linalg",
    "fft": ".array_api.fft",
    "random": ".array_api.random",
}

#: Functions that are loaded when they are first asked for, and where they live.
_LAZY_FUNCTIONS = {
    "compare": ".interop.compare",
    "compile": ".modes.compile",
    "diagnose": ".explain.diagnosis",
    "draw": ".show.graph.drawing",
    "explore": ".show.explore.page",
    "minimize": ".optim.minimize",
    "trace_nonfinite": ".explain.nonfinite",
    "watch": ".explain.watch",
    "why": ".explain.why",
}

#: What `nn.Layer` asks the layers above for.
_higher.PLACES.update(
    summary="backlit.nn.overview.summary",
    fit="backlit.train.fitting.fit",
    evaluate="backlit.train.fitting.evaluate",
    predict="backlit.train.fitting.predict",
    save_values="backlit.train.files.save_values",
    load_values="backlit.train.files.load_values",
    curves="backlit.show.training.curves",
    rate_curve="backlit.show.training.rate_curve",
    draw="backlit.show.graph.drawing.draw",
    flow_picture="backlit.show.flow.flow_picture",
    watch="backlit.explain.watch.watch",
    trace_nonfinite="backlit.explain.nonfinite.trace_nonfinite",
)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(_LAZY[name], __name__)
    if name in _LAZY_FUNCTIONS:
        globals()[name] = found = getattr(importlib.import_module(_LAZY_FUNCTIONS[name], __name__), name)
        return found
    from difflib import get_close_matches

    near = get_close_matches(name, [*globals(), *_LAZY, *_LAZY_FUNCTIONS], 1)
    mend = f"; did you mean {near[0]!r}?" if near else ""
    raise AttributeError(f"module 'backlit' has no attribute {name!r}{mend}")


def __dir__() -> list[str]:
    names = {*(n for n in globals() if not n.startswith("_")), *_LAZY, *_LAZY_FUNCTIONS}
    return sorted(names - {"importlib", "annotations", "Any"})
