"""The version of the standard that these files hold the namespace against."""

from collections.abc import Iterator
from typing import Any

import pytest

strict: Any = pytest.importorskip("array_api_strict")


@pytest.fixture(autouse=True, scope="module")
def version() -> Iterator[None]:
    strict.set_array_api_strict_flags(api_version="2024.12")
    yield
    strict.reset_array_api_strict_flags()
