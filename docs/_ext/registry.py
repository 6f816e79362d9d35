"""The API reference, written anew at every build from the live registry, so that it is never stale.

Each family of functions becomes a page of `reference/`: a table of names and summaries, then every
function with its signature, its documentation and what its record says about it.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import backlit as bl
from backlit import ops
from backlit.graph.opdef import PUBLIC, OpDef

#: Modules whose public names are documented besides the functions of the registry.
MODULES = {
    "backlit.static": "The static mode",
    "backlit.testing": "Testing derivatives",
    "backlit.nn": "Layers",
    "backlit.nn.initialisers": "First values of weights",
    "backlit.nn.losses": "Losses",
    "backlit.nn.metrics": "Metrics",
    "backlit.optim": "Optimizers",
    "backlit.data": "Data",
    "backlit.train": "Training",
    "backlit.sklearn": "Estimators for scikit-learn",
    "backlit.base.errors": "Errors",
}
SETTINGS = ("no_grad", "enable_grad", "settings")

#: What `bl.compile` returns and hands out, by module.
COMPILED = {
    "modes.compile": ("compile", "Compiled"),
    "modes.epochs": ("Run",),
    "modes.interrupts": ("Interrupted",),
    "compiler.native_plan": ("NativePlan",),
    "compiler.report": ("Report", "Row"),
}

#: What explains, by module: functions that are `bl.NAME`, and what they return.
EXPLAINED = {
    "explain.explanation": ("explain", "Explanation"),
    "explain.paths": ("Paths", "Path"),
    "explain.why": ("why",),
    "explain.answer": ("Why",),
    "explain.diagnosis": ("diagnose", "Diagnosis"),
    "explain.verdict": ("Verdict", "Mend"),
    "explain.trial": ("Outcome",),
    "explain.flow": ("Flow",),
    "explain.watch": ("watch", "Watch"),
    "explain.nonfinite": ("trace_nonfinite",),
    "explain.origin": ("Origin",),
    "interop.compare": ("compare",),
    "interop.comparison": ("Comparison", "Divergence"),
    "show.graph.drawing": ("draw", "Drawing"),
    "show.explore.page": ("explore", "Page"),
}

Entry = tuple[str, Any]


# --- which functions there are, and in which family ------------------------------------------------


def families() -> dict[str, tuple[str, list[Entry]]]:
    """For each family of public functions its title and members, in the order of the source files."""
    home = dict(_homes())
    found: dict[str, tuple[str, list[Entry]]] = {}
    for name, f in PUBLIC.items():
        module = home.get(f.op.name) if hasattr(f, "op") else f.__module__
        module = module or f.__module__
        page = module.removeprefix("backlit.").replace(".", "-")
        title = (importlib.import_module(module).__doc__ or page).strip().splitlines()[0]
        found.setdefault(page, (re.split(r"[:.,]( |$)", title)[0], []))[1].append((f"backlit.{name}", f))
    return found


def _homes() -> Iterator[tuple[str, str]]:
    """For each op the module that defines it (others only import it)."""
    for info in pkgutil.walk_packages(ops.__path__, f"{ops.__name__}."):
        module = importlib.import_module(info.name)
        tree = ast.parse(inspect.getsource(module))
        imported = {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
        for name, value in vars(module).items():
            if isinstance(value, OpDef) and name not in imported:
                yield value.name, info.name


def exports(module: ModuleType) -> list[Entry]:
    """The public classes and functions of a module."""
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    members = [(n, getattr(module, n)) for n in names]
    return [
        (f"{module.__name__}.{n}", m) for n, m in members
        if (inspect.isclass(m) or inspect.isroutine(m)) and str(getattr(m, "__module__", "")).startswith("backlit")
    ]  # fmt: skip


def listed(modules: dict[str, tuple[str, ...]]) -> Iterator[Entry]:
    """Functions that are `bl.NAME`, and the classes behind them, as entries."""
    for module, names in modules.items():
        found = importlib.import_module(f"backlit.{module}")
        for name in names:
            yield (f"backlit.{name}" if name.islower() else f"backlit.{module}.{name}"), getattr(found, name)


# --- how one is written ----------------------------------------------------------------------------


def signature(f: Callable[..., Any], annotated: bool = True) -> str:
    """The signature with its defaults, annotated where that says more than Any."""
    try:
        s = inspect.signature(f)
    except (TypeError, ValueError):
        return "(...)"
    params = []
    for p in s.parameters.values():
        note = "" if p.annotation is p.empty or not annotated else _annotation(p.annotation)
        params.append(p.replace(annotation=p.empty if note in ("", "Any") else _Bare(note), default=_default(p)))
    return re.sub(r" -> .*", "", str(s.replace(parameters=params, return_annotation=s.empty)))


def _annotation(note: Any) -> str:
    return note if isinstance(note, str) else getattr(note, "__name__", str(note))


def _default(p: inspect.Parameter) -> Any:
    return (
        p.default if p.default is p.empty or not callable(p.default) else _Bare(getattr(p.default, "__name__", "..."))
    )


class _Bare:
    """Text that is its own repr."""

    def __init__(self, text: str) -> None:
        self.text = text.strip("'\"")

    def __repr__(self) -> str:
        return self.text

    __module__ = "builtins"


def summary(thing: Any) -> str:
    """The first sentence of its documentation."""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=\.)\s(?=[A-Z])", paragraph)[0]


def inline(text: str) -> str:
    """A docstring's paragraph as reStructuredText: `code` is literal, all else is plain."""
    parts = re.split(r"(`+)(.+?)\1", text.replace("\\", "\\\\"))
    out = re.sub(r"([*|_])", r"\\\1", parts[0])
    for code, plain in zip(parts[2::3], parts[3::3], strict=True):
        out += f"\\ ``{code.strip()}``\\ " + re.sub(r"([*|_])", r"\\\1", plain)
    return out.replace("`\\ `", "``")


