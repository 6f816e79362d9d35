"""The errors Backlit raises. Each message names the thing, what was found, what was expected and the mend."""

from __future__ import annotations


class BacklitError(Exception):
    """Root of every error that Backlit raises on purpose."""


class ShapeError(BacklitError, ValueError):
    """Shapes, axes or indices that do not fit together."""


class IndexRangeError(ShapeError, IndexError):
    """An index beyond the end of its axis, or more indices than axes."""


class NoAxesError(ShapeError, TypeError):
    """A length or iteration asked of a Tensor of shape (); a TypeError, as Python's protocols expect."""


class DtypeError(BacklitError, TypeError):
    """A dtype that an operation does not take, or two that do not promote."""


class ArgumentError(BacklitError, ValueError):
    """An argument outside what the function accepts."""


class GradientError(BacklitError, RuntimeError):
    """A derivative that does not exist, or was asked for in a way that cannot work."""


class GraphError(BacklitError, RuntimeError):
    """A graph that is not legal, or a value asked of an edge that has none."""


class DataError(BacklitError, ValueError):
    """A file of data that cannot be read as what it should be, or cannot be had."""


class MissingExtra(BacklitError, ImportError):
    """An optional package that is needed here and not installed."""


def shown(value: object, limit: int = 80) -> str:
    """`repr(value)` cut to `limit` characters, for use inside an error message."""
    text = " ".join(repr(value).split()) if not isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
