"""The two context variables of the library: `config` (settings) and `recording` (is a tape being written?)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from .errors import ArgumentError

#: When the library was loaded, in seconds: source files that were changed later are not those that run.
LOADED = time.time()

_FLOAT32: np.dtype[Any] = np.dtype(np.float32)


class Config(NamedTuple):
    """Settings of the library; change them for a block with `settings(...)`.

    Attributes:
        default_dtype: dtype of a Tensor made from Python floats (float32).
        keep_values: keep the value of every node on the tape, not only those the derivatives need,
            so that an explanation can show them.
        check: verify at `backward()` that no saved value was changed in place meanwhile
            (`BACKLIT_CHECK=1` in the environment; costs a checksum per saved value).
        native: run compiled functions as machine code; without it, and where there is no LLVM, their plans run on
            NumPy's kernels (`BACKLIT_NATIVE=0` in the environment).
        default_graph: the static graph that placeholders, variables and constants enter (`backlit.static`);
            None until one is needed.
    """

    default_dtype: np.dtype[Any] = _FLOAT32
    keep_values: bool = False
    check: bool = False
    native: bool = True
    default_graph: Any = None
    #: The pass through a network that is under way (`nn/passes.py`), if any.
    running: Any = None
    #: Must recording do more than usual? Then ops leave their short way. Follows from the others.
    watchful: bool = False

    def changed(self, **changes: Any) -> Config:
        """These settings with some of them changed."""
        new = self._replace(**changes)
        dtype = np.dtype(new.default_dtype)
        if dtype.char not in "fd":
            raise ArgumentError(
                f"default_dtype: expected float32 or float64, got {dtype.name}. "
                "Narrower types are chosen per Tensor with dtype=."
            )
        return new._replace(default_dtype=dtype, watchful=new.keep_values or new.check)


_INITIAL = Config().changed(
    check=os.environ.get("BACKLIT_CHECK", "0") not in ("", "0"), native=os.environ.get("BACKLIT_NATIVE", "1") != "0"
)
config: ContextVar[Config] = ContextVar("backlit.config", default=_INITIAL)


@contextmanager
def settings(**changes: Any) -> Iterator[Config]:
    """Change settings inside a `with` block.

    >>> import backlit as bl
    >>> with bl.settings(default_dtype=bl.float64):
    ...     bl.tensor(0.5).dtype
    dtype('float64')
    """
    names = [name for name in Config._fields if name not in ("running", "watchful")]
    unknown = set(changes) - set(names)
    if unknown:
        raise ArgumentError(f"settings: no setting named {sorted(unknown)[0]!r}; there are {', '.join(names)}.")
    before = config.get()
    config.set(before.changed(**changes))
    try:
        yield config.get()
    finally:  # put back what was changed here, not what was set inside for good
        config.set(config.get().changed(**{name: getattr(before, name) for name in changes}))


#: Is a tape being written? True, False, or (true too) the forward node whose derivative is being recorded,
#: which then becomes the origin of the nodes made.
recording: ContextVar[Any] = ContextVar("backlit.recording", default=True)


@contextmanager
def no_grad() -> Iterator[None]:
    """Inside this block (or function, as a decorator) operations leave no trace on the tape.

    >>> import backlit as bl
    >>> w = bl.tensor(2.0, requires_grad=True)
    >>> with bl.no_grad():
    ...     (w * 3).requires_grad
    False
    """
    token = recording.set(False)
    try:
        yield
    finally:
        recording.reset(token)


@contextmanager
def enable_grad() -> Iterator[None]:
    """Turn recording on again inside a `no_grad` block."""
    token = recording.set(True)
    try:
        yield
    finally:
        recording.reset(token)
