"""What is put around optimizers (clips, groups, averages, accumulation, scaled rates): eager and in native loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit import optim
from backlit.base.errors import ArgumentError
from backlit.base.trees import leaves, leaves_with_paths, tree_map

START = {"encoder.0.weight": np.ones((3, 2)), "encoder.0.bias": np.zeros(2), "head.weight": np.full((2, 2), 0.5)}


def start(dtype=np.float64):
    return {k: bl.tensor(v.astype(dtype)) for k, v in START.items()}


def loss(p):
    return bl.sum(bl.tanh(p["encoder.0.weight"] @ p["head.weight"] + p["encoder.0.bias"]) ** 2)


def stepped(optimizer, n, native, dtype=np.float64):
    def step(p, state):
        value, g = bl.value_and_grad(loss)(p)
        return *optimizer.update(p, g, state), value

    p = start(dtype)
    state = optimizer.init(p)
    if native:
        p, state, _ = bl.compile(step, donate=("p", "state")).repeat(n)(p, state)
        return p, state
    for _ in range(n):
        p, state, _ = step(p, state)
    return p, state


WRAPPED = {
    "value": optim.chain(optim.clip_by_value(0.01), optim.adam(0.1)),
    "norm": optim.chain(optim.clip_by_norm(0.1), optim.sgd(0.1)),
    "global norm": optim.chain(lambda g: tree_map(lambda x: 3 * x, g), optim.clip_by_global_norm(0.5), optim.sgd(0.1)),
    "groups": optim.groups({"*.bias": optim.sgd(0.1), "*": optim.adamw(0.01)}),
    "freeze": optim.freeze(optim.adam(0.1), "encoder.*"),
    "ema": optim.ema(optim.sgd(0.1, momentum=0.9), 0.8),
    "accumulate": optim.accumulate(optim.adam(optim.step_decay(0.1, 2)), 3),
    "scaled": optim.rate_scaled(optim.adamw(0.1)),
    "all": optim.rate_scaled(
        optim.accumulate(
            optim.ema(
                optim.groups({"head.*": optim.lion(0.01), "*": optim.chain(optim.clip_by_norm(1), optim.sgd(0.1))})
            ),
            2,
        )
    ),
}  # fmt: skip
everyone = pytest.mark.parametrize("optimizer", WRAPPED.values(), ids=list(WRAPPED))


@everyone
def test_native_loops_agree_with_single_steps(optimizer):
    native, eager = (leaves(stepped(optimizer, 10, native)) for native in (True, False))
    for a, b in zip(native, eager, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12)


@everyone
def test_dtype_is_kept(optimizer):
    p, state = stepped(optimizer, 4, native=False, dtype=np.float32)
    assert {x.dtype for x in leaves(p)} == {np.dtype(np.float32)}
    assert [x.dtype for x in leaves(state)] == [x.dtype for x in leaves(optimizer.init(start(np.float32)))]


@everyone
def test_state_is_a_tree_of_arrays_with_paths_of_its_own(optimizer):
    named = list(leaves_with_paths(optimizer.init(start())))
    assert all(isinstance(x, bl.Tensor) for _, x in named)
    assert len({path for path, _ in named}) == len(named)


@everyone
def test_update_changes_none_of_its_arguments(optimizer):
    p = {k: v.copy() for k, v in START.items()}
    g = {k: np.full_like(v, 3.0) for k, v in START.items()}
    state = optimizer.init(p)
    before = [np.array(x) for x in leaves((p, g, state))]
    for _ in range(3):
        optimizer.update(p, g, state)
    for x, old in zip(leaves((p, g, state)), before, strict=True):
        np.testing.assert_array_equal(np.array(x), old)


trees = st.recursive(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=4).map(np.array),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=40)
@given(trees, st.floats(0.1, 10))
def test_clipped_trees_have_at_most_the_norm_and_their_direction(tree, limit):
    clipped = optim.clip_by_global_norm(limit)(tree)
    flat = lambda t: np.concatenate([np.array(x) for x in leaves(t)] or [np.zeros(0)])
    before, after = flat(tree), flat(clipped)
    assert np.linalg.norm(after) <= limit * (1 + 1e-9)
    np.testing.assert_allclose(optim.global_norm(tree).item(), np.linalg.norm(before), rtol=1e-6)
    np.testing.assert_allclose(after * (np.linalg.norm(before) + 1e-6), before * min(
        np.linalg.norm(before) + 1e-6, limit), rtol=1e-6, atol=1e-9)  # fmt: skip


def test_norms_of_narrow_and_complex_arrays():
    assert optim.global_norm([np.full(4, 300, np.float16)]).item() == 600
    assert optim.global_norm([np.array([3 + 4j]), np.array([12.0])]).item() == pytest.approx(13)
    z = optim.clip_by_norm(1.0)([np.array([3 + 4j])])[0]
    np.testing.assert_allclose(z.numpy(), [0.6 + 0.8j], rtol=1e-6)


def test_frozen_parameters_stay_and_have_no_state():
    p, state = stepped(WRAPPED["freeze"], 5, native=True)
    np.testing.assert_array_equal(p["encoder.0.weight"].numpy(), START["encoder.0.weight"])
    assert not np.array_equal(p["head.weight"].numpy(), START["head.weight"])
    assert {path for path, _ in leaves_with_paths(state)} == {
        "*.step", "*.slots.mean.head.weight", "*.slots.square.head.weight"
    }  # fmt: skip


def test_the_first_pattern_counts():
    optimizer = optim.groups({"*.bias": None, "encoder.*": optim.sgd(1.0), "*": optim.sgd(0.5)})
    ones = tree_map(bl.ones_like, start())
    new, _ = optimizer.update(start(), ones, optimizer.init(start()))
    assert [(new[k].numpy() - START[k]).mean() for k in START] == [-1.0, 0.0, -0.5]


def test_accumulation_steps_with_the_mean_and_forgets():
    optimizer = optim.accumulate(optim.sgd(1.0), 2)
    p = bl.tensor(0.0)
    state, seen = optimizer.init(p), []
    for g in (1.0, 3.0, float("inf"), 1.0, 5.0, 7.0):
        p, state = optimizer.update(p, bl.tensor(g), state)
        seen.append(p.item())
    assert seen == [0, -2, -2, -np.inf, -np.inf, -np.inf]
    assert state.total.item() == 0


def test_averages_are_copies_of_what_init_was_given():
    p = {"w": np.ones(3)}
    state = optim.ema(optim.sgd(0.1)).init(p)
    p["w"][:] = 7
    assert optim.averaged(state)["w"].tolist() == [1, 1, 1]


def test_a_rate_is_scaled_without_tracing_anew():
    optimizer = optim.rate_scaled(optim.sgd(optim.step_decay(0.5, 2)))

    @bl.compile
    def step(p, state):
        return optimizer.update(p, bl.ones_like(p), state)

    p = bl.tensor(0.0)
    state, seen = optimizer.init(p), []
    for scale in (1.0, 0.5, 0.0, 1.0):
        state = optim.with_scale(state, scale)
        seen.append(round(optimizer.rate(state).item(), 6))
        p, state = step(p, state)
    assert seen == [0.5, 0.25, 0.0, 0.05]
    assert p.item() == pytest.approx(-0.8)
    assert step.traces == 1


def test_rates_of_wrapped_optimizers():
    optimizer = optim.rate_scaled(optim.groups({"head.*": optim.sgd(0.5), "*.bias": None, "*": optim.adam(0.1)}))
    state = optim.with_scale(optimizer.init(start()), 0.1)
    assert {k: round(r.item(), 6) for k, r in optimizer.rate(state).items()} == {"head.*": 0.05, "*": 0.01}
    nested = optim.ema(optim.accumulate(optim.sgd(0.5), 2))
    assert nested.rate(nested.init(start())) == 0.5
    plain = optim.Optimizer(lambda p: (), lambda p, g, state, scale=None: (p, state))
    assert optim.ema(plain).rate is None


def test_nested_scales_multiply():
    inner = optim.rate_scaled(optim.sgd(1.0))
    optimizer = optim.rate_scaled(inner)
    p = bl.tensor(0.0)
    state = optimizer.init(p)
    state = optim.with_scale(state._replace(inner=optim.with_scale(state.inner, 0.5)), 0.5)
    assert optimizer.update(p, bl.tensor(1.0), state)[0].item() == -0.25


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.chain(), "expected an optimizer as the last part, got None"),
        (lambda: optim.chain(optim.clip_by_norm(1)), "expected an optimizer as the last part"),
        (lambda: optim.chain(optim.sgd(1), optim.sgd(1)), "only the last part is an optimizer"),
        (lambda: optim.clip_by_norm(0), "max_norm: expected a positive number"),
        (lambda: optim.clip_by_global_norm("1"), "max_norm: expected a positive number, got '1'"),
        (lambda: optim.groups({"*": 0.1}), r"expected an optimizer or None for '\*', got 0.1"),
        (lambda: optim.groups({"decoder.*": None, "*": optim.sgd(1)}).init(START), r"it matches none.*head\.weight"),
        (lambda: optim.groups({"*": None, "head.*": optim.sgd(1)}).init(START), "taken by patterns before it"),
        (lambda: optim.groups({"head.*": optim.sgd(1)}).init(START), r"no pattern takes .* encoder\.0\.weight"),
        (lambda: optim.freeze(optim.sgd(1), "hed*").init(START), r"'hed\*' takes no parameter"),
        (lambda: optim.groups({"*": optim.sgd(1)}).init({"a.b": START, "a": {"b": START}}), "two parameters have"),
        (lambda: optim.ema(optim.sgd(1), 1.0), "decay: expected"),
        (lambda: optim.accumulate(optim.sgd(1), 0), "n: expected a positive whole number"),
        (lambda: optim.averaged(optim.sgd(1).init(START)), r"one optim\.ema\(\.\.\.\) in it, found none"),
        (lambda: optim.with_scale(optim.sgd(1).init(START), 2), "expected the state of optim.rate_scaled"),
        (lambda: optim.with_scale(optim.rate_scaled(optim.sgd(1)).init(START), -1), "scale: expected a number of 0"),
        (lambda: optim.plateau(mode="least"), "mode: expected 'min' or 'max', got 'least'"),
        (lambda: optim.plateau(factor=1), "factor: expected"),
    ],
)
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_plateau_scales_down_and_rests():
    watch = optim.plateau(mode="max", factor=0.5, patience=1, cooldown=1, min_scale=0.2)
    state, scales = watch.init(), []
    for accuracy in (0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7):
        state = watch.update(accuracy, state)
        scales.append(state.scale)
    assert scales == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2]
    assert state.best == 0.7
