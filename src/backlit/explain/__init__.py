"""What a gradient can say of itself: where it came from, why it vanished, burst, died or became NaN, what mends it.

The package has the name of its first function, and is that function too: `bl.explain(y)` (see `explanation.explain`).
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package that can be called. `import backlit.explain.tape` puts the package in the place of `bl.explain`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from .explanation import explain

        return explain(*args, **options)


sys.modules[__name__].__class__ = _Callable
