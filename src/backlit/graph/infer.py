"""Shape and dtype of a result before it is computed, also where sizes are still unknown.

A rule only ever sees sizes that are numbers. Where some are unknown (None), it is asked several times
with different numbers in their place: what comes out the same every time is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, product
from typing import Any, NoReturn

import numpy as np

from ..base.errors import ArgumentError, BacklitError, DtypeError, GraphError, ShapeError, shown
from ..base.shapes import broadcast, size_of
from ..base.trees import leaves
from .opdef import OpDef, Spec

Specs = list[Spec]
Place = tuple[int, int]


class UnknownShape(tuple[Any, ...]):
    """The shape of a placeholder made without one: even the number of axes is known only when it is fed."""

    def __contains__(self, size: object) -> bool:
        return size is None

    def __len__(self) -> int:
        raise GraphError(
            "the number of axes of this tensor is known only when the graph is fed; "
            "give its placeholder a shape, with None for each unknown size."
        )

    def __iter__(self) -> Iterator[Any]:
        len(self)
        return iter(())

    def __getitem__(self, index: Any) -> Any:
        return len(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnknownShape)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, UnknownShape)

    def __hash__(self) -> int:
        return hash(UnknownShape)

    def __repr__(self) -> str:
        return "(...)"


UNKNOWN = UnknownShape()


def infer(op: OpDef, items: Sequence[Any], params: dict[str, Any]) -> Any:
    """Shape and dtype of the result (a tuple for several) from those of the inputs (Tensors, values or specs)."""
    specs = [Spec(x.shape, x.dtype) if hasattr(x, "shape") else x for x in items]
    places = [i for i, s in enumerate(specs) if isinstance(s, Spec)]
    if not any(None in specs[i].shape for i in places):
        return _ask(op, specs, params)

    def attempt(filled: Specs) -> Specs:
        given = list(specs)
        for i, s in zip(places, filled, strict=True):
            given[i] = s
        found = _ask(op, given, params)
        return list(found) if op.results is not None else [found]

    found = infer_open([specs[i] for i in places], attempt, sizes_in(params))
    return tuple(found) if op.results is not None else found[0]


def _ask(op: OpDef, specs: Sequence[Any], params: dict[str, Any]) -> Any:
    try:
        if op.infer is not None:
            return op.infer(*specs, **params)
        out = op.eval(*[np.ones(s.shape, s.dtype) if isinstance(s, Spec) else s for s in specs], **params)
    except BacklitError:
        raise
    except Exception as problem:
        explain_failure(op, specs, params, problem)
    return tuple(Spec(o.shape, o.dtype) for o in out) if op.results is not None else Spec(out.shape, out.dtype)


def sizes_in(params: Any) -> list[int]:
    """Numbers among static parameters that an unknown size may have to fit: each, and the product of them."""
    parts = leaves(params)
    found = [abs(x) for x in parts if type(x) is int and abs(x) > 1]
    found += [n for x in parts if isinstance(x, np.ndarray) for n in x.shape if n > 1]
    return [*found, size_of(tuple(found))] if 1 < len(found) < 6 else found


# --- trials ----------------------------------------------------------------------------------------

#: Sizes tried first in the place of every unknown one, and those tried when they do not fit.
_USUAL = (7, 11, 2)
_SPARE = (1, 3, 4, 5, 6, 8, 12, 64, 256)
#: A size so odd that it can be found again, as None, in the message of an error.
_TELLTALE = 7919
#: How many combinations of different sizes are tried, before the sizes are said not to fit.
_LIMIT = 300


def infer_open(specs: Specs, attempt: Callable[[Specs], Specs], hints: Iterable[int] = ()) -> Specs:
    """What `attempt(specs)` returns, as far as it is the same whatever stands in the place of None.

    The trials vary all unknown sizes together (they often are one batch), then some alone. Numbers
    that fail are taken for sizes that do not fit; if none is found that does, the error is raised.
    """
    if any(isinstance(s.shape, UnknownShape) for s in specs):
        return _infer_unranked(specs, attempt, hints)
    places = [(i, axis) for i, s in enumerate(specs) for axis, n in enumerate(s.shape) if n is None]
    known = [n for s in specs for n in s.shape if n is not None and n > 1]
    hints = [*hints]
    numbers = [*dict.fromkeys((*_USUAL, *known, *hints, *_SPARE, *(2 * n for n in (*known, *hints))))]

    def ask(sizes: dict[Place, int]) -> Specs | None:
        try:
            return attempt(_filled(specs, sizes))
        except Exception:
            return None

    def together() -> Iterator[dict[Place, int]]:
        return (dict.fromkeys(places, n) for n in numbers)

    def scaled() -> Iterator[dict[Place, int]]:
        return ({**sizes, p: sizes[p] * h} for sizes in together() for p in places for h in dict.fromkeys(hints))

    def mixed() -> Iterator[dict[Place, int]]:
        return (dict(zip(places, ns, strict=True)) for ns in product(numbers, repeat=len(places)))

    found: list[Specs] = []
    base: dict[Place, int] = {}
    for way in (together, scaled, mixed)[: 3 if len(places) > 1 else 1]:
        for sizes in islice(way(), _LIMIT):
            out = ask(sizes)
            if out is not None:
                base = base or sizes
                found.append(out)
                if len(found) == len(_USUAL):
                    break
        if found:
            break
    if not found:
        _refuse(specs, places, attempt)
    for group in _groups(places, specs):
        for n in (13, 1):
            out = ask({**base, **dict.fromkeys(group, n)})
            if out is not None:
                found.append(out)
                break
    return _merged(found)


def _groups(places: list[Place], specs: Specs) -> list[tuple[Place, ...]]:
    """The unknown sizes that may have to vary together: each alone, and those on the same axis, from either end."""
    if len(places) < 2:
        return []
    axes = [{axis for _, axis in places}, {axis - specs[i].ndim for i, axis in places}]
    left = [tuple(p for p in places if p[1] == axis) for axis in axes[0]]
    right = [tuple(p for p in places if p[1] - specs[p[0]].ndim == axis) for axis in axes[1]]
    return list(dict.fromkeys([*((p,) for p in places), *left, *right]))


def _filled(specs: Specs, sizes: dict[Place, int]) -> Specs:
    return [
        Spec(tuple(sizes[i, axis] if n is None else n for axis, n in enumerate(s.shape)), s.dtype)
        for i, s in enumerate(specs)
    ]


def _infer_unranked(specs: Specs, attempt: Callable[[Specs], Specs], hints: Iterable[int]) -> Specs:
    """The same where even the number of axes is unknown: each is tried, up to five."""
    found: list[Specs] = []
    hints = list(hints)
    problem: Exception | None = None
    for rank in range(6):
        given = [Spec((None,) * rank, s.dtype) if isinstance(s.shape, UnknownShape) else s for s in specs]  # type: ignore[arg-type]
        try:
            found.append(infer_open(given, attempt, hints))
        except Exception as error:
            problem = problem or error
    if not found and problem is not None:
        raise problem
    return _merged(found)


def _merged(found: list[Specs]) -> Specs:
    """The specs on which all agree; a single trial proves no size."""

    def merge(specs: Sequence[Spec]) -> Spec:
        shapes = [s.shape for s in specs]
        if any(isinstance(s, UnknownShape) for s in shapes) or len({len(s) for s in shapes}) > 1:
            return Spec(UNKNOWN, specs[0].dtype)
        sizes = (set(column) for column in zip(*shapes, strict=True))
        return Spec(
            tuple(next(iter(s)) if len(s) == 1 and len(shapes) > 1 else None for s in sizes),  # type: ignore[misc]
            specs[0].dtype,
        )

    if len({len(specs) for specs in found}) > 1:
        raise GraphError(
            "the number of results depends on a size that is known only when the graph is fed; "
            "give the placeholder that size, or index the tensor instead."
        )
    return [merge(specs) for specs in zip(*found, strict=True)]


def _refuse(specs: Specs, places: list[Place], attempt: Callable[[Specs], Specs]) -> NoReturn:
    """Raise the error that no size in the place of None avoids, with None where the trial's size stood."""
    try:
        attempt(_filled(specs, dict.fromkeys(places, _TELLTALE)))
    except BacklitError as problem:
        text = str(problem).replace(str(_TELLTALE), "None")
        if text == str(problem):
            raise
        raise type(problem)(
            f"{text} None is a size known only when the graph is fed, and none was found that fits; give placeholders "
            "the sizes that are fixed."
        ) from None
    shapes = " and ".join(str(s.shape) for s in specs)
    raise ShapeError(f"no sizes were found that fit in the place of None in {shapes}; give the placeholder a shape.")


