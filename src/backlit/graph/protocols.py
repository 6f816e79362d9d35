"""How other libraries meet a Tensor: NumPy's functions (`np.sin(t)`, `np.concatenate`), DLPack, copying, pickling.

NumPy's functions are mapped to the op of the same meaning, so that they stay differentiable. The ops
live in a layer above; they are found by name in the registry.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..base.errors import DtypeError, GraphError
from .opdef import PUBLIC

#: NumPy's (and SciPy's) names that differ from those here.
UFUNCS = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "conjugate": "conj", "expit": "sigmoid", "fabs": "abs",
    "gammaln": "lgamma", "invert": "bitwise_invert", "left_shift": "bitwise_left_shift", "power": "pow",
    "float_power": "pow", "psi": "digamma", "right_shift": "bitwise_right_shift", "rint": "round",
    "true_divide": "divide",
}  # fmt: skip

_REDUCTIONS = {
    "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any",
}  # fmt: skip
_ACCUMULATIONS = {
    "add": "cumulative_sum", "multiply": "cumulative_prod", "maximum": "cumulative_max", "minimum": "cumulative_min",
}  # fmt: skip

#: NumPy's functions by their names without `numpy.`, and the function here; the same names need no entry.
FUNCTIONS = {
    "amax": "max", "amin": "min", "linalg.tensordot": "tensordot", "linalg.matmul": "matmul",
    "linalg.matrix_transpose": "matrix_transpose", "linalg.vecdot": "vecdot",
    "linalg.outer": "outer", "trace": "linalg.trace", "diagonal": "linalg.diagonal",
    "cross": "linalg.cross",
}  # fmt: skip

#: NumPy's names of parameters, and the names here.
PARAMETERS = {"ddof": "correction"}

#: Functions that ask about values and return no array to compute on with: NumPy answers them itself.
INSPECTIONS = {
    "allclose", "array2string", "array_equal", "array_equiv", "array_repr", "array_str", "iscomplexobj", "isrealobj",
    "may_share_memory", "save", "savetxt", "savez", "savez_compressed", "shares_memory",
}  # fmt: skip


class Protocols:
    """What NumPy, other array libraries, `copy` and `pickle` ask of a Tensor."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """`np.sin(t)`, `array * t`, `np.add.reduce(t)`: the op of that name, differentiable."""
        shown = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        kwargs = _without_out(shown, kwargs)
        name = _name_of(ufunc)
        if method == "__call__" and name == "divmod":
            return PUBLIC["floor_divide"](*inputs), PUBLIC["remainder"](*inputs)
        if method == "__call__" and name in PUBLIC:
            unknown = set(kwargs) - set(_parameters(PUBLIC[name]).parameters) if kwargs else ()
            if unknown:
                raise _unsupported(shown, f"the argument {sorted(unknown)[0]}= ")
            return PUBLIC[name](*inputs, **kwargs)
        if method == "reduce" and ufunc.__name__ in _REDUCTIONS:
            return PUBLIC[_REDUCTIONS[ufunc.__name__]](*inputs, **{"axis": 0, **kwargs})
        if method == "accumulate" and ufunc.__name__ in _ACCUMULATIONS:
            return PUBLIC[_ACCUMULATIONS[ufunc.__name__]](*inputs, **{"axis": 0, **kwargs})
        raise _unsupported(shown)

    def __array_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """`np.concatenate([t, u])`, `np.sum(t, axis=0)`: the function of that meaning, differentiable."""
        name = f"{func.__module__}.{func.__name__}".removeprefix("numpy.")
        shown = f"np.{name}"
        kwargs = _without_out(shown, kwargs)
        if name in ADAPTERS:
            return ADAPTERS[name](*args, **kwargs)
        if name in INSPECTIONS:
            return func(*[_value(a) for a in args], **{k: _value(v) for k, v in kwargs.items()})
        ours = PUBLIC.get(FUNCTIONS.get(name, name))
        if ours is None:
            raise _unsupported(shown)
        return _call_as(func, shown, ours, args, kwargs)

    def __dlpack__(
        self, *, stream: None = None, max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None, copy: bool | None = None,
    ) -> Any:  # fmt: skip
        """The value for another library, sharing memory (DLPack; Array API standard)."""
        array = _value(self)
        if not array.flags.writeable and max_version is None and copy is None:
            array = array.copy()  # before version 1.0 the protocol could not say 'read-only'
        return array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The CPU, in DLPack's terms."""
        return np.empty(0).__dlpack_device__()

    def __format__(self, spec: str, /) -> str:
        """`f"{loss:.3f}"` of a Tensor with one element formats the number; without a format or a value it is `repr`."""
        tensor: Any = self
        if tensor.value is None:  # a message printed while a function is traced
            return repr(self)
        return format(_value(self).item(), spec) if spec and _value(self).size == 1 else format(repr(self), spec)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are leaves of their own: value, requires_grad, name and grad, without the history."""
        tensor: Any = self
        return _restored, (type(self), _value(self), tensor.requires_grad, tensor.name, tensor.grad)


def _restored(kind: Any, value: Any, requires_grad: bool, name: str | None, grad: Any) -> Any:
    tensor = kind(value, requires_grad=requires_grad, name=name)
    tensor.grad = grad
    return tensor


def _value(x: Any) -> Any:
    """The NumPy array of a Tensor; anything else as it is."""
    if not isinstance(x, Protocols):
        return x
    tensor: Any = x
    if tensor.value is None:
        raise GraphError(f"{tensor!r} has no value yet: run the graph before its value is copied or handed on.")
    return np.asarray(tensor.value)


def _without_out(shown: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    if any(o is not None for o in _as_tuple(kwargs.get("out"))):
        raise DtypeError(
            f"{shown}: a Tensor is never written into: out= (and `array += tensor`) cannot be used. "
            "Write `x = x + t`, or fill a NumPy array with t.numpy()."
        )
    return {k: v for k, v in kwargs.items() if k != "out"}


def _as_tuple(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)


def _unsupported(shown: str, what: str = "") -> DtypeError:
    return DtypeError(
        f"{shown}: {what or 'this function '}is not supported for a Tensor. "
        "Compute it with the functions of backlit, which are differentiable, or on t.numpy(), which is not."
    )


def _name_of(ufunc: np.ufunc) -> str:
    """The public name of a ufunc of NumPy or SciPy; empty for one that only shares a name with them."""
    name = ufunc.__name__
    for home in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(home), name, None) is ufunc:
            return UFUNCS.get(name, name)
    return ""


@cache
def _parameters(func: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(func)


def _call_as(
    func: Callable[..., Any], shown: str, ours: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call `ours` with arguments in the manner of NumPy's `func`: arrays by position, the rest by name.

    Arguments that have NumPy's default are left out; one that has no counterpart here is refused.
    """
    theirs = _parameters(func)
    given = theirs.bind(*args, **kwargs).arguments
    accepted = _parameters(ours).parameters.values()
    places = [p for p in accepted if p.kind is p.POSITIONAL_ONLY]
    names = {p.name for p in accepted if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    inputs: list[Any] = []
    params: dict[str, Any] = {}
    for name, parameter in theirs.parameters.items():
        if name not in given:
            continue
        value = given[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            inputs += value
        elif parameter.kind is parameter.VAR_KEYWORD:
            params.update(value)
        elif PARAMETERS.get(name, name) in names:
            params[PARAMETERS.get(name, name)] = value
        elif len(inputs) < len(places):
            inputs.append(value)
        elif value is not parameter.default and value is not None:
            raise _unsupported(shown, f"the argument {name}= ")
    unknown = set(params) - names
    if unknown:
        raise _unsupported(shown, f"the argument {sorted(unknown)[0]}= ")
    return ours(*inputs, **params)


# --- functions whose arguments differ in more than names -------------------------------------------


def _flat(x: Any) -> Any:
    return PUBLIC["reshape"](x, (-1,))


def _scan(name: str) -> Callable[..., Any]:
    def scan(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
        return PUBLIC[name](_flat(a) if axis is None else a, axis=0 if axis is None else axis, dtype=dtype)

    return scan


def _sorted(name: str) -> Callable[..., Any]:
    def order(a: Any, axis: int | None = -1, kind: Any = None, order: None = None, *, stable: Any = None) -> Any:
        return PUBLIC[name](_flat(a) if axis is None else a, axis=-1 if axis is None else axis)

    return order


def _where(condition: Any, *branches: Any) -> Any:
    return PUBLIC["where"](condition, *branches) if branches else PUBLIC["nonzero"](condition)


def _concatenate(arrays: Any, /, axis: int | None = 0, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    joined = PUBLIC["concat"](arrays, axis=axis)
    return joined if dtype is None else joined.astype(dtype)


def _transpose(a: Any, axes: Any = None) -> Any:
    return a.transpose(*(() if axes is None else (tuple(axes),)))


def _reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: bool | None = None) -> Any:
    if order != "C":
        raise _unsupported("np.reshape", f"order={order!r} ")
    return PUBLIC["reshape"](a, newshape if shape is None else shape)


def _squeeze(a: Any, axis: Any = None) -> Any:
    return PUBLIC["squeeze"](a, axis)


def _take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    if mode != "raise":
        raise _unsupported("np.take", f"mode={mode!r} ")
    return PUBLIC["take"](_flat(a) if axis is None else a, indices, axis=0 if axis is None else axis)


def _along(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    return PUBLIC["take_along_axis"](_flat(arr) if axis is None else arr, indices, axis=0 if axis is None else axis)


def _pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    width = pad_width.tolist() if isinstance(pad_width, np.ndarray) else pad_width
    return PUBLIC["pad"](array, width, mode=mode, value=constant_values)


def _dot(a: Any, b: Any) -> Any:
    ndim_a, ndim_b = np.ndim(a), np.ndim(b)
    if not ndim_a or not ndim_b:
        return PUBLIC["multiply"](a, b)
    if ndim_b <= 2:
        return PUBLIC["matmul"](a, b)
    return PUBLIC["tensordot"](a, b, axes=((ndim_a - 1,), (ndim_b - 2,)))


def _inner(a: Any, b: Any, /) -> Any:
    if not np.ndim(a) or not np.ndim(b):
        return PUBLIC["multiply"](a, b)
    return PUBLIC["tensordot"](a, b, axes=((np.ndim(a) - 1,), (np.ndim(b) - 1,)))


def _vdot(a: Any, b: Any, /) -> Any:
    return PUBLIC["vecdot"](_flat(a), _flat(b))


def _stacked(axis: int, least: int) -> Callable[..., Any]:
    """`vstack` and `hstack`: concatenation of arrays of at least so many dimensions."""

    def join(tup: Sequence[Any], *, dtype: Any = None, casting: str = "same_kind") -> Any:
        parts = [PUBLIC["reshape"](t, (1,) * (least - np.ndim(t)) + np.shape(t)) for t in tup]
        joined = PUBLIC["concat"](parts, axis=0 if parts[0].ndim == 1 else axis)
        return joined if dtype is None else joined.astype(dtype)

    return join


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    axes = _as_tuple(axis)
    if axis is None and ord is not None:
        axes = tuple(range(np.ndim(x)))
    if len(axes) == 2:
        if axes not in ((-2, -1), (np.ndim(x) - 2, np.ndim(x) - 1)):
            x = PUBLIC["moveaxis"](x, axes, (-2, -1))
        return PUBLIC["linalg.matrix_norm"](x, ord="fro" if ord is None else ord, keepdims=keepdims)
    return PUBLIC["linalg.vector_norm"](x, axis=axis, ord=2 if ord is None else ord, keepdims=keepdims)


def _lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    """NumPy's four results; the residuals are empty where they are no minimum of a unique solution."""
    rtol = None if rcond is None or rcond < 0 else rcond
    x, rank = PUBLIC["linalg.lstsq"](a, b, rtol=rtol), PUBLIC["linalg.matrix_rank"](a, rtol=rtol)
    rest = PUBLIC["matmul"](a, x) - b
    unique = int(rank) == a.shape[1] < a.shape[0]
    residuals = PUBLIC["sum"](rest * rest, axis=0, keepdims=rest.ndim == 1) if unique else PUBLIC["zeros"]((0,))
    return x, residuals, rank, PUBLIC["linalg.svdvals"](a)


def _round(a: Any, decimals: int = 0) -> Any:
    return PUBLIC["round"](a) if not decimals else PUBLIC["round"](a * 10.0**decimals) / 10.0**decimals


def _broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    if any(np.asarray(_value(a)).dtype.kind not in "biufc" for a in args):  # Matplotlib passes None and strings along
        return np.broadcast_arrays(*map(_value, args))
    return PUBLIC["broadcast_arrays"](*args)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return PUBLIC["clip"](a, min if a_min is None else a_min, max if a_max is None else a_max)


def _full_like(a: Any, fill_value: Any, dtype: Any = None, *_: Any, **__: Any) -> Any:
    return PUBLIC["full_like"](a, fill_value, dtype=dtype)


def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return PUBLIC["copy"](a)


def _at_least(rank: int) -> Callable[..., Any]:
    def expand(*arrays: Any) -> Any:
        found = [PUBLIC["reshape"](a, (1,) * (rank - np.ndim(a)) + np.shape(a)) for a in arrays]
        return found[0] if len(found) == 1 else tuple(found)

    return expand


def _size(a: Any, axis: int | None = None) -> int:
    return a.size if axis is None else a.shape[axis]


ADAPTERS: dict[str, Callable[..., Any]] = {
    "argsort": _sorted("argsort"), "around": _round, "atleast_1d": _at_least(1), "atleast_2d": _at_least(2),
    "broadcast_arrays": _broadcast_arrays, "clip": _clip, "concatenate": _concatenate, "copy": _copy,
    "cumprod": _scan("cumulative_prod"), "cumsum": _scan("cumulative_sum"), "dot": _dot,
    "full_like": _full_like, "hstack": _stacked(1, 1), "inner": _inner, "linalg.lstsq": _lstsq,
    "linalg.norm": _norm, "ndim": lambda a: a.ndim, "pad": _pad, "permute_dims": _transpose,
    "ravel": lambda a, order="C": _flat(a), "reshape": _reshape, "round": _round, "shape": lambda a: a.shape,
    "size": _size, "sort": _sorted("sort"), "squeeze": _squeeze, "take": _take, "take_along_axis": _along,
    "transpose": _transpose, "vdot": _vdot, "vstack": _stacked(0, 2),
    "where": _where,
}  # fmt: skip
