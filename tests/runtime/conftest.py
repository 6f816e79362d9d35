"""Shared by the tests of the runtime: no test reads or writes the user's cache, and most need LLVM."""

from __future__ import annotations

from pathlib import Path

import pytest

from backlit.runtime.host import Host, host


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache of plans, empty, for this test alone."""
    for name in ("BACKLIT_CACHE_SIZE", "BACKLIT_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    return tmp_path / "plans"


@pytest.fixture
def machine() -> Host:
    """This machine."""
    found = host()
    if found is None:
        pytest.skip("no LLVM here")
    return found
