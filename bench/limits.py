"""What the machine can do: the fastest matrix product and the fastest walk through memory of any contender."""

from __future__ import annotations

from typing import Any

from .workload import THREADS, Contender, Workload, rng


def _in_place(function: Any, compiled: bool, old: Any, *given: Any) -> Any:
    """A call that gives `function(old, *given)` the result before to write over."""
    import backlit as bl

    f = bl.compile(function, donate="old", threads=THREADS) if compiled else function

    def call() -> Any:
        nonlocal old
        old = f(old, *given)
        return old

    return call


class Product(Workload):
    """A product of square matrices; the best FLOPs a second of all of these stand for the machine's limit."""

    def __init__(self, n: int) -> None:
        self.key, self.n, self.flops = f"P{n}", n, 2.0 * n**3
        self.title = f"limit of arithmetic: matrix product {n}³"

    def given(self) -> tuple[Any, Any]:
        """Both matrices."""
        import numpy as np

        random = rng()
        return tuple(random.standard_normal((2, self.n, self.n), dtype=np.float32))  # type: ignore[return-value]

    @staticmethod
    def _contender(call: Any) -> Contender:
        import numpy as np

        return Contender(call, lambda: [float(np.abs(np.asarray(call())).mean())])

    def backlit(self, compiled: bool = True) -> Contender:
        import backlit as bl

        def product(old: Any, a: Any, b: Any) -> Any:
            return a @ b

        a, b = map(bl.tensor, self.given())
        return self._contender(_in_place(product, compiled, bl.zeros((self.n, self.n)), a, b))

    def numpy(self) -> Contender:
        import numpy as np

        a, b = self.given()
        c = np.empty_like(a)
        return self._contender(lambda: np.matmul(a, b, out=c))

    def torch(self) -> Contender:
        import torch

        a, b = map(torch.tensor, self.given())
        c = torch.empty_like(a)
        return self._contender(lambda: torch.mm(a, b, out=c))

    def jax(self) -> Contender:
        import jax
        import jax.numpy as jnp

        a, b = map(jnp.asarray, self.given())
        f = jax.jit(jnp.matmul)
        return self._contender(lambda: f(a, b).block_until_ready())


class Triad(Workload):
    """a = b + s c over arrays that fit no cache (McCalpin, STREAM): the best bytes a second are the limit of memory."""

    key = "Ptriad"

    def __init__(self, n: int = 1 << 24) -> None:
        self.n, self.bytes = n, 12.0 * n
        self.title = "limit of memory: a = b + s c, 64 MB each"

    def given(self) -> tuple[Any, Any]:
        """b and c."""
        import numpy as np

        random = rng()
        return random.random(self.n, np.float32), random.random(self.n, np.float32)

    @staticmethod
    def _contender(call: Any) -> Contender:
        import numpy as np

        return Contender(call, lambda: [float(np.asarray(call())[::1009].mean())])

    def backlit(self, compiled: bool = True) -> Contender:
        import backlit as bl

        def triad(old: Any, b: Any, c: Any) -> Any:
            return b + 3.0 * c

        b, c = map(bl.tensor, self.given())
        return self._contender(_in_place(triad, compiled, bl.zeros(self.n), b, c))

    def torch(self) -> Contender:
        import torch

        b, c = map(torch.tensor, self.given())
        a = torch.zeros_like(b)
        return self._contender(lambda: torch.add(b, c, alpha=3.0, out=a))

    def jax(self) -> Contender:
        import jax
        import jax.numpy as jnp

        b, c = map(jnp.asarray, self.given())
        f = jax.jit(lambda a, b, c: b + 3.0 * c, donate_argnums=0, keep_unused=True)
        a = jnp.zeros(self.n)

        def call() -> Any:
            nonlocal a
            a = f(a, b, c).block_until_ready()
            return a

        return self._contender(call)
