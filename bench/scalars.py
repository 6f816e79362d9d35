"""W1, W2, W3: work so small that calling it costs more than doing it, alone and in loops."""

from __future__ import annotations

from typing import Any

from .training import jax_adam, tensorflow_update
from .workload import THREADS, Contender, Workload


class Neuron(Workload):
    """1/(1 + exp(-(w x + b))) of scalars, x = 1: the value and both gradients, in one call."""

    key, title, unit, target = "W1", "sigmoid neuron of scalars, value and gradients, one call", "us", 2e-6

    @staticmethod
    def _contender(call: Any) -> Contender:
        return Contender(call, lambda: [float(v) for v in call()])

    def backlit(self, compiled: bool = True) -> Contender:
        import backlit as bl

        def neuron(w: Any, b: Any) -> Any:
            value, (dw, db) = bl.value_and_grad(lambda w, b: 1.0 / (1.0 + bl.exp(-(w * 1.0 + b))), argnums=(0, 1))(w, b)
            return value, dw, db

        f = bl.compile(neuron, threads=THREADS) if compiled else neuron
        w, b = bl.tensor(0.5), bl.tensor(0.25)
        return self._contender(lambda: f(w, b))

    def torch(self) -> Contender:
        import torch

        w, b = (torch.tensor(v, requires_grad=True) for v in (0.5, 0.25))

        def call() -> Any:
            w.grad = b.grad = None
            y = torch.sigmoid(w * 1.0 + b)
            y.backward()
            return y.detach(), w.grad, b.grad

        return self._contender(call)

    def torch_compiled(self) -> Contender:
        import torch

        w, b = (torch.tensor(v, requires_grad=True) for v in (0.5, 0.25))
        f = torch.compile(lambda w, b: torch.sigmoid(w * 1.0 + b))

        def call() -> Any:
            w.grad = b.grad = None
            y = f(w, b)
            y.backward()
            return y.detach(), w.grad, b.grad

        return self._contender(call)

    def jax(self) -> Contender:
        import jax
        import jax.numpy as jnp

        f = jax.jit(jax.value_and_grad(lambda w, b: jax.nn.sigmoid(w * 1.0 + b), argnums=(0, 1)))
        w, b = jnp.float32(0.5), jnp.float32(0.25)

        def call() -> Any:
            y, (dw, db) = f(w, b)
            return y.block_until_ready(), dw, db

        return self._contender(call)

    def tensorflow(self, xla: bool = False) -> Contender:
        import tensorflow as tf

        @tf.function(jit_compile=xla)
        def f(w: Any, b: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch((w, b))
                y = tf.sigmoid(w * 1.0 + b)
            return (y, *tape.gradient(y, (w, b)))

        w, b = tf.constant(0.5), tf.constant(0.25)
        return self._contender(lambda: f(w, b))

    def tensorflow_xla(self) -> Contender:
        return self.tensorflow(xla=True)


class Descent(Workload):
    """A loss of a few numbers followed down for many steps, in one call from the start each time.

    A subclass gives `start()`, and the loss in each framework, of the list of the parameters. What is compared is
    the loss before the last step, and the parameters after it.
    """

    optimizer = "sgd"
    rate = 0.5
    steps: int
    tolerance = 1e-3
    slow = frozenset({"torch.compile"})  # minutes, if its call costs what a step in eager costs

    def start(self) -> list[Any]:
        """The parameters before the first step."""
        raise NotImplementedError

    loss_backlit: Any
    loss_torch: Any
    loss_jax: Any
    loss_tensorflow: Any

    @staticmethod
    def _contender(call: Any) -> Contender:
        import numpy as np

        def check() -> list[float]:
            loss, params = call()
            return [float(loss), *(float(v) for p in params for v in np.ravel(p))]

        return Contender(call, check)

    def backlit(self, compiled: bool = True) -> Contender:
        import backlit as bl
        from backlit import optim

        optimizer = {"sgd": optim.sgd, "adam": optim.adam}[self.optimizer](self.rate)

        def step(params: Any, state: Any) -> Any:
            loss, gradients = bl.value_and_grad(self.loss_backlit)(params)
            params, state = optimizer.update(params, gradients, state)
            return params, state, loss

        params = [bl.tensor(p) for p in self.start()]
        state = optimizer.init(params)
        loop: Any = bl.compile(step, threads=THREADS).repeat(self.steps, carry=2)

        def call() -> Any:
            last, _, loss = loop(params, state)
            return loss, [p.numpy() for p in last]

        return self._contender(call)

    def torch(self, compiled: bool = False) -> Contender:
        import torch

        kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[self.optimizer]
        loss_of = torch.compile(self.loss_torch) if compiled else self.loss_torch

        def call() -> Any:
            params = [torch.tensor(p, requires_grad=True) for p in self.start()]
            optimizer = kind(params, lr=self.rate, fused=True)
            for _ in range(self.steps):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(params)
                loss.backward()
                optimizer.step()
            return loss.detach(), [p.detach().numpy() for p in params]

        return self._contender(call)

    def torch_compiled(self) -> Contender:
        return self.torch(compiled=True)

    def jax(self) -> Contender:
        import jax
        import jax.numpy as jnp

        def once(_: Any, carry: Any) -> Any:
            params, state, _ = carry
            loss, gradients = jax.value_and_grad(self.loss_jax)(params)
            if self.optimizer == "sgd":
                params = [p - self.rate * g for p, g in zip(params, gradients, strict=True)]
            else:
                params, state = jax_adam(params, gradients, state, self.rate)
            return params, state, loss

        start = [jnp.asarray(p) for p in self.start()]
        zeros = [jnp.zeros_like(p) for p in start]
        state = () if self.optimizer == "sgd" else (jnp.float32(0), zeros, zeros)
        loop = jax.jit(lambda p, s: jax.lax.fori_loop(0, self.steps, once, (p, s, jnp.float32(0))))

        def call() -> Any:
            params, _, loss = loop(start, state)
            return loss.block_until_ready(), params

        return self._contender(call)

    def tensorflow(self, xla: bool = False) -> Contender:
        import tensorflow as tf

        params = [tf.Variable(p) for p in self.start()]
        if self.optimizer != "sgd":
            return self._tensorflow_adam(xla)
        update = tensorflow_update(params, "sgd", self.rate)

        @tf.function(jit_compile=xla)
        def loop() -> Any:
            for p, start in zip(params, self.start(), strict=True):
                p.assign(start)
            loss = tf.constant(0.0)
            for _ in tf.range(self.steps):
                with tf.GradientTape() as tape:
                    loss = self.loss_tensorflow(params)
                update(tape.gradient(loss, params))
            return loss

        return self._contender(lambda: (loop().numpy(), [p.numpy() for p in params]))

    def _tensorflow_adam(self, xla: bool) -> Contender:
        """Adam on values that the loop carries: its state starts anew in each call."""
        import tensorflow as tf

        @tf.function(jit_compile=xla)
        def loop() -> Any:
            params = [tf.constant(p) for p in self.start()]
            first, second = ([tf.zeros_like(p) for p in params] for _ in range(2))
            power1, power2, loss = tf.constant(1.0), tf.constant(1.0), tf.constant(0.0)
            for _ in tf.range(self.steps):
                with tf.GradientTape() as tape:
                    tape.watch(params)
                    loss = self.loss_tensorflow(params)
                power1, power2 = power1 * 0.9, power2 * 0.999
                gradients = tape.gradient(loss, params)
                first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
                second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradients, strict=True)]
                params = [
                    p - self.rate * (m / (1 - power1)) / (tf.sqrt(v / (1 - power2)) + 1e-8)
                    for p, m, v in zip(params, first, second, strict=True)
                ]
            return loss, params

        def call() -> Any:
            loss, params = loop()
            return loss.numpy(), [p.numpy() for p in params]

        return self._contender(call)

    def tensorflow_xla(self) -> Contender:
        return self.tensorflow(xla=True)


