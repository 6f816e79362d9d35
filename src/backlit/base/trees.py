"""Trees of leaves: dicts, lists, tuples, named tuples and dataclasses, walked in a fixed order with readable paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import cache
from typing import Any

from .errors import ArgumentError, shown

Build = Callable[[list[Any]], Any]
Opened = tuple[list[tuple[str, Any]], Build]


def children(tree: Any) -> Opened | None:
    """The named children of an inner node and the function that builds it anew; None for a leaf.

    None itself is an inner node without children, so that an absent parameter is no leaf.
    Dicts keep their own order. A dataclass counts with its fields; `field(metadata={"static": True})`
    keeps one out of the tree. Any other class joins in with two methods: `__tree__`, which returns what this function
    does, and `__tree_key__`, which returns something hashable that two of its trees have in common where they differ in
    their leaves alone.
    """
    opener = _opener(tree.__class__)
    return None if opener is None else opener(tree)


@cache
def _opener(kind: type) -> Callable[[Any], Opened] | None:
    """How values of a class are opened. Asked for every leaf of every tree, so the answer is kept."""
    if kind is type(None):
        return lambda _: ([], lambda _: None)
    if hasattr(kind, "__tree__"):
        return kind.__tree__
    if issubclass(kind, dict):
        return _open_dict
    if issubclass(kind, tuple):
        return _open_named_tuple if hasattr(kind, "_fields") else lambda tree: (_numbered(tree), tuple)
    if issubclass(kind, list):
        return lambda tree: (_numbered(tree), list)
    return _open_dataclass if hasattr(kind, "__dataclass_fields__") else None


def _numbered(items: Any) -> list[tuple[str, Any]]:
    return [(str(i), child) for i, child in enumerate(items)]


def _open_dict(tree: dict[Any, Any]) -> Opened:
    def build(new: list[Any]) -> Any:
        if type(tree) is dict:
            return dict(zip(tree, new, strict=True))
        other = copy(tree)  # a defaultdict, say, is not made from its items alone
        other.update(zip(tree, new, strict=True))
        return other

    return [(str(key), child) for key, child in tree.items()], build


def _open_named_tuple(tree: Any) -> Opened:
    return list(zip(tree._fields, tree, strict=True)), lambda new: type(tree)(*new)


def _open_dataclass(tree: Any) -> Opened:
    import dataclasses  # takes 2 ms, and is there already where somebody has a dataclass

    names = [f.name for f in dataclasses.fields(tree) if f.init and not f.metadata.get("static")]
    named = [(name, getattr(tree, name)) for name in names]
    return named, lambda new: dataclasses.replace(tree, **dict(zip(names, new, strict=True)))


def leaves_with_paths(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path, such as `("layers.0.weight", leaf)`."""
    found = children(tree)
    if found is None:
        yield prefix, tree
        return
    for name, child in found[0]:
        yield from leaves_with_paths(child, f"{prefix}.{name}" if prefix else name)


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree, in order.

    >>> leaves({"b": [1, 2], "w": (3, None)})
    [1, 2, 3]
    """
    opener = _opener(tree.__class__)
    if opener is None:
        return [tree]
    return [leaf for _, child in opener(tree)[0] for leaf in leaves(child)]


def rebuild(tree: Any, new: Iterator[Any]) -> Any:
    """A tree of the same structure whose leaves are taken from `new`, in order."""
    found = children(tree)
    if found is None:
        return next(new)
    named, build = found
    return build([rebuild(child, new) for _, child in named])


def tree_map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`f` applied to each leaf of `tree` together with the leaves at the same place in `others`.

    >>> tree_map(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
    {'x': 11, 'y': [22]}
    """
    rows = [leaves(tree)]
    for other in others:
        same_structure(tree, other)
        rows.append(leaves(other))
    return rebuild(tree, iter([f(*row) for row in zip(*rows, strict=True)]))


def same_structure(a: Any, b: Any, path: str = "", where: str = "tree_map") -> None:
    """Raise an error that names the first place at which two trees differ in structure."""
    at = path or "the root"
    left, right = children(a), children(b)
    if (left is None) != (right is None):
        raise ArgumentError(
            f"{where}: the trees differ at {at}: one has a leaf, the other {shown(b if left is None else a)}."
        )
    if left is None or right is None:
        return
    names, others = [n for n, _ in left[0]], [n for n, _ in right[0]]
    if names != others:
        raise ArgumentError(f"{where}: the trees differ at {at}: one has the entries {names}, the other {others}.")
    for (name, x), (_, y) in zip(left[0], right[0], strict=True):
        same_structure(x, y, f"{path}.{name}" if path else name, where)
