"""Settings of `backlit train`: defaults, a TOML file, `--set`, options of their own; each overrides those before it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from ..base.errors import ArgumentError, DataError
from ..optim import Optimizer, chain, clip_by_global_norm
from ..train.fitting import OPTIMIZERS
from .datasets import PREFIX, name_or_path

#: Every setting but those of the optimizer, with its default; None is for "what suits model and data".
DEFAULTS: dict[str, Any] = {
    "data": "digits",
    "model": "mlp",
    "epochs": None,
    "batch_size": 64,
    "seed": 0,
    "threads": None,
    "patience": None,
    "optim.name": "adam",
    "optim.lr": None,
    "optim.clip": None,
    "checkpoints.every": None,
    "checkpoints.keep": 2,
}
#: What is a number, and of which kind.
KINDS: dict[str, type] = {
    "epochs": int, "batch_size": int, "seed": int, "threads": int, "patience": int, "optim.lr": float,
    "optim.clip": float, "checkpoints.every": int, "checkpoints.keep": int,
}  # fmt: skip
EPOCHS = {("digits", "mlp"): 40, ("digits", "cnn"): 20, ("mnist", "mlp"): 10, ("mnist", "cnn"): 3}
RATES = {"adam": 1e-3, "sgd": 0.1}


def settings(config: str | None, sets: list[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """All settings by name."""
    found = dict(DEFAULTS)
    layers = [_from_file(Path(config)) if config else {}, dict(map(_assignment, sets)), options]
    for layer in layers:
        found.update({name: value for name, value in layer.items() if value is not None})
    for name, value in found.items():
        found[name] = _checked(name, value, found["optim.name"])
    found["data"] = name_or_path(found["data"])
    found["epochs"] = found["epochs"] or EPOCHS.get((found["data"], found["model"]), 10)
    found["optim.lr"] = found["optim.lr"] or RATES.get(found["optim.name"]) or _usual_rate(found["optim.name"])
    return found


def optimizer(found: Mapping[str, Any]) -> Optimizer:
    """The optimizer that the settings ask for."""
    given = {name.removeprefix("optim."): value for name, value in found.items() if name.startswith("optim.")}
    make, clip = OPTIMIZERS[given.pop("name")], given.pop("clip")
    made = make(given.pop("lr"), **{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})
    return made if clip is None else chain(clip_by_global_norm(clip), made)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = dict(_flat(tomllib.loads(path.read_text("utf-8"))))
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: not valid TOML: {problem}.") from None
    if f"{PREFIX}name" in found:  # a table [data], where the data have options
        found["data"] = found.pop(f"{PREFIX}name")
    return found


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _assignment(text: str) -> tuple[str, Any]:
    """`optim.lr=3e-4` as name and value; the value is read as TOML, and what is none is a string."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ArgumentError(f"--set {text}: expected NAME=VALUE, such as --set optim.lr=3e-4.")
    try:
        return name.strip(), tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def _checked(name: str, value: Any, optimizer: str) -> Any:
    """A setting that there is, of its kind."""
    if optimizer not in OPTIMIZERS:
        raise ArgumentError(f"no optimizer is named {optimizer!r}; {_near(optimizer, OPTIMIZERS)}")
    known = {*DEFAULTS, *(f"optim.{p}" for p in signature(OPTIMIZERS[optimizer]).parameters)}
    if name not in known and not name.startswith(PREFIX):
        raise ArgumentError(f"there is no setting {name!r}; {_near(name, sorted(known))}")
    kind = KINDS.get(name)
    if kind is None or value is None:
        return value
    least = 0 if name == "seed" else 1 if kind is int else None
    right = isinstance(value, (int, float)) and not isinstance(value, bool) and (kind is float or value == int(value))
    if not right or (value < least if least is not None else not 0 < value < float("inf")):
        what = f"a whole number of {least} or more" if kind is int else "a positive number"
        raise ArgumentError(f"{name}: expected {what}, got {value!r}.")
    return kind(value)


def _usual_rate(name: str) -> float:
    usual = signature(OPTIMIZERS[name]).parameters["lr"].default
    if usual is Parameter.empty:
        raise ArgumentError(f"the optimizer {name} has no usual learning rate: give one with --lr.")
    return float(usual)


def _near(name: str, known: Any) -> str:
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}."
