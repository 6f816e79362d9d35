"""Python's operators and the methods of a Tensor. Each is the op of that name: the ops live in a layer above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base.errors import ShapeError
from .opdef import OPS, SUPPLIED

if TYPE_CHECKING:
    from .tensor import Tensor


def _inplace(name: str, symbol: str, x: Any, other: Any) -> Any:
    if SUPPLIED["overwritten"](x, name, other):
        return x
    new = OPS[name].public(x, other)
    if new.shape != x.shape or new.dtype != x.dtype:
        raise ShapeError(
            f"x {symbol}= y: the result has shape {new.shape} and dtype {new.dtype.name}, "
            f"x has {x.shape} and {x.dtype.name}; write x = x {symbol} y."
        )
    return x._become(new, f"x {symbol}= y")


class Operators:
    """What every Tensor can do by operator or method."""

    __slots__ = ()

    # --- arithmetic, comparison, bits ---------------------------------------------------------------

    def __add__(self, other: Any, /) -> Tensor:
        return OPS["add"].operator(self, other)

    def __radd__(self, other: Any, /) -> Tensor:
        return OPS["add"].operator(other, self)

    def __iadd__(self, other: Any, /) -> Tensor:
        return _inplace("add", "+", self, other)

    def __sub__(self, other: Any, /) -> Tensor:
        return OPS["subtract"].operator(self, other)

    def __rsub__(self, other: Any, /) -> Tensor:
        return OPS["subtract"].operator(other, self)

    def __isub__(self, other: Any, /) -> Tensor:
        return _inplace("subtract", "-", self, other)

    def __mul__(self, other: Any, /) -> Tensor:
        return OPS["multiply"].operator(self, other)

    def __rmul__(self, other: Any, /) -> Tensor:
        return OPS["multiply"].operator(other, self)

    def __imul__(self, other: Any, /) -> Tensor:
        return _inplace("multiply", "*", self, other)

    def __truediv__(self, other: Any, /) -> Tensor:
        return OPS["divide"].operator(self, other)

    def __rtruediv__(self, other: Any, /) -> Tensor:
        return OPS["divide"].operator(other, self)

    def __itruediv__(self, other: Any, /) -> Tensor:
        return _inplace("divide", "/", self, other)

    def __floordiv__(self, other: Any, /) -> Tensor:
        return OPS["floor_divide"].operator(self, other)

    def __rfloordiv__(self, other: Any, /) -> Tensor:
        return OPS["floor_divide"].operator(other, self)

    def __ifloordiv__(self, other: Any, /) -> Tensor:
        return _inplace("floor_divide", "//", self, other)

    def __mod__(self, other: Any, /) -> Tensor:
        return OPS["remainder"].operator(self, other)

    def __rmod__(self, other: Any, /) -> Tensor:
        return OPS["remainder"].operator(other, self)

    def __imod__(self, other: Any, /) -> Tensor:
        return _inplace("remainder", "%", self, other)

    def __divmod__(self, other: Any, /) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Any, /) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    def __pow__(self, other: Any, /) -> Tensor:
        return OPS["pow"].operator(self, other)

    def __rpow__(self, other: Any, /) -> Tensor:
        return OPS["pow"].operator(other, self)

    def __ipow__(self, other: Any, /) -> Tensor:
        return _inplace("pow", "**", self, other)

    def __matmul__(self, other: Any, /) -> Tensor:
        return OPS["matmul"].operator(self, other)

    def __rmatmul__(self, other: Any, /) -> Tensor:
        return OPS["matmul"].operator(other, self)

    def __imatmul__(self, other: Any, /) -> Tensor:
        return _inplace("matmul", "@", self, other)

    def __and__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_and"].operator(self, other)

    def __rand__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_and"].operator(other, self)

    def __iand__(self, other: Any, /) -> Tensor:
        return _inplace("bitwise_and", "&", self, other)

    def __or__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_or"].operator(self, other)

    def __ror__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_or"].operator(other, self)

    def __ior__(self, other: Any, /) -> Tensor:
        return _inplace("bitwise_or", "|", self, other)

    def __xor__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_xor"].operator(self, other)

    def __rxor__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_xor"].operator(other, self)

    def __ixor__(self, other: Any, /) -> Tensor:
        return _inplace("bitwise_xor", "^", self, other)

    def __lshift__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_left_shift"].operator(self, other)

    def __rlshift__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_left_shift"].operator(other, self)

    def __ilshift__(self, other: Any, /) -> Tensor:
        return _inplace("bitwise_left_shift", "<<", self, other)

    def __rshift__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_right_shift"].operator(self, other)

    def __rrshift__(self, other: Any, /) -> Tensor:
        return OPS["bitwise_right_shift"].operator(other, self)

    def __irshift__(self, other: Any, /) -> Tensor:
        return _inplace("bitwise_right_shift", ">>", self, other)

    def __lt__(self, other: Any, /) -> Tensor:
        return OPS["less"].operator(self, other)

    def __le__(self, other: Any, /) -> Tensor:
        return OPS["less_equal"].operator(self, other)

    def __gt__(self, other: Any, /) -> Tensor:
        return OPS["greater"].operator(self, other)

    def __ge__(self, other: Any, /) -> Tensor:
        return OPS["greater_equal"].operator(self, other)

    def __eq__(self, other: Any, /) -> Tensor:  # type: ignore[override]
        return OPS["equal"].operator(self, other)

    def __ne__(self, other: Any, /) -> Tensor:  # type: ignore[override]
        return OPS["not_equal"].operator(self, other)

    __hash__ = object.__hash__

    def __neg__(self) -> Tensor:
        return OPS["negative"].public(self)

    def __pos__(self) -> Tensor:
        return OPS["positive"].public(self)

    def __abs__(self) -> Tensor:
        return OPS["abs"].public(self)

    def __invert__(self) -> Tensor:
        return OPS["bitwise_invert"].public(self)

    def __getitem__(self, index: Any, /) -> Tensor:
        return OPS["getitem"].public(self, index)

    # --- the standard's properties ------------------------------------------------------------------

    @property
    def T(self) -> Tensor:
        """The axes in reverse order; a matrix transposed."""
        x: Any = self
        return OPS["permute_dims"].public(self, tuple(range(x.ndim))[::-1])

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return OPS["matrix_transpose"].public(self)

    @property
    def real(self) -> Tensor:
        """The real part."""
        return OPS["real"].public(self)

    @property
    def imag(self) -> Tensor:
        """The imaginary part."""
        return OPS["imag"].public(self)

    # --- functions behind a dot ---------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Tensor:
        """`bl.reshape`; the sizes may be given one by one."""
        return OPS["reshape"].public(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in the order given, or reversed."""
        x: Any = self
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return OPS["permute_dims"].public(self, order or tuple(range(x.ndim))[::-1])

    def astype(self, dtype: Any, /) -> Tensor:
        """`bl.astype`: the same numbers in another dtype."""
        return OPS["astype"].public(self, dtype)

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """`bl.sum` over `axis`, by default over all."""
        return OPS["sum"].public(self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """`bl.prod` over `axis`, by default over all."""
        return OPS["prod"].public(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """`bl.mean` over `axis`, by default over all."""
        return OPS["mean"].public(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """`bl.max` over `axis`, by default over all."""
        return OPS["max"].public(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """`bl.min` over `axis`, by default over all."""
        return OPS["min"].public(self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """`bl.all` over `axis`, by default over all."""
        return OPS["all"].public(self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """`bl.any` over `axis`, by default over all."""
        return OPS["any"].public(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, *, correction: float = 0.0, keepdims: bool = False) -> Tensor:
        """`bl.var` over `axis`, by default over all."""
        return OPS["var"].public(self, axis=axis, correction=correction, keepdims=keepdims)

    def std(self, axis: Any = None, *, correction: float = 0.0, keepdims: bool = False) -> Tensor:
        """`bl.std` over `axis`, by default over all."""
        return OPS["std"].public(self, axis=axis, correction=correction, keepdims=keepdims)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """`bl.argmax`."""
        return OPS["argmax"].public(self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """`bl.argmin`."""
        return OPS["argmin"].public(self, axis=axis, keepdims=keepdims)

    def squeeze(self, axis: Any) -> Tensor:
        """`bl.squeeze`: without axes of size 1."""
        return OPS["squeeze"].public(self, axis)

    def flatten(self, start: int = 0) -> Tensor:
        """The axes from `start` on as one."""
        return OPS["flatten"].public(self, start=start)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """`bl.clip`."""
        return OPS["clip"].public(self, min, max)

    def exp(self) -> Tensor:
        """`bl.exp`, elementwise."""
        return OPS["exp"].public(self)

    def log(self) -> Tensor:
        """`bl.log`, elementwise."""
        return OPS["log"].public(self)

    def sqrt(self) -> Tensor:
        """`bl.sqrt`, elementwise."""
        return OPS["sqrt"].public(self)

    def sin(self) -> Tensor:
        """`bl.sin`, elementwise."""
        return OPS["sin"].public(self)

    def cos(self) -> Tensor:
        """`bl.cos`, elementwise."""
        return OPS["cos"].public(self)

    def tanh(self) -> Tensor:
        """`bl.tanh`, elementwise."""
        return OPS["tanh"].public(self)

    def sigmoid(self) -> Tensor:
        """`bl.sigmoid`, elementwise."""
        return OPS["sigmoid"].public(self)

    def relu(self) -> Tensor:
        """`bl.relu`, elementwise."""
        return OPS["relu"].public(self)
