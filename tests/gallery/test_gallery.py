"""Every experiment of the gallery, in its quick form: the numbers it must give, and the picture it must leave."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from backlit.show import stage


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Runs an experiment once, whatever the number of tests that ask for it."""
    found = {}

    def run(name):
        if name not in found:
            out = tmp_path_factory.mktemp(name)
            found[name] = stage.load(name).main(out, quick=True)
            assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        return found[name]

    return run


def test_every_script_is_in_the_gallery_and_asks_a_question():
    assert {path.stem for path in stage.folder().glob("*.py")} == set(stage.names())
    assert all(stage.question(name).endswith("?") for name in stage.names())


def test_neuron(results):
    found = results("neuron")
    assert found["h"] == [0, 0, 0, 1, 2, 0.5]
    assert found["dw"] == found["db"] == 0.25
    assert found["heights"][-1] == pytest.approx(1 / 200, rel=0.05)


def test_xor(results):
    found = results("xor")
    assert np.round(found["outputs"]).tolist() == [0, 1, 1, 0]
    assert found["gap"] < 1e-6


def test_vanishing(results):
    chain, closed, wide = results("vanishing").values()
    a, slopes = 1.0, []  # the chain by hand: δ shrinks by σ' in every layer
    inputs = []
    for _ in range(10):
        inputs.append(a)
        a = 1 / (1 + np.exp(-a))
        slopes.append(a * (1 - a))
    by_hand = [2 * abs(a - 3) * np.prod(slopes[layer:]) * inputs[layer] for layer in range(10)]
    np.testing.assert_allclose(chain["sigmoid"], by_hand, rtol=1e-9)
    assert chain["sigmoid"][0] < 1e-5 * chain["sigmoid"][-1]
    assert chain["ReLU"] == pytest.approx([4.0] * 10)
    assert closed["ReLU"] == [0.0] * 10
    assert min(closed["leaky ReLU"]) > 0
    assert wide["sigmoid"][0] < 1e-4 * wide["sigmoid"][-1]


def test_activations(results):
    peak = {name: slope.max() for name, (_, slope, _) in results("activations").items()}
    assert peak["sigmoid"] == pytest.approx(0.25, abs=1e-4)
    assert peak["softmax"] == pytest.approx(0.25, abs=1e-4)
    assert peak["tanh"] == pytest.approx(1, abs=1e-3)
    assert peak["ReLU"] == peak["leaky ReLU"] == 1


def test_perceptron(results):
    found = results("perceptron")
    assert found["accuracy"] == 1
    assert found["losses"][-1] < found["losses"][0] / 100


def test_regression(results):
    found = results("regression")
    steps = np.linalg.norm(found["path"] - found["best"], axis=1)
    assert steps[-1] < 0.3 * steps[0]
    assert found["best"] == pytest.approx([1, 2], abs=0.4)


def test_mnist(results):
    for name, found in results("mnist").items():
        assert found["accuracy"] > 0.95, name


def test_himmelblau_reaches_all_four_minima(results):
    ends = results("himmelblau")["paths"][-1]
    minima = [(-3.779310, -3.283186), (3, 2), (3.584428, -1.848127), (-3.779310, -3.283186), (-2.805118, 3.131313)]
    np.testing.assert_allclose(ends, minima, atol=1e-4)


def test_by_hand(results):
    found = results("by_hand")
    assert max(found["gaps"].values()) < 1e-14
    assert found["dw"].shape == (4, 16)
    assert found["db"].tolist() == [5.0] * 16
    assert found["losses"][-1] < 0.1 * found["losses"][0]


@pytest.mark.parametrize("name", stage.names())
def test_every_experiment_explains_a_gradient(name, tmp_path):
    text, html, drawing, page = stage.explain(name, tmp_path)
    assert "%" in text.read_text("utf-8")  # the shares of its paths
    assert html.read_text("utf-8").lower().startswith("<!doctype html>")
    assert drawing.read_text("utf-8").startswith("<svg")
    assert stage.question(name).split()[0] in page.read_text("utf-8")
