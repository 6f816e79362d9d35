"""`History`: what the epochs of a training came to."""

from __future__ import annotations

from typing import Any


class History(list[dict[str, Any]]):
    """A row of figures for each epoch; `history["loss"]` is a column.

    Attributes:
        stopped: why training ended before its last epoch; empty if it did not.

    Rows hold `epoch` (from 1), `step` (done so far), `loss` and the metrics (means over the epoch, each batch before
    its step), the same with `validation_` at the epoch's end, `lr`, `seconds` and `samples_per_second`.
    """

    def __init__(self, rows: Any = (), stopped: str = "") -> None:
        super().__init__(rows)
        self.stopped = stopped

    def __getitem__(self, key: Any) -> Any:
        return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)

    def best(self, column: str) -> dict[str, Any]:
        """The row with the smallest figure if it is a loss or an error, else with the largest."""
        return (min if falls(column) else max)(self, key=lambda row: row[column])

    def __repr__(self) -> str:
        if not self:
            return "History(no epoch)"
        last = "  ".join(f"{k} {v:.4g}" for k, v in self[-1].items() if isinstance(v, float))
        return f"History({len(self)} epochs; the last: {last}{'; ' + self.stopped if self.stopped else ''})"

    def _repr_html_(self) -> str:
        columns = [k for k, v in self[0].items() if isinstance(v, (int, float))] if self else []
        head = "".join(f"<th>{name}</th>" for name in columns)
        rows = ("".join(f"<td>{row.get(name, ''):.5g}</td>" for name in columns) for row in self)
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


#: Figures of which small ones are good.
FALLING = ("loss", "mse", "mae", "error", "perplexity")


def falls(column: str) -> bool:
    """Is this a figure that training brings down?"""
    return column.rpartition("validation_")[2].endswith(FALLING)
