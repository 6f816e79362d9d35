"""`repeat` and `epochs`: the same steps as a loop in Python takes, in native loops."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import optim
from backlit.base.trees import leaves, tree_map
from backlit.modes.interrupts import Interrupted
from backlit.modes.pace import Pace

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(50, 3)).astype(np.float32)
LABELS = (DATA @ np.array([1.0, -2.0, 0.5], np.float32) + 1).astype(np.float32)
ADAM = optim.adam(0.05)


def start() -> dict[str, Any]:
    return {"w": bl.zeros(3), "b": bl.tensor(0.0)}


def step(p: Any, state: Any, x: Any, y: Any) -> Any:
    value, gradient = bl.value_and_grad(lambda p: bl.mean((x @ p["w"] + p["b"] - y) ** 2))(p)
    return (*ADAM.update(p, gradient, state), value)


def near(found: Any, expected: Any) -> None:
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-6)


def same_bits(one: Any, other: Any) -> None:
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def by_hand(epochs: int, batch: int, key: Any = None, drop_last: bool = False) -> Any:
    """What `epochs` is to do, written as loops in Python."""
    p, state, values = start(), ADAM.init(start()), []
    for epoch in range(epochs):
        order = np.arange(50) if key is None else bl.random.permutation(bl.random.fold_in(key, epoch), 50).numpy()
        row = []
        for i in range(0, 50, batch):
            rows = order[i : i + batch]
            if drop_last and len(rows) < batch:
                continue
            p, state, value = step(p, state, DATA[rows], LABELS[rows])
            row.append(value.item())
        values.append(row)
    return (p, state), np.array(values, np.float32)


# --- repeat ------------------------------------------------------------------------------------------------


def test_repeat_feeds_results_back() -> None:
    fast = bl.compile(step, donate=("p", "state"))
    p, state, last, values = start(), ADAM.init(start()), None, []
    for _ in range(25):
        p, state, last = step(p, state, DATA, LABELS)
        values.append(last)
    near(fast.repeat(25)(start(), ADAM.init(start()), DATA, LABELS), (p, state, last))
    near(fast.repeat(25, collect=True)(start(), ADAM.init(start()), DATA, LABELS), (p, state, bl.stack(values)))
    assert fast.repeat(25) is fast.repeat(25)
    assert fast.repeat(25).traces == 1


def test_repeat_of_one_result() -> None:
    double = bl.compile(lambda x: x * 2)
    assert double.repeat(10)(1.0).item() == 1024
    assert double.repeat(1)(1.0).item() == 2
    counted = bl.compile(lambda x: (x + 1, {"square": x * x, "name": "square"}))
    x, aux = counted.repeat(4)(1.0)
    assert (x.item(), aux["square"].item(), aux["name"]) == (5, 16, "square")
    x, aux = counted.repeat(4, collect=True)(1.0)
    assert (aux["square"].tolist(), aux["name"]) == ([1, 4, 9, 16], "square")


def test_repeat_asks_when_in_doubt() -> None:
    rotate = bl.compile(lambda x, y: (y, x + y))
    with pytest.raises(bl.ArgumentError, match=r"the first 2 results fit the first 2 arguments.*carry=2"):
        rotate.repeat(3)(1.0, 1.0)
    assert [t.item() for t in rotate.repeat(3, carry=2)(1.0, 1.0)] == [3, 5]
    assert [t.item() for t in rotate.repeat(3, carry=1)(1.0, 1.0)] == [1, 2]


def test_repeat_can_be_differentiated() -> None:
    power = bl.compile(lambda x, a: x * a)
    assert bl.grad(lambda a: power.repeat(3)(1.0, a))(2.0).item() == 12


REPEATS: dict[str, tuple[Any, type[Exception], str]] = {
    "never": (lambda: bl.compile(lambda x: x).repeat(0), bl.ArgumentError, "n must be 1 or more"),
    "another shape": (
        lambda: bl.compile(lambda x: bl.stack([x, x])).repeat(2)(1.0), bl.ShapeError, r"result 0 is float32\(2,\)"
    ),
    "another dtype": (
        lambda: bl.compile(lambda x: x.astype("float64")).repeat(2)(1.0), bl.DtypeError, r"result 0 is float64\(\)"
    ),
    "another structure": (lambda: bl.compile(lambda x: [x]).repeat(2)(1.0), bl.ArgumentError, "trees differ"),
    "too many": (lambda: bl.compile(lambda x: x).repeat(2, carry=2)(1.0), bl.ArgumentError, "carry=2 .* 1 results"),
    "donated in the middle": (
        lambda: bl.compile(step, donate="state").repeat(2), bl.ArgumentError, "state are not its first ones.*carry="
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), REPEATS.values(), ids=REPEATS.keys())
def test_wrong_repeat(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# --- epochs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 10, 16, 50, 64])
@pytest.mark.parametrize("shuffled", [False, True])
def test_epochs_are_the_loops_by_hand(batch: int, shuffled: bool) -> None:
    key = bl.random.key(3) if shuffled else None
    epochs = 1 if batch == 1 else 4
    state, values = by_hand(epochs, batch, key)
    run = bl.compile(step).epochs(
        (DATA, LABELS), batch, state=(start(), ADAM.init(start())), shuffle=key, epochs=epochs
    )  # fmt: skip
    near(run.state, state)
    near(run.values, values)


def test_the_smaller_batch_can_be_left_out() -> None:
    state, values = by_hand(3, 16, drop_last=True)
    fast = bl.compile(step)
    run = fast.epochs((DATA, LABELS), 16, state=(start(), ADAM.init(start())), epochs=3, drop_last=True)
    near(run, (state, values))
    assert run.values.shape == (3, 3)


def test_a_run_can_be_repeated_and_continued_to_the_bit() -> None:
    fast = bl.compile(step)
    begin = (start(), ADAM.init(start()))
    options: dict[str, Any] = {"shuffle": bl.random.key(7)}
    whole = fast.epochs((DATA, LABELS), 16, state=begin, epochs=5, **options)
    same_bits(fast.epochs((DATA, LABELS), 16, state=begin, epochs=5, **options), whole)
    half = fast.epochs((DATA, LABELS), 16, state=begin, epochs=2, **options)
    rest = fast.epochs((DATA, LABELS), 16, state=half.state, epochs=3, first_epoch=2, **options)
    same_bits(rest.state, whole.state)
    same_bits(bl.concat([half.values, rest.values]), whole.values)
    assert begin[0]["w"].tolist() == [0, 0, 0]  # left as it was


def test_on_epoch_sees_a_state_that_stays_good_and_may_stop() -> None:
    seen: list[Any] = []

    def watch(epoch: int, state: Any, values: Any) -> bool:
        seen.append((epoch, tree_map(np.array, state[0]), state[0], values.numpy().mean()))
        return epoch < 3

    fast = bl.compile(step)
    run = fast.epochs((DATA, LABELS), 10, state=(start(), ADAM.init(start())), epochs=9, on_epoch=watch)
    assert [e for e, *_ in seen] == [0, 1, 2, 3]
    for _, copied, kept, _ in seen:
        same_bits(kept, copied)
    same_bits(run.state[0], seen[-1][1])
    assert run.values.shape == (4, 5)

    def stop(*_: Any) -> None:
        raise StopIteration

    run = fast.epochs((DATA, LABELS), 10, state=(start(), ADAM.init(start())), epochs=9, on_epoch=stop)
    assert run.values.shape == (1, 5)


def test_progress_comes_now_and_then() -> None:
    seen: list[Any] = []
    bl.compile(step).epochs(
        (DATA, LABELS), 4, state=(start(), ADAM.init(start())), epochs=2, on_progress=lambda *a: seen.append(a)
    )  # fmt: skip
    assert seen[0] == (0, 1, 13)
    assert [a for a in seen if a[1] == 13] == [(0, 13, 13), (1, 13, 13)]
    assert seen == sorted(seen)


def test_chunks_grow_to_their_time_and_not_beyond() -> None:
    pace = Pace()
    counts = []
    for _ in range(6):
        counts.append(pace.next(10_000))
        pace.took(3.0 if len(counts) == 1 else counts[-1] * 1e-4, counts[-1])
    assert counts == [1, 8, 64, 500, 500, 500]
    assert pace.next(3) == 3
    pace.took(5.0, 5)
    assert pace.next(3) == 1


def test_other_forms_of_state_data_and_values() -> None:
    count = bl.compile(lambda n, batch: n + batch["x"].sum())
    run = count.epochs({"x": np.arange(10)}, 4, state=(0,), epochs=3)
    assert run.state[0].item() == 135
    assert run.values == ()
    several = bl.compile(lambda n, x: (n + 1, {"mean": x.mean(), "first": x[0]}, x.max()))
    run = several.epochs(np.arange(6.0), 3, state=(0.0,), epochs=2)
    assert run.values[0]["first"].tolist() == [[0, 3], [0, 3]]
    assert run.values[1].tolist() == [[2, 5], [2, 5]]
    run = several.epochs(np.arange(6.0), 3, state=(0.0,), epochs=0)
    assert run.values[1].shape == (0, 2)


def test_parameters_that_require_grad_and_what_is_closed_over() -> None:
    scale = bl.tensor(2.0, requires_grad=True)
    w = bl.tensor(1.0, requires_grad=True)
    run = bl.compile(lambda w, x: w + (scale * x).sum()).epochs(np.ones(6, "f"), 2, state=(w,), epochs=3)
    assert run.state[0].item() == 37
    assert not run.state[0].requires_grad
    assert w.item() == 1


# --- Ctrl-C --------------------------------------------------------------------------------------------------


def endless(on_progress: Any) -> Any:
    return bl.compile(step).epochs(
        (DATA, LABELS), 16, state=(start(), ADAM.init(start())), epochs=100_000, on_progress=on_progress
    )  # fmt: skip


def test_ctrl_c_comes_between_steps_and_leaves_the_state_whole() -> None:
    def press(epoch: int, done: int, steps: int) -> None:
        if epoch == 3 and done == steps:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        endless(press)
    assert isinstance(caught.value, Interrupted)
    run = caught.value.run
    state, values = by_hand(4, 16)
    near(run.state, state)
    near(run.values, values)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_ones_own_is_called_and_may_go_on() -> None:
    calls: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        run = bl.compile(step).epochs(
            (DATA, LABELS), 16, state=(start(), ADAM.init(start())), epochs=2,
            on_progress=lambda *_: os.kill(os.getpid(), signal.SIGINT),
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    assert run.values.shape == (2, 4)
    assert set(calls) == {signal.SIGINT}


def test_epochs_in_another_thread() -> None:
    found: list[Any] = []
    fast = bl.compile(step)
    work = lambda: found.append(fast.epochs((DATA, LABELS), 16, state=(start(), ADAM.init(start()))))
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    for run in found[1:]:
        same_bits(run, found[0])


# --- wrong calls -----------------------------------------------------------------------------------------------


def epochs(*args: Any, function: Any = step, state: Any = (1.0,), **kwargs: Any) -> Any:
    return bl.compile(function).epochs(*args, state=state, **kwargs)


EPOCHS: dict[str, tuple[Any, type[Exception], str]] = {
    "a state that is no tuple": (
        lambda: epochs(DATA, 4, state=start()), bl.ArgumentError, r"state must be a tuple.*state=\(params,\)"
    ),
    "sizes that differ": (
        lambda: epochs((DATA, LABELS[:9]), 4), bl.ShapeError, r"data\.1 has shape \(9,\), data\.0 has 50 rows"
    ),
    "a number in the data": (lambda: epochs((DATA, 3.0), 4), bl.ShapeError, r"data\.1 has shape \(\)"),
    "no data": (lambda: epochs((), 4), bl.ArgumentError, "data has no arrays"),
    "no batch": (lambda: epochs(DATA, 0), bl.ArgumentError, "batch_size must be 1 or more"),
    "nothing left": (
        lambda: epochs(DATA, 64, drop_last=True, function=lambda s, x: s), bl.ArgumentError, "no batch of 64.*False"
    ),
    "a seed": (lambda: epochs(DATA, 4, shuffle=3, function=lambda s, x: s), bl.ArgumentError, "must be a key"),
    "too few results": (
        lambda: epochs(DATA, 4, function=lambda a, b, x: a, state=(1.0, 2.0)), bl.ArgumentError,
        r"state has 2 parts, but .* returns 1 result",
    ),
    "another shape": (
        lambda: epochs(DATA, 4, function=lambda s, x: s + x), bl.ShapeError, r"result 0 is float32\(4, 3\)"
    ),
    "values of a batch": (
        lambda: epochs(DATA, 16, function=lambda s, x: (s, x[:, 0])), bl.ShapeError, r"\(16,\), but \(2,\) on the last"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), EPOCHS.values(), ids=EPOCHS.keys())
def test_wrong_epochs(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
