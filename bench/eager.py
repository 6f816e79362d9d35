"""Eager cost side by side: Backlit, PyTorch, JAX and NumPy by hand, interleaved in one run, medians.

    make bench                      (makes the environment with the peers; its figures are of compiled plans)
    .venv-peers/bin/python bench/eager.py [--rounds 15] [--threads 2]

Losses are compared before anything is timed. `OPENBLAS_CORETYPE` is unset first, because some machines use it
to hold NumPy's matrix products back.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

Step = Callable[[], Any]


def restart_clean(threads: int) -> None:
    """Run anew with the environment that a fair comparison needs; BLAS reads it when it is loaded."""
    wanted = {k: str(threads) for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    if "OPENBLAS_CORETYPE" not in os.environ and all(os.environ.get(k) == v for k, v in wanted.items()):
        return
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"} | wanted
    sys.exit(subprocess.call([sys.executable, *sys.argv], env=environment))


def interleaved(steps: dict[str, Step], rounds: int, budget: float = 0.05) -> dict[str, list[float]]:
    """Seconds a call, `rounds` samples each, the contenders taking turns so that noise hits all alike."""
    counts: dict[str, int] = {}
    for name, step in steps.items():
        for _ in range(3):
            step()
        start = time.perf_counter()
        step()
        counts[name] = max(1, int(budget / max(time.perf_counter() - start, 1e-7)))
    samples: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                step()
            samples[name].append((time.perf_counter() - start) / counts[name])
    return samples


def descend(loss: Any, params: list[Any], rate: float) -> None:
    """One step of gradient descent with Backlit, eagerly."""
    import backlit as bl

    loss.backward()
    with bl.no_grad():
        for p in params:
            p -= rate * p.grad
            p.grad = None


def torch_descent(params: list[Any], loss_of: Step, rate: float) -> Step:
    """One step of gradient descent with PyTorch, its optimizer fused."""
    import torch

    optimizer = torch.optim.SGD(params, lr=rate, fused=True)

    def step() -> Any:
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def jax_descent(start: list[Any], loss_of: Callable[[Any], Any], rate: float) -> Step:
    """One step of gradient descent with JAX, compiled."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def update(p: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(p)
        return loss, [a - rate * b for a, b in zip(p, g, strict=True)]

    state = [jnp.asarray(p) for p in start]

    def step() -> Any:
        nonlocal state
        loss, state = update(state)
        return loss.block_until_ready()

    return step


def neuron(peers: set[str]) -> dict[str, Step]:
    """1/(1 + exp(-(w x + b))) of scalars: value and both gradients."""
    import backlit as bl

    w, b = bl.tensor(0.0, requires_grad=True), bl.tensor(0.0, requires_grad=True)

    def ours() -> Any:
        w.grad = b.grad = None
        y = 1.0 / (1.0 + bl.exp(-(w * 1.0 + b)))
        y.backward()
        return w.grad

    steps: dict[str, Step] = {"backlit": ours}
    if "torch" in peers:
        import torch

        tw, tb = (torch.tensor(0.0, requires_grad=True) for _ in range(2))

        def theirs() -> Any:
            tw.grad = tb.grad = None
            y = 1.0 / (1.0 + torch.exp(-(tw * 1.0 + tb)))
            y.backward()
            return tw.grad

        steps["torch eager"] = theirs
    if "jax" in peers:
        import jax
        import jax.numpy as jnp

        f = jax.jit(jax.value_and_grad(lambda w, b: 1.0 / (1.0 + jnp.exp(-(w * 1.0 + b))), argnums=(0, 1)))
        zero = jnp.float32(0)
        steps["jax.jit"] = lambda: jax.block_until_ready(f(zero, zero))[1][0]
    return steps


def static_perceptron(x: Any, y: Any, start: list[Any], rate: float) -> Step:
    """The same step as a static graph, run by a session."""
    import backlit as bl
    from backlit import static

    graph = static.Graph()
    with graph.as_default():
        images = static.placeholder(bl.float32, (None, 784))
        labels = static.placeholder(bl.int64, (None,))
        w1, b1, w2, b2 = (static.Variable(p) for p in start)
        loss = bl.softmax_cross_entropy(bl.relu(images @ w1 + b1) @ w2 + b2, labels)
        train = static.GradientDescentOptimizer(rate).minimize(loss)
        session = static.Session()
        session.run(static.global_variables_initializer())
    return lambda: session.run([loss, train], {images: x, labels: y})[0]


