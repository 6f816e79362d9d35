"""The comparison on real data: who trains when, and what the table says of it."""

from __future__ import annotations

import pytest

from bench.accuracy import PARTS, Part, Result, run, spread, table


def part(goal: float | None) -> tuple[Part, list[str]]:
    """Two contenders whose figures nobody measured, and in which order they trained."""
    order: list[str] = []

    def trains(name: str, accuracy: float, seconds: float) -> object:
        def train(seed: int) -> Result:
            order.append(f"{name} {seed}")
            return accuracy + seed / 100, seconds

        return train

    contenders = {"Backlit": trains("ours", 0.97, 2.0), "torch eager": trains("theirs", 0.96, 5.0)}
    return Part("a network", "accuracy", goal, contenders), order  # type: ignore[arg-type]


def test_contenders_train_in_turns() -> None:
    given, order = part(None)
    lines: list[str] = []
    found = run(given, [0, 1], lines.append)
    assert order == ["ours 0", "theirs 0", "ours 1", "theirs 1"]
    assert found["Backlit"] == [(0.97, 2.0), (0.98, 2.0)]
    assert "seed 1" in lines[-1]
    assert "0.9700" in lines[-1]


@pytest.mark.parametrize(("goal", "said"), [(0.97, "reached"), (0.98, "missed"), (None, None)])
def test_table(goal: float | None, said: str | None) -> None:
    given, _ = part(goal)
    lines = table(given, run(given, [0, 1], lambda line: None)).splitlines()
    assert lines[0] == "a network"
    assert lines[2].split() == ["Backlit", "0.9750", "0.0071", "2.00", "0.00", "1.00"]
    assert lines[3].split()[-1] == "2.50"
    assert len(lines) == 4 + (goal is not None)
    assert said is None or lines[4].endswith(said)


def test_one_seed_has_no_spread() -> None:
    assert spread([0.5]) == 0


def test_parts_have_names() -> None:
    assert list(PARTS) == ["perceptron", "lenet", "lstm", "transformer"]
