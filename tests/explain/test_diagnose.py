"""Diagnosis: planted faults are found, with layer and root, and healthy twins are left in peace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.explain.diagnosis import Diagnosis
from backlit.explain.faults import FAULTS, limit
from backlit.explain.findings import Findings, LayerFigures, Snapshot
from backlit.explain.rules import RULES, judged
from backlit.nn.passes import unmade

RNG = np.random.default_rng(0)
X = RNG.normal(size=(512, 8)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def looked_at(*layers: Any, data: Any = (X, Y), loss: Any = "auto", mends: bool = False, **options: Any) -> Diagnosis:
    model = nn.Sequential(*layers).build(data[0][:1], key=0)
    before = {path: p.numpy().copy() for path, p in model.parameters().items()}
    found = bl.diagnose(model, loss, data, mends=mends, **options)
    for path, p in model.parameters().items():
        np.testing.assert_array_equal(p.numpy(), before[path])
    return found


def test_a_healthy_network_is_left_in_peace() -> None:
    found = looked_at(nn.Dense(32, "relu"), nn.Dense(2), optimizer=optim.adam(1e-2), validation=(X[:100], Y[:100]))
    assert found.healthy, found
    assert str(found).startswith("Nothing is wrong that is looked for: in 200 steps the loss goes from")
    assert "0 Dense" in str(found)


def test_a_rate_that_is_too_high_and_a_mend_that_helps() -> None:
    found = looked_at(nn.Dense(32, "tanh"), nn.Dense(2), optimizer=optim.sgd(300.0), mends=True)
    assert found.verdicts[0].fault == "learning rate too high"
    assert found.outcomes[0] is not None
    assert found.outcomes[0].helped
    text = str(found)
    assert text.startswith("Learning rate too high")
    assert "→ mend, tried: " in text
    assert max(map(len, text.splitlines())) <= 100
    assert "learning rate too high" in found._repr_html_()


def test_updates_as_large_as_the_weights_need_no_better_rate_to_be_told() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(600, 20)).astype(np.float32)
    y = np.minimum(rng.geometric(0.7, 600), 8) - 1  # noise, and classes of unequal size
    found = looked_at(nn.Dense(32, "relu"), nn.Dense(8), data=(x, y), optimizer=optim.adam(5.0))
    assert [v.fault for v in found.verdicts if not v.because][:1] == ["learning rate too high"]
    assert "which leaves nothing of them" in found.verdicts[0].evidence
    usual = looked_at(nn.Dense(32, "relu"), nn.Dense(8), data=(x, y), optimizer=optim.adam(1e-3))
    assert not {"class collapse", "learning rate too high"} & {v.fault for v in usual.verdicts}, usual


def test_sigmoid_layers_make_the_gradient_vanish_and_the_rest_follows(tmp_path: Path) -> None:
    found = looked_at(*[nn.Dense(16, "sigmoid") for _ in range(10)], nn.Dense(2), optimizer=optim.sgd(0.1))
    first, *rest = found.verdicts
    assert first.fault == "vanishing gradient"
    assert "by slope of the activation" in first.evidence
    assert all(v.because for v in rest)
    assert found.flow is not None
    assert found.flow.sentences()[0].split(":")[0] in str(found).replace("\n", " ")
    for name in ("d.txt", "d.html", "d.png"):
        found.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 100
    with pytest.raises(bl.ArgumentError, match=r"expected .txt, .html or .png"):
        found.save(tmp_path / "d.doc")


def test_units_that_a_bias_has_killed() -> None:
    model = nn.Sequential(nn.Dense(16, "relu"), nn.Dense(16, "relu"), nn.Dense(2)).build(X[:1], key=0)
    model.load_values({"1.bias": np.full(16, -50.0, np.float32)})
    found = bl.diagnose(model, "auto", (X, Y), mends=False, steps=20)
    assert (found.verdicts[0].fault, found.verdicts[0].layer) == ("dead units", "1")


def test_a_column_against_a_row_in_the_loss() -> None:
    def squared(out: Any, y: Any) -> Any:
        return bl.mean((out - y) ** 2)

    found = looked_at(nn.Dense(8, "tanh"), nn.Dense(1), data=(X, X[:, 0]), loss=squared, steps=20)
    assert found.verdicts[0].fault == "broadcasting slip"
    assert "(256, 1) against (256,) to (256, 256)" in found.verdicts[0].evidence
    assert "test_diagnose.py" in found.verdicts[0].evidence


class Forgetful(nn.Layer):
    """It makes a layer that it does not call, and stops the gradient of another."""

    def __init__(self) -> None:
        self.inner, self.cut, self.outer = nn.Dense(8, "tanh"), nn.Dense(8, "tanh"), nn.Dense(2)
        self.idle = True

    def forward(self, x: Any) -> Any:
        y = bl.stop_gradient(self.cut(x))
        return self.outer(y if self.idle else y + self.inner(x))


def test_parameters_that_are_not_used_or_get_nothing() -> None:
    model = Forgetful()
    model.idle = False
    model.build(X[:1], key=0)
    model.idle = True
    found = bl.diagnose(model, "auto", (X, Y), mends=False, steps=20)
    assert {(v.fault, v.layer) for v in found.verdicts} >= {
        ("unused parameter", "inner"),
        ("unchanged parameter", "cut"),
    }


def test_numbers_that_are_not_finite_are_told_without_a_trial() -> None:
    x = X.copy()
    x[3, 2] = np.nan
    found = looked_at(nn.Dense(8, "tanh"), nn.Dense(2), data=(x, Y))
    assert found.verdicts[0].fault == "numerical problem"
    assert found.findings.trial is None


@pytest.mark.parametrize(
    ("batch", "options", "message"),
    [
        (None, {}, "inputs, targets"),
        (X, {}, "inputs, targets"),
        ((X, Y), {"steps": 2}, "at least 10"),
        ((X, Y), {"loss": None}, "a function of outputs and targets, its name"),
        ((X, Y), {"model": len}, "expected a network, a backlit.nn.Layer, got builtin_function_or_method"),
        ((X, Y[1:]), {}, "whose first axis, which counts the samples, has one size"),
        (({"a": X, "b": X}, Y), {}, "a dict with 'a', 'b'; several inputs of one model are a tuple"),
    ],
)
def test_bad_input_is_told(batch: Any, options: Any, message: str) -> None:
    given = {"model": nn.Sequential(nn.Dense(2)).build((8,)), "loss": "auto", "batch": batch, **options}
    with pytest.raises(bl.BacklitError, match=message):
        bl.diagnose(**given)


class Two(nn.Layer):
    """A network with two inputs."""

    def __init__(self) -> None:
        self.a, self.b, self.end = nn.Dense(8, "tanh"), nn.Dense(8), nn.Dense(1)

    def forward(self, x: Any, z: Any) -> Any:
        return self.end(self.a(x) + self.b(z))


def test_data_come_in_the_forms_that_fit_takes_and_parameters_need_not_be_there() -> None:
    model, y = Two(), X[:, :1] > 0
    for batch in [((X, X[:, :2]), y), (X, X[:, :2], y), [(X.tolist(), X[:, :2].tolist()), y.tolist()]]:
        found = bl.diagnose(model, "binary_cross_entropy", batch, optimizer=optim.sgd(1e-6), steps=50)
        assert found.verdicts[0].fault == "learning rate too low"
        assert found.outcomes[0] is not None
        assert found.outcomes[0].helped
        assert "\nTwo" not in str(found)
    assert unmade(model) == ["a", "b", "end"]


def test_one_sample_says_nothing_of_how_outputs_differ() -> None:
    found = looked_at(nn.Dense(8, "tanh"), nn.Dense(1), data=(X[:1], X[:1, :1]), steps=20)
    assert "constant output" not in [v.fault for v in found.verdicts]


def test_every_limit_is_used_and_every_root_is_a_fault() -> None:
    source = "".join(
        p.read_text("utf-8") for p in Path(bl.__file__).parent.glob("explain/**/*.py") if p.stem != "faults"
    )
    for name, fault in FAULTS.items():
        assert f'"{name}"' in source
        assert set(fault.after) < set(FAULTS)
        for key, value in fault.limits.items():
            assert re.search(rf'"{key}"', source), (name, key)
            assert value.reason
            assert limit(name, key) == value.value
    assert len(RULES) == len(FAULTS)


def test_what_was_there_first_does_not_follow_from_what_came_later() -> None:
    dead = {"": LayerFigures("Sequential", 1, 1, 1, 1), "0": LayerFigures("Dense", 1, 1, 1, 1, "relu", dead=0.9)}
    early = Findings(Snapshot(0, 1.0, dead, {}))
    assert [(v.fault, v.step, v.because) for v in judged(early)] == [("dead units", 0, "")]
    alive = {**dead, "0": dead["0"]._replace(dead=0.0)}
    late = early._replace(first=Snapshot(0, 1.0, alive, {}), last=Snapshot(50, 1.0, dead, {}))
    assert [(v.fault, v.step) for v in judged(late)] == [("dead units", 50)]
