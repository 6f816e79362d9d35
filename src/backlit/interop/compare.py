"""`bl.compare`: a graph run node by node in another library, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..base.errors import ArgumentError
from ..base.trees import leaves_with_paths
from ..explain.tape import Tape, tape_of
from ..graph.tensor import Tensor, as_value
from ..modes.static.session import Session
from . import causes
from .beside import Beside, end_of
from .comparison import Comparison, Divergence, End
from .libraries import LIBRARIES, library
from .precision import cast, in_precision, narrowest

DIFFERENCES = "finite-difference"
PRECISIONS = ("float64", "float32")


def compare(
    fn: Any, args: Sequence[Any] = (), against: str = "torch", *, gradient: Any = None, cotangent: Any = None,
    dtypes: Sequence[str] = PRECISIONS, feed_dict: Mapping[Any, Any] | None = None, session: Session | None = None,
) -> Comparison:  # fmt: skip
    """Run a graph node by node in another library, forward and backward, and tell where the two first part.

    Every node is compared by itself: the library gets the values that its inputs have here, so that a difference is
    this node's own. The whole graph is run there as well, each node on what the others gave, down to the gradients.
    Two numbers count as equal if rounding can part them: 0 units in the last place for ops that move, choose or round
    correctly, a few for functions (`backlit.testing.tolerances`), and what one such unit in the inputs changes.
    Where cotangents differ, finite differences tell whose are right.

    Args:
        fn: a function or compiled function, called with `args`; a Tensor with the graph behind it; or a tensor of a
            static graph, with `session` and `feed_dict`. Derivatives of your own (`custom_derivative`,
            `RegisterGradient`) are compared with the library's derivative of the function itself.
        args: every floating-point array or number in these is differentiated by.
        against: "torch", "jax" or "tensorflow", which must be installed; or "finite-difference": the rule of each node
            beside central differences of its kernel, in float64.
        gradient: a gradient made by hand, which is compared with the library's: a function of `args`, or what it would
            return: an array for each floating-point array of `args`, in their structure.
        cotangent: of the result, or a function that makes it of the result; by default 1 for one element, and numbers
            of all sizes between -1 and 1 for more, so that no error hides behind ones.
        dtypes: the precisions to compare in.

    Raises:
        ArgumentError: an unknown library or precision, or a gradient that fits no argument.
        MissingExtra: the library is not installed.
        GradientError: there is no graph to compare.

    >>> import backlit as bl
    >>> @bl.custom_derivative
    ... def cube(x):
    ...     return x * x * x
    >>> @cube.vjp
    ... def _(g, out, x):
    ...     return g * 2 * x * x
    >>> found = bl.compare(lambda x: bl.sum(cube(x)), [bl.tensor([1.0, 2.0])], against="finite-difference")
    >>> found.equal, found.first.op, found.first.direction
    (False, 'cube', 'backward')
    """
    if against != DIFFERENCES and against not in LIBRARIES:
        known = ", ".join(map(repr, (*LIBRARIES, DIFFERENCES)))
        raise ArgumentError(f"compare: against={against!r}; expected one of {known}.")
    if not isinstance(args, (tuple, list)):
        raise ArgumentError(
            f"compare: args must be a list with one entry for each argument of the function, got {type(args).__name__}."
        )
    if not dtypes or any(d not in PRECISIONS for d in dtypes):
        raise ArgumentError(f"compare: dtypes must be among {PRECISIONS}, got {dtypes!r}.")
    there = library(against) if against != DIFFERENCES else None
    tape = tape_of(
        fn, *args, cotangent=cotangent or _weights, feed_dict=feed_dict, session=session, where="compare"
    )  # fmt: skip
    own = narrowest(tape)
    runs: list[Beside] = []
    for dtype in ["float64"] if there is None else sorted(dtypes, key=lambda d: d != own):
        again, origins = in_precision(tape, dtype)
        runs.append(Beside(tape, again, origins, dtype, there))
    rows = [r for one in runs for r in (*one.forward(), *one.backward())]
    ends = [e for one in runs for e in one.ends()]
    divergences = [d for one in runs for d in one.divergences()]
    if gradient is not None:
        more = [_of_hand(tape, one, args, gradient) for one in runs[:1]]
        ends += [e for found, _ in more for e in found]
        divergences += [d for _, found in more for d in found]
    title = there.version if there is not None else "finite differences"
    return Comparison(tape, title, rows, ends, divergences)


def _weights(y: Tensor) -> Any:
    """The cotangent of a result of several elements."""
    return np.cos(np.arange(y.size) + 1.0).reshape(y.shape) if y.size != 1 else np.ones(y.shape)


# --- gradients made by hand ---------------------------------------------------------------------------


def _of_hand(tape: Tape, one: Beside, args: Sequence[Any], gradient: Any) -> tuple[list[End], list[Divergence]]:
    """The user's gradient beside the library's, by each floating-point argument."""
    given = gradient(*args) if callable(gradient) else gradient
    wanted = [n for n in tape.leaves if n in one.gradients()]
    by_name = {tape.name(n): n for n in wanted}
    items = [x for _, x in leaves_with_paths(given)] if not _is_array(given) else [given]
    if len(items) != len(by_name):
        raise ArgumentError(
            f"compare: gradient= has {len(items)} arrays for {len(by_name)} floating-point arguments "
            f"({', '.join(by_name)}); give one for each, in their order."
        )
    ends: list[End] = []
    found: list[Divergence] = []
    depth = len(one.nodes)
    for (name, node), item in zip(by_name.items(), items, strict=True):
        theirs = one.gradients()[node]
        like = np.zeros(node.shape, one.dtype) if theirs is None else np.asarray(theirs)
        mine = cast(np.asarray(as_value(item), np.float64), one.dtype)
        end = end_of(f"gradient by hand, by {name}", one.dtype, mine, like, 16 * max(depth, 4))
        ends.append(end)
        if end.share > 1:
            cause = causes.of_hand(mine, like)
            found.append(
                Divergence(
                    end.name, "the gradient made by hand", "", "", "backward", name, one.dtype, end.ours, end.theirs,
                    end.entry, end.ulp, end.share, cause.what, cause.mend, "here",
                )
            )  # fmt: skip
    return ends, found


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, Tensor, float, int))
