"""Explanations beside PyTorch, JAX and TensorFlow: gradients, and single paths, which are gradients of a cut graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.cli.peers import answers
from backlit.explain.expression import Expression, assignments

torch = pytest.importorskip("torch")

EXPRESSIONS = [
    ("1/(1+exp(-(w*x+b)))", "x=1 w=0 b=0"),
    ("x*y + sin(x)*x - y/x + x**y", "x=2 y=3"),
    ("mean((tanh(x@W + b) - t)**2)", "x=[1,2;3,4] W=[0.1,0.2;-0.3,0.4] b=[0.1,-0.1] t=0.5"),
    ("sum(softmax(x) * log_softmax(y))", "x=[1,2,3] y=[0.5,-1,2]"),
    ("logsumexp(x) + max(x)*sum(sigmoid(x)) + mean(relu(x))", "x=[1,-2,3]"),
    ("atan(x) + hypot(x, 2)*log1p(x) + sqrt(x) - abs(-x) + exp(2)*x", "x=0.7"),
    ("var(x) + sum(softplus(x)) + sum(erf(x))", "x=[0.1,0.5,2]"),
]


@pytest.mark.parametrize(("source", "values"), EXPRESSIONS)
def test_gradients_of_expressions_are_those_of_other_libraries(source: str, values: str) -> None:
    expression = Expression(source)
    given = assignments(values.split(), expression)
    found = bl.explain(expression.function(tuple(given)), *given.values())
    told = {a.by.split()[0]: a for a in answers(expression, given)}
    assert told["torch"].gradients is not None
    asked = 0
    for answer in told.values():
        if answer.gradients is None:
            assert answer.problem == "not installed" or answer.problem.startswith(("does not have", "cannot"))
            continue
        for name, g in answer.gradients.items():
            np.testing.assert_allclose(found.parts[name].gradient, g, rtol=1e-9, atol=1e-12)
        asked += 1
    assert asked >= 1


def test_a_path_is_the_gradient_of_a_graph_that_is_cut_elsewhere() -> None:
    rng = np.random.default_rng(0)
    x, W, V = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4, 4))

    def net(w: Any) -> Any:
        h = x @ w
        g = h + bl.tanh(h @ V)
        return bl.sum((g + bl.sin(g @ V)) ** 2)

    found = bl.explain(net, W)
    assert len(found.paths) == 4

    def cut(first: bool, second: bool) -> np.ndarray[Any, Any]:
        """The gradient through the inner branches (or, where False, around them) alone."""
        w = torch.tensor(W, requires_grad=True)
        v = torch.tensor(V)
        h = torch.tensor(x) @ w
        g = (h.detach() + torch.tanh(h @ v)) if first else (h + torch.tanh(h.detach() @ v))
        y = (g.detach() + torch.sin(g @ v)) if second else (g + torch.sin(g.detach() @ v))
        (y**2).sum().backward()
        assert w.grad is not None
        return w.grad.numpy()

    expected = [cut(a, b) for a in (False, True) for b in (False, True)]
    for path in found.paths:
        assert min(np.max(np.abs(path.gradient - e)) for e in expected) < 1e-10
    np.testing.assert_allclose(sum(expected), found.gradient, rtol=1e-10)
