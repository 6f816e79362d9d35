"""An epoch of training in each framework: all batches of a data set once, shuffled, each followed by a step."""

from __future__ import annotations

from typing import Any

from .training import Training
from .workload import THREADS, Contender


class Epochs(Training):
    """All batches of a data set once, in a new random order that each contender draws in its own way.

    Put before a `Training`, whose `batch()` then gives the whole data set. Examples that do not fill a batch are left
    out. What is compared is the mean loss of an epoch in the order of the data, so that it does not depend on how an
    order is drawn.

    Attributes:
        size: examples in a batch; `examples`: in the data set; `steps`: batches in an epoch.
        scanned: is the whole epoch one call of jax? XLA's convolutions run on one thread within a loop, and some ten
            times as long: there a call for each step is the better form.
    """

    size: int
    examples: int
    steps: int
    scanned = True
    slow = frozenset({"torch.compile"})

    def of(self, examples: int) -> None:
        """Make a step, whose operations are counted, an epoch of so many examples."""
        self.examples, self.steps = examples, examples // self.size
        self.flops *= self.steps

    def backlit(self, compiled: bool = True) -> Contender:
        import backlit as bl

        step = self.backlit_step()
        if compiled:
            step = bl.compile(step, donate=("params", "state"), threads=THREADS)
        data = tuple(map(bl.tensor, self.batch()))
        params = [bl.tensor(p) for p in self.start()]
        state = (params, self.backlit_optimizer().init(params))
        epoch = 0

        def eager() -> list[float]:
            (x, y), now, losses = data, state, []
            for begin in range(0, self.steps * self.size, self.size):
                rows = slice(begin, begin + self.size)
                *now, loss = step(*now, x[rows], y[rows])
                losses.append(float(loss))
            return [sum(losses) / self.steps]

        def run(shuffle: Any) -> Any:
            nonlocal state, epoch
            found = step.epochs(
                data, self.size, state=state, shuffle=shuffle, epochs=1, first_epoch=epoch, drop_last=True
            )
            state, epoch = found.state, epoch + 1
            return found.values

        if not compiled:
            return Contender(eager, eager)
        key = bl.random.key(0)
        return Contender(lambda: run(key), lambda: [float(run(None).mean())])

    def torch(self, compiled: bool = False) -> Contender:
        import torch

        step = self.torch_step(compiled)
        x, y = self.torch_batch()
        losses = torch.empty(self.steps)

        def run(order: Any) -> Any:
            for i in range(self.steps):
                rows = order[i * self.size : (i + 1) * self.size]
                losses[i] = step(x[rows], y[rows])
            return losses

        return Contender(
            lambda: run(torch.randperm(self.examples)), lambda: [float(run(torch.arange(self.examples)).mean())]
        )

    def jax(self) -> Contender:
        import jax
        import jax.numpy as jnp

        step = self.jax_step()
        start, x = self.channels_last()
        x, y = jnp.asarray(x), jnp.asarray(self.batch()[1])

        def one(params: Any, state: Any, rows: Any, x: Any, y: Any) -> Any:
            return step(params, state, x[rows], y[rows])

        def scan(params: Any, state: Any, order: Any, x: Any, y: Any) -> Any:
            def body(both: Any, rows: Any) -> Any:
                params, state, loss = one(*both, rows, x, y)
                return (params, state), loss

            rows = order[: self.steps * self.size].reshape(self.steps, self.size)
            (params, state), losses = jax.lax.scan(body, (params, state), rows)
            return params, state, losses

        once = jax.jit(scan if self.scanned else one, donate_argnums=(0, 1))

        def each(params: Any, state: Any, order: Any, x: Any, y: Any) -> Any:
            losses = []
            for rows in order[: self.steps * self.size].reshape(self.steps, self.size):
                params, state, loss = once(params, state, rows, x, y)
                losses.append(loss)
            return params, state, jnp.stack(losses)

        epoch = once if self.scanned else each
        draw = jax.jit(lambda key: jax.random.permutation(key, self.examples))
        params = [jnp.array(p) for p in start]
        state, key = self.jax_state(params), jax.random.key(0)

        def run(order: Any) -> Any:
            nonlocal params, state
            params, state, losses = epoch(params, state, order, x, y)
            return losses.block_until_ready()

        def shuffled() -> Any:
            nonlocal key
            key, once = jax.random.split(key)
            return run(draw(once))

        return Contender(shuffled, lambda: [float(run(jnp.arange(self.examples)).mean())])

    def tensorflow(self, xla: bool = False) -> Contender:
        import tensorflow as tf

        start, x = self.channels_last()
        step = self.tensorflow_step(start)
        x, y = tf.constant(x), tf.constant(self.batch()[1])

        @tf.function(jit_compile=xla)
        def epoch(order: Any) -> Any:
            losses = tf.TensorArray(tf.float32, self.steps)
            for i in tf.range(self.steps):
                rows = tf.slice(order, [i * self.size], [self.size])
                losses = losses.write(i, step(tf.gather(x, rows), tf.gather(y, rows)))
            return losses.stack()

        order = tf.range(self.examples)
        return Contender(lambda: epoch(tf.random.shuffle(order)).numpy(), lambda: [float(epoch(order).numpy().mean())])