# --- errors ----------------------------------------------------------------------------------------


def explain_failure(op: OpDef, values: Sequence[Any], params: dict[str, Any], problem: Exception) -> NoReturn:
    """Turn NumPy's complaint into one that names the op and the shapes it was given."""
    given = ", ".join(f"{v.dtype.name}{v.shape}" if hasattr(v, "shape") else shown(v, 30) for v in values)
    extra = ", ".join(f"{k}={shown(v, 40)}" for k, v in params.items())
    message = f"{op.name}({given}{', ' + extra if extra else ''}): "
    if op.family == "elementwise":
        broadcast(*[v.shape for v in values if hasattr(v, "shape")], where=op.name)
    elif op.infer is not None:
        try:  # the shape rule often says better what is wrong
            op.infer(*[Spec(v.shape, v.dtype) if hasattr(v, "shape") else v for v in values], **params)
        except BacklitError as better:
            raise better from problem
        except Exception:  # it was not made for these arguments either
            pass
    if isinstance(problem, (FloatingPointError, OverflowError, ZeroDivisionError, MemoryError, Warning)):
        raise problem
    if isinstance(problem, np.linalg.LinAlgError):
        raise ArgumentError(f"{message}{problem}.") from problem
    kind = DtypeError if isinstance(problem, TypeError) else ShapeError
    raise kind(f"{message}{str(problem).rstrip('.')}.") from problem
