"""A module of LLVM IR: functions, what they declare, and the attributes that go for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .writer import Target


def module(functions: Sequence[str], declarations: Iterable[str], target: Target, triple: str) -> str:
    """The text of a module.

    The one attribute that matters for speed makes LLVM use vectors as wide as the processor has. No fast-math flag is
    set, here or on any instruction: what is not written as one rounding (`fma`) is rounded as eager mode rounds it, so
    that x·x - y·y is 0 where x equals y, and its root no NaN.
    """
    attributes = f'attributes #0 = {{ nounwind "prefer-vector-width"="{8 * target.vector_bytes}" }}'
    return "\n".join(
        [f'target triple = "{triple}"', *functions, *sorted(set(declarations)), attributes, "!0 = !{i32 1}", ""]
    )
