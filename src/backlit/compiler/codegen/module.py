"""A module of LLVM IR: functions, what they declare, and the attributes that go for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .writer import Target


def module(functions: Sequence[str], declarations: Iterable[str], target: Target, triple: str) -> str:
    """The text of a module.

    The one attribute that matters for speed makes LLVM use vectors as wide as the processor has. No fast-math flag is
    set here: floating-point instructions carry `contract` (a product and a sum may be rounded once) and nothing else.
    """
    attributes = f'attributes #0 = {{ nounwind "prefer-vector-width"="{8 * target.vector_bytes}" }}'
    return "\n".join(
        [f'target triple = "{triple}"', *functions, *sorted(set(declarations)), attributes, "!0 = !{i32 1}", ""]
    )
