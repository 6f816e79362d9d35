"""Where a node says that it was made."""

from __future__ import annotations

import pytest

import backlit as bl

SOURCE = """import backlit as bl

made = bl.exp(bl.tensor(0.0, requires_grad=True))
"""


@pytest.mark.parametrize(
    ("file", "place"), [("/home/me/train.py", "train.py:3"), ("/tmp/ipykernel_123/3674804765.py", "line 3 of a cell")]
)
def test_a_node_names_the_line_of_the_user(file: str, place: str) -> None:
    names: dict[str, bl.Tensor] = {}
    exec(compile(SOURCE, file, "exec"), names)
    assert repr(names["made"]).endswith(f"from exp at {place})")
