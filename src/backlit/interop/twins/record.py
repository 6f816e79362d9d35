"""`Twin`: what an op is in other libraries, and how a table of them is written.

An entry of a table is the dotted name of a function of the same arguments (`"nn.functional.relu"` of torch), or a
function whose first argument is the module, or a reason why there is none. The inputs and parameters are those of a
node: canonical, complete, parameters by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..libraries import Library


class Without(NamedTuple):
    """Why an op has no twin in a library."""

    reason: str


class Shared(NamedTuple):
    """A function that is written once: its first argument is the `Library`, not its module."""

    function: Callable[..., Any]


Entry = str | Callable[..., Any] | Without | Shared


class Twin(NamedTuple):
    """The twins of one op."""

    torch: Entry
    jax: Entry
    tensorflow: Entry

    def entry(self, library: Library) -> Entry:
        """The one in a library."""
        return getattr(self, library.name)

    def function(self, library: Library) -> Callable[..., Any] | None:
        """The twin as a function of the node's inputs and parameters; None where there is none."""
        entry = self.entry(library)
        if isinstance(entry, Without):
            return None
        if isinstance(entry, Shared):
            return lambda *xs, **params: entry.function(library, *xs, **params)
        if isinstance(entry, str):
            return named(library, entry)
        return lambda *xs, **params: entry(library.module, *xs, **params)


def named(library: Library, path: str) -> Callable[..., Any]:
    """A function of a library by its dotted name."""
    found = library.module
    for part in path.split("."):
        found = getattr(found, part)
    return found


def shared(function: Callable[..., Any]) -> Twin:
    """The same function for every library."""
    return Twin(*(Shared(function),) * 3)


def same(names: str, torch: str = "{}", jax: str = "numpy.{}", tensorflow: str = "math.{}") -> dict[str, Twin]:
    """Ops that have their own names in all libraries, with the module to be found in."""
    return {n: Twin(torch.format(n), jax.format(n), tensorflow.format(n)) for n in names.split()}


def without(names: Iterable[str], reason: str) -> dict[str, Twin]:
    """Ops that have no twin anywhere."""
    return {n: Twin(*(Without(reason),) * 3) for n in names}
