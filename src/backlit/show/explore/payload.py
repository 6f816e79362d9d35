"""`Payload`: a Program as JSON that `web/program.js` computes, as far as it can, and what stands in for the rest."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from ...explain.record import ends
from ...graph.node import Node
from ...graph.tensor import LEAF
from .kernels import PARTED, Kernel, kernel_of
from .scalar import CODES, NoKernel

#: Values of leaves and constants with more elements than this stay in Python; what depends on them is not live.
MOST_ELEMENTS = 1 << 18
#: And all that are sent together hold at most so many: some 5 MB of page.
MOST_IN_ALL = 1 << 20
#: A page computes as many products again at each turn of a slider; more than this would stutter (some 0.1 s).
MOST_PRODUCTS = 2e7
#: The value of a node that the page cannot compute is sent up to this size; of larger ones what `summary` says.
MOST_SHOWN = 1 << 10


class Payload:
    """Nodes, kernels and constants of a graph in numbers.

    Attributes:
        numbers: for each node its number in the page's program.
        reasons: why a node cannot be computed in the page, of those that cannot: "op NAME", "size", "work", "behind".
    """

    def __init__(self, nodes: Iterable[Node], values: Mapping[Node, Any]) -> None:
        self.values = values
        self.numbers: dict[Node, int] = {}
        self.reasons: dict[Node, str] = {}
        self.functions: dict[str, int] = {}
        self._nodes: list[list[Any]] = []
        self._sent: list[list[Any]] = []
        self._kernels: dict[str, int] = {}
        self._kernel_list: list[dict[str, Any]] = []
        self._constants: list[dict[str, Any]] = []
        self._places: dict[Any, int] = {}
        self._kept: list[Any] = []
        self._room, self._work = MOST_IN_ALL, MOST_PRODUCTS
        for node in nodes:
            self._enter(node)

    def data(self) -> dict[str, Any]:
        """What `new Program(data)` takes."""
        return {
            "nodes": self._nodes, "kernels": self._kernel_list, "constants": self._constants, "values": self._sent,
        }  # fmt: skip

    def script(self) -> str:
        """The functions of elementwise ops, as JavaScript."""
        return "const FUNCTIONS = [\n" + "".join(f"  {f},\n" for f in self.functions) + "];\n"

    def _enter(self, node: Node) -> None:
        several = node.op.results is not None
        shape = [] if several else list(node.shape)
        code = "f8" if several else _kind(node.dtype)
        try:
            if node.op is LEAF:
                self._leaf(node)
                entry: list[Any] = [-1, [], shape, code]
            elif node.op.name in PARTED:  # its parts are read from what it parts
                entry = [-2, [], shape, code]
            else:
                entry = [*self._computed(node), shape, code]
        except NoKernel as reason:
            self.reasons[node] = str(reason)
            inputs = [self.numbers[x] for x in node.inputs or () if isinstance(x, Node)]
            entry = [-2, inputs, shape, code]
            self._as_it_is(node)
        self.numbers[node] = len(self._nodes)
        self._nodes.append(entry)

    def _leaf(self, node: Node) -> None:
        value = np.asarray(self.values[node])
        if _code(value) not in CODES:
            raise NoKernel(f"op {value.dtype.name}")
        self._make_room(value)
        self._sent.append([len(self._nodes), encoded(value)])

    def _make_room(self, value: Any) -> None:
        if value.size > MOST_ELEMENTS or value.size > self._room:
            raise NoKernel("size")
        self._room -= value.size

    def _as_it_is(self, node: Node) -> None:
        """The value itself, where it is small: the page shows it and says that it does not follow changes."""
        if node.op.results is not None:
            return
        value = np.asarray(self.values[node])
        if value.size <= MOST_SHOWN and _code(value) in CODES:
            self._sent.append([len(self._nodes), encoded(value)])

    def _computed(self, node: Node) -> tuple[int, list[int]]:
        try:
            kernel = kernel_of(node)
        except NoKernel as reason:
            raise NoKernel(f"op {reason}") from None
        for x in kernel.inputs:
            if isinstance(x, Node) and x in self.reasons:
                raise NoKernel("behind")
        self._work -= products(node)
        if self._work < 0:
            raise NoKernel("work")
        inputs = [self.numbers[x] if isinstance(x, Node) else -1 - self._constant(x) for x in kernel.inputs]
        return self._kernel(kernel), inputs

    def _kernel(self, kernel: Kernel) -> int:
        arguments = dict(kernel.arguments)
        if "f" in arguments:
            arguments["f"] = self.functions.setdefault(arguments["f"], len(self.functions))
        entry: dict[str, Any] = {"name": kernel.name}
        places = arguments.pop("places", None)
        if places is not None:
            entry["places"] = base64.b64encode(np.asarray(places, "<i4").tobytes()).decode()
        entry["args"] = {k: _number(v) for k, v in arguments.items()}
        key = json.dumps(entry)
        if key not in self._kernels:
            self._kernels[key] = len(self._kernel_list)
            self._kernel_list.append(entry)
        return self._kernels[key]

    def _constant(self, x: Any) -> int:
        value = np.asarray(x)
        key = (value.dtype.str, repr(x)) if value.ndim == 0 else id(x)
        if key not in self._places:
            self._make_room(value)
            self._places[key] = len(self._constants)
            self._constants.append(encoded(value))
            self._kept.append(x)  # so that its id stays its own
        return self._places[key]


def encoded(value: Any) -> dict[str, Any]:
    """An array for the page: `s` its shape, `d` its dtype, `v` its numbers or `b` their bytes, as `k` says.

    >>> encoded(np.float32([1, np.inf]))
    {'s': [2], 'd': 'f4', 'v': [1.0, 'Infinity']}
    """
    value = np.asarray(value)
    kind = _kind(value.dtype)
    found: dict[str, Any] = {"s": list(value.shape), "d": kind}
    if value.size <= 8:
        return found | {"v": [_number(v) for v in value.reshape(-1).tolist()]}
    stored = value.dtype.newbyteorder("<") if kind in ("f4", "f8") else np.dtype("<f8")
    if kind not in ("f4", "f8") and np.abs(value.astype(np.float64)).max(initial=0) < 2**31:
        stored = np.dtype("<i4")
    data = base64.b64encode(np.ascontiguousarray(value, stored).tobytes()).decode()
    return found | {"b": data, "k": stored.str[1:]}


def summary(value: Any) -> dict[str, Any]:
    """What is said of an array that is not sent: norm, mean, deviation, ends, share of zeros, and a histogram."""
    x = np.asarray(value)
    x = (np.abs(x) if x.dtype.kind == "c" else x).astype(np.float64).reshape(-1)
    fine = x[np.isfinite(x)]
    counts = edges = np.zeros(0, int)
    if fine.size:
        counts, edges = np.histogram(fine, 32, ends(fine.min(), fine.max()))
    numbers = {
        "norm": np.linalg.norm(x), "mean": x.mean() if x.size else 0.0, "std": x.std() if x.size else 0.0,
        "min": fine.min(initial=np.inf), "max": fine.max(initial=-np.inf), "zeros": (x == 0).mean() if x.size else 0.0,
    }  # fmt: skip
    found = {k: _number(float(f"{float(v):.6g}")) for k, v in numbers.items()}
    between = [float(edges[0]), float(edges[-1])] if fine.size else []
    return found | {"odd": int(x.size - fine.size), "counts": counts.tolist(), "ends": between}


def products(node: Node) -> float:
    """About how many multiplications a node takes, or elements it writes."""
    if node.op.results is not None:
        return 0.0
    inputs = [x for x in node.inputs or () if hasattr(x, "shape")]
    sizes = [prod(x.shape) for x in inputs]
    out = prod(node.shape)
    if node.op.name == "matmul":
        return float(out * inputs[0].shape[-1])
    if node.op.name in ("einsum_pair", "einsum_one"):
        terms = [(node.params.get("one") or node.params["term"], inputs[0])]
        if len(inputs) > 1:
            terms.append((node.params["two"], inputs[1]))
        labels = {c: n for term, x in terms for c, n in zip(term, x.shape, strict=True)}
        return float(prod(labels.values()))
    if node.op.name in ("convolve", "convolve_transposed", "convolve_weight"):
        w, g = {
            "convolve": lambda: (inputs[1].shape, node.shape),
            "convolve_transposed": lambda: (inputs[1].shape, inputs[0].shape),
            "convolve_weight": lambda: (node.shape, inputs[1].shape),
        }[node.op.name]()
        return float(prod(g) * prod(w[1:]))
    window = prod(node.params.get("window", ()))
    return float(max([out, *sizes]) * window)


def _code(value: Any) -> str:
    return value.dtype.str[1:]


def _kind(dtype: Any) -> str:
    """The dtype as the page keeps it: floats by their size, integers and truth values as `i` and `b`."""
    code = np.dtype(dtype).str[1:]
    return code if code[0] == "f" else code[0]


def _number(x: Any) -> Any:
    if isinstance(x, float) and not math.isfinite(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
    return x
