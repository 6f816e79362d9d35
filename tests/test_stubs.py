"""The generated type stubs say what the registry says now."""

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).parent.parent / "tools" / "stubs.py"


def test_stubs_are_fresh() -> None:
    spec = importlib.util.spec_from_file_location("stubs", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for path, text in tool.stubs().items():
        if path.read_text("utf-8") != text:
            pytest.fail(f"{path.name} is not what tools/stubs.py would write now: run 'make stubs'")
