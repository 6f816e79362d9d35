"""The same expression and its gradients, in float64, in other libraries: PyTorch, JAX, TensorFlow, where installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..explain.expression import Expression

Values = Mapping[str, Any]


class Answer(NamedTuple):
    """What a library says.

    Attributes:
        by: its name and version.
        gradients: by the name of the variable; None where there are none.
        problem: why there are none.
    """

    by: str
    gradients: dict[str, Any] | None
    problem: str = ""


def answers(expression: Expression, values: Values) -> list[Answer]:
    """What each library says of the gradients; a library that is not installed says so."""
    return [_asked(name, ask, expression, values) for name, ask in _LIBRARIES.items()]


def _asked(name: str, ask: Callable[[Expression, Values], dict[str, Any]], e: Expression, values: Values) -> Answer:
    if find_spec(name) is None:
        return Answer(name, None, "not installed")
    try:
        found = {k: np.asarray(g) for k, g in ask(e, values).items()}
        version = getattr(importlib.import_module(name), "__version__", "").partition("+")[0]
        return Answer(f"{name} {version}", found)
    except AttributeError as problem:
        return Answer(name, None, f"does not have it: {problem}")
    except (TypeError, ValueError, RuntimeError) as problem:
        return Answer(name, None, f"cannot compute it: {str(problem).partition(chr(10))[0]}")


def _torch(e: Expression, values: Values) -> dict[str, Any]:
    torch = importlib.import_module("torch")
    inputs = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in values.items()}
    own = {
        "softmax": lambda x, axis=-1: torch.softmax(x, axis),
        "log_softmax": lambda x, axis=-1: torch.log_softmax(x, axis),
        "logsumexp": lambda x, axis=None: torch.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis),
        "var": lambda x, axis=None: torch.var(x, axis, correction=0),
        "std": lambda x, axis=None: torch.std(x, axis, correction=0),
        "max": torch.amax,
        "min": torch.amin,
        "matrix_transpose": lambda x: x.mT,
        "concat": _axis_first(torch.concat),
        "stack": _axis_first(torch.stack),
    }
    modules = (torch, torch.nn.functional, torch.special)
    y = e.value(inputs, _Functions(modules, lambda x: torch.tensor(x, dtype=torch.float64), own))
    found = torch.autograd.grad(y, list(inputs.values()), allow_unused=True)
    gradients = (np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(inputs.values(), found, strict=True))
    return dict(zip(inputs, gradients, strict=True))


def _jax(e: Expression, values: Values) -> dict[str, Any]:
    jax = importlib.import_module("jax")
    numpy, special = importlib.import_module("jax.numpy"), importlib.import_module("jax.scipy.special")
    in_double = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")
    with in_double.enable_x64(True):
        functions = _Functions((numpy, jax.nn, special, jax.lax), lambda x: numpy.asarray(x, "float64"), {})
        names = list(values)
        inputs = [numpy.asarray(values[k], "float64") for k in names]
        compute = lambda *xs: e.value(dict(zip(names, xs, strict=True)), functions)
        return dict(zip(names, map(np.asarray, jax.grad(compute, tuple(range(len(names))))(*inputs)), strict=True))


def _tensorflow(e: Expression, values: Values) -> dict[str, Any]:
    tf = importlib.import_module("tensorflow")
    inputs = {k: tf.constant(v, tf.float64) for k, v in values.items()}
    reductions = {n: getattr(tf, f"reduce_{n}") for n in ("sum", "mean", "prod", "max", "min", "logsumexp")}
    others = {"var": tf.math.reduce_variance, "std": tf.math.reduce_std, "matmul": tf.matmul, "concat": tf.concat}
    functions = _Functions((tf.math, tf.nn, tf), lambda x: tf.constant(x, tf.float64), {**reductions, **others})
    with tf.GradientTape() as tape:
        for x in inputs.values():
            tape.watch(x)
        y = e.value(inputs, functions)
    found = tape.gradient(y, inputs, unconnected_gradients="zero")
    return {k: g.numpy() for k, g in found.items()}


class _Functions(SimpleNamespace):
    """Functions by the names of this library: `own` first, then those of the modules; plain numbers are converted."""

    def __init__(self, modules: Sequence[Any], convert: Callable[[Any], Any], own: Mapping[str, Any]) -> None:
        super().__init__(_modules=modules, _convert=convert, _own=own)

    def __getattr__(self, name: str) -> Any:
        found = self._own.get(name) or next((getattr(m, name) for m in self._modules if hasattr(m, name)), None)
        if found is None:
            raise AttributeError(name)
        return lambda *args, **options: found(
            *(self._convert(x) if type(x) in (int, float) else x for x in args), **options
        )


def _axis_first(function: Any) -> Any:
    return lambda arrays, axis=0: function(arrays, axis)


_LIBRARIES = {"torch": _torch, "jax": _jax, "tensorflow": _tensorflow}
