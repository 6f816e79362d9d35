"""Where a training breaks the trainer says which op of which step did it: native steps, replayed, then traced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import data, nn, optim, train
from backlit.explain.origin import Origin
from backlit.train import replay
from backlit.train.run_folder import RunFolder

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 5)).astype("float32")
Y = (X.sum(axis=1) > 0).astype(int)


def network() -> nn.Layer:
    return nn.Sequential(nn.Dense(16, "relu"), nn.Dense(2)).build((5,), key=0)


def broken(model: nn.Layer, x: Any, y: Any, **options: Any) -> train.DivergedError:
    """The error of a training that must break."""
    with pytest.raises(train.DivergedError) as caught:
        model.fit(x, y, verbose=False, **options)
    assert isinstance(caught.value.origin, Origin)
    return caught.value


def test_a_learning_rate_that_is_much_too_high() -> None:
    problem = broken(network(), X, Y, epochs=50, optimizer=optim.sgd(1e6))
    assert problem.origin.key == "parameters have grown"
    assert problem.origin.layer == "1"
    assert any("have grown from" in n for n in problem.origin.notes)
    assert "lower the learning rate" in str(problem)
    assert str(problem.origin) in str(problem)


def test_the_logarithm_of_a_probability() -> None:
    def loss(out: Any, y: Any) -> Any:
        return -bl.mean(bl.log(bl.take_along_axis(bl.softmax(out, axis=-1), y[:, None], axis=1)))

    problem = broken(network(), X, Y, epochs=50, optimizer=optim.sgd(100.0), loss=loss)
    assert problem.origin.key == "log of a softmax that underflowed"
    assert problem.origin.line.startswith("test_replay.py")


@pytest.mark.parametrize("blockwise", [False, True])
def test_a_bad_number_in_the_data(blockwise: bool) -> None:
    x = X.copy()
    x[123, 3] = np.nan
    loader: Any = data.Loader((x, Y), 32, key=0)
    if blockwise:  # data that are changed on the way come in blocks
        loader = data.Loader((x, Y), 32, key=0, transform=lambda x: x * 2)
    trainer = train.Trainer(network(), optim.sgd(0.01))
    with pytest.raises(train.DivergedError, match="sample 123 of the training data") as caught:
        trainer.fit(loader, 3)
    assert (caught.value.origin.direction, caught.value.origin.name) == ("input", "inputs")
    assert caught.value.origin.entries[0][1] == 3


def test_a_gradient_breaks_a_step_before_the_loss() -> None:
    loss = lambda out, y: bl.mean(bl.sqrt(bl.relu(out - y)))
    model = nn.Sequential(nn.Dense(4, "tanh"), nn.Dropout(0.5), nn.Dense(1)).build((5,), key=0)
    problem = broken(model, X, X[:, :1], epochs=5, optimizer=optim.sgd(0.01), loss=loss)
    assert "step 2: the loss is nan" in str(problem)
    assert problem.origin.direction == "backward"
    assert problem.origin.of == "sqrt"
    assert problem.origin.notes[0].startswith("step 1 of epoch 1")


def test_an_update_breaks() -> None:
    model = nn.Sequential(nn.Dense(1)).build((5,), key=0)
    problem = broken(model, X, X[:, :1], epochs=5, optimizer=optim.sgd(1e39))
    assert problem.origin.end.startswith("The update of 0.")
    assert problem.origin.mend.startswith("lower the learning rate")


def test_parameters_may_break_long_before_the_loss() -> None:
    """The row of one token gets an infinite gradient in step 3, and is not read again before step 9."""
    tokens = np.arange(36) % 5
    tokens[[9, 34]] = 7
    model = nn.Sequential(nn.Embedding(8, 1), nn.Flatten()).build(tokens[:2, None], key=0)
    model.load_values({"0.weight": np.where(np.arange(8) == 7, 0.0, 1.0).astype("f")[:, None]})
    loader = data.Loader((tokens[:, None], np.zeros((36, 1), "f")), 4, shuffle=False)
    trainer = train.Trainer(model, optim.sgd(0.001), lambda out, y: bl.mean(bl.sqrt(bl.abs(out - y))))
    with pytest.raises(train.DivergedError, match="epoch 1, step 9") as caught:
        trainer.fit(loader, 1)
    assert caught.value.origin.of == "sqrt"
    assert caught.value.origin.notes[0].startswith("step 3 of epoch 1")
    assert "sample 9 of" in caught.value.origin.notes[0]


def test_an_optimizer_breaks_a_step_before_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "LEAST", 0.0)
    monkeypatch.setattr(replay, "SPACING", 0)
    model = network()
    model.load_values({**model.values(), "0.bias": np.full(16, -100.0, "f")})  # dead: all gradients of layer 0 are 0
    problem = broken(model, X, Y, epochs=5, optimizer=optim.adam(1e-3, eps=1e-300))
    assert problem.origin.key == "division by 0"
    assert problem.origin.end.startswith("The update of 0.weight")
    assert problem.origin.notes[0] == "step 1 of epoch 1"


def test_late_in_a_training_the_same_steps_are_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a state that was kept, over ends of epochs and changes by callbacks, to the same bits."""
    seen: list[float] = []

    class Spoil(train.Callback):
        def epoch(self, trainer: train.Trainer, row: dict[str, Any]) -> None:
            seen.append(row["loss"])
            if trainer.epoch == 2:
                values = {k: np.array(v) for k, v in trainer.values().items()}
                values["2.weight"] *= 3
                trainer.take_over(values)

    rising = optim.exponential(1e-3, 1.3)
    model = nn.Sequential(nn.Dense(16, "relu"), nn.Dropout(0.3), nn.Dense(1)).build((5,), key=0)
    runs: list[Any] = []
    for least in (0.0, 1e9):  # kept whenever possible, or once
        monkeypatch.setattr(replay, "LEAST", least)
        monkeypatch.setattr(replay, "SPACING", 0)
        runs.append(broken(model, X, X[:, :1], epochs=50, optimizer=optim.sgd(rising), callbacks=[Spoil()]))
    one, other = (r.origin._replace(notes=r.origin.notes[:1]) for r in runs)
    assert one == other
    assert len(seen) > 4
    assert "epoch 1," not in str(runs[0])


def test_the_run_folder_tells(tmp_path: Any) -> None:
    problem = broken(network(), X, Y, epochs=50, optimizer=optim.sgd(1e6), run=tmp_path / "run")
    assert (tmp_path / "run" / "nonfinite.txt").read_text("utf-8") == f"{problem}\n"
    network().fit(X, Y, epochs=1, run=tmp_path / "fine", verbose=False)
    assert not (tmp_path / "fine" / "nonfinite.txt").exists()
    assert RunFolder(tmp_path / "fine").history()
