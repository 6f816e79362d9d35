"""The gallery's stage: finds the example scripts, and runs one whether it is called by path or by name.

An example is a script with a docstring whose first line is the question it answers, and a function
`main(out, quick=False)` that prints numbers, saves a picture into the folder `out` and returns the numbers. Its
function `explained()` returns an explanation of one gradient that it is about.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

ORDER = ("neuron", "xor", "vanishing", "activations", "perceptron", "regression", "mnist", "himmelblau", "by_hand")


def folder() -> Path:
    """Where the examples are: inside an installed package, or beside `src` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "examples"
    return installed if installed.is_dir() else package.parents[1] / "examples"


def names() -> tuple[str, ...]:
    """The experiments, in the order in which they are best read."""
    return ORDER


def question(name: str) -> str:
    """The first line of the experiment's docstring."""
    text = ast.get_docstring(ast.parse((folder() / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def load(name: str) -> ModuleType:
    """The experiment as a module."""
    spec = importlib.util.spec_from_file_location(f"backlit_example_{name}", folder() / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def explain(name: str, out: Path) -> tuple[Path, ...]:
    """Write the explanation of an experiment as text and HTML, the drawing of its graph, and the page to explore it."""
    from .explore.page import explore  # what explains is loaded when it is needed

    found = load(name).explained()
    out.mkdir(parents=True, exist_ok=True)
    return (
        found.save(out / f"{name}.explanation.txt"),
        found.save(out / f"{name}.explanation.html"),
        found.save(out / f"{name}.svg"),
        explore(found.tape, title=f"{name}: {question(name)}").save(out / f"{name}.page.html"),
    )


def options(parser: argparse.ArgumentParser) -> None:
    """The options that every experiment has."""
    parser.add_argument("--out", default="gallery", metavar="DIR", help="folder for the pictures (./gallery)")
    parser.add_argument("--quick", action="store_true", help="fewer steps: a look at the shape of it in a moment")


def run(main: Callable[..., Any]) -> None:
    """Run the `main` of an example with the options of the command line."""
    module = main.__globals__
    parser = argparse.ArgumentParser(description=(module["__doc__"] or "").partition("\n")[0])
    options(parser)
    chosen = parser.parse_args()
    main(Path(chosen.out), quick=chosen.quick)
