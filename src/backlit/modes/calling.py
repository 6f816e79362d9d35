"""The short way into a plan: for arguments of one form, Python written to check them, run the plan, build the result.

A plan of a few scalars runs in less time than Python takes to walk through a tree. So for each form of the
arguments (the classes of trees and leaves that a call had) a function is written that takes exactly this
form apart, line by line. It returns `MISS` where anything is different, and the caller goes the long way.
"""

from __future__ import annotations

import os.path
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base.config import config, recording
from ..base.dtypes import WEAK
from ..base.trees import children
from ..graph.node import caller
from ..graph.tensor import Tensor, wrap
from .donation import Spent, alone, spared
from .ends import Computed, Constant, Given
from .signature import Call, Leaf, Parameters, static_fields
from .trace import Trace

#: What a written function returns for arguments of another form.
MISS = object()

Short = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def written(
    call: Call, trace: Trace, run: Callable[[Sequence[Any]], Sequence[Any]],
    on_tape: Callable[[Sequence[Tensor], Any], Any], parameters: Parameters, name: str,
) -> Short:  # fmt: skip
    """The function `(args, kwargs) -> result` for calls of the form of this one.

    Args:
        run: the plan.
        on_tape: takes the place of the plan where something is being differentiated: from the inputs as Tensors
            and what `recording` holds to the result.
    """
    return _Writer(call, trace, run, on_tape, parameters, name).function


def form_of(call: Call) -> tuple[Any, ...]:
    """What, beside the key, a written function is written for."""
    return tuple(type(leaf.given) for leaf in call.leaves)


