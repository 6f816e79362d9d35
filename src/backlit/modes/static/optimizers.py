"""Optimizers of the static mode, with TensorFlow 1's names and formulas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...base.errors import ArgumentError, GradientError, GraphError
from ...graph.defer import is_static
from ...graph.tensor import Tensor
from .derivatives import gradients
from .variables import Operation, Variable, group

Pairs = list[tuple[Tensor | None, Variable]]


class Optimizer:
    """Changes variables so that a loss falls; subclasses say how one of them is changed.

    Args:
        learning_rate: a number, or a tensor of the graph (a placeholder or variable, for schedules).
    """

    def __init__(self, learning_rate: Any) -> None:
        self.learning_rate = learning_rate
        self._slots: dict[tuple[Any, str], Variable] = {}

    def minimize(
        self, loss: Tensor, global_step: Variable | None = None, var_list: Sequence[Variable] | None = None
    ) -> Operation:
        """An operation that takes one step: `compute_gradients`, then `apply_gradients`.

        Args:
            loss: a floating-point tensor; the sum of its elements is made smaller.
            global_step: a variable counted up by one in each step.
            var_list: the variables to change; by default the trainable ones of the loss's graph.
        """
        pairs = self.compute_gradients(loss, var_list)
        if all(g is None for g, _ in pairs):
            names = ", ".join(v._node.label for _, v in pairs)
            raise GradientError(
                f"minimize: no path leads from {names} to {loss._node.label}; there is nothing to change."
            )
        return self.apply_gradients(pairs, global_step)

    def compute_gradients(
        self, loss: Tensor, var_list: Sequence[Variable] | None = None, grad_loss: Any = None
    ) -> Pairs:
        """For each variable the pair `(gradient, variable)`; the gradient is None where no path leads to the loss."""
        if not is_static(loss):
            raise GraphError(f"minimize: expected a tensor of a static graph as loss, got {type(loss).__name__}.")
        graph = loss._node.graph
        variables = [v for v in graph.variables if v.trainable] if var_list is None else list(var_list)
        if not variables:
            raise ArgumentError("minimize: there is no variable to change; make a static.Variable or give var_list.")
        for v in variables:
            if not isinstance(v, Variable):
                raise ArgumentError(f"minimize: var_list holds a {type(v).__name__}, expected variables.")
        return list(zip(gradients(loss, variables, grad_loss), variables, strict=True))

    def apply_gradients(
        self, grads_and_vars: Sequence[tuple[Any, Variable]], global_step: Variable | None = None
    ) -> Operation:
        """An operation that changes each variable by its gradient; pairs with None are left out."""
        pairs = [(g, v) for g, v in grads_and_vars if g is not None]
        if not pairs:
            raise GradientError("apply_gradients: every gradient is None; there is nothing to change.")
        with pairs[0][1]._node.graph.as_default():
            steps: list[Any] = self._prepare(pairs)
            for g, v in pairs:
                steps += self._step(g, v)
            if global_step is not None:
                steps.append(global_step.assign_add(1))
            return group(*steps, name="train")

    def get_slot(self, variable: Variable, name: str) -> Variable | None:
        """The variable in which this optimizer keeps something for another, such as its momentum."""
        return self._slots.get((variable._node, name))

    def _slot(self, variable: Variable, name: str) -> Variable:
        key = (variable._node, name)
        if key not in self._slots:
            zeros = np.zeros(variable.shape, variable.dtype)
            self._slots[key] = Variable(zeros, name=f"{variable.name}/{name}", trainable=False)
        return self._slots[key]

    def _rate(self, variable: Variable) -> Any:
        return _beside(self.learning_rate, variable)

    def _prepare(self, pairs: Sequence[tuple[Any, Variable]]) -> list[Any]:
        """What is done once in a step, whatever the number of variables."""
        return []

    def _step(self, g: Any, v: Variable) -> list[Tensor]:
        """The assignments that change one variable, and what is kept for it."""
        raise NotImplementedError


def _beside(number: Any, variable: Variable) -> Any:
    """A number as it is; a tensor in the dtype of the variable."""
    return number.astype(variable.dtype) if isinstance(number, Tensor) and number.dtype != variable.dtype else number


class GradientDescentOptimizer(Optimizer):
    """`v -= rate · g` (TensorFlow 1, `tf.train.GradientDescentOptimizer`)."""

    def _step(self, g: Any, v: Variable) -> list[Tensor]:
        return [v.assign(v - self._rate(v) * g)]


class MomentumOptimizer(Optimizer):
    """`a = momentum · a + g; v -= rate · a` (TensorFlow 1, `tf.train.MomentumOptimizer`).

    With `use_nesterov`: `v -= rate · g + rate · momentum · a`. The rate is outside the accumulator, as in
    PyTorch and unlike in Polyak's and Sutskever's formulas.
    """

    def __init__(self, learning_rate: Any, momentum: float, use_nesterov: bool = False) -> None:
        super().__init__(learning_rate)
        self.momentum, self.use_nesterov = momentum, use_nesterov

    def _step(self, g: Any, v: Variable) -> list[Tensor]:
        kept, rate, momentum = self._slot(v, "Momentum"), self._rate(v), _beside(self.momentum, v)
        a = momentum * kept + g
        change = rate * g + rate * momentum * a if self.use_nesterov else rate * a
        return [kept.assign(a), v.assign(v - change)]


class AdamOptimizer(Optimizer):
    """Adam as TensorFlow 1 computes it (Kingma & Ba 2015, the order of section 2's last paragraph).

    `m = β1 m + (1 - β1) g; s = β2 s + (1 - β2) g²; v -= rate · √(1 - β2ᵗ) / (1 - β1ᵗ) · m / (√s + ε)`.
    Here ε is the paper's "ε hat": it is added to √s before, not after, the bias is corrected, so that it
    equals PyTorch's ε times √(1 - β2ᵗ). The powers of β are kept in float64.
    """

    def __init__(
        self, learning_rate: Any = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        self.beta1, self.beta2, self.epsilon = float(beta1), float(beta2), epsilon
        self._powers: dict[Any, tuple[Variable, Variable]] = {}
        self._corrected: Any = None

    def _prepare(self, pairs: Sequence[tuple[Any, Variable]]) -> list[Any]:
        graph = pairs[0][1]._node.graph
        if graph not in self._powers:
            self._powers[graph] = (
                Variable(np.float64(self.beta1), name="beta1_power", trainable=False),
                Variable(np.float64(self.beta2), name="beta2_power", trainable=False),
            )
        one, two = self._powers[graph]
        self._corrected = self.learning_rate * (1 - two).sqrt() / (1 - one)
        return [one.assign(one * self.beta1), two.assign(two * self.beta2)]

    def _step(self, g: Any, v: Variable) -> list[Tensor]:
        m, s = self._slot(v, "Adam"), self._slot(v, "Adam_1")
        mean = self.beta1 * m + (1 - self.beta1) * g
        square = self.beta2 * s + (1 - self.beta2) * (g * g)
        change = _beside(self._corrected, v) * mean / (square.sqrt() + self.epsilon)
        return [m.assign(mean), s.assign(square), v.assign(v - change)]
