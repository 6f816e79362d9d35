"""W4, W4e, W5, W13: networks of dense layers with ReLU, and softmax cross-entropy at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from .epochs import Epochs
from .training import Training
from .workload import THREADS, Contender, Workload, rng, stepping


def layers(sizes: Sequence[int]) -> list[Any]:
    """Weights (in, out) and biases of dense layers, of a scale that keeps that of what goes through them."""
    import numpy as np

    random, params = rng(), []
    for a, b in pairwise(sizes):
        params += [random.standard_normal((a, b), dtype=np.float32) * np.float32(a**-0.5), np.zeros(b, np.float32)]
    return params


def examples(n: int, features: int, classes: int) -> tuple[Any, Any]:
    """n random vectors and random labels."""
    import numpy as np

    random = np.random.default_rng(1)
    return random.standard_normal((n, features), dtype=np.float32), random.integers(0, classes, n)


def logits_backlit(params: Sequence[Any], x: Any) -> Any:
    """The scores of the classes."""
    import backlit as bl

    for i in range(0, len(params), 2):
        x = x @ params[i] + params[i + 1]
        x = bl.relu(x) if i + 2 < len(params) else x
    return x


def logits_torch(params: Sequence[Any], x: Any) -> Any:
    """The scores of the classes."""
    import torch

    for i in range(0, len(params), 2):
        x = torch.addmm(params[i + 1], x, params[i])
        x = torch.relu(x) if i + 2 < len(params) else x
    return x


def logits_jax(params: Sequence[Any], x: Any) -> Any:
    """The scores of the classes."""
    import jax

    for i in range(0, len(params), 2):
        x = x @ params[i] + params[i + 1]
        x = jax.nn.relu(x) if i + 2 < len(params) else x
    return x


def logits_tensorflow(params: Sequence[Any], x: Any) -> Any:
    """The scores of the classes."""
    import tensorflow as tf

    for i in range(0, len(params), 2):
        x = tf.nn.bias_add(tf.matmul(x, params[i]), params[i + 1])
        x = tf.nn.relu(x) if i + 2 < len(params) else x
    return x


def entropy_jax(logits: Any, y: Any) -> Any:
    """The mean cross-entropy."""
    import jax
    import jax.numpy as jnp

    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1).mean()


def entropy_tensorflow(logits: Any, y: Any) -> Any:
    """The mean cross-entropy."""
    import tensorflow as tf

    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=y))


def numpy_step(params: Sequence[Any], rate: float, optimizer: str, batch: int) -> Callable[[Any, Any], Any]:
    """`step(x, y)`, which changes the parameters and returns the loss; as one would write it by hand, memory reused."""
    import numpy as np

    weights, biases = params[::2], params[1::2]
    heights = [np.empty((batch, w.shape[1]), np.float32) for w in weights]
    backs = [np.empty((batch, w.shape[0]), np.float32) for w in weights]
    gradients = [np.empty_like(w) for w in weights]
    first, second, spare = ([np.zeros_like(p) for p in params] for _ in range(3))
    rows, time = np.arange(batch), 0

    def update(i: int, g: Any) -> None:
        p = params[i]
        if optimizer == "sgd":
            np.multiply(g, rate, out=spare[i])
            np.subtract(p, spare[i], out=p)
            return
        m, v, s = first[i], second[i], spare[i]
        np.multiply(m, 0.9, out=m)
        np.multiply(g, 0.1, out=s)
        np.add(m, s, out=m)
        np.multiply(g, g, out=s)
        np.multiply(s, 0.001, out=s)
        np.multiply(v, 0.999, out=v)
        np.add(v, s, out=v)
        np.multiply(v, 1 / (1 - 0.999**time), out=s)
        np.sqrt(s, out=s)
        np.add(s, 1e-8, out=s)
        np.divide(m, s, out=s)
        np.multiply(s, rate / (1 - 0.9**time), out=s)
        np.subtract(p, s, out=p)

    def step(x: Any, y: Any) -> Any:
        nonlocal time
        time += 1
        given = [x]
        for i, (w, b, h) in enumerate(zip(weights, biases, heights, strict=True)):
            np.matmul(given[-1], w, out=h)
            np.add(h, b, out=h)
            if i + 1 < len(weights):
                np.maximum(h, 0, out=h)
            given.append(h)
        z = given.pop()
        z -= z.max(1, keepdims=True)
        true = z[rows, y]
        np.exp(z, out=z)
        total = z.sum(1, keepdims=True)
        loss = (np.log(total[:, 0]) - true).mean()
        z /= total
        z[rows, y] -= 1
        z /= batch
        d = z
        for i in reversed(range(len(weights))):
            np.matmul(given[i].T, d, out=gradients[i])
            bias = d.sum(0)
            if i:
                back = np.matmul(d, weights[i].T, out=backs[i])
                np.multiply(back, given[i] > 0, out=back)
                d = back
            update(2 * i, gradients[i])
            update(2 * i + 1, bias)
        return loss

    return step


class Dense(Training):
    """One step of training on one batch."""

    def __init__(
        self, key: str, sizes: Sequence[int], batch: int, optimizer: str = "sgd", target: float | None = None
    ) -> None:
        self.key, self.sizes, self.size, self.optimizer, self.target = key, sizes, batch, optimizer, target
        self.rate = 0.05 if optimizer == "sgd" else 1e-3
        self.title = (
            f"{'-'.join(map(str, sizes))}, batch {batch}, {optimizer.upper() if optimizer == 'sgd' else 'Adam'}"
        )
        self.title += " step"
        products = [a * b for a, b in pairwise(sizes)]
        self.flops = 2.0 * batch * (3 * sum(products) - products[0])  # no derivative by x

    def start(self) -> list[Any]:
        return layers(self.sizes)

    def batch(self) -> tuple[Any, Any]:
        return examples(self.size, self.sizes[0], self.sizes[-1])

    def loss_backlit(self, params: Any, x: Any, y: Any) -> Any:
        import backlit as bl

        return bl.softmax_cross_entropy(logits_backlit(params, x), y)

    def loss_torch(self, params: Any, x: Any, y: Any) -> Any:
        import torch

        return torch.nn.functional.cross_entropy(logits_torch(params, x), y)

    def loss_jax(self, params: Any, x: Any, y: Any) -> Any:
        return entropy_jax(logits_jax(params, x), y)

    def loss_tensorflow(self, params: Any, x: Any, y: Any) -> Any:
        return entropy_tensorflow(logits_tensorflow(params, x), y)

    def numpy(self) -> Contender:
        x, y = self.batch()
        step = numpy_step(self.start(), self.rate, self.optimizer, self.size)
        return stepping(lambda: step(x, y))

    def tinygrad(self) -> Contender:
        from tinygrad import Context, Tensor, TinyJit, nn

        params = [Tensor(p).is_param_().realize() for p in self.start()]
        optimizer = {"sgd": nn.optim.SGD, "adam": nn.optim.Adam}[self.optimizer](params, lr=self.rate)
        x, y = (Tensor(v).realize() for v in self.batch())

        @TinyJit
        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            h = x
            for i in range(0, len(params), 2):
                h = h @ params[i] + params[i + 1]
                h = h.relu() if i + 2 < len(params) else h
            loss = h.sparse_categorical_crossentropy(y).backward()
            return loss.realize(*optimizer.schedule_step())

        def call() -> Any:
            with Context(TRAINING=1):
                return step(x, y).item()

        return stepping(call)


class Epoch(Epochs, Dense):
    """An epoch of steps of a perceptron."""

    def __init__(
        self, key: str, sizes: Sequence[int], batch: int, examples: int, optimizer: str, target: float | None = None
    ) -> None:
        super().__init__(key, sizes, batch, optimizer, target)
        self.title = (
            f"the same, an epoch of {examples:,} shuffled, {optimizer.upper() if optimizer == 'sgd' else 'Adam'}"
        )
        self.bytes = 4.0 * examples * sizes[0]
        self.of(examples)

    def batch(self) -> tuple[Any, Any]:
        return examples(self.examples, self.sizes[0], self.sizes[-1])

    def numpy(self) -> Contender:
        import numpy as np

        x, y = self.batch()
        step, random = numpy_step(self.start(), self.rate, self.optimizer, self.size), rng()

        def run(order: Any) -> Any:
            rows = order[: self.steps * self.size].reshape(self.steps, self.size)
            return np.array([step(x[r], y[r]) for r in rows])

        return Contender(
            lambda: run(random.permutation(self.examples)), lambda: [float(run(np.arange(self.examples)).mean())]
        )

    tinygrad = None  # type: ignore[assignment]


class Forward(Workload):
    """The scores of one example, from a NumPy array to a result that can be read."""

    unit = "us"

    def __init__(self, key: str, sizes: Sequence[int], target: float | None = None) -> None:
        self.key, self.sizes, self.target = key, sizes, target
        self.title = f"{'-'.join(map(str, sizes))} forward, one example, one call"
        self.flops = 2.0 * sum(a * b for a, b in pairwise(sizes))

    def given(self) -> tuple[list[Any], Any]:
        """Parameters and the example."""
        return layers(self.sizes), examples(1, self.sizes[0], self.sizes[-1])[0]

    def _contender(self, call: Callable[[], Any]) -> Contender:
        import numpy as np

        return Contender(call, lambda: [float(v) for v in np.asarray(call()).ravel()])

    def backlit(self, compiled: bool = True) -> Contender:
        import backlit as bl

        params, x = self.given()
        params = [bl.tensor(p) for p in params]
        scores = bl.compile(logits_backlit, threads=THREADS) if compiled else logits_backlit
        return self._contender(lambda: scores(params, x).numpy())

    def torch(self, compiled: bool = False) -> Contender:
        import torch

        params, x = self.given()
        params = [torch.tensor(p) for p in params]
        scores = torch.compile(logits_torch) if compiled else logits_torch

        @torch.inference_mode()
        def call() -> Any:
            return scores(params, torch.from_numpy(x)).numpy()

        return self._contender(call)

    def torch_compiled(self) -> Contender:
        return self.torch(compiled=True)

    def jax(self) -> Contender:
        import jax
        import jax.numpy as jnp

        params, x = self.given()
        params = [jnp.asarray(p) for p in params]
        scores = jax.jit(logits_jax)
        return self._contender(lambda: scores(params, x).block_until_ready())

    def tensorflow(self, xla: bool = False) -> Contender:
        import tensorflow as tf

        params, x = self.given()
        params = [tf.constant(p) for p in params]
        scores = tf.function(lambda x: logits_tensorflow(params, x), jit_compile=xla)
        return self._contender(lambda: scores(tf.convert_to_tensor(x)).numpy())

    def tensorflow_xla(self) -> Contender:
        return self.tensorflow(xla=True)

    def numpy(self) -> Contender:
        params, x = self.given()
        w1, b1, w2, b2 = params

        def call() -> Any:
            h = x @ w1
            h += b1
            h.clip(0, None, out=h)
            z = h @ w2
            z += b2
            return z

        return self._contender(call)

    def onnxruntime(self) -> Contender:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        params, x = self.given()
        nodes, last = [], "x"
        for i in range(0, len(params), 2):
            out = f"z{i}"
            nodes.append(helper.make_node("Gemm", [last, f"p{i}", f"p{i + 1}"], [out]))
            if i + 2 < len(params):
                nodes.append(helper.make_node("Relu", [out], [f"h{i}"]))
            last = f"h{i}" if i + 2 < len(params) else out
        graph = helper.make_graph(
            nodes, "scores",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, (1, self.sizes[-1]))],
            [numpy_helper.from_array(p, f"p{i}") for i, p in enumerate(params)],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # for one example it is faster alone
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return self._contender(lambda: session.run(None, {"x": x})[0])