class _Writer:
    def __init__(
        self, call: Call, trace: Trace, run: Any, on_tape: Any, parameters: Parameters, name: str
    ) -> None:  # fmt: skip
        self.leaves = iter(enumerate(call.leaves))
        #: Arrays of the caller's own, which must not become the value of a Tensor.
        self.lent = {i for i, x in enumerate(call.leaves) if isinstance(x.given, np.ndarray) and not x.donated}
        self.trace = trace
        self.names: dict[str, Any] = {
            "MISS": MISS, "Tensor": Tensor, "new": object.__new__, "ndarray": np.ndarray, "run": run, "spared": spared,
            "config": config.get, "recording": recording.get, "Spent": Spent, "caller": caller, "on_tape": on_tape,
            "wrap": wrap, "references": sys.getrefcount,
        }  # fmt: skip
        self.lines: list[str] = []
        self.donors: list[str] = []
        #: For each input that is given as a Tensor, the name of that.
        self.tensors: dict[int, str] = {}
        settings = config.get()
        dtype, native = self.constant(settings.default_dtype), self.constant(settings.native)
        kwargs = f"tuple(kwargs) != {tuple(call.kwargs)!r}" if call.kwargs else "kwargs"
        self.must(f"len(args) == {len(call.args)}", f"not ({kwargs})")
        self.lines.append("settings = config()")
        self.must(f"settings.default_dtype is {dtype}", f"settings.native is {native}")
        given = [(parameters.name(i), f"a{i}", a) for i, a in enumerate(call.args)]
        if given:
            self.lines.append(f"{', '.join(a for _, a, _ in given)}, = args")
        for i, (key, value) in enumerate(call.kwargs.items(), len(given)):
            self.lines.append(f"a{i} = kwargs[{key!r}]")
            given.append((key, f"a{i}", value))
        for key, place, value in given:
            if key in parameters.static:
                self.equal(place, value)
            else:
                self.take(place, value)
        for i, tensor in enumerate(trace.captured, len(call.leaves)):
            self.lines.append(f"a{i}_ = {self.constant(tensor)}")
            self.tensor(f"a{i}_", i, trace.graph.inputs[i])
        self.tape()
        for i, leaf in enumerate(call.leaves):
            if leaf.donated and leaf.spec.shape:
                self.lines.append(self.memory_of(i) if isinstance(leaf.given, Tensor) else f"v{i} = v{i}.copy()")
        self.run_plan()
        if self.donors:
            self.lines.append(f"{' = '.join(f'{d}.value' for d in self.donors)} = Spent({name!r}, caller())")
            self.lines.append(f"{' = '.join(f'{d}.node' for d in self.donors)} = None")
        self.lines.append(f"return {self.result(trace.result)}")
        text = "def call(args, kwargs):\n" + "".join(f"    {line}\n" for line in self.lines)
        # As if in this folder, so that it is not taken for the user's code when a line is looked for.
        exec(compile(text, os.path.join(os.path.dirname(__file__), f"<call of {name}>"), "exec"), self.names)
        self.function: Short = self.names["call"]

    def constant(self, value: Any) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def must(self, *conditions: str) -> None:
        """The arguments are of another form if one of these does not hold."""
        self.lines.append(f"if not ({' and '.join(conditions)}): return MISS")

    def equal(self, place: str, value: Any) -> None:
        """An argument that must be a certain value."""
        if value is None or value is True or value is False:
            self.must(f"{place} is {value}")
        else:
            kind, same = self.constant(type(value)), self.constant(value)
            self.must(f"({place} is {same} or ({place}.__class__ is {kind} and {place} == {same}))")

    def take(self, place: str, tree: Any) -> None:
        """Take a tree apart into the values of its leaves, checking each step."""
        found = children(tree)
        if found is None:
            i, leaf = next(self.leaves)
            self.leaf(place, i, leaf)
            return
        if tree is None:
            self.must(f"{place} is None")
            return
        named, kind = found[0], self.constant(type(tree))
        parts = [f"{place}_{k}" for k in range(len(named))]
        self.must(f"{place}.__class__ is {kind}")
        if isinstance(tree, dict):
            self.must(f"[*{place}] == {self.constant(list(tree))}")
            if parts:
                self.lines.append(f"{', '.join(parts)}, = {place}.values()")
        elif isinstance(tree, (tuple, list)):
            self.must(f"len({place}) == {len(parts)}")
            if parts:
                self.lines.append(f"{', '.join(parts)}, = {place}")
        else:
            for key, value in static_fields(tree):
                self.equal(f"{place}.{key}", value)
            if hasattr(tree, "__tree__"):  # of the same key, so with the same children
                self.lines.append(f"{place}_ = {place}.__tree__()[0]")
                self.lines += [f"{part} = {place}_[{k}][1]" for k, part in enumerate(parts)]
            else:
                self.lines += [f"{part} = {place}.{key}" for part, (key, _) in zip(parts, named, strict=True)]
        for part, (_, child) in zip(parts, named, strict=True):
            self.take(part, child)

    def leaf(self, place: str, i: int, leaf: Leaf) -> None:
        """Check a leaf, and name its value `v{i}`."""
        if isinstance(leaf.given, Tensor):
            self.tensor(place, i, leaf.spec, type(leaf.given))
            if leaf.donated:
                self.donors.append(place)
        elif type(leaf.given) in WEAK:
            self.must(f"{place}.__class__ is {type(leaf.given).__name__}")
            if type(leaf.given) is int:
                self.must(f"{-(2**63)} <= {place} <= {2**63 - 1}")
            self.lines.append(f"v{i} = {self.constant(leaf.spec.dtype.type)}({place})")
        else:
            self.lines.append(f"v{i} = {place}")
            self.value(i, leaf.spec)

    def tensor(self, place: str, i: int, spec: Any, kind: type = Tensor) -> None:
        known = "Tensor" if kind is Tensor else self.constant(kind)
        self.must(f"{place}.__class__ is {known}")
        self.tensors[i] = place
        self.lines.append(f"v{i} = {place}.value")
        self.value(i, spec)

    def value(self, i: int, spec: Any) -> None:
        """Check class, shape and dtype of a value."""
        v, dtype = f"v{i}", self.constant(spec.dtype)
        array = (f"({v}.__class__ is ndarray or isinstance({v}, ndarray))", f"{v}.shape == {tuple(spec.shape)!r}",
                 f"({v}.dtype is {dtype} or {v}.dtype == {dtype})")  # fmt: skip
        if spec.shape:
            self.must(*array)
        else:  # a NumPy scalar; rarely an array without axes
            self.lines.append(f"if {v}.__class__ is not {self.constant(spec.dtype.type)}:")
            self.lines.append(f"    if not ({' and '.join(array)}): return MISS")
            self.lines.append(f"    {v} = {v}[()]")

    def tape(self) -> None:
        """Where an input is being differentiated, the result must be so too."""
        tracked = " or ".join(f"{place}.node is not None" for place in self.tensors.values())
        if not tracked:
            return
        if self.donors:
            self.must(f"not ({tracked}) or not recording()")
            return
        inputs = [self.tensors.get(i, f"wrap(v{i})") for i in range(len(self.trace.graph.inputs))]
        self.lines.append(f"if ({tracked}) and (origin := recording()): return on_tape([{', '.join(inputs)}], origin)")

    def memory_of(self, i: int) -> str:
        """The line that makes sure that memory may be taken: the usual case checked here, the rest by `spared`."""
        usual = f"references(v{i}) == {alone()} and v{i}.base is None and v{i}.flags.c_contiguous"
        return f"if not ({usual}): v{i} = spared(v{i})"

    def run_plan(self) -> None:
        outputs = [f"o{k}" for k in range(len(self.trace.graph.outputs))]
        if outputs:
            inputs = ", ".join(f"v{i}" for i in range(len(self.trace.graph.inputs)))
            self.lines.append(f"{', '.join(outputs)}, = run([{inputs}])")

    def result(self, tree: Any) -> str:
        """An expression for the result; the Tensors in it are made in lines of their own."""
        found = children(tree)
        if found is None:
            return self.end(tree)
        if tree is None:
            return "None"
        named, build = found
        parts = [self.result(child) for _, child in named]
        if type(tree) is dict:
            return f"{{{', '.join(f'{self.constant(k)}: {p}' for k, p in zip(tree, parts, strict=True))}}}"
        if type(tree) is tuple:
            return f"({''.join(f'{p}, ' for p in parts)})"
        inner = f"[{', '.join(parts)}]"
        return inner if type(tree) is list else f"{self.constant(build)}({inner})"

    def end(self, number: int) -> str:
        """A leaf of the result: a Tensor around its value, or what is no array as it is."""
        end = self.trace.ends[number]
        if isinstance(end, Computed):
            value = f"o{end.output}"
        elif isinstance(end, Given):
            value = f"v{end.input}" + ".copy()" * (end.input in self.lent)
        elif isinstance(end, Constant):
            value = self.constant(end.value)
        else:
            return self.constant(end.value)
        self.lines.append(f"t{number} = new(Tensor)")
        self.lines.append(f"t{number}.value = {value}")
        self.lines.append(f"t{number}.node = t{number}._grad = None")
        return f"t{number}"
