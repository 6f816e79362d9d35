"""W10: a long chain of elementwise functions over many numbers, with its gradient."""

from __future__ import annotations

from typing import Any

from .workload import THREADS, Contender, Workload, rng


class Chain(Workload):
    """sum(tanh(sin(x) x + exp(-x²))) and its gradient. What is compared: the sum, and some of the gradient."""

    key = "W10"
    tolerance = 3e-3  # XLA's sum of ten million numbers is 0.17 % from the true one

    def __init__(self, n: int = 10_000_000, target: float | None = 3e-3) -> None:
        self.n, self.target = n, target
        self.title = f"sum(tanh(sin(x) x + exp(-x²))) with gradient, {n / 1e6:g} million"
        self.bytes = 8.0 * n  # x is read once, the gradient written once

    def given(self) -> Any:
        """x."""
        import numpy as np

        return rng().standard_normal(self.n, dtype=np.float32)

    def _contender(self, call: Any) -> Contender:
        import numpy as np

        def check() -> list[float]:
            value, gradient = call()
            return [float(value), *(float(v) for v in np.asarray(gradient)[:: max(1, self.n // 7)])]

        return Contender(call, check)

    def backlit(self, compiled: bool = True) -> Contender:
        import backlit as bl

        def chain(x: Any) -> Any:
            return bl.sum(bl.tanh(bl.sin(x) * x + bl.exp(-x * x)))

        def both(x: Any, old: Any) -> Any:
            """The gradient takes the memory of the gradient of the call before."""
            return bl.value_and_grad(chain)(x)

        x: Any = bl.tensor(self.given())
        f = bl.compile(both, donate="old", threads=THREADS) if compiled else both
        gradient = bl.zeros(self.n)

        def call() -> Any:
            nonlocal gradient
            value, gradient = f(x, gradient)
            return value, gradient

        return self._contender(call)

    def torch(self, compiled: bool = False) -> Contender:
        import torch

        x = torch.tensor(self.given(), requires_grad=True)

        def chain(x: Any) -> Any:
            return torch.sum(torch.tanh(torch.sin(x) * x + torch.exp(-x * x)))

        f = torch.compile(chain) if compiled else chain

        def call() -> Any:
            x.grad = None
            value = f(x)
            value.backward()
            return value.detach(), x.grad

        return self._contender(call)

    def torch_compiled(self) -> Contender:
        return self.torch(compiled=True)

    def jax(self) -> Contender:
        import jax
        import jax.numpy as jnp

        def chain(x: Any) -> Any:
            return jnp.sum(jnp.tanh(jnp.sin(x) * x + jnp.exp(-x * x)))

        f = jax.jit(lambda x, old: jax.value_and_grad(chain)(x), donate_argnums=1, keep_unused=True)
        x, gradient = jnp.asarray(self.given()), jnp.zeros(self.n)

        def call() -> Any:
            nonlocal gradient
            value, gradient = f(x, gradient)
            return value.block_until_ready(), gradient.block_until_ready()

        return self._contender(call)

    def tensorflow(self, xla: bool = False) -> Contender:
        import tensorflow as tf

        @tf.function(jit_compile=xla)
        def f(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = tf.reduce_sum(tf.tanh(tf.sin(x) * x + tf.exp(-x * x)))
            return value, tape.gradient(value, x)

        x = tf.constant(self.given())

        def call() -> Any:
            value, gradient = f(x)
            return value.numpy(), gradient

        return self._contender(call)

    def tensorflow_xla(self) -> Contender:
        return self.tensorflow(xla=True)
