"""`Function`: a layer that is one op, its options taken from the op's record."""

from __future__ import annotations

from inspect import Parameter, Signature, signature
from typing import Any, ClassVar

from ..base.errors import ArgumentError
from ..graph.opdef import OPS
from .layer import Layer


class Function(Layer):
    """A layer without parameters that applies one op of `bl`; its arguments are the options of that op.

    A subclass names the op. Arguments, defaults and the description follow from the record.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.LeakyReLU(0.1)(bl.tensor([-1.0, 2.0]))
    tensor([-0.1,  2. ], dtype=float32)
    >>> nn.Sequential(nn.Conv2d(8, 3), nn.MaxPool2d(2, padding=1))
    Sequential(Conv2d(8, 3), MaxPool2d(2, padding=1))
    """

    applies: ClassVar[str]

    def __init_subclass__(cls) -> None:
        record = OPS[cls.applies]
        options = [p for p in record.signature.parameters.values() if p.kind is not Parameter.POSITIONAL_ONLY]
        cls.__signature__ = Signature([p.replace(kind=Parameter.POSITIONAL_OR_KEYWORD) for p in options])  # type: ignore
        cls.__doc__ = f"`bl.{cls.applies}` as a layer. {record.doc}"

    def __init__(self, *args: Any, **options: Any) -> None:
        try:
            given = signature(type(self)).bind(*args, **options)
        except TypeError as problem:
            names = ", ".join(signature(type(self)).parameters) or "none"
            raise ArgumentError(f"{type(self).__name__}: {problem}; its arguments are: {names}.") from None
        given.apply_defaults()
        vars(self).update(given.arguments)

    def forward(self, x: Any) -> Any:
        return OPS[self.applies].public(x, **vars(self))
