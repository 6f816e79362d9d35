"""For each op its twin in PyTorch: a function of the same arguments, with torch tensors in the place of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")
F: Any = torch.nn.functional

Twin = Callable[..., Any]

#: Of the same name and arguments in both.
SAME = """
    logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_left_shift
    bitwise_right_shift isfinite isinf isnan isclose where maximum minimum nan_to_num angle exp expm1 log log1p log2
    log10 logaddexp add subtract multiply divide negative positive reciprocal floor_divide remainder abs hypot square
    sqrt rsqrt pow erf erfc lgamma digamma polygamma sinc sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh
    atanh sigmoid erfinv floor ceil trunc round copysign signbit nextafter
""".split()  # noqa: SIM905

#: Activations by their names in torch.nn.functional.
ACTIVATIONS = {
    "log_sigmoid": "logsigmoid", "softsign": "softsign", "silu": "silu", "mish": "mish", "relu": "relu",
    "relu6": "relu6", "leaky_relu": "leaky_relu", "elu": "elu", "celu": "celu", "selu": "selu",
    "hard_tanh": "hardtanh", "hard_sigmoid": "hardsigmoid", "hard_swish": "hardswish",
}  # fmt: skip

LINALG = "solve inv det slogdet matrix_power cross cholesky eigh eigvalsh eig eigvals svdvals".split()  # noqa: SIM905


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)


def reduction(name: str) -> Twin:
    def twin(x: Any, axis: Any = None, keepdims: bool = False, correction: Any = None) -> Any:
        extra = {} if correction is None and name not in ("var", "std") else {"correction": correction or 0}
        return getattr(torch, name)(x, dim=axes_of(x, axis), keepdim=keepdims, **extra)

    return twin


def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return x.prod() if axis is None else x.prod(axis, keepdim=keepdims)


def truth(name: str) -> Twin:
    def twin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return getattr(torch, name)(x, dim=axes_of(x, axis), keepdim=keepdims) if x.ndim else getattr(torch, name)(x)

    return twin


def counted(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return (x != 0).sum(axes_of(x, axis), keepdim=keepdims)


def running(name: str, start: float | None = None) -> Twin:
    def twin(x: Any, axis: Any = None, include_initial: bool = False) -> Any:
        found = getattr(torch, name)(x, 0 if axis is None else axis)
        found = found if torch.is_tensor(found) else found.values
        if include_initial:
            first = torch.full_like(found.narrow(axis, 0, 1), start)
            found = torch.cat([first, found], axis)
        return found

    return twin


def place_of(name: str) -> Twin:
    return lambda x, axis=None, keepdims=False: getattr(torch, name)(x, dim=axis, keepdim=keepdims)


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


def indexed(x: Any, index: Any) -> Any:
    """PyTorch takes no negative steps: reverse first."""
    items = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, slice) and (i.step or 1) < 0 for i in items):
        assert items[0] == slice(None, None, -2)
        x, items = x.flip(0), (slice(None, None, 2), *items[1:])
    return x[items]


def addressed(x: Any, index: Any, y: Any) -> tuple[Any, Any]:
    """The flat positions that an index names, and what comes to each."""
    at = torch.arange(x.numel()).reshape(x.shape)[index]
    return at.reshape(-1), torch.as_tensor(y, dtype=x.dtype).broadcast_to(at.shape).reshape(-1)


def updated(x: Any, index: Any, y: Any) -> Any:
    """Of values for one place the last stays; torch would give all of them a gradient."""
    return put(x, *addressed(x, index, y))


def put(x: Any, at: Any, y: Any) -> Any:
    last = {int(place): i for i, place in enumerate(at)}
    chosen = y[torch.tensor(list(last.values()))]
    return x.reshape(-1).index_put((torch.tensor(list(last)),), chosen).reshape(x.shape)


def added(x: Any, index: Any, y: Any) -> Any:
    """An index taken twice adds twice."""
    at, y = addressed(x, index, y)
    return x.reshape(-1).index_add(0, at, y).reshape(x.shape)


def put_along(x: Any, at: Any, y: Any, axis: int) -> Any:
    places = torch.take_along_dim(torch.arange(x.numel()).reshape(x.shape), at % x.shape[axis], axis)
    return put(x, places.reshape(-1), y.reshape(-1))


def clipped(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else torch.maximum(x, torch.as_tensor(min, dtype=x.dtype))
    return x if max is None else torch.minimum(x, torch.as_tensor(max, dtype=x.dtype))


def one_hot(x: Any, n: int, axis: int = -1, dtype: Any = None) -> Any:
    return F.one_hot(x, n).movedim(-1, axis).to(torch.float32 if dtype is None else torch.float64)


def taken(x: Any, indices: Any, axis: int = 0) -> Any:
    return x.movedim(axis, 0)[indices].movedim(tuple(range(indices.ndim)), tuple(range(axis, axis + indices.ndim)))


def split(x: Any, parts: Any, axis: int = 0) -> Any:
    return torch.tensor_split(x, parts, dim=axis)


def repeated(x: Any, repeats: Any, axis: int | None = None) -> Any:
    return x.repeat_interleave(repeats, axis) if axis is not None else x.repeat_interleave(repeats)


def expanded(x: Any, axis: Any) -> Any:
    for a in sorted(axis) if isinstance(axis, tuple) else [axis]:
        x = x.unsqueeze(a)
    return x


def attended(q: Any, k: Any, v: Any, mask: Any = None, scale: Any = None, causal: bool = False) -> Any:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, is_causal=causal)


def cross_entropy(x: Any, labels: Any, axis: int = -1, reduction: str = "mean") -> Any:
    logits = x.movedim(axis, 1)
    soft = labels.movedim(axis, 1) if labels.is_floating_point() else labels
    return F.cross_entropy(logits, soft, reduction=reduction)


def huber(x: Any, y: Any, delta: float = 1.0, reduction: str = "mean") -> Any:
    return F.huber_loss(x, y, delta=delta, reduction=reduction)


def segment_sum(x: Any, ids: Any, count: int) -> Any:
    return x.new_zeros(count, *x.shape[1:]).index_add(0, ids, x)


def segment_mean(x: Any, ids: Any, count: int) -> Any:
    counts = torch.bincount(ids, minlength=count).clip(min=1).reshape(-1, *[1] * (x.ndim - 1))
    return segment_sum(x, ids, count) / counts


def segment_max(x: Any, ids: Any, count: int) -> Any:
    at = ids.reshape(-1, *[1] * (x.ndim - 1)).expand_as(x)
    return x.new_full((count, *x.shape[1:]), -math.inf).scatter_reduce(0, at, x, "amax")


def spectrum(name: str) -> Twin:
    def twin(x: Any, **kwargs: Any) -> Any:
        renamed = {{"axis": "dim", "axes": "dim"}.get(k, k): v for k, v in kwargs.items()}
        return getattr(torch.fft, name)(x, **renamed)

    return twin


def lstsq(a: Any, b: Any) -> Any:
    return torch.linalg.pinv(a) @ b


def triangular(a: Any, b: Any, upper: bool = False, unit_diagonal: bool = False) -> Any:
    columns = b if b.ndim > 1 else b[:, None]
    found = torch.linalg.solve_triangular(a, columns, upper=upper, unitriangular=unit_diagonal)
    return found if b.ndim > 1 else found[:, 0]


def rank(x: Any, rtol: float | None = None) -> Any:
    return torch.linalg.matrix_rank(x, rtol=rtol)


def traced(x: Any, offset: int = 0) -> Any:
    return torch.diagonal(x, offset, -2, -1).sum(-1)


def top_k(x: Any, k: int, axis: int = -1, largest: bool = True) -> Any:
    return tuple(torch.topk(x, k, dim=axis, largest=largest))


def ordered(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    return torch.sort(x, dim=axis, descending=descending, stable=stable)


def diff(x: Any, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    return torch.diff(x, n=n, dim=axis, prepend=prepend, append=append)


def dyads(left: Any, right: Any) -> Any:
    return torch.einsum("...ik,...jk->...kij", left, right.conj())


def rolled(x: Any, shift: Any, axis: Any = None) -> Any:
    return torch.roll(x, shift, axis)


def concat(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    return torch.cat([a.reshape(-1) for a in arrays]) if axis is None else torch.cat(list(arrays), axis)


TWINS: dict[str, Twin] = {
    **{name: getattr(torch, name) for name in SAME},
    **{name: getattr(F, theirs) for name, theirs in ACTIVATIONS.items()},
    **{name: getattr(torch.linalg, name) for name in LINALG},
    **{name: spectrum(name) for name in "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft".split()},  # noqa: SIM905
    **{f"conv{n}d": conv(n) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": conv_transpose(n) for n in (1, 2, 3)},
    **{f"{kind}_pool{n}d": pool(f"{kind}_pool{n}d") for n in (1, 2, 3) for kind in ("avg", "max")},
    "adaptive_avg_pool": adaptive("avg"), "adaptive_max_pool": adaptive("max"),
    "add": lambda a, b: a + b, "copy": lambda x: x.clone(), "conj": torch.conj_physical,
    "real": lambda x: x.real, "imag": lambda x: x.imag if x.is_complex() else torch.zeros_like(x),
    "equal": torch.eq, "not_equal": torch.ne, "less": torch.lt, "less_equal": torch.le, "greater": torch.gt,
    "greater_equal": torch.ge, "bitwise_invert": torch.bitwise_not, "sign": torch.sgn,
    "clip": clipped,
    "isin": lambda x, y, invert=False: torch.isin(x, y, invert=invert),
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "gelu": lambda x, approximate=False: F.gelu(x, approximate=approximate or "none"),
    "glu": lambda x, axis=-1: F.glu(x, axis),
    "astype": lambda x, dtype: x.to({"float64": torch.float64, "complex128": torch.complex128}[dtype.__name__]),
    "broadcast_to": lambda x, shape: torch.as_tensor(x).broadcast_to(shape),
    "broadcast_arrays": lambda *xs: torch.broadcast_tensors(*xs),
    "reshape": lambda x, shape: torch.as_tensor(x).reshape(shape), "expand_dims": expanded,
    "squeeze": lambda x, axis: x.squeeze(axis), "flatten": lambda x, start=0: x.flatten(start),
    "permute_dims": lambda x, axes: x.permute(axes), "matrix_transpose": lambda x: x.mT,
    "moveaxis": torch.movedim, "swapaxes": torch.swapaxes, "tile": torch.tile, "roll": rolled,
    "flip": lambda x, axis=None: x.flip(axes_of(x, axis)),
    "getitem": indexed, "index_update": updated, "index_add": added, "take": taken,
    "dynamic_slice": lambda x, start, size, axis=0: x.narrow(axis, int(start), size),
    "take_along_axis": lambda x, at, axis: torch.take_along_dim(x, at, axis),
    "put_along_axis": put_along,
    "concat": concat, "stack": lambda xs, axis: torch.stack(list(xs), axis),
    "unstack": lambda x, axis=0: x.unbind(axis),
    "split": split, "repeat": repeated,
    "einsum": lambda term, *xs: torch.einsum(term, *xs), "matmul": torch.matmul,
    "linear": lambda x, w, b: x @ w + (0 if b is None else b), "outer": torch.outer,
    "vecdot": lambda a, b, axis=-1: (a.conj() * b).sum(axis),
    "tensordot": lambda a, b, axes=2: torch.tensordot(a, b, axes),
    "cumulative_sum": running("cumsum", 0.0), "cumulative_prod": running("cumprod", 1.0),
    "cumulative_max": running("cummax"), "cumulative_min": running("cummin"),
    "sum": reduction("sum"), "mean": reduction("mean"), "var": reduction("var"), "std": reduction("std"),
    "max": reduction("amax"), "min": reduction("amin"), "prod": prod, "all": truth("all"), "any": truth("any"),
    "count_nonzero": counted, "argmax": place_of("argmax"), "argmin": place_of("argmin"),
    "softmax": lambda x, axis=-1: torch.softmax(x, axis), "log_softmax": lambda x, axis=-1: torch.log_softmax(x, axis),
    "logsumexp": lambda x, axis=None, keepdims=False: torch.logsumexp(x, axes_of(x, axis), keepdim=keepdims),
    "scaled_dot_product_attention": attended,
    "tril": lambda x, k=0: torch.tril(x, k), "triu": lambda x, k=0: torch.triu(x, k),
    "meshgrid": lambda *xs, indexing="xy": torch.meshgrid(*xs, indexing=indexing),
    "one_hot": one_hot,
    "pinv": lambda x, rtol=None: torch.linalg.pinv(x, rtol=rtol), "lstsq": lstsq, "solve_triangular": triangular,
    "expm": torch.linalg.matrix_exp, "matrix_rank": rank, "trace": traced,
    "cholesky": lambda x, upper=False: torch.linalg.cholesky(x, upper=upper),
    "cross": lambda a, b, axis=-1: torch.linalg.cross(a, b, dim=axis),
    "diagonal": lambda x, offset=0: torch.diagonal(x, offset, -2, -1),
    "qr": lambda x, mode="reduced": tuple(torch.linalg.qr(x, mode)),
    "svd": lambda x, full_matrices=True: torch.linalg.svd(x, full_matrices=full_matrices),
    "vector_norm": lambda x, axis=None, keepdims=False, ord=2: torch.linalg.vector_norm(x, ord, axis, keepdim=keepdims),
    "matrix_norm": lambda x, keepdims=False, ord="fro": torch.linalg.matrix_norm(x, ord, keepdim=keepdims),
    "fftshift": lambda x, axes=None: torch.fft.fftshift(x, axes),
    "ifftshift": lambda x, axes=None: torch.fft.ifftshift(x, axes),
    "mse": F.mse_loss, "mae": F.l1_loss, "huber": huber, "softmax_cross_entropy": cross_entropy,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "pad": padded,
    "global_avg_pool": lambda x, keepdims=False: x.mean((2, 3), keepdim=keepdims),
    "global_max_pool": lambda x, keepdims=False: x.amax((2, 3), keepdim=keepdims),
    "embedding": lambda ids, table: table[ids],
    "segment_sum": segment_sum, "segment_mean": segment_mean, "segment_max": segment_max,
    "unique_values": torch.unique, "unique_counts": lambda x: torch.unique(x, return_counts=True),
    "unique_inverse": lambda x: torch.unique(x, return_inverse=True),
    "sort": lambda x, **kwargs: ordered(x, **kwargs).values,
    "argsort": lambda x, **kwargs: ordered(x, **kwargs).indices,
    "top_k": top_k, "searchsorted": lambda x, y, side="left": torch.searchsorted(x, y, side=side), "diff": diff,
    "nonzero": lambda x: torch.nonzero(x, as_tuple=True),
}  # fmt: skip

#: Public ops without a twin, with the reason. (Hidden ops are parts of public ones and are compared there.)
WITHOUT = {
    **dict.fromkeys(
        ("fold_in", "bits", "uniform", "normal", "truncated_normal", "gumbel", "exponential", "bernoulli", "randint",
         "categorical"), "torch draws other random numbers: it has no keys",
    ),
    "unique_all": "torch does not tell where a value comes first",
}  # fmt: skip

#: Where PyTorch itself is that far off: constants rounded to float32, and polygammas of ten digits.
TORCH_IS_OFF = {"celu": 1e-6, "hard_sigmoid": 1e-7, "digamma": 1e-8, "polygamma": 1e-8, "lgamma": 1e-9}