class NeuronLoop(Descent):
    """The neuron of W1 followed down in a loop."""

    key, title, unit, target = "W1loop", "the same, one step of gradient descent inside a loop", "ns", 50e-9
    rate = 0.01

    def __init__(self, steps: int = 10_000) -> None:
        self.steps = self.per = steps
        self.slow = frozenset({"torch.compile", "torch eager"})

    def start(self) -> list[Any]:
        import numpy as np

        return [np.float32(0.5), np.float32(0.25)]

    def loss_backlit(self, params: Any) -> Any:
        import backlit as bl

        return 1.0 / (1.0 + bl.exp(-(params[0] * 1.0 + params[1])))

    def loss_torch(self, params: Any) -> Any:
        import torch

        return torch.sigmoid(params[0] * 1.0 + params[1])

    def loss_jax(self, params: Any) -> Any:
        import jax

        return jax.nn.sigmoid(params[0] * 1.0 + params[1])

    def loss_tensorflow(self, params: Any) -> Any:
        import tensorflow as tf

        return tf.sigmoid(params[0] * 1.0 + params[1])


class Xor(Descent):
    """The XOR network 2-2-1 of sigmoid units, the sum of squared errors over its four points."""

    key, target = "W2", 1.4e-3
    rate = 0.5
    tolerance = 2e-2  # thirty thousand steps enlarge the rounding of the first

    def __init__(self, steps: int = 30_000) -> None:
        self.steps = steps
        self.title = f"XOR 2-2-1 of sigmoids, {steps:,} full-batch steps"

    def start(self) -> list[Any]:
        import numpy as np

        random = np.random.default_rng(3)
        return [random.normal(size=s).astype(np.float32) for s in ((2, 2), (2,), (2, 1), (1,))]

    @staticmethod
    def points() -> tuple[Any, Any]:
        """The four points and what is wanted of them."""
        import numpy as np

        x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        return x, np.array([[0], [1], [1], [0]], np.float32)

    def loss_backlit(self, params: Any) -> Any:
        import backlit as bl

        w1, b1, w2, b2 = params
        x, y = self.points()
        out = bl.sigmoid(bl.sigmoid(x @ w1 + b1) @ w2 + b2)
        return bl.sum((out - y) ** 2)

    def loss_torch(self, params: Any) -> Any:
        import torch

        w1, b1, w2, b2 = params
        x, y = self._torch_points
        out = torch.sigmoid(torch.addmm(b2, torch.sigmoid(torch.addmm(b1, x, w1)), w2))
        return ((out - y) ** 2).sum()

    def torch(self, compiled: bool = False) -> Contender:
        import torch

        self._torch_points = tuple(map(torch.tensor, self.points()))
        return super().torch(compiled)

    def loss_jax(self, params: Any) -> Any:
        import jax

        w1, b1, w2, b2 = params
        x, y = self.points()
        out = jax.nn.sigmoid(jax.nn.sigmoid(x @ w1 + b1) @ w2 + b2)
        return ((out - y) ** 2).sum()

    def loss_tensorflow(self, params: Any) -> Any:
        import tensorflow as tf

        w1, b1, w2, b2 = params
        x, y = self.points()
        out = tf.sigmoid(tf.matmul(tf.sigmoid(tf.matmul(x, w1) + b1), w2) + b2)
        return tf.reduce_sum((out - y) ** 2)


class Himmelblau(Descent):
    """Himmelblau's function (x² + y - 11)² + (x + y² - 7)² followed down by Adam.

    The rate is so small that it is still on its way at the end: then the place that is reached depends on all steps.
    """

    key, target = "W3", 0.35e-3
    optimizer, rate = "adam", 1e-4

    def __init__(self, steps: int = 20_000) -> None:
        self.steps = steps
        self.title = f"Himmelblau's function, {steps:,} Adam steps"

    def start(self) -> list[Any]:
        import numpy as np

        return [np.float32(0.5), np.float32(0.25)]

    def _loss(self, params: Any) -> Any:
        x, y = params
        a, b = x * x + y - 11.0, x + y * y - 7.0
        return a * a + b * b

    loss_backlit = loss_torch = loss_jax = loss_tensorflow = _loss
