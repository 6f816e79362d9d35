"""Views: a place for a reshaped transpose, as one for the array itself, compared element by element."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backlit.compiler.kernels.views import Buffer, View


def elements(view: View) -> np.ndarray:
    """The places of a view's elements."""
    index = np.indices(view.shape).reshape(len(view.shape), -1)
    return (np.array(view.strides, np.int64) @ index + view.offset).reshape(view.shape)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False), st.integers(0, 3))
def test_a_place_is_carried_through_transposes_and_reshapes(shape: list[int], random, joined: int) -> None:
    axes = random.sample(range(len(shape)), len(shape))
    own = View.whole(Buffer("x", "f4", prod(shape)), shape)
    seen = own.permuted(axes)
    at = min(joined, len(shape) - 1)
    flat = seen.reshaped((*seen.shape[:at], prod(seen.shape[at : at + 2]), *seen.shape[at + 2 :]))
    seen = flat or seen
    place = View.whole(Buffer("y", "f4", 3 * prod(shape)), (*seen.shape[:-1], 3 * seen.shape[-1]))
    place = place.sliced(len(seen.shape) - 1, seen.shape[-1], 1, seen.shape[-1])
    laid = place.carried(seen, own)
    if laid is None:
        assert flat is not None  # an axis that is split by the middle of another
        return
    assert laid.shape == own.shape
    to = np.empty(prod(shape), np.int64)
    to[elements(seen).ravel()] = elements(place).ravel()
    np.testing.assert_array_equal(to[elements(own).ravel()], elements(laid).ravel())


def test_heads_beside_each_other_in_a_row() -> None:
    own = View.whole(Buffer("x", "f4", 2 * 4 * 3 * 5), (2, 4, 3, 5))
    place = View.whole(Buffer("y", "f4", 2 * 3 * 60), (2, 3, 60)).sliced(2, 20, 1, 20)
    by_rows = own.permuted((0, 2, 1, 3)).reshaped((2, 3, 4, 5))
    assert by_rows is not None
    laid = View(place.buffer, (2, 3, 4, 5), (180, 60, 5, 1), 20).carried(by_rows, own)
    assert laid is not None
    assert (laid.strides, laid.offset) == ((180, 5, 60, 1), 20)


@pytest.mark.parametrize("seen", ["part", "repeated", "elsewhere"])
def test_what_shows_other_elements_is_not_carried(seen: str) -> None:
    own = View.whole(Buffer("x", "f4", 12), (3, 4))
    place = View.whole(Buffer("y", "f4", 12), (3, 4))
    views = {
        "part": own.sliced(1, 0, 1, 2).broadcast((2, 3, 2)),
        "repeated": View(own.buffer, (3, 4), (0, 1)),
        "elsewhere": View.whole(Buffer("z", "f4", 12), (3, 4)),
    }
    assert place.carried(views[seen], own) is None
