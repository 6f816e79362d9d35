"""The data that a command line asks for: a dataset by its name, or what lies at a path."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..base.errors import ArgumentError
from ..data import Dataset, load, names, open

#: Settings of this beginning are options of `data.load` or `data.open`.
PREFIX = "data."


def name_or_path(text: str) -> str:
    """A name as it is, a path from the root, so that a run can go on from another folder.

    Raises:
        ArgumentError: it is neither.
    """
    if text in names():
        return text
    if not Path(text).exists():
        close = get_close_matches(text, names(), 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ArgumentError(f"{text!r} is neither a path nor one of {', '.join(names())}.{hint}")
    return str(Path(text).resolve())


def dataset(settings: Mapping[str, Any]) -> Dataset:
    """The dataset that the settings ask for: `data`, with `data.target` and its like as options."""
    options = {name.removeprefix(PREFIX): _plain(v) for name, v in settings.items() if name.startswith(PREFIX)}
    return (load if settings["data"] in names() else open)(settings["data"], **options)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
