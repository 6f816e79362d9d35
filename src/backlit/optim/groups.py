"""Different treatment of different parameters, by the patterns that their paths match: `groups` and `freeze`.

>>> from backlit import optim
>>> optimizer = optim.groups({"*.bias": optim.sgd(0.1), "*": optim.adamw(1e-3)})
>>> optimizer = optim.freeze(optim.adam(1e-3), "encoder.*")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..base.errors import ArgumentError, shown
from ..base.trees import leaves, leaves_with_paths, rebuild, same_structure
from ..graph.closure import as_tensor
from .optimizer import Optimizer


def groups(optimizers: Mapping[str, Optimizer | None]) -> Optimizer:
    """Each parameter follows the optimizer of the first pattern that its path matches.

    Args:
        optimizers: patterns such as `"*.bias"` or `"encoder.[0-3].*"` (`*`, `?` and `[...]` as in file names; `*`
            stands for dots too), and for each an optimizer, or None for parameters that stay as they are.

    Raises:
        ArgumentError: a pattern that takes no parameter, or a parameter that no pattern takes; from `init`.
    """
    for pattern, optimizer in optimizers.items():
        if not (optimizer is None or isinstance(optimizer, Optimizer)):
            raise ArgumentError(f"groups: expected an optimizer or None for {pattern!r}, got {shown(optimizer)}.")
    patterns = list(optimizers)

    def split(*trees: Any) -> dict[str, list[dict[str, Any]]]:
        """For each pattern, what is its of each tree: dicts by path."""
        paths = [path for path, _ in leaves_with_paths(trees[0])]
        found: dict[str, list[dict[str, Any]]] = {pattern: [{} for _ in trees] for pattern in patterns}
        owners = [_first(patterns, path) for path in paths]
        for i, tree in enumerate(trees):
            for path, owner, leaf in zip(paths, owners, leaves(tree), strict=True):
                found[owner][i][path] = leaf
        return found

    def init(params: Any) -> dict[str, Any]:
        _check(patterns, [path for path, _ in leaves_with_paths(params)])
        own = split(params)
        return {pattern: optimizer and optimizer.init(own[pattern][0]) for pattern, optimizer in optimizers.items()}

    def update(params: Any, gradients: Any, state: Any, scale: Any = None) -> tuple[Any, dict[str, Any]]:
        same_structure(params, gradients, where="groups")
        moved: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for pattern, (own, slopes) in split(params, gradients).items():
            optimizer, new, after[pattern] = optimizers[pattern], own, state[pattern]
            if optimizer is not None:
                new, after[pattern] = optimizer.update(own, slopes, state[pattern], scale)
            moved.update(new)
        return rebuild(params, (as_tensor(moved[path]) for path, _ in leaves_with_paths(params))), after

    def rate(state: Any) -> dict[str, Any]:
        return {p: o.rate(state[p]) for p, o in optimizers.items() if o is not None and o.rate is not None}

    return Optimizer(init, update, rate)


def freeze(optimizer: Optimizer, *patterns: str) -> Optimizer:
    """`optimizer` for all parameters but those whose paths match one of the patterns; these stay as they are."""
    return groups({**dict.fromkeys(patterns), "*": optimizer})


def _first(patterns: Sequence[str], path: str) -> str:
    for pattern in patterns:
        if fnmatchcase(path, pattern):
            return pattern
    raise ArgumentError(
        f"groups: no pattern takes the parameter {path}; there are {', '.join(patterns)}. Add '*' as the last one."
    )


def _check(patterns: Sequence[str], paths: Sequence[str]) -> None:
    taken = {_first(patterns, path) for path in paths}
    for pattern in patterns:
        if pattern not in taken:
            matching = any(fnmatchcase(path, pattern) for path in paths)
            why = "all that it matches are taken by patterns before it" if matching else "it matches none"
            raise ArgumentError(
                f"groups: the pattern {pattern!r} takes no parameter: {why}. The parameters are "
                f"{shown(list(paths), 400)}."
            )
    twice = [path for path in paths if paths.count(path) > 1]
    if twice:
        raise ArgumentError(f"groups: two parameters have the path {twice[0]}; rename one of them.")
