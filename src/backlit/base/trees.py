"""Trees of leaves: dicts, lists, tuples, named tuples and dataclasses, walked in a fixed order with readable paths."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from .errors import ArgumentError, shown

Build = Callable[[list[Any]], Any]


def children(tree: Any) -> tuple[list[tuple[str, Any]], Build] | None:
    """The named children of an inner node and the function that builds it anew; None for a leaf.

    None itself is an inner node without children, so that an absent parameter is no leaf.
    Dicts keep their own order. A dataclass counts with its fields; `field(metadata={"static": True})`
    keeps one out of the tree.
    """
    if tree is None:
        return [], lambda _: None
    if isinstance(tree, dict):
        kind, keys = type(tree), list(tree)
        return [(str(k), tree[k]) for k in keys], lambda new: kind(zip(keys, new, strict=True))
    if isinstance(tree, tuple):
        named: Any = tree
        if hasattr(named, "_fields"):
            return list(zip(named._fields, named, strict=True)), lambda new: type(named)(*new)
        return [(str(i), c) for i, c in enumerate(tree)], tuple
    if isinstance(tree, list):
        return [(str(i), c) for i, c in enumerate(tree)], list
    if hasattr(type(tree), "__dataclass_fields__"):
        instance: Any = tree
        names = [f.name for f in dataclasses.fields(instance) if f.init and not f.metadata.get("static")]

        def build(new: list[Any]) -> Any:
            return dataclasses.replace(instance, **dict(zip(names, new, strict=True)))

        return [(n, getattr(instance, n)) for n in names], build
    return None


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
    found = children(tree)
    if found is None:
        return [tree]
    return [leaf for _, child in found[0] for leaf in leaves(child)]


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
