"""Recurrent layers: gradients against finite differences, lengths, states, plans, errors. Beside torch: tests/peers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.base.errors import ArgumentError, DtypeError, ShapeError
from backlit.base.trees import leaves
from backlit.testing import check_grad

KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
X = np.random.default_rng(0).normal(size=(3, 4, 2))


def in_float64(model: Any) -> dict[str, np.ndarray]:
    return {path: p.numpy().astype("float64") for path, p in model.parameters().items()}


@pytest.mark.parametrize("lengths", [None, [4, 1, 3]])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: str, lengths: Any) -> None:
    model = KINDS[kind](3, layers=2, bidirectional=True).build((4, 2))
    check_grad(lambda p, x: model.apply(p, x, lengths=lengths)[0], [in_float64(model), X])


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(kind: str) -> None:
    model = KINDS[kind](2, last=True).build((4, 2))
    check_grad(lambda p, x: model.apply(p, x)[0], [in_float64(model), X], order=2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_of_training_is_native_and_agrees(kind: str) -> None:
    model = KINDS[kind](3, layers=2, bidirectional=True, dropout=0.5).build((4, 2))

    def step(p: Any, x: Any, lengths: Any) -> Any:
        run = lambda p: bl.sum(model.apply(p, x, lengths=lengths, training=True, key=bl.random.key(1))[0] ** 2)
        return bl.value_and_grad(run)(p)

    given = (in_float64(model), X, np.array([4, 2, 3]))
    compiled = bl.compile(step)
    (a, by_a), (b, by_b) = step(*given), compiled(*given)
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    for path in by_a:
        np.testing.assert_allclose(by_a[path].numpy(), by_b[path].numpy(), rtol=1e-10, atol=1e-12, err_msg=path)
    assert "NumPy" not in str(compiled.plan(*given).report())


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_in_two_parts(kind: str) -> None:
    """The state that the first part leaves is where the second goes on."""
    model = KINDS[kind](3, layers=2, return_state=True)
    whole, state = model(X)
    first, between = model(X[:, :2])
    second, last = model(X[:, 2:], state=between)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-5)
    for a, b in zip(leaves(state), leaves(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_are_sequences_cut_off(kind: str) -> None:
    model = KINDS[kind](3, layers=2, bidirectional=True, return_state=True)
    lengths = [4, 1, 0]
    outputs, state = model(X, lengths=lengths)
    for i, n in enumerate(lengths):
        np.testing.assert_array_equal(outputs[i, n:].numpy(), 0)
        if n:
            alone, end = model(X[i : i + 1, :n])
            np.testing.assert_allclose(outputs[i, :n], alone[0], rtol=1e-5, atol=1e-7)
            for a, b in zip(leaves(state), leaves(end), strict=True):
                np.testing.assert_allclose(a[:, i], b[:, 0], rtol=1e-5, atol=1e-7)


def test_lengths_in_a_plan_end_with_the_time_axis() -> None:
    model = nn.LSTM(3, bidirectional=True).build((4, 2))
    run = bl.compile(lambda x, lengths: model(x, lengths=lengths))
    np.testing.assert_array_equal(run(X, np.array([4, 9, 4])), run(X, np.array([4, 4, 4])))


def test_last_is_the_state_after_the_whole_sequence() -> None:
    model = nn.GRU(3, layers=2, bidirectional=True, return_state=True)
    outputs, state = model(X, lengths=[4, 2, 3])
    model.last = True
    last, _ = model(X, lengths=[4, 2, 3])
    np.testing.assert_array_equal(last, np.concatenate([state[2], state[3]], axis=-1))
    np.testing.assert_array_equal(last[:, :3], np.stack([outputs[i, n - 1, :3] for i, n in enumerate([4, 2, 3])]))
    np.testing.assert_array_equal(last[:, 3:], outputs[:, 0, 3:])


def test_an_lstm_forgets_little_at_first() -> None:
    model = nn.LSTM(3, bidirectional=True).build((4, 2))
    for path in ("forwards.0.bias", "backwards.0.bias"):
        np.testing.assert_array_equal(model.parameters()[path], [0] * 3 + [1] * 3 + [0] * 6)


def test_without_bias() -> None:
    for layer in KINDS.values():
        assert [p.split(".")[-1] for p in layer(2, use_bias=False).build((4, 2)).parameters()] == [
            "weight",
            "recurrent",
        ]


def test_dropout_lies_between_layers() -> None:
    """With one layer nothing is dropped; with two the outputs of the first are."""
    for layers, same in ((1, True), (2, False)):
        model = nn.GRU(8, layers, dropout=0.5).build((4, 2))
        out, _ = model.apply({}, X, training=True, key=bl.random.key(0))
        assert np.array_equal(out, model(X)) is same


def test_forms() -> None:
    assert repr(nn.LSTM(4, 2, bidirectional=True)) == "LSTM(4, layers=2, bidirectional=True)"
    assert repr(nn.RNN(4, activation="relu")) == "RNN(4, activation='relu')"
    assert nn.RNN(4, activation="relu")(X).numpy().min() >= 0


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ShapeError, "one sequence is x", lambda: nn.LSTM(3)(X[0])),
        (ArgumentError, "lengths must lie between 0 and 4, .* got 5", lambda: nn.GRU(3)(X, lengths=[1, 5, 2])),
        (ArgumentError, "got -1", lambda: nn.GRU(3)(X, lengths=[1, -1, 2])),
        (DtypeError, "lengths must be integers", lambda: nn.GRU(3)(X, lengths=[1.0, 2.0, 2.0])),
        (ShapeError, "one length for each of 3 sequences", lambda: nn.GRU(3)(X, lengths=[1, 2])),
        (ShapeError, r"here \(1, 3, 3\)", lambda: nn.GRU(3)(X, state=bl.zeros((3, 3)))),
        (ArgumentError, r"the pair \(h, c\)", lambda: nn.LSTM(3)(X, state=bl.zeros((1, 3, 3)))),
        (ArgumentError, "units must be 1 or more", lambda: nn.RNN(0)),
        (ArgumentError, "layers must be 1 or more", lambda: nn.RNN(2, 0)),
        (ArgumentError, "Did you mean .tanh.", lambda: nn.RNN(2, activation="tan")),
        (ArgumentError, "from 0 up to", lambda: nn.RNN(2, dropout=1.5)),
    ],
)
def test_errors(error: type[Exception], words: str, call: Any) -> None:
    with pytest.raises(error, match=words):
        call()
