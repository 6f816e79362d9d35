"""Side doors: Python that depends on a value while a function is traced is told which value, where, and what to use."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import backlit as bl

HERE = r"test_compile_doors\.py:\d+"


def decide(t: Any) -> Any:
    return t if t > 0 else -t


def loop(t: Any) -> Any:
    while t < 10:
        t = t * 2
    return t


def claim(t: Any) -> Any:
    assert t > 0
    return t


#: What is called on a number t, a vector v, and an integer i: words that the error has besides the value and the line.
DOORS: dict[str, tuple[Any, str]] = {
    "if": (lambda t, v, i: decide(t), "greater .*bl.where, bl.cond, bl.while_loop"),
    "while": (lambda t, v, i: loop(t), "less .*bl.where, bl.cond, bl.while_loop"),
    "assert": (lambda t, v, i: claim(t), "greater .*bl.where, bl.cond"),
    "and": (lambda t, v, i: t and t, "argument 't' .*bl.where"),
    "not": (lambda t, v, i: not t, "argument 't' .*bl.where"),
    "max": (lambda t, v, i: max(t, 1.0), "bl.maximum"),
    "sorted": (lambda t, v, i: sorted([t, t]), "less .*bl.minimum"),
    "in": (lambda t, v, i: 3 in v, "bl.where"),
    "float": (lambda t, v, i: float(t), "argument 't' .*Keep it a Tensor.*static_argnames"),
    "math": (lambda t, v, i: math.sin(t), "argument 't' .*bl.sqrt"),
    "int": (lambda t, v, i: int(t * 2), "multiply .*static_argnames.*"),
    "item": (lambda t, v, i: t.item(), "argument 't' .*what is to be seen is returned"),
    "numpy": (lambda t, v, i: (v * 2).numpy(), "multiply .*functions of backlit"),
    "asarray": (lambda t, v, i: np.asarray(v), "argument 'v' .*functions of backlit"),
    "tolist": (lambda t, v, i: v.tolist(), "argument 'v' .*return it"),
    "range": (lambda t, v, i: range(i), "argument 'i' .*bl.fori_loop.*static_argnames"),
    "element of a list": (lambda t, v, i: [1, 2, 3][i], r"argument 'i' .*bl.take\(x, i\)"),
    "size": (lambda t, v, i: bl.zeros(i), "argument 'i' .*static_argnames"),
    "reshape": (lambda t, v, i: bl.reshape(v, (i, 1)), "argument 'i' .*static_argnames"),
    "arange": (lambda t, v, i: bl.arange(i), "argument 'i' .*static_argnames"),
    "repeat": (lambda t, v, i: bl.repeat(v, i), "argument 'i' .*static_argnames"),
    "axis": (lambda t, v, i: bl.sum(v, axis=i), "argument 'i' .*static_argnames"),
    "iteration": (lambda t, v, i: list(t), "argument 't' .*static_argnames"),
    "round": (lambda t, v, i: round(t), "argument 't' .*bl.round"),
    "mask": (lambda t, v, i: v[v > 0], "greater .*bl.where.mask, x, 0. and reduce"),
    "nonzero": (lambda t, v, i: bl.nonzero(v), "argument 'v' .*bl.where"),
    "unique": (lambda t, v, i: bl.unique_values(v), "argument 'v' .*call it outside"),
}


@pytest.mark.parametrize(("door", "words"), DOORS.values(), ids=DOORS.keys())
def test_door(door: Any, words: str) -> None:
    @bl.compile
    def f(t: Any, v: Any, i: Any) -> Any:
        return door(t, v, i)

    with pytest.raises(bl.GraphError, match=f"(?s){words}") as caught:
        f(1.0, np.ones(3, "f"), 2)
    message = str(caught.value)
    assert "has no value when test_compile_doors.py:" in message
    assert "being traced" in message


def test_backward_inside() -> None:
    def f(x: Any) -> Any:
        (x * x).backward()
        return x.grad

    with pytest.raises(
        bl.GradientError, match=r"(?s)multiply at test_compile_doors\.py:\d+ has no value.*value_and_grad"
    ):
        bl.compile(f)(2.0)


def test_names_of_values_deep_in_arguments() -> None:
    with pytest.raises(bl.GraphError, match=r"the argument 'p\.layers\.0\.w' has no value"):
        bl.compile(lambda p: float(p["layers"][0]["w"]))({"layers": [{"w": 1.0}]})


def test_what_is_no_door() -> None:
    seen: list[str] = []

    @bl.compile
    def f(x: Any) -> Any:
        seen.append(f"{x} {x.sum():.3f} {x!r} {x.shape} {x.dtype} {len(x)}")
        total = 0.0
        for row in x:  # the length is known
            total = total + row * 2
        y = x.detach() + np.sin(x) + np.where(x > 0, x, 0)
        y[0] = 5.0
        y += 1
        return total, y, x[1], bl.take(x, 1)

    total, y, one, same = f(np.array([1.0, -2.0, 3.0], np.float32))
    assert total.item() == 4
    assert y[0].item() == 6
    assert one.item() == same.item() == -2
    assert "symbolic" in seen[0]
