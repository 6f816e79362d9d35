"""What a command is asked to look at: `RUN`, a folder that a training left, or `SCRIPT.py`, or `SCRIPT.py:NAME`."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..base.errors import ArgumentError, DataError
from ..graph.opdef import SUPPLIED
from ..graph.tensor import Tensor
from ..nn import Layer
from ..train.goals import goal_of
from .datasets import dataset
from .trained import opened

#: So many samples make the batch on which the network of a run is looked at.
SAMPLES = 32


class Subject(NamedTuple):
    """A value with its graph, ready to be drawn or explained.

    Attributes:
        y: the value, usually a loss.
        title: what it is, in a few words.
        names: the Tensors and arrays that have names: the variables of the script, or inputs and targets.
        model: the network of a run; None for a script.
    """

    y: Tensor
    title: str
    names: dict[str, Any]
    model: Layer | None = None


def subject(text: str) -> Subject:
    """What `text` names.

    Of a run it is the loss of its network on a few samples of its training data. Of a script it is the variable NAME,
    a Tensor; or, without one, the last Tensor on which the script called `backward()`. The script is run as
    `python SCRIPT.py` would run it.

    Raises:
        ArgumentError: there is no such variable, it is no Tensor, or `backward()` was never called.
        DataError: there is no such folder or script, or the script ended with an error.
    """
    path, colon, name = text.rpartition(":")
    if colon and path.endswith(".py"):
        return _of_script(Path(path), name)
    if text.endswith(".py"):
        return _of_script(Path(text), "")
    return _of_run(Path(text))


def _of_run(path: Path) -> Subject:
    folder, model, form = opened(path)
    part = dataset(folder.config["settings"]).train
    x, y = (a[:SAMPLES] for a in (part.x, part.y))
    x = x.astype(np.float32) if x.dtype == np.float64 else x
    goal = goal_of(model, (x, y), folder.config["loss"], [])
    (inputs,), targets, _ = goal.opened((x, y))
    title = f"{goal.name} of {path.name} on {len(x)} samples of {form.name}"
    return Subject(goal.loss(model(inputs), targets), title, {"x": inputs, "y": targets}, model)


def _of_script(path: Path, name: str) -> Subject:
    if not path.is_file():
        raise DataError(f"{path}: there is no such script.")
    with last_backward() as seen:
        variables = run_script(path)
    names = {key: value for key, value in variables.items() if not key.startswith("_")}
    if name:
        return Subject(_named(path, names, name), f"{name} of {path.name}", names)
    if not seen:
        tensors = [key for key, value in names.items() if isinstance(value, Tensor) and value.node is not None]
        hint = f"such as {path.name}:{tensors[-1]}" if tensors else "and keep the graph: no no_grad(), no fit()"
        raise ArgumentError(f"{path}: the script never called backward(); name a variable that is a Tensor, {hint}.")
    return Subject(seen[0], f"the last backward() of {path.name}", names)


def _named(path: Path, variables: Mapping[str, Any], name: str) -> Tensor:
    if name not in variables:
        close = get_close_matches(name, variables, 1)
        raise ArgumentError(f"{path} leaves no variable {name!r}.{f' Did you mean {close[0]!r}?' if close else ''}")
    found = variables[name]
    if not isinstance(found, Tensor):
        raise ArgumentError(
            f"{path}:{name} is {type(found).__name__}, expected a Tensor with a graph, such as a loss: add a line like "
            "loss = ... to the script and name that."
        )
    return found


def run_script(path: Path) -> dict[str, Any]:
    """The variables that a script leaves."""
    arguments, paths = sys.argv, sys.path
    sys.argv, sys.path = [str(path)], [str(path.resolve().parent), *paths]
    try:
        return runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        raise DataError(f"{path}: the script ended itself, with exit code {end.code}.") from None
    except Exception as problem:
        last = [f for f in traceback.extract_tb(problem.__traceback__) if f.filename == str(path)][-1:]
        where = f" in line {last[0].lineno}" if last else ""
        raise DataError(f"{path}: the script stopped{where}: {type(problem).__name__}: {problem}") from problem
    finally:
        sys.argv, sys.path = arguments, paths


@contextmanager
def last_backward() -> Iterator[list[Tensor]]:
    """The last Tensor on which `backward()` was called, its graph kept."""
    seen: list[Tensor] = []
    backward = SUPPLIED["backward"]

    def keeping(y: Tensor, cotangent: Any, *, retain_graph: bool, create_graph: bool) -> None:
        seen[:] = [y]
        backward(y, cotangent, retain_graph=True, create_graph=create_graph)

    SUPPLIED["backward"] = keeping
    try:
        yield seen
    finally:
        SUPPLIED["backward"] = backward
