"""The plan of the house, enforced: what may import what, what is public, what every file and function carries."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import backlit as bl
from backlit.graph.opdef import OPS, PUBLIC

#: Each folder may import only what stands to its left. The files beside the folders (`__init__`, `__main__` and the
#: names of `backlit` that live in a folder) may import all, and nothing imports them.
LAYERS = (
    "base", "graph", "ops", "autodiff", "array_api", "runtime", "compiler", "modes", "nn", "optim", "testing", "data",
    "train", "explain", "interop", "distributed", "show", "cli",
)  # fmt: skip

ROOT = Path(bl.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text("utf-8")) for path in FILES}


def dotted(path: Path) -> str:
    """The name of the module in a file, relative to the package: `graph.bind`, or `graph` for its `__init__`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in FILES}


def imports(path: Path, typing_too: bool = True) -> Iterator[tuple[str, int]]:
    """Every module of the package that a file imports, at its top or within a function, with the line."""
    package = dotted(path).split(".") if path.name == "__init__.py" else dotted(path).split(".")[:-1]
    package = [p for p in package if p]
    hidden = set() if typing_too else set(_only_for_types(TREES[path]))
    for node in ast.walk(TREES[path]):
        if node in hidden:
            continue
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
            elif (node.module or "").split(".")[0] == "backlit":
                base = []
            else:
                continue
            module = [*base, *[p for p in (node.module or "").split(".") if p and p != "backlit"]]
            for name in node.names:
                inner = ".".join([*module, name.name])
                yield (inner if inner in MODULES else ".".join(module)), node.lineno
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == "backlit":
                    yield ".".join(name.name.split(".")[1:]), node.lineno


def _only_for_types(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for child in node.body:
                yield from ast.walk(child)


def test_imports_go_down() -> None:
    wrong: list[str] = []
    for path in FILES:
        own = dotted(path).split(".")[0]
        if own not in LAYERS:
            continue
        for target, line in imports(path):
            other = target.split(".")[0]
            if other != own and (other not in LAYERS or LAYERS.index(other) > LAYERS.index(own)):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {target or 'backlit'}")
    assert not wrong, "imports go down, lazy ones too:\n" + "\n".join(wrong)


def test_every_folder_has_its_layer() -> None:
    folders = {path.parent.relative_to(ROOT).parts[0] for path in FILES if path.parent != ROOT}
    assert folders <= set(LAYERS)


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {
        dotted(path): {target for target, _ in imports(path, typing_too=False) if target != dotted(path)}
        for path in FILES
        if path.name != "__init__.py"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as problem:
        pytest.fail(" -> ".join(problem.args[1]))


def test_there_are_two_context_variables() -> None:
    made = [
        f"{dotted(path)}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ContextVar")
    ]
    assert [place.split(":")[0] for place in made] == ["base.config", "base.config"], made


def test_import_loads_numpy_and_nothing_else() -> None:
    code = "import sys, numpy; before = set(sys.modules); import backlit; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"numpy", "backlit"}
    assert not foreign
    assert not {"backlit.testing", "backlit.data", "backlit.train", "backlit.cli", "backlit.show"} & set(loaded)


def test_operators_name_ops_that_exist() -> None:
    used = {
        node.slice.value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "OPS" and isinstance(node.slice, ast.Constant)
    }
    assert used
    assert used - set(OPS) == set()


# --- what every file and function carries ----------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_file(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < 500, "one idea each: under 500 lines"
    assert ast.get_docstring(TREES[path]), "a file says what is in it"


def public_things() -> Iterator[tuple[str, Any]]:
    """Everything a user meets: the functions of the namespaces, and the public members of classes among them."""
    yield from PUBLIC.items()
    for name in dir(bl):
        thing = getattr(bl, name)
        if name.startswith("_") or not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        yield name, thing
        for member, value in inspect.getmembers(thing) if inspect.isclass(thing) else ():
            ours = getattr(value, "__module__", getattr(getattr(value, "fget", None), "__module__", "")) or ""
            if not member.startswith("_") and ours.startswith("backlit"):
                yield f"{name}.{member}", value


#: Properties whose name says it all.
PLAIN = {"dtype", "ndim", "nbytes", "itemsize", "name"}


def test_everything_public_is_documented() -> None:
    silent = [n for n, f in public_things() if not (f.__doc__ or "").strip() and n.split(".")[-1] not in PLAIN]
    assert not silent


def test_everything_public_has_a_signature_that_can_be_read() -> None:
    for name, f in PUBLIC.items():
        assert inspect.signature(f) is not None, name


# --- examples --------------------------------------------------------------------------------------

_finder, _parser = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestParser()


def _run(test: doctest.DocTest) -> None:
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).run(test, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("name", [m for m in MODULES if not m.endswith("__main__")])
def test_examples_in_modules(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"backlit.{name}".rstrip("."))
    for test in _finder.find(module, module.__name__):
        if test.examples and (name or test.name == module.__name__):  # the root holds the public functions
            _run(test)


@pytest.mark.parametrize("name", [n for n, f in PUBLIC.items() if ">>>" in (f.__doc__ or "")])
def test_examples_of_public_functions(name: str) -> None:
    _run(_parser.get_doctest(PUBLIC[name].__doc__ or "", {}, name, None, None))
