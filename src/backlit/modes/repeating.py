"""`repeat`: a step applied many times in one call, its results fed back to its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, DtypeError, ShapeError
from ..base.trees import leaves, leaves_with_paths, same_structure, tree_map
from ..graph.closure import as_tensor, spec_of
from ..graph.tensor import Tensor
from ..ops.control import scan
from ..ops.creation import zeros_of

_ARRAYS = (Tensor, np.ndarray, np.generic)


def looped(
    step: Callable[..., Any], n: int, carry: int | None, collect: bool, donated: Sequence[str], name: str
) -> Callable[..., Any]:
    """The function that applies `step` `n` times; see `Compiled.repeat`."""

    def repeated(*args: Any, **kwargs: Any) -> Any:
        first = step(*args, **kwargs)  # for its structure alone: nothing that is computed here is used
        count = carried(first, args, carry, donated, name)
        whole = not _is_tuple(first)
        start = args[:count]
        fits((first,) if whole else first[:count], start, name)
        fixed: list[Any] = []

        def once(state: Any, last: Any) -> tuple[Any, list[Any]]:
            out = step(*state, *args[count:], **kwargs)
            new, rest = ((out,), ()) if whole else (out[:count], out[count:])
            fixed[:] = [rest]
            return new, [x for x in leaves(rest) if isinstance(x, _ARRAYS)]

        if collect:
            state, values = scan(lambda state, _: once(state, None), start, None, n)
        else:
            rest = () if whole else first[count:]
            blank = [zeros_of(as_tensor(x)) for x in leaves(rest) if isinstance(x, _ARRAYS)]
            (state, values), _ = scan(lambda both, _: (once(*both), None), (start, blank), None, n)
        found = iter(values)
        rest = tree_map(lambda x: next(found) if isinstance(x, _ARRAYS) else x, fixed[0])
        return state[0] if whole else (*state, *rest)

    repeated.__name__ = f"{name}.repeat({n})"
    return repeated


def carried(result: Any, args: Sequence[Any], carry: int | None, donated: Sequence[str], name: str) -> int:
    """How many arguments take the results of the step before."""
    results = result if _is_tuple(result) else (result,)
    most = min(len(results), len(args))
    if carry is None and donated:
        carry = len(donated)
    if carry is not None:
        if not 1 <= carry <= most:
            raise ArgumentError(
                f"{name}.repeat: carry={carry} results are to go back to the arguments, but there are {len(results)} "
                f"results and {len(args)} arguments given by position."
            )
        return carry
    fitting = 0
    while fitting < most and _alike(results[fitting], args[fitting]):
        fitting += 1
    if fitting > 1:
        raise ArgumentError(
            f"{name}.repeat: the first {fitting} results fit the first {fitting} arguments; say how many of them go "
            f"back to the arguments, with carry={fitting} for all of these, or with donate= when {name} is compiled."
        )
    return 1


def fits(results: Sequence[Any], args: Sequence[Any], name: str) -> None:
    """Check that results have the structure, shapes and dtypes of the arguments they are to take the place of."""
    for i, (new, old) in enumerate(zip(results, args, strict=True)):
        same_structure(old, new, where=f"{name}: argument {i} and result {i}, which is to take its place,")
        for (path, a), b in zip(leaves_with_paths(old), leaves(new), strict=True):
            one, other = spec_of(as_tensor(a)), spec_of(as_tensor(b))
            if one != other:
                error = ShapeError if one.shape != other.shape else DtypeError
                at = f" at {path}" if path else ""
                raise error(
                    f"{name}: result {i}{at} is {other.dtype.name}{other.shape}, but the "
                    f"argument whose place it is to take is {one.dtype.name}{one.shape}; a loop keeps shapes and "
                    "dtypes: convert one of them with .astype or reshape."
                )


def _alike(new: Any, old: Any) -> bool:
    try:
        fits([new], [old], "")
    except (ArgumentError, ShapeError, DtypeError):
        return False
    return True


def _is_tuple(x: Any) -> bool:
    return type(x) is tuple
