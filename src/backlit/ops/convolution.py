"""Convolution and its transpose, in one, two and three dimensions.

One trilinear form in input x, weight w and cotangent g stands behind all of it. The three ops
`convolve`, `convolve_transposed` and `convolve_weight` contract it with two of the three and are each
other's transposes, so that every order of derivative is again one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..base.errors import ArgumentError, ShapeError, shown
from ..base.shapes import as_index
from ..graph.op import composite, op
from ..graph.opdef import Spec
from . import patches
from .arithmetic import add
from .einsum import conjugated
from .movement import reshape
from .operands import operand

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def _sample_pairs(rng: Any, kind: str) -> list[Any]:
    """Arguments of the three ops below, for a few geometries."""
    cases = []
    for size, kernel, stride, padding, dilation, groups in [
        ((4, 3), (2, 2), (1, 1), ((0, 0), (1, 0)), (1, 1), 1),
        ((5, 4), (2, 3), (2, 1), ((1, 1), (0, 1)), (1, 1), 2),
        ((6,), (2,), (1,), ((1, 2),), (2,), 1),
    ]:
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        out = patches.window_positions(size, kernel, stride, padding, dilation)
        x, w, g = (rng.normal(size=s) for s in ((2, 2, *size), (2, 2 // groups, *kernel), (2, 2, *out)))
        if kind == "x":
            cases.append(((g, w), {"size": size, **geometry}))
        elif kind == "w":
            cases.append(((x, g), {"kernel": kernel, **geometry}))
        else:
            cases.append(((x, w), geometry))
    return cases


# --- the trilinear form, contracted three ways ---------------------------------------------------------


def _convolve_spec(x: Any, w: Any, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Spec:
    out = patches.window_positions(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return Spec((x.shape[0], w.shape[0], *out), x.dtype)


@op(
    namespace="hidden", infer=_convolve_spec, saves="x w", dtypes="numeric", onnx="Conv",
    samples=lambda rng: _sample_pairs(rng, "g"),
    transpose=(
        lambda g, x, w, **geometry: convolve_transposed(g, conjugated(w), size=tuple(x.shape[2:]), **geometry),
        lambda g, x, w, **geometry: convolve_weight(conjugated(x), g, kernel=tuple(w.shape[2:]), **geometry),
    ),
)  # fmt: skip
def convolve(x: Any, w: Any, /, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Any:
    """The convolution (cross-correlation, as in all of deep learning) of `x` with `w`."""
    return patches.forward(x, w, stride, padding, dilation, groups)


@op(
    namespace="hidden", saves="g w", dtypes="numeric", onnx="ConvTranspose",
    infer=lambda g, w, *, size, groups, **_: Spec((g.shape[0], w.shape[1] * groups, *size), g.dtype),
    samples=lambda rng: _sample_pairs(rng, "x"),
    transpose=(
        lambda ct, g, w, *, size, **geometry: convolve(ct, conjugated(w), **geometry),
        lambda ct, g, w, *, size, **geometry: convolve_weight(ct, conjugated(g), kernel=tuple(w.shape[2:]), **geometry),
    ),
)  # fmt: skip
def convolve_transposed(
    g: Any, w: Any, /, *, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Any:
    """The transpose of `convolve` with respect to an `x` of spatial `size`."""
    return patches.backward_input(g, w, size, stride, padding, dilation, groups)


@op(
    namespace="hidden", saves="x g", dtypes="numeric",
    infer=lambda x, g, *, kernel, groups, **_: Spec((g.shape[1], x.shape[1] // groups, *kernel), x.dtype),
    samples=lambda rng: _sample_pairs(rng, "w"),
    transpose=(
        lambda ct, x, g, *, kernel, **geometry: convolve_transposed(
            conjugated(g), ct, size=tuple(x.shape[2:]), **geometry
        ),
        lambda ct, x, g, *, kernel, **geometry: convolve(conjugated(x), ct, **geometry),
    ),
)  # fmt: skip
def convolve_weight(
    x: Any, g: Any, /, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Any:
    """The transpose of `convolve` with respect to a `w` with that `kernel`."""
    return patches.backward_weight(x, g, kernel, stride, padding, dilation, groups)


# --- arguments -----------------------------------------------------------------------------------------


def per_axis(value: Any, n: int, name: str, where: str, least: int = 1) -> Ints:
    """An int, or one for each of `n` spatial axes, as a tuple."""
    if type(value) is int and value >= least:  # a small convolution spends much of its time in here
        return (value,) * n
    values = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * n
    if len(values) != n:
        raise ArgumentError(f"{where}: {name}={value!r} has {len(values)} entries; give one int, or {n}.")
    found = tuple(as_index(v, name, where) for v in values)
    if min(found) < least:
        raise ArgumentError(f"{where}: {name}={value!r}; expected {least} or more.")
    return found


def as_padding(padding: Any, size: Ints, kernel: Ints, stride: Ints, dilation: Ints, where: str) -> Pairs:
    """Padding in any accepted form as a pair (before, after) for each spatial axis."""
    n = len(kernel)
    if type(padding) is int and padding >= 0:
        return ((padding, padding),) * n
    if padding == "valid":
        return ((0, 0),) * n
    if padding == "same":  # output size ceil(size / stride), the odd one of the border at the end
        spans = (d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        totals = [max((-(-m // s) - 1) * s + span - m, 0) for m, s, span in zip(size, stride, spans, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    if isinstance(padding, str):
        raise ArgumentError(f"{where}: padding={padding!r}; expected 'same', 'valid', an int, ints or pairs.")
    entries = tuple(padding) if isinstance(padding, Sequence) else (padding,) * n
    if len(entries) != n:
        raise ArgumentError(
            f"{where}: padding={padding!r} has {len(entries)} entries; give one int, or an int or a pair "
            f"(before, after) for each of {n} spatial axes."
        )
    pairs = []
    for entry in entries:
        pair = tuple(entry) if isinstance(entry, Sequence) and not isinstance(entry, str) else (entry, entry)
        if len(pair) != 2:
            raise ArgumentError(f"{where}: padding={shown(padding)}; a pair is (before, after).")
        pairs.append(tuple(as_index(p, "padding", where) for p in pair))
    if any(min(pair) < 0 for pair in pairs):
        raise ArgumentError(f"{where}: padding={padding!r} is negative; cut the input with x[...] instead.")
    return tuple(pairs)


_WEIGHT = {False: "outputs, channels / groups", True: "channels, outputs / groups"}
AXES = {1: "length", 2: "height, width", 3: "depth, height, width"}


def _operands(x: Any, w: Any, b: Any, n: int, where: str, groups: int, transposed: bool) -> tuple[Any, Any, Any]:
    """The operands as things with shapes, checked."""
    x, w = operand(x), operand(w)
    if len(x.shape) != n + 2:
        raise ShapeError(
            f"{where}: expected x of shape (batch, channels, {AXES[n]}), got {x.shape}; "
            "add a batch or channel axis of size 1 with reshape."
        )
    if len(w.shape) != n + 2:
        raise ShapeError(f"{where}: expected w of shape ({_WEIGHT[transposed]}, {AXES[n]}), got {w.shape}.")
    if b is not None:
        b = operand(b)
        count = w.shape[1] * groups if transposed else w.shape[0]
        if b.shape != (count,):
            raise ShapeError(f"{where}: expected b of shape ({count},), one for each output channel; got {b.shape}.")
    return x, w, b


def _biased(y: Any, b: Any, n: int) -> Any:
    return y if b is None else add(y, reshape(b, (b.shape[0],) + (1,) * n))


# --- public --------------------------------------------------------------------------------------------


def _conv(x: Any, w: Any, b: Any, n: int, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    where = f"conv{n}d"
    groups = per_axis(groups, 1, "groups", where)[0]
    x, w, b = _operands(x, w, b, n, where, groups, False)
    strides, dilations = per_axis(stride, n, "stride", where), per_axis(dilation, n, "dilation", where)
    if x.shape[1] != w.shape[1] * groups:
        raise ShapeError(
            f"{where}: x has {x.shape[1]} channels, w expects {w.shape[1]} × groups {groups}; "
            f"x is {x.shape} (batch, channels, {AXES[n]}), w {w.shape} ({_WEIGHT[False]}, {AXES[n]})."
        )
    if w.shape[0] % groups:
        raise ShapeError(f"{where}: {w.shape[0]} output channels do not divide into {groups} groups.")
    size, kernel = tuple(x.shape[2:]), tuple(w.shape[2:])
    pads = as_padding(padding, size, kernel, strides, dilations, where)
    if min(patches.window_positions(size, kernel, strides, pads, dilations)) < 1:
        raise ShapeError(
            f"{where}: the kernel {kernel} with dilation {dilations} does not fit into the input {size} "
            f"with padding {pads}; use a smaller kernel or padding='same'."
        )
    y = convolve(x, w, stride=strides, padding=pads, dilation=dilations, groups=groups)
    return _biased(y, b, n)


def _conv_transpose(
    x: Any, w: Any, b: Any, n: int, stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: int
) -> Any:
    where = f"conv_transpose{n}d"
    groups = per_axis(groups, 1, "groups", where)[0]
    x, w, b = _operands(x, w, b, n, where, groups, True)
    strides, dilations = per_axis(stride, n, "stride", where), per_axis(dilation, n, "dilation", where)
    extra = per_axis(output_padding, n, "output_padding", where, least=0)
    if x.shape[1] != w.shape[0]:
        raise ShapeError(
            f"{where}: x has {x.shape[1]} channels, w expects {w.shape[0]}; "
            f"x is {x.shape} (batch, channels, {AXES[n]}), w {w.shape} ({_WEIGHT[True]}, {AXES[n]})."
        )
    if w.shape[0] % groups:
        raise ShapeError(f"{where}: {w.shape[0]} input channels do not divide into {groups} groups.")
    if padding == "same":
        raise ArgumentError(f"{where}: padding='same' does not fix the output size here; give numbers.")
    if any(e >= s for e, s in zip(extra, strides, strict=True)):
        raise ArgumentError(f"{where}: output_padding={output_padding!r} must be smaller than stride={stride!r}.")
    kernel = tuple(w.shape[2:])
    pads = as_padding(padding, x.shape[2:], kernel, strides, dilations, where)
    size = tuple(
        (m - 1) * s - lo - hi + d * (k - 1) + e + 1
        for m, s, (lo, hi), d, k, e in zip(x.shape[2:], strides, pads, dilations, kernel, extra, strict=True)
    )
    if min(size) < 1:
        raise ShapeError(f"{where}: padding {pads} cuts the whole output away (its size would be {size}).")
    y = convolve_transposed(x, w, size=size, stride=strides, padding=pads, dilation=dilations, groups=groups)
    return _biased(y, b, n)


def _conv_samples(size: Ints) -> Any:
    n = len(size)
    return lambda rng: [
        ((rng.normal(size=(2, 2, *size)), rng.normal(size=(3, 2) + (2,) * n)), {"b": rng.normal(size=3)}),
        ((rng.normal(size=(1, 2, *size)), rng.normal(size=(2, 1) + (2,) * n)),
         {"stride": 2, "padding": "same", "groups": 2}),
    ]  # fmt: skip


def _transpose_samples(size: Ints) -> Any:
    n = len(size)
    return lambda rng: [
        ((rng.normal(size=(1, 2, *size)), rng.normal(size=(2, 2) + (2,) * n)), {"b": rng.normal(size=2)}),
        ((rng.normal(size=(1, 2, *size)), rng.normal(size=(2, 1) + (2,) * n)),
         {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
    ]  # fmt: skip


_CONV_DOC = """Convolution (cross-correlation) of `x` with `w`, in the layout of PyTorch.

