"""Shared by the tests of modes."""

from collections.abc import Iterator

import pytest

import backlit as bl


@pytest.fixture
def on_numpy() -> Iterator[None]:
    """Plans run on the kernels of eager mode, so that results are the same to the last bit."""
    with bl.settings(native=False):
        yield
