"""A training step in each framework, from a loss written in it: the optimizer, the compiler, the donated memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .workload import THREADS, Contender, Workload, stepping

Loss = Callable[[Any, Any, Any], Any]


class Training(Workload):
    """A step of training: the loss, its gradient, and the update of the parameters.

    A subclass gives `start()`, the parameters as NumPy arrays, and `batch()`, arrays x and y, and the loss in each
    framework: `loss_backlit(params, x, y)` and so on. Where a framework likes another layout, it overrides
    `channels_last()`, which gives the parameters and x as jax and TensorFlow take them.
    """

    optimizer = "sgd"
    rate = 0.01

    def start(self) -> list[Any]:
        """The parameters before the first step."""
        raise NotImplementedError

    def batch(self) -> tuple[Any, Any]:
        """The batch of every step."""
        raise NotImplementedError

    def channels_last(self) -> tuple[list[Any], Any]:
        """The parameters and x with channels on the last axis."""
        return self.start(), self.batch()[0]

    loss_backlit: Loss
    loss_torch: Loss
    loss_jax: Loss
    loss_tensorflow: Loss

    # --- contenders --------------------------------------------------------------------------------

    def backlit(self, compiled: bool = True) -> Contender:
        import backlit as bl

        step = self.backlit_step()
        if compiled:
            step = bl.compile(step, donate=("params", "state"), threads=THREADS)
        x, y = map(bl.tensor, self.batch())
        params: Any = [bl.tensor(p) for p in self.start()]
        state = self.backlit_optimizer().init(params)

        def call() -> Any:
            nonlocal params, state
            params, state, loss = step(params, state, x, y)
            return loss

        return stepping(call)

    def backlit_optimizer(self) -> Any:
        from backlit import optim

        return {"sgd": optim.sgd, "adam": optim.adam}[self.optimizer](self.rate)

    def backlit_step(self) -> Callable[..., Any]:
        """`params, state, loss = step(params, state, x, y)`, not yet compiled."""
        import backlit as bl

        optimizer, loss_of = self.backlit_optimizer(), self.loss_backlit

        def step(params: Any, state: Any, x: Any, y: Any) -> Any:
            loss, gradients = bl.value_and_grad(lambda p: loss_of(p, x, y))(params)
            params, state = optimizer.update(params, gradients, state)
            return params, state, loss

        return step

    def torch(self, compiled: bool = False) -> Contender:
        x, y = self.torch_batch()
        step = self.torch_step(compiled)
        return stepping(lambda: step(x, y))

    def torch_compiled(self) -> Contender:
        return self.torch(compiled=True)

    def torch_batch(self) -> tuple[Any, Any]:
        import torch

        x, y = map(torch.tensor, self.batch())
        return (x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x), y

    def torch_step(self, compiled: bool) -> Callable[[Any, Any], Any]:
        """`step(x, y)`, which changes the parameters and returns the loss."""
        import torch

        last = {"memory_format": torch.channels_last}
        params = [torch.tensor(p) for p in self.start()]
        params = [(p.contiguous(**last) if p.ndim == 4 else p).requires_grad_() for p in params]
        kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[self.optimizer]
        optimizer = kind(params, lr=self.rate, fused=True)
        loss_of = partial(self.loss_torch, params)
        if compiled:
            loss_of = torch.compile(lambda x, y: self.loss_torch(params, x, y))

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(x, y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    def jax(self) -> Contender:
        import jax
        import jax.numpy as jnp

        step = jax.jit(self.jax_step(), donate_argnums=(0, 1))
        start, x = self.channels_last()
        x, y = jnp.asarray(x), jnp.asarray(self.batch()[1])
        params = [jnp.array(p) for p in start]
        state = self.jax_state(params)

        def call() -> Any:
            nonlocal params, state
            params, state, loss = step(params, state, x, y)
            return loss.block_until_ready()

        return stepping(call)

    def jax_state(self, params: Sequence[Any]) -> Any:
        """What the optimizer keeps: for Adam the number of steps and two means for each parameter."""
        import jax.numpy as jnp

        if self.optimizer == "sgd":
            return ()
        return jnp.float32(0), [jnp.zeros_like(p) for p in params], [jnp.zeros_like(p) for p in params]

    def jax_step(self) -> Callable[..., Any]:
        """`params, state, loss = step(params, state, x, y)`, not yet compiled."""
        import jax

        def step(params: Any, state: Any, x: Any, y: Any) -> Any:
            loss, gradients = jax.value_and_grad(self.loss_jax)(params, x, y)
            if self.optimizer == "sgd":
                return [p - self.rate * g for p, g in zip(params, gradients, strict=True)], (), loss
            params, state = jax_adam(params, gradients, state, self.rate)
            return params, state, loss

        return step

    def tensorflow(self, xla: bool = False) -> Contender:
        import tensorflow as tf

        start, x = self.channels_last()
        x, y = tf.constant(x), tf.constant(self.batch()[1])
        step = tf.function(self.tensorflow_step(start), jit_compile=xla)
        return stepping(lambda: step(x, y).numpy())

    def tensorflow_xla(self) -> Contender:
        return self.tensorflow(xla=True)

    def tensorflow_step(self, start: Sequence[Any]) -> Callable[[Any, Any], Any]:
        """`step(x, y)`, which returns the loss and changes its variables, not yet compiled."""
        import tensorflow as tf

        params = [tf.Variable(p) for p in start]
        update = tensorflow_update(params, self.optimizer, self.rate)

        def step(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = self.loss_tensorflow(params, x, y)
            update([tf.convert_to_tensor(g) for g in tape.gradient(loss, params)])
            return loss

        return step


def jax_adam(params: Sequence[Any], gradients: Sequence[Any], state: Any, rate: float) -> tuple[list[Any], Any]:
    """Adam (Kingma & Ba 2015, algorithm 1) in jax."""
    import jax.numpy as jnp

    step, means, squares = state[0] + 1, [], []
    new = []
    for p, g, m, v in zip(params, gradients, *state[1:], strict=True):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        new.append(p - rate * (m / (1 - 0.9**step)) / (jnp.sqrt(v / (1 - 0.999**step)) + 1e-8))
        means.append(m)
        squares.append(v)
    return new, (step, means, squares)


def tensorflow_update(params: Sequence[Any], optimizer: str, rate: float) -> Callable[[Sequence[Any]], None]:
    """A function that updates variables by TensorFlow's own kernels for it."""
    import tensorflow as tf

    ops = tf.raw_ops
    if optimizer == "sgd":

        def descend(gradients: Sequence[Any]) -> None:
            for p, g in zip(params, gradients, strict=True):
                ops.ResourceApplyGradientDescent(var=p.handle, alpha=rate, delta=g)

        return descend
    first, second = ([tf.Variable(tf.zeros_like(p)) for p in params] for _ in range(2))
    power1, power2 = tf.Variable(1.0), tf.Variable(1.0)

    def adam(gradients: Sequence[Any]) -> None:
        b1, b2 = power1.assign(power1 * 0.9), power2.assign(power2 * 0.999)
        for p, m, v, g in zip(params, first, second, gradients, strict=True):
            ops.ResourceApplyAdam(
                var=p.handle, m=m.handle, v=v.handle, beta1_power=b1, beta2_power=b2, lr=rate,
                beta1=0.9, beta2=0.999, epsilon=1e-8, grad=g,
            )  # fmt: skip

    return adam