`x` has shape (batch, channels, {axes}), `w` (outputs, channels / groups, {axes}).

Args:
    b: a bias for each output channel.
    stride: the step between windows; an int, or one for each spatial axis.
    padding: zeros around the input: an int, an int or a pair (before, after) for each spatial axis, "valid" (none),
        or "same" (output size is input size / stride, rounded up).
    dilation: the step between the taps of the kernel.
    groups: channels are split into so many groups that do not see each other.

Raises:
    ShapeError: channels do not match, or the kernel does not fit into the padded input.

See Dumoulin & Visin, A guide to convolution arithmetic for deep learning (2016).
"""
_EXAMPLE = """
>>> import backlit as bl
>>> x, w = bl.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), bl.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
>>> bl.conv2d(x, w)
tensor([[[[5.]]]], dtype=float32)
"""
_TRANSPOSE_DOC = """The transpose of `conv{n}d`, also called deconvolution.

`x` has shape (batch, channels, {axes}), `w` (channels, outputs / groups, {axes}): the shapes of the
output and of the weight of the `conv{n}d` that this is the transpose of. Its output has size
(size - 1)·stride - padding + dilation·(kernel - 1) + output_padding + 1, `padding` counted on both sides
(Dumoulin & Visin 2016, section 4).

Args:
    b: a bias for each output channel.
    stride, padding, dilation, groups: those of the convolution that this is the transpose of.
    output_padding: extra size at the end of each axis, smaller than `stride`, which leaves the size open.
