"""Shared by the tests of the compiler: they try its parts, so no plan is taken from the disk cache as a whole."""

from __future__ import annotations

import pytest

from backlit.compiler import image


@pytest.fixture(autouse=True)
def _compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "key_of", lambda *_: None)
