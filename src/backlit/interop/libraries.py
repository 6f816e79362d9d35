"""The libraries that a graph is run in: how each takes NumPy arrays, applies a function, and pulls cotangents back.

Values go in and come out as NumPy arrays, node by node, so that whoever compares needs to know nothing of tensors of
other libraries. They are imported when the first graph is run in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..base.dtypes import COMPLEX, FLOAT
from ..base.errors import ArgumentError
from ..base.extras import require

Array = np.ndarray[Any, Any]
Pull = Callable[[Sequence[Any]], list[Any]]


class Library:
    """One library: `module` is what its twins call.

    Attributes:
        name: as users write it.
        title: as its makers write it.
        extra: of this package, by which it is installed.
        failures: what it raises for what it cannot do.
    """

    name: str
    title: str
    extra = "compare"
    failures: tuple[type[Exception], ...] = (TypeError, ValueError, RuntimeError, NotImplementedError, IndexError)

    def __init__(self) -> None:
        self.module: Any = require(self.name, self.extra)

    @property
    def version(self) -> str:
        """Its name and version, such as `PyTorch 2.13.0`."""
        return f"{self.title} {str(self.module.__version__).partition('+')[0]}"

    def run(self, f: Callable[..., Any], args: Sequence[Any], wanted: Sequence[bool]) -> tuple[list[Array], Pull]:
        """Apply `f` to arrays; its results, and what pulls their cotangents (None where zero) back to the arguments.

        Args:
            wanted: which arguments cotangents are asked for; others are constants.
        """
        raise NotImplementedError

    def dtype(self, dtype: Any) -> Any:
        """A dtype of NumPy as this library names it."""
        raise NotImplementedError

    def transposed(self, f: Callable[[Any], Any], like: Any, g: Any) -> Any:
        """The transpose of the linear function `f` of an array like `like`, applied to `g`; differentiable in turn."""
        raise NotImplementedError

    def zeros(self, shape: Sequence[int], like: Any) -> Any:
        """Zeros of a shape, of the dtype of `like`."""
        raise NotImplementedError

    def gather(self, x: Any, positions: Any) -> Any:
        """The elements of the flattened `x` at these positions, in their shape."""
        raise NotImplementedError

    def scatter(self, y: Any, positions: Any, shape: Sequence[int]) -> Any:
        """Zeros of `shape` with the elements of `y` added at these positions of the flattened array."""
        raise NotImplementedError


class Torch(Library):
    """PyTorch, on the CPU."""

    name, title = "torch", "PyTorch"

    def _tensor(self, x: Any) -> Any:
        return self.module.from_numpy(np.array(x, order="C")) if isinstance(x, (np.ndarray, np.generic)) else x

    def run(self, f: Callable[..., Any], args: Sequence[Any], wanted: Sequence[bool]) -> tuple[list[Array], Pull]:
        torch = self.module
        tensors = [self._tensor(x) for x in args]
        moving = [t.requires_grad_() for t, w in zip(tensors, wanted, strict=True) if w]
        with torch.enable_grad():
            outs = _several(f(*tensors))
        values = [t.numpy(force=True) for t in outs]

        def pull(cotangents: Sequence[Any]) -> list[Any]:
            pairs = [(y, self._tensor(g)) for y, g in zip(outs, cotangents, strict=True)
                     if g is not None and y.requires_grad]  # fmt: skip
            found: Sequence[Any] = [None] * len(moving)
            if pairs and moving:
                ys, gs = zip(*pairs, strict=True)
                found = torch.autograd.grad(ys, moving, gs, allow_unused=True, retain_graph=True)
            return _placed([None if g is None else g.numpy(force=True) for g in found], wanted)

        return values, pull

    def dtype(self, dtype: Any) -> Any:
        return getattr(self.module, np.dtype(dtype).name)

    def transposed(self, f: Callable[[Any], Any], like: Any, g: Any) -> Any:
        torch = self.module
        with torch.enable_grad():
            x = like.detach().requires_grad_()
            return torch.autograd.grad(f(x), x, g.conj(), create_graph=True)[0].conj()  # a vjp conjugates

    def zeros(self, shape: Sequence[int], like: Any) -> Any:
        return self.module.zeros(tuple(shape), dtype=like.dtype)

    def gather(self, x: Any, positions: Any) -> Any:
        at = self.module.as_tensor(np.array(positions, np.int64))
        return x.reshape(-1)[at.reshape(-1)].reshape(at.shape)

    def scatter(self, y: Any, positions: Any, shape: Sequence[int]) -> Any:
        at = self.module.as_tensor(np.array(positions, np.int64)).reshape(-1)
        flat = y.broadcast_to(np.shape(positions)).reshape(-1)
        return y.new_zeros(int(np.prod(shape))).index_add(0, at, flat).reshape(tuple(shape))


class Jax(Library):
    """JAX, with 64-bit numbers and exact products while a node is run."""

    name, title = "jax", "JAX"

    def __init__(self) -> None:
        super().__init__()
        for part in ("numpy", "nn", "scipy.special", "scipy.linalg", "lax"):
            require(f"jax.{part}", "compare")

    @contextmanager
    def _exactly(self) -> Iterator[None]:
        jax = self.module
        in_double = jax if hasattr(jax, "enable_x64") else require("jax.experimental", "compare")
        with in_double.enable_x64(True), jax.default_matmul_precision("highest"):
            yield

    def run(self, f: Callable[..., Any], args: Sequence[Any], wanted: Sequence[bool]) -> tuple[list[Array], Pull]:
        jax = self.module

        def moved(*moving: Any) -> list[Any]:
            rest = iter(moving)
            return _several(f(*(next(rest) if w else x for x, w in zip(arrays, wanted, strict=True))))

        with self._exactly():
            arrays = [jax.numpy.asarray(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in args]
            outs, back = jax.vjp(moved, *(x for x, w in zip(arrays, wanted, strict=True) if w))
            values = [np.asarray(y) for y in outs]

        def pull(cotangents: Sequence[Any]) -> list[Any]:
            with self._exactly():
                seeds = [
                    np.zeros(y.shape, jax.dtypes.float0) if y.dtype.char not in FLOAT
                    else jax.numpy.zeros_like(y) if g is None else jax.numpy.asarray(np.conj(g))
                    for y, g in zip(values, cotangents, strict=True)
                ]  # fmt: skip
                return _placed([np.conj(np.asarray(g)) for g in back(seeds)], wanted)

        return values, pull

    def dtype(self, dtype: Any) -> Any:
        return np.dtype(dtype)

    def transposed(self, f: Callable[[Any], Any], like: Any, g: Any) -> Any:
        return self.module.vjp(f, like)[1](g)[0]

    def zeros(self, shape: Sequence[int], like: Any) -> Any:
        return self.module.numpy.zeros(tuple(shape), like.dtype)

    def gather(self, x: Any, positions: Any) -> Any:
        return x.reshape(-1)[np.asarray(positions)]

    def scatter(self, y: Any, positions: Any, shape: Sequence[int]) -> Any:
        at = np.asarray(positions).reshape(-1)
        flat = self.module.numpy.broadcast_to(y, np.shape(positions)).reshape(-1)
        return self.module.numpy.zeros(int(np.prod(shape)), y.dtype).at[at].add(flat).reshape(tuple(shape))


class TensorFlow(Library):
    """TensorFlow 2, eagerly."""

    name, title, extra = "tensorflow", "TensorFlow", "tensorflow"

    def __init__(self) -> None:
        super().__init__()
        self.failures = (*Library.failures, LookupError, self.module.errors.OpError)

    def run(self, f: Callable[..., Any], args: Sequence[Any], wanted: Sequence[bool]) -> tuple[list[Array], Pull]:
        tf = self.module
        tensors = [tf.constant(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in args]
        moving = [t for t, w in zip(tensors, wanted, strict=True) if w]
        with tf.device("CPU"), tf.GradientTape(persistent=True) as tape:
            tape.watch(moving)
            outs = _several(f(*tensors))
        values = [np.asarray(y) for y in outs]

        def pull(cotangents: Sequence[Any]) -> list[Any]:
            pairs = [(y, tf.constant(g)) for y, g, v in zip(outs, cotangents, values, strict=True)
                     if g is not None and v.dtype.char in FLOAT]  # fmt: skip
            found: Sequence[Any] = [None] * len(moving)
            if pairs and moving:
                ys, gs = zip(*pairs, strict=True)
                found = tape.gradient(list(ys), moving, output_gradients=list(gs))
            return _placed([None if g is None else np.asarray(tf.convert_to_tensor(g)) for g in found], wanted)

        return values, pull

    def dtype(self, dtype: Any) -> Any:
        return self.module.as_dtype(np.dtype(dtype))

    def transposed(self, f: Callable[[Any], Any], like: Any, g: Any) -> Any:
        tf = self.module
        with tf.GradientTape() as tape:
            tape.watch(like)
            y = f(like)
        return tf.math.conj(tape.gradient(y, like, output_gradients=tf.math.conj(g)))  # a vjp conjugates

    def zeros(self, shape: Sequence[int], like: Any) -> Any:
        return self.module.zeros(tuple(shape), like.dtype)

    def gather(self, x: Any, positions: Any) -> Any:
        return self.module.gather(self.module.reshape(x, [-1]), np.asarray(positions))

    def scatter(self, y: Any, positions: Any, shape: Sequence[int]) -> Any:
        tf = self.module
        at = np.asarray(positions).reshape(-1, 1)
        flat = tf.reshape(tf.broadcast_to(y, np.shape(positions)), [-1])
        size = np.array([np.prod(shape)], np.int64)
        return tf.reshape(tf.scatter_nd(at.astype(np.int64), flat, size), tuple(shape))


#: By the name that users write.
LIBRARIES: dict[str, type[Library]] = {"torch": Torch, "jax": Jax, "tensorflow": TensorFlow}


def library(name: str, where: str = "compare") -> Library:
    """The library of a name.

    Raises:
        ArgumentError: a name that is not known.
        MissingExtra: it is not installed.
    """
    if name not in LIBRARIES:
        raise ArgumentError(f"{where}: against={name!r}; expected one of {', '.join(map(repr, LIBRARIES))}.")
    return LIBRARIES[name]()


def moves(x: Any) -> bool:
    """Has an input a derivative: is it an array of floating-point or complex numbers?"""
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.char in FLOAT


def is_complex(x: Any) -> bool:
    """Is it an array of complex numbers?"""
    return x.dtype.char in COMPLEX


def _several(out: Any) -> list[Any]:
    return list(out) if isinstance(out, (tuple, list)) else [out]


def _placed(found: Sequence[Any], wanted: Sequence[bool]) -> list[Any]:
    """What was found, at the places of those that were wanted; None elsewhere."""
    rest = iter(found)
    return [next(rest) if w else None for w in wanted]
