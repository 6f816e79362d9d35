"""`backlit.static`: graphs in the manner of TensorFlow 1. First build, then run.

Placeholders and variables are tensors without values. The ops of Backlit, applied to them, make more of
these; a `Session` computes what is fetched, from what is fed. The graph, its ops and their derivatives are
the same as in eager mode.

>>> import numpy as np
>>> import backlit as bl
>>> from backlit import static
>>> with static.Graph().as_default(), static.Session() as session:
...     x = static.placeholder("float32", shape=(None, 2), name="x")
...     w = static.Variable(np.zeros((2, 1), np.float32), name="w")
...     loss = bl.sum((x @ w - 1.0) ** 2.0)
...     train = static.GradientDescentOptimizer(0.05).minimize(loss)
...     session.run(static.global_variables_initializer())
...     for step in range(100):
...         _ = session.run(train, {x: [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]})
...     session.run(w).round(3).ravel()
array([1., 0.], dtype=float32)
"""

from __future__ import annotations

from .derivatives import gradients
from .extending import OpView, RegisterGradient, py_func
from .graph import Graph, get_default_graph, name_scope, reset_default_graph
from .optimizers import AdamOptimizer, GradientDescentOptimizer, MomentumOptimizer, Optimizer
from .saver import Saver
from .session import Session
from .variables import (
    Operation,
    Variable,
    assign,
    assign_add,
    assign_sub,
    constant,
    global_variables,
    global_variables_initializer,
    group,
    identity,
    placeholder,
    placeholder_with_default,
    shape,
    trainable_variables,
    variables_initializer,
)

__all__ = [
    "AdamOptimizer", "GradientDescentOptimizer", "Graph", "MomentumOptimizer", "OpView", "Operation", "Optimizer",
    "RegisterGradient", "Saver", "Session", "Variable", "assign", "assign_add", "assign_sub", "constant",
    "get_default_graph", "global_variables", "global_variables_initializer", "gradients", "group", "identity",
    "name_scope", "placeholder", "placeholder_with_default", "py_func", "reset_default_graph", "shape",
    "trainable_variables", "variables_initializer",
]  # fmt: skip
