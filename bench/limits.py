"""What the machine can do: the fastest matrix product and the fastest walk through memory of any contender."""

from __future__ import annotations

from typing import Any

from .workload import THREADS, Contender, Workload, rng


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

        a, b = map(bl.tensor, self.given())

        def product(a: Any, b: Any, old: Any) -> Any:
            return a @ b

        f = bl.compile(product, donate="old", threads=THREADS) if compiled else product
        c = bl.zeros((self.n, self.n))

        def call() -> Any:
            nonlocal c
            c = f(a, b, c)
            return c

        return self._contender(call)

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

        b, c = map(bl.tensor, self.given())

        def triad(a: Any, b: Any, c: Any) -> Any:
            return b + 3.0 * c

        f = bl.compile(triad, donate="a", threads=THREADS) if compiled else triad
        a = bl.zeros(self.n)

        def call() -> Any:
            nonlocal a
            a = f(a, b, c)
            return a

        return self._contender(call)

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
