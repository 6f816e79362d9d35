"""`bl.draw`: what is drawn of which subject, as text and as SVG, and what is red in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import backlit as bl
from backlit import nn, static
from backlit.base.errors import MissingExtra
from backlit.base.higher import higher
from backlit.explain.contributions import shares
from backlit.show.graph.drawing import Drawing
from backlit.show.graph.scene import state_of
from backlit.show.graph.svg import THINNEST, WIDEST, width_of

from .networks import NETWORKS, Block, transformer

SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing: Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(drawing.svg)


def classes(drawing: Drawing, tag: str) -> list[str]:
    return [e.get("class", "") for e in parsed(drawing).iter(f"{SVG}{tag}")]


def test_values_and_gradients_are_those_of_the_graph() -> None:
    drawing = bl.draw(NETWORKS["neuron"]())
    nodes = {n.label: n for n in drawing.scene.nodes}
    assert (nodes["w"].value, nodes["w"].gradient, nodes["w"].kind) == ("0", "0.25", "leaf")
    assert (nodes["h6"].formula, nodes["h6"].value, nodes["h6"].kind) == ("1 / h5", "0.5", "output")
    assert nodes["x"].state == "zero"
    assert "h4 = exp(h3)" in str(drawing)
    texts = ["".join(t.itertext()) for t in parsed(drawing).iter(f"{SVG}text")]
    assert "h4 = exp(h3)" in texts
    assert "1∂ -0.25" in texts


def test_weights_of_edges_are_the_norms_of_what_comes_back_along_them() -> None:
    rng = np.random.default_rng(0)
    x = bl.tensor(rng.normal(size=3), requires_grad=True)
    drawing = bl.draw((x * 2).sum() + (x * x).sum() * 3)
    ids = {n.label: n.id for n in drawing.scene.nodes}
    weights = [e.weight for e in drawing.scene.edges if e.source == ids["x"]]
    values = x.numpy()
    np.testing.assert_allclose(weights, [np.linalg.norm([2] * 3), *[np.linalg.norm(3 * values)] * 2])


def test_ops_with_several_results_are_one_node() -> None:
    def parts(x: Any) -> Any:
        first, second = bl.unstack(x)
        return first * 2 + second * x[0] + bl.sum(x) * 0

    scene = bl.draw(parts, np.array([3.0, 5.0])).scene
    nodes = {n.label: n for n in scene.nodes}
    assert not any(n.op == "pick" for n in scene.nodes)
    assert (nodes["h1"].brief, nodes["h1"].gradient) == ("unstack(x)", "2 ‖3.61‖")  # the norm of (2, 3)
    assert [n.formula for n in scene.nodes if "h1[" in n.formula] == ["h1[0] · 2", "h1[1] · h5"]
    (edge,) = (e for e in scene.edges if e.target == nodes["h1"].id)
    assert edge.weight == pytest.approx(np.hypot(2, 3))


@pytest.mark.parametrize("name", NETWORKS)
def test_text_keeps_to_its_columns_and_svg_is_well_formed(name: str) -> None:
    drawing = bl.draw(NETWORKS[name](), title=f"<{name}> & more")
    assert max(map(len, str(drawing).splitlines())) <= 100
    root = parsed(drawing)
    assert root.find(f"{SVG}title").text == f"<{name}> & more"  # type: ignore[union-attr]
    assert root.find(f"{SVG}desc") is not None
    boxes = [e.get("data-id") for e in root.iter(f"{SVG}g") if e.get("data-id")]
    assert len(boxes) == len(set(boxes)) == str(drawing).count("├─ ") + str(drawing).count("└─ ") - sum(
        bool(e.get("data-group")) for e in root.iter(f"{SVG}g")
    ) or name == "neuron"  # fmt: skip


def test_what_vanishes_and_bursts_is_red() -> None:
    drawing = bl.draw(NETWORKS["sigmoids"]())
    states = {n.label: n.state for n in drawing.scene.nodes}
    assert (states["0.weight"], states["10.weight"]) == ("vanished", "fine")
    assert "parameter bad" in classes(drawing, "g")
    assert "edge vanished" in classes(drawing, "path")
    line = next(row for row in str(drawing).splitlines() if "◆ weight" in row)
    assert line.endswith("vanished")
    wide = bl.draw(lambda x: bl.exp(10 * x) * x, 1.0)
    assert "burst" in str(wide)
    healthy = bl.draw(NETWORKS["xor"]())
    assert not any("bad" in c for c in classes(healthy, "g"))


def test_states_by_norm() -> None:
    assert [state_of(x) for x in (float("nan"), 0.0, 1e-5, 1.0, 1e4, float("inf"))] == [
        "none", "zero", "vanished", "fine", "burst", "broken",
    ]  # fmt: skip
    with np.errstate(all="ignore"):
        poisoned = bl.draw(lambda x: bl.exp(100 * x), 1.0)
    assert {n.label: n.state for n in poisoned.scene.nodes}["x"] == "broken"
    assert "not finite" in str(poisoned)
    assert "value bad" in classes(poisoned, "tspan")


def test_wider_edges_carry_more() -> None:
    widths = [width_of(w, 10.0) for w in (0.0, 1e-9, 1e-3, 0.1, 1.0, 10.0, float("inf"))]
    assert widths == sorted(widths)
    assert (widths[0], widths[-2]) == (THINNEST, WIDEST)


def test_with_respect_to_one_leaf_widths_are_shares() -> None:
    w = bl.tensor(2.0, requires_grad=True, name="w")
    tape = bl.draw(w * w * w + bl.exp(-w), wrt=w)
    found = [e.weight for e in tape.scene.edges]
    assert any(x < 0 for x in found)
    assert "edge against" in classes(tape, "path")
    assert "edge share" in classes(tape, "path")
    assert "-1 %" in str(tape)
    of = NETWORKS["xor"]()
    drawing = bl.draw(of, wrt="0.weight")
    known = shares(of, next(n for n in of.leaves if of.name(n) == "0.weight"))
    assert sorted(e.weight for e in drawing.scene.edges if e.weight == e.weight) == sorted(known.values())
    with pytest.raises(bl.ArgumentError, match=r"wrt names 'v'; there are 0\.weight, 0\.bias"):
        bl.draw(of, wrt="v")


def test_every_subject_can_be_drawn() -> None:
    model, x = nn.Sequential(nn.Dense(3, "relu"), nn.Dense(2)), np.ones((2, 4), "float32")
    of_model = bl.draw(model, x)
    assert {"0.weight", "1.bias", "x"} <= {n.label for n in of_model.scene.nodes}
    assert "sum of the output's elements" in str(of_model)
    assert "□ input " in str(bl.draw(model, np.zeros((2, 4), "float32")))
    assert bl.draw(bl.compile(lambda x: bl.tanh(x)), 1.0).scene.nodes[-1].formula == "tanh(x)"
    tape = NETWORKS["neuron"]()
    assert str(bl.draw(tape)) == str(higher("draw")(tape))
    w, v = bl.tensor(2.0, requires_grad=True), bl.tensor(3.0, requires_grad=True)
    of_one, of_two = bl.explain(w * w * v, wrt=w), bl.explain(w * w * v)
    assert "edge share" in classes(of_one.picture(), "path")
    assert "edge fine" in classes(of_two.picture(), "path")
    assert {"w", "v"} <= {n.label for n in bl.draw(w * v).scene.nodes}
    bare = bl.draw(tape, values=False, gradients=False)
    assert not any(n.value or n.gradient for n in bare.scene.nodes)
    with pytest.raises(bl.ArgumentError, match="give an input for Sequential"):
        bl.draw(model)


def test_a_static_graph_is_drawn_with_and_without_values() -> None:
    with static.Graph().as_default():
        x = static.placeholder("float32", shape=(None, 4), name="x")
        with static.name_scope("hidden"):
            w = static.Variable(np.ones((4, 3), "float32"), name="w")
            h = bl.tanh(x @ w)
        loss = bl.mean(h**2)
        plain = bl.draw(loss)
        nodes = {n.label: n for n in plain.scene.nodes}
        assert (nodes["x"].kind, nodes["x"].shape, nodes["x"].group) == ("leaf", (None, 4), "")
        assert (nodes["hidden/w"].kind, plain.scene.groups[nodes["hidden/w"].group].title) == ("parameter", "hidden")
        assert "?×4" in plain.svg
        with pytest.raises(bl.ArgumentError, match="give session="):
            bl.draw(loss, wrt="w")
        with static.Session() as session:
            session.run(static.global_variables_initializer())
            run = bl.draw(loss, session=session, feed_dict={x: np.ones((2, 4), "float32")})
    assert {n.label: n.kind for n in run.scene.nodes}["hidden/w"] == "parameter"
    assert run.scene.groups
    assert all(n.gradient for n in run.scene.nodes)


def test_big_graphs_are_collapsed_and_say_so() -> None:
    drawing = bl.draw(transformer(3))
    assert len(drawing.scene.nodes) > 150
    told = re.search(r"(\d+) nodes are drawn as (\d+): (\d+) layers or turns are folded", str(drawing))
    assert told is not None
    assert int(told[2]) <= 150
    assert f"{told[1]} nodes are drawn as {told[2]}" in re.sub(r"</text>\n<text[^>]*>", " ", drawing.svg)
    whole = bl.draw(transformer(1), collapse=False)
    assert "folded" not in str(whole)


def test_tooltips_tell_the_line_of_the_user() -> None:
    model = nn.Sequential(Block(3), nn.Dense(1))
    drawing = bl.draw(model, np.ones((2, 3), "float32"))
    titles = [t.text or "" for t in parsed(drawing).iter(f"{SVG}title")]
    assert any("networks.py:" in t and t.startswith("h") for t in titles)
    assert any(t.startswith("0.wide.weight\nvalue: 3×3") for t in titles)


def test_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = bl.draw(NETWORKS["neuron"](), title="A neuron")
    assert ElementTree.parse(drawing.save(tmp_path / "a.svg")).getroot().tag == f"{SVG}svg"
    assert drawing.save(tmp_path / "a.txt").read_text("utf-8") == f"{drawing}\n"
    page = drawing.save(tmp_path / "a.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "A neuron</title>" in page
    with pytest.raises(bl.ArgumentError, match=r"a\.gif: the ending must be \.svg, \.html, \.txt or \.png"):
        drawing.save(tmp_path / "a.gif")
    assert drawing._repr_svg_() == drawing.svg
    assert drawing.svg in drawing._repr_html_()
    monkeypatch.setitem(__import__("sys").modules, "resvg_py", None)
    with pytest.raises(MissingExtra, match=r"backlit\[pictures\]"):
        drawing.save(tmp_path / "a.png")


def test_png(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    path = bl.draw(NETWORKS["xor"]()).save(tmp_path / "xor.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_large_scalar_graph_is_drawn_whole() -> None:
    x: Any = bl.tensor(0.5, requires_grad=True)
    y = x
    for _ in range(1500):
        y = bl.sin(y) * 0.5 + y * 0.25
    drawing = bl.draw(y)
    assert len(drawing.scene.nodes) > 5000
    assert "sin(" in drawing.svg
