"""Tables, CSV and Parquet, as arrays: numbers as they are, words as told, nothing missing."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np

from ..base.errors import ArgumentError, DataError, shown
from ..base.extras import require
from .arrays import Array
from .faults import fault, unreadable


class Table(NamedTuple):
    """A table as a network takes it.

    Attributes:
        x: float32 (rows, columns).
        y: the target: numbers of classes (int64), or measured values (float32).
        columns: what each column of `x` is; `colour=red` where words became columns of zeros and ones.
        classes: the names of the classes in the order of their numbers; `()` where the target is measured values.
    """

    x: Array
    y: Array
    columns: tuple[str, ...]
    classes: tuple[str, ...]


def read_csv(
    path: str | Path,
    target: str,
    *,
    words: Literal["one-hot", "codes"] | None = None,
    task: Literal["classification", "regression"] | None = None,
    sep: str = ",",
    decimal: str = ".",
    encoding: str = "utf-8",
) -> Table:
    """The table in a CSV file whose first line names the columns, read by pandas.

    Args:
        target: the column to be predicted; all others are inputs.
        words: what becomes of columns of words: "one-hot", a column of zeros and ones for each word; "codes", the place
            of the word among all words of the column, sorted; None refuses them.
        task: whether the target is a class or a measured value. By default words and whole numbers are classes.
        sep, decimal, encoding: what stands between values, the decimal point, how characters are written.

    Raises:
        ArgumentError: no such column, or columns of words and no `words`.
        DataError: the file cannot be read or is damaged, or a value is missing; names the row (the first below the
            header is row 1) and the column.
        MissingExtra: pandas is not installed.
    """
    form = {"sep": sep, "decimal": decimal, "encoding": encoding, "index_col": False}
    # The names are read on their own: pandas gives columns of one name other names.
    header = _frame(path, "CSV file", lambda pandas: pandas.read_csv(path, header=None, nrows=1, dtype=str, **form))
    frame = _frame(path, "CSV file", lambda pandas: pandas.read_csv(path, low_memory=False, **form))
    frame.columns = _distinct(path, "CSV file", header.iloc[0].fillna("").astype(str).tolist())
    return _table(path, frame, target, words, task)


def read_parquet(
    path: str | Path,
    target: str,
    *,
    words: Literal["one-hot", "codes"] | None = None,
    task: Literal["classification", "regression"] | None = None,
) -> Table:
    """The table in a Parquet file, read by pandas and pyarrow; arguments and errors as for `read_csv`."""
    require("pyarrow", "tables")
    frame = _frame(path, "Parquet file", lambda pandas: pandas.read_parquet(path, engine="pyarrow"))
    frame.columns = _distinct(path, "Parquet file", [str(name) for name in frame.columns])
    return _table(path, frame, target, words, task)


def _frame(path: str | Path, kind: str, read: Callable[[Any], Any]) -> Any:
    pandas = require("pandas", "tables")
    try:
        with Path(path).open("rb"):
            pass
        with catch_warnings():
            simplefilter("error", pandas.errors.ParserWarning)  # pandas warns of values that it drops
            frame = read(pandas)
    except OSError as error:
        if error.strerror:
            raise unreadable(path, error) from None
        raise fault(path, kind, "some place", "a table", str(error)) from None
    except Exception as error:  # pandas and Arrow have their own kinds for every damage; all mean the same
        raise fault(path, kind, "the place that the message names", "a table", str(error).strip()) from None
    if not len(frame):
        raise fault(path, kind, "row 1", "values", "the end of the table")
    return frame


def _distinct(path: str | Path, kind: str, names: list[str]) -> list[str]:
    """The names of the columns, each of which is there once."""
    if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
        raise fault(path, kind, "the header", "a name of its own for each column", f"{repeated[0]!r} twice")
    return names


def _table(path: str | Path, frame: Any, target: str, words: str | None, task: str | None) -> Table:
    if words not in (None, "one-hot", "codes"):
        raise ArgumentError(f"words must be 'one-hot', 'codes' or None, got {shown(words)}.")
    if task not in (None, "classification", "regression"):
        raise ArgumentError(f"task must be 'classification', 'regression' or None, got {shown(task)}.")
    names = list(frame.columns)
    if target not in names:
        close = get_close_matches(target, names, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"{path}: there is no column {target!r}; there are {', '.join(names)}.{hint}")
    if len(names) == 1:
        raise ArgumentError(f"{path}: {target!r} is the only column; nothing is left to predict it from.")
    _nothing_missing(path, frame)
    y, classes = _target(path, frame[target], task)
    columns: dict[str, Array] = {}
    for name in names:
        if name != target:
            columns |= _columns(path, frame[name], words)
    return Table(np.column_stack(list(columns.values())), y, tuple(columns), classes)


def _nothing_missing(path: str | Path, frame: Any) -> None:
    missing = frame.isna().to_numpy()
    if missing.any():
        row, column = np.argwhere(missing)[0].tolist()
        more = int(missing.sum()) - 1
        raise DataError(
            f"{path}: row {row + 1}, column {frame.columns[column]!r}: expected a value, found none"
            + (f" ({more} more are missing)" if more else "")
            + ". Fill in or drop what is missing before training."
        )


def _target(path: str | Path, column: Any, task: str | None) -> tuple[Array, tuple[str, ...]]:
    numeric, whole = _is_numeric(column), column.dtype.kind in "iub"
    if task == "regression" or (task is None and numeric and not whole):
        if not numeric:
            raise _not_a_number(path, column, "regression needs a target of numbers")
        return _numbers(path, column), ()
    if numeric and not whole:
        raise DataError(
            f"{path}: column {column.name!r} holds {column.dtype}, which is measured; "
            "classes are words or whole numbers."
        )
    classes, y = np.unique(column.to_numpy() if whole else column.astype(str).to_numpy(str), return_inverse=True)
    return y.astype(np.int64), tuple(str(c) for c in classes.tolist())


def _columns(path: str | Path, column: Any, words: str | None) -> dict[str, Array]:
    name = column.name
    if _is_numeric(column):
        return {name: _numbers(path, column)}
    if column.dtype.kind in "mM":
        raise DataError(f"{path}: column {name!r} holds {column.dtype}; turn dates and times into numbers first.")
    if words is None:
        raise _not_a_number(path, column, "give words='one-hot' or words='codes'")
    values, codes = np.unique(column.astype(str).to_numpy(str), return_inverse=True)
    if words == "codes":
        return {name: codes.astype(np.float32)}
    return {f"{name}={value}": (codes == i).astype(np.float32) for i, value in enumerate(values)}


def _numbers(path: str | Path, column: Any) -> Array:
    with np.errstate(over="ignore"):
        found = column.to_numpy(np.float32)
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise DataError(
            f"{path}: row {row + 1}, column {column.name!r}: expected a finite number within float32, found "
            f"{column.iloc[row]}."
        )
    return found


def _is_numeric(column: Any) -> bool:
    return require("pandas.api.types", "tables").is_numeric_dtype(column.dtype)


def _not_a_number(path: str | Path, column: Any, mend: str) -> ArgumentError:
    """The error that names the first value of a column that is no number."""
    numbers = require("pandas", "tables").to_numeric(column.astype(str), errors="coerce")
    row = int(np.argmax(numbers.isna().to_numpy()))
    found = shown(str(column.iloc[row]))
    return ArgumentError(f"{path}: row {row + 1}, column {column.name!r}: expected a number, found {found}; {mend}.")