def perceptron(peers: set[str], batch: int = 128) -> dict[str, Step]:
    """One step of gradient descent of a 784-128-10 network with ReLU and softmax cross-entropy."""
    import numpy as np

    import backlit as bl

    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 784), dtype=np.float32)
    y = rng.integers(0, 10, batch)
    start = [
        rng.standard_normal((784, 128), dtype=np.float32) * 0.05,
        np.zeros(128, np.float32),
        rng.standard_normal((128, 10), dtype=np.float32) * 0.1,
        np.zeros(10, np.float32),
    ]
    rate = 0.01
    bx, by = bl.tensor(x), bl.tensor(y)
    params = [bl.tensor(p, requires_grad=True) for p in start]

    def ours() -> Any:
        w1, b1, w2, b2 = params
        loss = bl.softmax_cross_entropy(bl.relu(bx @ w1 + b1) @ w2 + b2, by)
        descend(loss, params, rate)
        return loss

    n1, c1, n2, c2 = (p.copy() for p in start)
    rows = np.arange(batch)

    def by_hand() -> Any:
        h = np.maximum(x @ n1 + c1, 0)
        z = h @ n2 + c2
        z -= z.max(1, keepdims=True)
        e = np.exp(z)
        s = e.sum(1, keepdims=True)
        loss = (np.log(s[:, 0]) - z[rows, y]).mean()
        d = e / s
        d[rows, y] -= 1
        d /= batch
        dh = (d @ n2.T) * (h > 0)
        for p, g in ((n2, h.T @ d), (c2, d.sum(0)), (n1, x.T @ dh), (c1, dh.sum(0))):
            p -= rate * g
        return loss

    steps: dict[str, Step] = {
        "backlit": ours,
        "backlit static": static_perceptron(x, y, start, rate),
        "NumPy by hand": by_hand,
    }
    if "torch" in peers:
        import torch
        from torch.nn.functional import cross_entropy

        tx, ty = torch.tensor(x), torch.tensor(y)
        tp = [torch.tensor(p, requires_grad=True) for p in start]

        def theirs() -> Any:
            return cross_entropy(torch.addmm(tp[3], torch.relu(torch.addmm(tp[1], tx, tp[0])), tp[2]), ty)

        steps["torch eager"] = torch_descent(tp, theirs, rate)
    if "jax" in peers:
        import jax
        import jax.numpy as jnp

        def loss_of(p: Any) -> Any:
            z = jax.nn.relu(x @ p[0] + p[1]) @ p[2] + p[3]
            return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()

        steps["jax.jit"] = jax_descent(start, loss_of, rate)
    return steps


def lenet(peers: set[str], batch: int = 128) -> dict[str, Step]:
    """One step of gradient descent of a small LeNet: two convolutions with ReLU and maximum pooling, a dense layer."""
    import numpy as np

    import backlit as bl

    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 1, 28, 28), dtype=np.float32)
    y = rng.integers(0, 10, batch)
    shapes = ((8, 1, 5, 5), (8,), (16, 8, 5, 5), (16,), (256, 10), (10,))
    start = [rng.standard_normal(s, dtype=np.float32) * 0.05 for s in shapes]
    rate = 0.01
    bx, by = bl.tensor(x), bl.tensor(y)
    params = [bl.tensor(p, requires_grad=True) for p in start]

    def ours() -> Any:
        k1, c1, k2, c2, w, b = params
        h = bl.max_pool2d(bl.relu(bl.conv2d(bx, k1, c1)), 2)
        h = bl.max_pool2d(bl.relu(bl.conv2d(h, k2, c2)), 2)
        loss = bl.softmax_cross_entropy(h.reshape((batch, 256)) @ w + b, by)
        descend(loss, params, rate)
        return loss

    steps: dict[str, Step] = {"backlit": ours}
    if "torch" in peers:
        import torch
        from torch.nn.functional import conv2d, cross_entropy, max_pool2d

        tx, ty = torch.tensor(x), torch.tensor(y)
        tp = [torch.tensor(p, requires_grad=True) for p in start]

        def theirs() -> Any:
            h = max_pool2d(torch.relu(conv2d(tx, tp[0], tp[1])), 2)
            h = max_pool2d(torch.relu(conv2d(h, tp[2], tp[3])), 2)
            return cross_entropy(torch.addmm(tp[5], h.flatten(1), tp[4]), ty)

        steps["torch eager"] = torch_descent(tp, theirs, rate)
    if "jax" in peers:
        import jax
        import jax.numpy as jnp
        from jax import lax

        def layer(h: Any, k: Any, b: Any) -> Any:
            h = jax.nn.relu(lax.conv_general_dilated(h, k, (1, 1), "VALID") + b[:, None, None])
            return lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

        def loss_of(p: Any) -> Any:
            h = layer(layer(x, p[0], p[1]), p[2], p[3])
            z = h.reshape((batch, 256)) @ p[4] + p[5]
            return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()

        steps["jax.jit"] = jax_descent(start, loss_of, rate)
    return steps


def report(title: str, samples: dict[str, list[float]], unit: float, name: str) -> dict[str, float]:
    """Print medians with their spread, and each contender's time as a multiple of Backlit's."""
    medians = {k: statistics.median(v) for k, v in samples.items()}
    print(f"\n{title}")
    for k, v in sorted(medians.items(), key=lambda item: item[1]):
        low, high = min(samples[k]) / unit, max(samples[k]) / unit
        print(f"  {k:<16}{v / unit:10.2f} {name}   ({low:.2f} to {high:.2f})   {v / medians['backlit']:6.2f} of ours")
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", help="write the medians, in seconds, to this file")
    options = parser.parse_args()
    restart_clean(options.threads)
    peers = {name for name in ("torch", "jax") if importlib.util.find_spec(name)}
    if "torch" in peers:
        import torch

        torch.set_num_threads(options.threads)
    results: dict[str, dict[str, float]] = {}
    for title, make, unit, name in (
        ("Neuron of scalars, forward and backward", neuron, 1e-6, "us"),
        ("784-128-10, batch 128, one SGD step", perceptron, 1e-3, "ms"),
        ("LeNet of 8 and 16 channels, 28x28, batch 128, one SGD step", lenet, 1e-3, "ms"),
    ):
        steps = make(peers)
        first = {k: float(step()) for k, step in steps.items()}
        if max(first.values()) - min(first.values()) > 1e-4 * max(map(abs, first.values())):
            raise SystemExit(f"{title}: the contenders disagree: {first}")
        results[title] = report(title, interleaved(steps, options.rounds), unit, name)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
