"""Schedules: their ends, in native plans, and what they refuse; the curves are compared in `tests/peers`."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import optim
from backlit.base.errors import ArgumentError

ALL = {
    "step_decay": optim.step_decay(0.3, 10, 0.5),
    "multistep": optim.multistep(0.3, [5, 6, 20]),
    "exponential": optim.exponential(0.3, 0.9),
    "polynomial": optim.polynomial(0.3, 25, 2),
    "linear": optim.linear(0.3, 10),
    "cosine": optim.cosine(0.3, 25, 0.1),
    "cosine_restarts": optim.cosine_restarts(0.3, 7),
    "growing restarts": optim.cosine_restarts(0.3, 3, 2),
    "one_cycle": optim.one_cycle(0.3, 31),
    "three phases": optim.one_cycle(0.3, 31, three_phase=True, anneal="linear"),
    "warm_up": optim.warm_up(optim.cosine(0.3, 20), 5),
    "chained": optim.chained(0.1, optim.exponential(0.3, 0.9), 0.2, at=[4, 9]),
    "product": optim.product(optim.cosine(1, 30), optim.step_decay(0.1, 10), 0.5),
}


@pytest.mark.parametrize("schedule", ALL.values(), ids=list(ALL))
def test_native_loops_follow_the_schedule(schedule):
    """A rate of r moves the parameter by r per step where the gradient is 1."""
    optimizer = optim.sgd(schedule)
    p = bl.tensor(np.float32(0.0))

    @bl.compile
    def run(p, state):
        def once(carry, _):
            p, state = carry
            p, state = optimizer.update(p, bl.ones_like(p), state)
            return (p, state), p

        return bl.scan(once, (p, state), None, 35)[1]

    found = -np.diff(run(p, optimizer.init(p)).numpy(), prepend=0)
    expected = [schedule(step).item() for step in range(35)]
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("schedule", ALL.values(), ids=list(ALL))
def test_numbers_counters_and_tensors_give_the_same(schedule):
    given = [7, 7.0, np.int64(7), bl.tensor(7), bl.tensor(7.0)]
    np.testing.assert_allclose([schedule(x).item() for x in given], schedule(7).item(), rtol=1e-6)
    assert schedule(bl.tensor(7.0)).dtype == np.float32
    assert schedule(7).dtype == np.float64


def test_rounds_begin_where_they_should_even_in_float32():
    schedule = optim.cosine_restarts(1.0, 3, 2)
    starts = [3 * (2**k - 1) for k in range(18)]
    for start in starts:
        assert schedule(bl.tensor(float(start))).item() == pytest.approx(1.0, abs=1e-5), start
        if start:
            assert schedule(bl.tensor(float(start - 1))).item() < 0.3, start


def test_a_function_of_ones_own_is_a_schedule():
    optimizer = optim.adam(lambda step: 0.1 / (1 + step))
    p = {"x": bl.tensor([1.0])}
    state = optimizer.init(p)
    _, state = optimizer.update(p, p, state)
    assert optimizer.rate(state).item() == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.step_decay(0.1, 0), "step_size: expected a positive whole number"),
        (lambda: optim.cosine(0.1, 2.5), "steps: expected a positive whole number, got 2.5"),
        (lambda: optim.cosine(-0.1, 2), "lr: expected a positive number"),
        (lambda: optim.one_cycle(0.1, 3), "the rise takes"),
        (lambda: optim.one_cycle(0.1, 30, pct_start=0.6, three_phase=True), "between 0 and 0.5"),
        (lambda: optim.one_cycle(0.1, 30, anneal="square"), "expected 'cos' or 'linear'"),
        (lambda: optim.chained(0.1, 0.2, at=[3, 5]), "2 schedules need 1 rising numbers"),
        (lambda: optim.chained(0.1, 0.2, 0.3, at=[5, 3]), "3 schedules need 2 rising numbers"),
        (lambda: optim.warm_up("slow", 3), "lr: expected a positive number or a schedule"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
