"""Is what was saved for a derivative still what it was? Asked at `backward()` under `settings(check=True)`."""

from __future__ import annotations

from ..base.errors import GradientError
from ..graph.node import Node
from ..graph.seal import broken
from ..graph.walk import ancestors


def verify_saved(node: Node, since: int = 0) -> None:
    """Raise a GradientError if a value saved on the way to `node` was changed in place meanwhile."""
    for n in ancestors([node], since=since):
        for name in broken(n) if n.inputs is not None else ():
            raise GradientError(
                f"{n.label}: {name} was changed in place after it was saved, so the derivative would be wrong. "
                "It shares memory with an array of yours (bl.asarray, from_dlpack): copy it with bl.tensor(...), "
                "or change the array only after the derivative is taken."
            )
