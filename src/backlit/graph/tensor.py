"""`Tensor`: a handle on an edge of the graph, which may or may not have a value yet."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..base.dtypes import CATEGORIES, FLOAT, WEAK, DType, as_dtype, scalar_dtype
from ..base.errors import ArgumentError, DtypeError, GradientError, GraphError, NoAxesError, ShapeError, shown
from .node import Node, caller, line_of
from .opdef import OPS, SUPPLIED, OpDef, Spec
from .operators import Operators
from .protocols import Protocols

#: The op of a node that nothing computed: a Tensor the user made, a placeholder, an argument being differentiated.
LEAF = OpDef("leaf", lambda: None, nondiff="a leaf is where differentiation ends", doc="A value given, not computed.")

_new = object.__new__


class Tensor(Operators, Protocols):
    """An n-dimensional array that remembers how it was made, so that it can be differentiated.

    A Tensor has the value semantics of a number: `y = x[2:]` is never changed by a later
    `x[3] = 7`, which gives `x` a new value and leaves every Tensor computed before as it was.

    Args:
        data: a number, nested lists, a NumPy array or a Tensor; copied.
        dtype: the dtype; by default NumPy inputs keep theirs and Python floats become float32.
        requires_grad: record what is computed from this Tensor, so that `backward()` fills its `.grad`.
        name: a name for messages and drawings.

    >>> import backlit as bl
    >>> w = bl.Tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> w.grad
    tensor([2., 4.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_grad", "node", "value")

    value: Any
    node: Node | None
    _grad: Tensor | None

    def __init__(self, data: Any, dtype: Any = None, *, requires_grad: bool = False, name: str | None = None) -> None:
        if isinstance(data, Tensor):
            data = data.numpy()
        self.value = as_value(data, dtype, copy=True)
        self.node = None
        self._grad = None
        if requires_grad:
            self.requires_grad = True
        if name is not None and self.node is not None:
            self.node.name = name

    # --- what it is -------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The size along each axis; None in a static graph where it is fixed only when fed."""
        return self.value.shape if self.value is not None else self._node.like.shape

    @property
    def dtype(self) -> DType:
        """The dtype of the elements, a `numpy.dtype`."""
        return self.value.dtype if self.value is not None else self._node.like.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements; None in a static graph where it is known only when fed."""
        if None in self.shape:
            return None  # type: ignore[return-value]
        n = 1
        for s in self.shape:
            n *= s
        return n

    @property
    def nbytes(self) -> int:
        """The bytes that the elements take."""
        return self.size * self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """The bytes that one element takes."""
        return self.dtype.itemsize

    @property
    def device(self) -> str:
        """Always "cpu"."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: None = None) -> Tensor:
        """The Tensor itself: there is one device, "cpu" (Array API standard)."""
        if device != "cpu" or stream is not None:
            raise ArgumentError(f"to_device: expected device 'cpu' and no stream, got {device!r}, stream={stream!r}.")
        return self

    @property
    def name(self) -> str | None:
        """The name given by the user, or by the static graph; None without one."""
        return self.node.name if self.node is not None else None

    @property
    def _node(self) -> Node:
        if self.node is None:
            raise GraphError("this Tensor has neither a value nor a node; it was not made by Backlit.")
        return self.node

    # --- its value --------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as a read-only NumPy array that shares memory; `np.array(t)` gives a copy to write to."""
        view = np.asarray(self._known("numpy()")).view()
        view.flags.writeable = False
        return view

    def item(self) -> bool | int | float | complex:
        """The value of a Tensor with one element as a Python number."""
        return self._single("item()")

    def tolist(self) -> Any:
        """The value as nested Python lists."""
        return self._known("tolist()").tolist()

    def _known(self, asked: str) -> Any:
        if self.value is None:
            raise no_value(self._node, asked)
        return self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = np.asarray(self._known("conversion to a NumPy array"))
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ArgumentError(f"np.asarray: {array.dtype} to {np.dtype(dtype)} needs a copy, and copy=False.")
            return array.astype(dtype)
        return array.copy() if copy or copy is None else self.numpy()

    def __bool__(self) -> bool:
        return bool(self._single("bool()", "use .any() or .all()"))

    def __int__(self) -> int:
        return int(self._single("int()"))

    def __float__(self) -> float:
        return float(self._single("float()"))

    def __complex__(self) -> complex:
        return complex(self._single("complex()"))

    def _single(self, asked: str, mend: str = "use tolist() or index it first") -> Any:
        """The value of a Tensor with one element as a Python number."""
        value = self._known(asked)
        if value.size != 1:
            raise ShapeError(f"{asked}: expected a Tensor with one element, got shape {self.shape}; {mend}.")
        return value.item()

    def __round__(self, ndigits: int | None = None) -> int | float:
        return round(self._single("round()", "use bl.round"), ndigits)

    def __trunc__(self) -> int:
        return int(self._single("trunc()", "use bl.trunc"))

    def __index__(self) -> int:
        value = self._known("index")
        if self.dtype.char in FLOAT or value.ndim:
            raise DtypeError(
                f"index: expected an integer Tensor of shape (), got {self.dtype.name} {self.shape}; use int(t)."
            )
        return int(value)

    def __len__(self) -> int:
        if not self.shape:
            raise NoAxesError("len(): a Tensor of shape () has no length; use .size or .item().")
        if self.shape[0] is None:
            raise GraphError(
                f"len(): the first size of {self._node.label} is known only when the graph is fed; "
                "compute with static.shape(x)[0], and reduce or index in place of a loop."
            )
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            if self.value is None:
                raise no_value(self._node, "iteration")
            raise NoAxesError("iteration over a Tensor of shape (): use .item() for its value.")
        return (self[i] for i in range(len(self)))

    def __hash__(self) -> int:
        return id(self)

    # --- derivatives ------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Is what is computed from this Tensor recorded? Settable where the user made the Tensor."""
        return self.node is not None and self.dtype.char in FLOAT

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted == (self.node is not None):
            return
        if not wanted:
            if self._node.op is not LEAF:
                raise GradientError(
                    f"requires_grad = False: this Tensor was computed by {self._node.label}; use .detach()."
                )
            self.node = None
            return
        if self.dtype.char not in FLOAT:
            raise DtypeError(
                f"requires_grad: only floating-point Tensors have derivatives, got {self.dtype.name}; "
                "convert with x.astype(bl.float32)."
            )
        self.node = leaf_node(self.value, owner=self)

    @property
    def is_leaf(self) -> bool:
        """True where no recorded op made this Tensor."""
        return self.node is None or self.node.op is LEAF

    @property
    def grad(self) -> Tensor | None:
        """What `backward()` has added up for this leaf, of its shape and dtype; None before, and settable."""
        return self._grad

    @grad.setter
    def grad(self, new: Any) -> None:
        if new is not None:
            new = new if isinstance(new, Tensor) else Tensor(new)
            if new.shape != self.shape:
                raise ShapeError(f".grad: expected shape {self.shape}, got {new.shape}.")
        self._grad = new

    def backward(self, cotangent: Any = None, *, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this Tensor to the `.grad` of every leaf that it was computed from.

        Reverse mode (Griewank & Walther, Evaluating Derivatives, 2nd ed., section 3.2).

        Args:
            cotangent: what the gradient is contracted with, of this Tensor's shape; 1 where it has one element.
            retain_graph: keep the graph, to call `backward` on it again.
            create_graph: record the backward pass too, so that gradients can be differentiated.

        Raises:
            GradientError: nothing is recorded, or the graph has been freed by an earlier call.
        """
        SUPPLIED["backward"](self, cotangent, retain_graph=retain_graph, create_graph=create_graph)

    def detach(self) -> Tensor:
        """The same value without its history."""
        return wrap(self.value) if self.value is not None else OPS["stop_gradient"].public(self)

    def clone(self) -> Tensor:
        """A Tensor of the same value that is computed from this one, and differentiable."""
        return OPS["copy"].public(self)

    # --- changing it ------------------------------------------------------------------------------

    def __setitem__(self, index: Any, new: Any) -> None:
        self._become(OPS["index_update"].public(self, index, new), "x[...] = y")

    def _become(self, other: Tensor, how: str) -> Tensor:
        """Take the value and history of `other`, as in-place operators do."""
        if self.node is not None and self.node.op is LEAF and self.node.owner is not None:
            if other.node is not None:
                raise GradientError(
                    f"{how}: this Tensor is a leaf that requires grad; changing it in place would cut it from its "
                    "gradient. Work on a copy (y = x.clone()), or change it inside `with bl.no_grad():`."
                )
            self.value = other.value
            self.node = leaf_node(self.value, owner=self, name=self.node.name)
            return self
        self.value, self.node = other.value, other.node
        return self

    # --- names and pictures -----------------------------------------------------------------------

    def __repr__(self) -> str:
        if self.value is None:
            node = self._node
            return f"<symbolic tensor {node.label}, shape={self.shape}, dtype={self.dtype.name}>"
        if not isinstance(self.value, (np.ndarray, np.generic)):  # given away: its memory is another tensor's now
            return f"<tensor {self.value!r}>"
        parts = [f"dtype={self.dtype.name}"]
        body = np.array2string(np.asarray(self.value), separator=", ", prefix="tensor(", threshold=200, edgeitems=3)
        if (self.ndim and self.size > 8) or self.size == 0:
            parts.insert(0, f"shape={self.shape}")
        node = self.node
        if node is not None:
            parts.append("requires_grad=True" if node.op is LEAF else f"from {node.label}")
        return f"tensor({body}, {', '.join(parts)})"

    def _repr_html_(self) -> str:
        from html import escape

        if not isinstance(self.value, (np.ndarray, np.generic, type(None))):
            return f"<div>{escape(repr(self))}</div>"
        node = self.node
        source = f", from <code>{escape(node.label)}</code>" if node is not None and node.op is not LEAF else ""
        head = f"Tensor {escape(str(self.shape))} {self.dtype.name}{source}"
        if self.value is None:
            return f"<div><b>{head}</b>, no value yet</div>"
        array = np.asarray(self.value)
        if array.ndim == 0:
            return f"<div><b>{head}</b>: {escape(str(array))}</div>"
        if array.ndim > 2 or array.size > 400:
            text = np.array2string(array, separator=", ", threshold=200)
            return f"<div><b>{head}</b><pre>{escape(text)}</pre></div>"
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(f'{v:.4g}' if array.dtype.char in FLOAT else str(v))}</td>" for v in row)
            + "</tr>"
            for row in np.atleast_2d(array)
        )  # fmt: skip
        return f"<div><b>{head}</b><table>{rows}</table></div>"

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The namespace of the Array API standard that this Tensor belongs to."""
        return SUPPLIED["array_namespace"](api_version)


_NUMBER = (
    "Keep it a Tensor: functions of math have twins here (bl.sqrt), and what is to be seen is returned; a number that "
    "is the same in many calls can be a static argument (static_argnames)"
)
SIZE_KNOWN = "A size or shape must be known: pass it as a static argument (static_argnames)"
#: What to write where Python asks a Tensor for a value that is not there yet, by how it asks.
_INSTEAD = {
    "bool()": "Python's if, while, assert, and, or, not, in, min, max and sorted decide at once; bl.where, bl.cond, "
    "bl.while_loop, bl.minimum and bl.maximum may depend on values",
    "index": "For an element of an array write bl.take(x, i), for a loop bl.fori_loop, whose bounds may be Tensors. "
    + SIZE_KNOWN,
    "int()": f"For a loop write bl.fori_loop, whose bounds may be Tensors; t.astype(bl.int64) converts. {SIZE_KNOWN}",
    "iteration": SIZE_KNOWN, "round()": "Use bl.round", "trunc()": "Use bl.trunc",
    "float()": _NUMBER, "complex()": _NUMBER, "item()": _NUMBER,
}  # fmt: skip
_ARRAY = (
    "Compute with the functions of backlit, which take Tensors as NumPy's take arrays, or return it and go on outside"
)


def no_value(node: Node, asked: str, instead: str | None = None) -> GraphError:
    """The error for a value that is asked for before it is there: of a static graph, or in a function being traced."""
    line = line_of(caller())
    what = f"the argument {node.name!r}" if node.op is LEAF and node.name is not None else node.label
    if node.graph is not None:
        why = "It belongs to a static graph, and Session.run computes it"
    else:
        why = "The function is being traced, as bl.compile, bl.scan and bl.cond do, and runs later"
    return GraphError(
        f"{asked}: {what} has no value{f' when {line} asks for it' if line else ''}. {why}. "
        f"{instead or _INSTEAD.get(asked, _ARRAY)}."
    )


def wrap(value: Any, node: Node | None = None) -> Tensor:
    """A Tensor of this value and node, unchecked: the inside's way to make one."""
    tensor = _new(Tensor)
    tensor.value = value
    tensor.node = node
    tensor._grad = None
    return tensor


def as_value(data: Any, dtype: Any = None, copy: bool = False) -> Any:
    """`data` as a NumPy value of a supported dtype; Python floats take the default dtype."""
    if isinstance(data, (np.ndarray, np.generic)):
        wanted = as_dtype(data.dtype if dtype is None else dtype)
        if data.dtype == wanted:
            return data.copy() if copy and isinstance(data, np.ndarray) else data
        return data.astype(wanted)
    if type(data) in WEAK:
        wanted = scalar_dtype(data) if dtype is None else as_dtype(dtype)
        try:
            return wanted.type(data)
        except OverflowError:
            raise DtypeError(f"Tensor: {shown(data)} is beyond what {wanted.name} holds; give a float.") from None
    try:
        array = np.array(_plain(data))
    except ValueError:
        raise ShapeError(f"Tensor: nested lists must be rectangular, got {shown(data)}.") from None
    if array.dtype.char not in CATEGORIES["any"]:
        raise DtypeError(f"Tensor: cannot make one of {shown(data)} ({type(data).__name__}); give numbers or arrays.")
    if dtype is not None:
        return array.astype(as_dtype(dtype))
    if array.dtype.char in "dD" and not _holds_numpy(data):
        return array.astype(scalar_dtype(1.0 if array.dtype.char == "d" else 1j))
    return array


def _plain(data: Any) -> Any:
    """Nested lists with every Tensor replaced by its value."""
    if isinstance(data, Tensor):
        return data.numpy()
    return [_plain(d) for d in data] if isinstance(data, (list, tuple)) else data


def _holds_numpy(data: Any) -> bool:
    if isinstance(data, (list, tuple)):
        return any(_holds_numpy(d) for d in data)
    return isinstance(data, (np.ndarray, np.generic, Tensor))


def leaf_node(value: Any, *, like: Any = None, owner: Tensor | None = None, name: str | None = None) -> Node:
    """The node of a Tensor that nothing computed."""
    node = Node(LEAF, (), {}, value, value if like is None else like, caller())
    if owner is not None:
        node.owner = weakref.ref(owner)
    node.name = name
    return node


def symbol(spec: Spec, name: str | None = None) -> Tensor:
    """An edge without a value: what a function is traced on, and what a placeholder is."""
    return wrap(None, leaf_node(None, like=spec, name=name))


def edge(node: Node) -> Tensor:
    """A Tensor for the value of this node."""
    return wrap(node.value, node)