HEADING = re.compile(r"(Args|Returns|Raises|Attributes|Yields|Facets|Examples?|Note|Source):")


def body(doc: str) -> list[str]:
    """A docstring as reStructuredText: paragraphs, `Args:` and its like, and examples."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n", doc.strip("\n")) if doc else ():
        lines = block.splitlines()
        head = re.fullmatch(
            r"(Args|Returns|Raises|Attributes|Yields|Facets|Example|Examples|Note|Source):", lines[0].strip()
        )
        if head:
            out += ["", f"**{head[1]}**", ""]
            lines = inspect.cleandoc("\n" + "\n".join(lines[1:])).splitlines()
            if head[1] in ("Args", "Raises", "Attributes", "Facets"):
                out += _entries(lines)
                continue
        if any(line.lstrip().startswith(">>>") for line in lines):
            start = next(i for i, line in enumerate(lines) if line.lstrip().startswith(">>>"))
            out += ["", inline(" ".join(lines[:start])), "", ".. code-block:: pycon", ""]
            out += [f"   {line}" for line in inspect.cleandoc("\n" + "\n".join(lines[start:])).splitlines()] + [""]
        elif all(line.startswith("    ") for line in lines) and not head:
            out += ["", ".. code-block:: text", "", *(f"   {line}" for line in lines), ""]
        else:
            out += ["", inline(" ".join(line.strip() for line in lines)), ""]
    return out


def _entries(lines: list[str]) -> list[str]:
    """The entries of `Args:`, one bullet each."""
    items: list[str] = []
    for line in lines:
        if line.startswith(" ") and items:
            items[-1] += " " + line.strip()
        else:
            items.append(line.strip())
    out = []
    for item in items:
        name, colon, text = item.partition(": ")
        out += [f"- ``{name}``: {inline(text)}" if colon else f"- {inline(item)}", ""]
    return out


def facts(op: OpDef) -> str:
    """What the record says: the derivative, the dtypes, the standard."""
    if op.nondiff is not None:
        derivative = f"no derivative: {op.nondiff}"
    elif op.composite is not None:
        derivative = "derivative: follows from the ops it is made of"
    elif op.partials is not None and all(p == 0 or p is None for p in op.partials):
        derivative = "derivative: zero wherever there is one"
    elif op.transpose is not None:
        derivative = "derivative: linear, by its transpose"
    else:
        derivative = "derivative: by its " + ("partials" if op.partials is not None else "rule")
    said = [derivative]
    if op.dtypes != "any":
        said.append(f"dtypes: {op.dtypes}")
    if op.array_api:
        said.append("Array API 2024.12")
    if op.onnx:
        said.append(f"ONNX: {op.onnx}")
    return " · ".join(said)


def described(name: str, thing: Any, told: Sequence[Any] = ()) -> list[str]:
    """One function or class with all that is known of it, but for what it inherits from the classes in `told`."""
    kind = "class" if inspect.isclass(thing) else "function"
    out = ["", f".. py:{kind}:: {name}{'' if _plain(thing) else signature(thing)}", ""]
    content = body(inspect.getdoc(thing) or "")
    if not inspect.isclass(thing) and hasattr(thing, "op"):
        content += ["", ".. rst-class:: facts", "", inline(facts(thing.op)), ""]
    if inspect.isclass(thing) and not issubclass(thing, BaseException):
        for member, f in _members(thing, told):
            if isinstance(f, property):
                content += ["", f".. py:property:: {member}", "", *_indented(body(inspect.getdoc(f) or ""))]
            else:
                bound = getattr(thing, member)
                text = re.sub(r"^\(self(, /)?(, )?", "(", signature(bound))
                content += ["", f".. py:method:: {member}{text}", "", *_indented(body(inspect.getdoc(bound) or ""))]
    return out + _indented(content)


def _members(thing: type, told: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """The public properties and documented methods of a class, those it inherits within the package included."""
    seen = {name for owner in thing.__mro__[1:] if owner in told for name in vars(owner)}
    for owner in thing.__mro__:
        if not owner.__module__.startswith("backlit"):
            continue
        for name, member in vars(owner).items():
            method = callable(member) or isinstance(member, (classmethod, staticmethod))
            if name.startswith("_") or name in seen or not (isinstance(member, property) or method):
                continue
            seen.add(name)
            if isinstance(member, property) or inspect.getdoc(getattr(thing, name)):
                yield name, member


def _plain(thing: Any) -> bool:
    return inspect.isclass(thing) and (issubclass(thing, (BaseException, tuple)) or dataclasses.is_dataclass(thing))


def _indented(lines: list[str]) -> list[str]:
    return [f"   {line}" if line else line for line in lines]


# --- pages -----------------------------------------------------------------------------------------


def table(entries: list[Entry]) -> list[str]:
    """Names with their parameters, each a link to its description, and summaries."""
    out = ["", ".. list-table::", "   :widths: 45 55", ""]
    for name, thing in entries:
        role = "class" if inspect.isclass(thing) else "func"
        shown = name.removeprefix("backlit.") + ("" if role == "class" else signature(thing, annotated=False))
        out += [f"   * - :py:{role}:`{shown} <{name}>`", f"     - {inline(summary(thing))}"]
    return [*out, ""]


def page(title: str, intro: str, entries: list[Entry]) -> str:
    """A page with every entry in full."""
    out = [title, "=" * len(title), "", inline(intro), *table(entries)]
    for name, thing in entries:
        out += described(name, thing, [other for _, other in entries])
    return "\n".join(out) + "\n"


def write(app: Any) -> None:
    """Write the pages; files that stay the same are left alone, so that Sphinx need not read them again."""
    chapters: dict[str, tuple[str, str, list[Entry]]] = {
        "tensor": ("Tensor", "The one class of values.", [("backlit.Tensor", bl.Tensor)])
    }
    found = families()
    for key in sorted(found, key=lambda k: (not k.startswith("autodiff"), k)):
        chapters[key] = (found[key][0], "", found[key][1])
    chapters["compile"] = (
        "Compiled functions",
        "Functions as machine code, and how to read it.",
        list(listed(COMPILED)),
    )
    chapters["explanations"] = (
        "Explanations",
        "What a gradient is made of, and what is wrong.",
        list(listed(EXPLAINED)),
    )
    chapters["settings"] = ("Settings and recording", "", [(f"backlit.{n}", getattr(bl, n)) for n in SETTINGS])
    for name, title in MODULES.items():
        module = getattr(bl, name.removeprefix("backlit."), None) or importlib.import_module(name)
        text = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
        chapters[name.removeprefix("backlit.").replace(".", "-")] = (title, text, exports(module))
    pages = {key: page(*chapter) for key, chapter in chapters.items()}
    pages["index"] = contents(chapters)
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.rst"):
        if stale.stem not in pages:
            stale.unlink()
    for key, text in pages.items():
        file = folder / f"{key}.rst"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def contents(chapters: dict[str, tuple[str, str, list[Entry]]]) -> str:
    """The first page: everything in one table for each chapter."""
    intro = (
        f"Every public function, {len(PUBLIC)} of them, grouped as in the source. These pages are made from the "
        "registry when the documentation is built: signature, summary and the line of facts are those of the record."
    )
    out = ["API reference", "=============", "", intro, "", ".. toctree::", "   :hidden:", ""]
    out += [*(f"   {key}" for key in chapters), ""]
    for key, (title, text, entries) in chapters.items():
        out += [title, "-" * len(title), "", inline(text), f":doc:`In full <{key}>`", *table(entries)]
    return "\n".join(out) + "\n"


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
