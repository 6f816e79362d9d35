"""`backlit runs`: list the runs in a folder, or compare some of them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..base.errors import ArgumentError
from ..show import training as pictures
from ..train.history import falls
from ..train.run_folder import CONFIG, RunFolder
from .run_report import TEST

#: By which column runs are compared, if they have it; the first that is there.
COLUMNS = ("validation_accuracy", "validation_r2", "validation_loss", "loss")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "runs",
        help="list runs, or compare them",
        description="Without names: a table of the runs in a folder. With the names of runs: their figures, the "
        "settings in which they differ, and with --picture their curves, overlaid.",
    )
    command.add_argument("names", nargs="*", type=Path, metavar="RUN", help="run folders, or names of runs in --in")
    command.add_argument(
        "--in", dest="parent", type=Path, default=Path("runs"), metavar="DIR", help="where runs are (%(default)s)"
    )
    command.add_argument("--picture", type=Path, metavar="FILE.png", help="draw the curves into this file")
    command.set_defaults(run=run, parser=command)


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    named = [path if (path / CONFIG).exists() else options.parent / path for path in options.names]
    found = [RunFolder(p) for p in named or sorted(p.parent for p in options.parent.glob(f"*/{CONFIG}"))]
    if not found:
        print(f"There are no runs in {options.parent}; backlit train makes one.")
        return 0
    configs = {folder.path.name: folder.config for folder in found}
    rows = [_row(folder) for folder in found]
    if named:
        settings = {name: config["settings"] for name, config in configs.items()}
        every = sorted({key for s in settings.values() for key in s})
        differing = [k for k in every if len({json.dumps(s.get(k)) for s in settings.values()}) > 1]
        for row, config in zip(rows, settings.values(), strict=True):
            row |= {key: config.get(key) for key in differing if key not in ("data", "model")}
    print(_table(rows))
    if options.picture is not None:
        _draw(found, options.picture)
        print(f"\nCurves in {options.picture}.")
    return 0


def _row(folder: RunFolder) -> dict[str, Any]:
    config, history = folder.config, folder.history()
    row: dict[str, Any] = {
        "run": folder.path.name,
        "data": config["data"]["name"],
        "model": str(config["settings"].get("model", config["model"])).rpartition(":")[2],
        "epochs": len(history),
    }
    if history:
        column = _column([history])
        row[column.replace("validation_", "best ")] = history.best(column)[column]
        row["seconds"] = sum(r["seconds"] for r in history)
    if (folder.path / TEST).is_file():
        test = json.loads((folder.path / TEST).read_text("utf-8"))
        row["test"] = test.get("accuracy", test["loss"])
    return row


def _column(histories: list[Any]) -> str:
    return next(c for c in COLUMNS if all(c in history[-1] for history in histories if history))


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows with the union of their columns, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = [[_shown(row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in text)) for i, name in enumerate(names)]
    numeric = [all(isinstance(row.get(n), (int, float, type(None))) for row in rows) for n in names]
    lines = [names, ["-" * w for w in widths], *text]
    align = lambda cell, i: cell.rjust(widths[i]) if numeric[i] else cell.ljust(widths[i])
    return "\n".join("  ".join(align(cell, i) for i, cell in enumerate(line)).rstrip() for line in lines)


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _draw(found: list[RunFolder], path: Path) -> None:
    histories = {folder.path.name: folder.history() for folder in found}
    histories = {name: history for name, history in histories.items() if history}
    if not histories:
        raise ArgumentError("runs --picture: none of these runs has finished an epoch.")
    column = _column(list(histories.values()))
    pick = min if falls(column) else max
    best = pick(histories, key=lambda name: histories[name].best(column)[column])
    pictures.compared(path, histories, column, f"{best} has the best {column.replace('_', ' ')}")
