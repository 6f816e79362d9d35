"""Optional packages: one that is missing is named, with the command that brings it."""

from __future__ import annotations

import pytest

from backlit.base.errors import MissingExtra
from backlit.base.extras import require


def test_a_missing_extra_says_how_to_install_it():
    with pytest.raises(MissingExtra, match=r'pip install "backlit\[data\]"'):
        require("no_such_package_at_all", "data")