"""


@composite(
    dtypes="numeric", onnx="Conv", samples=_conv_samples((4,)), doc=_CONV_DOC.format(axes=AXES[1]),
)  # fmt: skip
def conv1d(
    x: Any, w: Any, /, b: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    return _conv(x, w, b, 1, stride, padding, dilation, groups)


@composite(
    dtypes="numeric", onnx="ConvTranspose", samples=_transpose_samples((4,)),
    doc=_TRANSPOSE_DOC.format(n=1, axes=AXES[1]),
)  # fmt: skip
def conv_transpose1d(
    x: Any, w: Any, /, b: Any = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    return _conv_transpose(x, w, b, 1, stride, padding, output_padding, dilation, groups)


@composite(
    dtypes="numeric", onnx="Conv", samples=_conv_samples((3, 4)), doc=_CONV_DOC.format(axes=AXES[2]) + _EXAMPLE,
)  # fmt: skip
def conv2d(
    x: Any, w: Any, /, b: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    return _conv(x, w, b, 2, stride, padding, dilation, groups)


@composite(
    dtypes="numeric", onnx="ConvTranspose", samples=_transpose_samples((3, 4)),
    doc=_TRANSPOSE_DOC.format(n=2, axes=AXES[2]),
)  # fmt: skip
def conv_transpose2d(
    x: Any, w: Any, /, b: Any = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    return _conv_transpose(x, w, b, 2, stride, padding, output_padding, dilation, groups)


@composite(
    dtypes="numeric", onnx="Conv", samples=_conv_samples((2, 3, 2)), doc=_CONV_DOC.format(axes=AXES[3]),
)  # fmt: skip
def conv3d(
    x: Any, w: Any, /, b: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    return _conv(x, w, b, 3, stride, padding, dilation, groups)


@composite(
    dtypes="numeric", onnx="ConvTranspose", samples=_transpose_samples((2, 3, 2)),
    doc=_TRANSPOSE_DOC.format(n=3, axes=AXES[3]),
)  # fmt: skip
def conv_transpose3d(
    x: Any, w: Any, /, b: Any = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    return _conv_transpose(x, w, b, 3, stride, padding, output_padding, dilation, groups)
