"""Twins in PyTorch of ops that are made of other ops: functions of the same arguments, with torch tensors for arrays.

The ops that they are made of have theirs in `backlit.interop.twins`. Here torch's own function of the whole is meant,
and of a few others what is looked at up to signs or for Hermitian matrices only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")
F: Any = torch.nn.functional

Twin = Callable[..., Any]

LINALG = "matrix_power cholesky eigh eigvalsh eig".split()  # noqa: SIM905


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)


def reduction(name: str) -> Twin:
    def twin(x: Any, axis: Any = None, keepdims: bool = False, correction: Any = None) -> Any:
        extra = {} if correction is None and name not in ("var", "std") else {"correction": correction or 0}
        return getattr(torch, name)(x, dim=axes_of(x, axis), keepdim=keepdims, **extra)

    return twin


def running(name: str, start: float | None = None) -> Twin:
    def twin(x: Any, axis: Any = None, include_initial: bool = False) -> Any:
        found = getattr(torch, name)(x, 0 if axis is None else axis)
        found = found if torch.is_tensor(found) else found.values
        if include_initial:
            first = torch.full_like(found.narrow(axis, 0, 1), start)
            found = torch.cat([first, found], axis)
        return found

    return twin


def conv(n: int) -> Twin:
    def twin(x: Any, w: Any, b: Any = None, stride: int = 1, padding: Any = 0, groups: int = 1) -> Any:
        if padding == "same":  # as TensorFlow has it: ceil(size / stride) outputs, the odd zero at the end
            pads: list[int] = []
            for size, k in zip(x.shape[2:], w.shape[2:], strict=True):
                total = max((math.ceil(size / stride) - 1) * stride + k - size, 0)
                pads = [total // 2, total - total // 2, *pads]
            x, padding = F.pad(x, pads), 0
        return getattr(F, f"conv{n}d")(x, w, b, stride=stride, padding=padding, groups=groups)

    return twin


def conv_transpose(n: int) -> Twin:
    return lambda x, w, b=None, **kwargs: getattr(F, f"conv_transpose{n}d")(x, w, b, **kwargs)


def pool(name: str) -> Twin:
    return lambda x, window, stride=None, padding=0: getattr(F, name)(x, window, stride=stride, padding=padding)


def adaptive(kind: str) -> Twin:
    return lambda x, size: getattr(F, f"adaptive_{kind}_pool{x.ndim - 2}d")(x, size)


def padded(x: Any, width: Any, mode: str = "constant", value: float = 0.0) -> Any:
    pairs = width if isinstance(width, tuple) and isinstance(width[0], tuple) else (width,) * x.ndim
    both = [p if isinstance(p, tuple) else (p, p) for p in pairs]
    if mode == "constant":
        return F.pad(x, [n for pair in reversed(both) for n in pair], value=value)
    for axis, (before, after) in enumerate(both):
        size = x.shape[axis]
        at = torch.arange(-before, size + after)
        if mode == "wrap":
            at = at % size
        elif mode == "edge":
            at = at.clip(0, size - 1)
        else:
            period = 2 * size - (2 if mode == "reflect" else 0)
            at = at % period
            at = torch.where(at < size, at, period - at - (0 if mode == "reflect" else 1))
        x = x.index_select(axis, at)
    return x


def put(x: Any, at: Any, y: Any) -> Any:
    last = {int(place): i for i, place in enumerate(at)}
    chosen = y[torch.tensor(list(last.values()))]
    return x.reshape(-1).index_put((torch.tensor(list(last)),), chosen).reshape(x.shape)


def put_along(x: Any, at: Any, y: Any, axis: int) -> Any:
    places = torch.take_along_dim(torch.arange(x.numel()).reshape(x.shape), at % x.shape[axis], axis)
    return put(x, places.reshape(-1), y.reshape(-1))


def split(x: Any, parts: Any, axis: int = 0) -> Any:
    return torch.tensor_split(x, parts, dim=axis)


def repeated(x: Any, repeats: Any, axis: int | None = None) -> Any:
    return x.repeat_interleave(repeats, axis) if axis is not None else x.repeat_interleave(repeats)


def attended(q: Any, k: Any, v: Any, mask: Any = None, scale: Any = None, causal: bool = False) -> Any:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, is_causal=causal)


def huber(x: Any, y: Any, delta: float = 1.0, reduction: str = "mean") -> Any:
    return F.huber_loss(x, y, delta=delta, reduction=reduction)


def segment_sum(x: Any, ids: Any, count: int) -> Any:
    return x.new_zeros(count, *x.shape[1:]).index_add(0, ids, x)


def segment_mean(x: Any, ids: Any, count: int) -> Any:
    counts = torch.bincount(ids, minlength=count).clip(min=1).reshape(-1, *[1] * (x.ndim - 1))
    return segment_sum(x, ids, count) / counts


def spectrum(name: str) -> Twin:
    def twin(x: Any, **kwargs: Any) -> Any:
        renamed = {{"axis": "dim", "axes": "dim"}.get(k, k): v for k, v in kwargs.items()}
        return getattr(torch.fft, name)(x, **renamed)

    return twin


def dyads(left: Any, right: Any) -> Any:
    return torch.einsum("...ik,...jk->...kij", left, right.conj())


def lstsq(a: Any, b: Any) -> Any:
    return torch.linalg.pinv(a) @ b


def triangular(a: Any, b: Any, upper: bool = False, unit_diagonal: bool = False) -> Any:
    columns = b if b.ndim > 1 else b[:, None]
    found = torch.linalg.solve_triangular(a, columns, upper=upper, unitriangular=unit_diagonal)
    return found if b.ndim > 1 else found[:, 0]


def traced(x: Any, offset: int = 0) -> Any:
    return torch.diagonal(x, offset, -2, -1).sum(-1)


def top_k(x: Any, k: int, axis: int = -1, largest: bool = True) -> Any:
    return tuple(torch.topk(x, k, dim=axis, largest=largest))


def diff(x: Any, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    return torch.diff(x, n=n, dim=axis, prepend=prepend, append=append)


TWINS: dict[str, Twin] = {
    **{name: getattr(torch.linalg, name) for name in LINALG},
    **{name: spectrum(name) for name in "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft".split()},  # noqa: SIM905
    **{f"conv{n}d": conv(n) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": conv_transpose(n) for n in (1, 2, 3)},
    **{f"{kind}_pool{n}d": pool(f"{kind}_pool{n}d") for n in (1, 2, 3) for kind in ("avg", "max")},
    "adaptive_avg_pool": adaptive("avg"), "adaptive_max_pool": adaptive("max"),
    "glu": lambda x, axis=-1: F.glu(x, axis),
    "broadcast_arrays": lambda *xs: torch.broadcast_tensors(*xs),
    "flatten": lambda x, start=0: x.flatten(start),
    "moveaxis": torch.movedim, "swapaxes": torch.swapaxes, "tile": torch.tile,
    "take_along_axis": lambda x, at, axis: torch.take_along_dim(x, at, axis),
    "put_along_axis": put_along, "repeat": repeated,
    "einsum": lambda term, *xs: torch.einsum(term, *xs),
    "linear": lambda x, w, b: x @ w + (0 if b is None else b), "outer": torch.outer,
    "vecdot": lambda a, b, axis=-1: (a.conj() * b).sum(axis),
    "tensordot": lambda a, b, axes=2: torch.tensordot(a, b, axes),
    "cumulative_max": running("cummax"), "cumulative_min": running("cummin"),
    "scaled_dot_product_attention": attended,
    "meshgrid": lambda *xs, indexing="xy": torch.meshgrid(*xs, indexing=indexing),
    "lstsq": lstsq, "solve_triangular": triangular, "trace": traced,
    "cholesky": lambda x, upper=False: torch.linalg.cholesky(x, upper=upper),
    "cross": lambda a, b, axis=-1: torch.linalg.cross(a, b, dim=axis),
    "svd": lambda x, full_matrices=True: torch.linalg.svd(x, full_matrices=full_matrices),
    "vector_norm": lambda x, axis=None, keepdims=False, ord=2: torch.linalg.vector_norm(x, ord, axis, keepdim=keepdims),
    "matrix_norm": lambda x, keepdims=False, ord="fro": torch.linalg.matrix_norm(x, ord, keepdim=keepdims),
    "fftshift": lambda x, axes=None: torch.fft.fftshift(x, axes),
    "ifftshift": lambda x, axes=None: torch.fft.ifftshift(x, axes),
    "mse": F.mse_loss, "mae": F.l1_loss, "huber": huber,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "pad": padded,
    "global_avg_pool": lambda x, keepdims=False: x.mean((2, 3), keepdim=keepdims),
    "global_max_pool": lambda x, keepdims=False: x.amax((2, 3), keepdim=keepdims),
    "embedding": lambda ids, table: table[ids], "segment_mean": segment_mean,
    "unique_values": torch.unique, "unique_counts": lambda x: torch.unique(x, return_counts=True),
    "unique_inverse": lambda x: torch.unique(x, return_inverse=True),
    "top_k": top_k, "diff": diff,
}  # fmt: skip

#: Ops without a twin, with the reason.
WITHOUT = {
    **dict.fromkeys(("uniform", "normal"), "torch draws other random numbers: it has no keys"),
    "unique_all": "torch does not tell where a value comes first",
}  # fmt: skip
