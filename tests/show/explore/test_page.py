"""The page in a browser: click, drag, step, keys, language, theme; nothing on the console, nothing on the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import data, nn, optim, static, train
from backlit.explain.tape import tape_of
from backlit.show.explore.page import Page, explore


def neuron(w: Any, x: Any, b: Any) -> Any:
    return 1 / (1 + bl.exp(-(w * x + b)))


class Opened:
    """A page in the browser, with what it complained of and what it asked the network for."""

    def __init__(self, browser: Any, page: Page, path: Path, **options: Any) -> None:
        page.save(path)
        self.context = browser.new_context(viewport={"width": 1200, "height": 760}, **options)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(3000)
        self.problems: list[str] = []
        self.asked: list[str] = []
        self.tab.on("pageerror", lambda e: self.problems.append(str(e)))
        self.tab.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        self.tab.on("request", lambda r: self.asked.append(r.url))
        self.tab.goto(path.as_uri())

    def close(self) -> None:
        assert self.problems == []
        assert [url for url in self.asked if not url.startswith(("file:", "data:"))] == []
        self.context.close()

    def text(self, selector: str) -> str:
        return self.tab.locator(selector).first.text_content()

    def settle(self) -> None:
        self.tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    found: list[Opened] = []

    def open_page(page: Page, **options: Any) -> Opened:
        found.append(Opened(browser, page, tmp_path / f"{len(found)}.html", **options))
        return found[-1]

    yield open_page
    for each in found:
        each.close()


def test_a_neuron_is_shown_stepped_through_and_changed(opened: Any) -> None:
    page = opened(explore(neuron, 0.0, 1.0, 0.0, title="a neuron"))
    tab = page.tab
    assert page.text("#title") == "a neuron"
    assert tab.locator(".node").count() == 9
    assert "ḡ 0.25" in page.text(".node[data-id=n0]")

    tab.keyboard.press("Home")  # the lecture: h1 = w · x first
    assert page.text("[data-id=n3] .value") == "?"
    tab.keyboard.press("ArrowRight")
    assert page.text("#caption") == "h1 = w · x = 0 · 1 = 0"
    for _ in range(7):
        tab.keyboard.press("ArrowRight")
    assert page.text("#caption") == "ḡ(h5) += ḡ(h6) · ∂h6/∂h5 = 1 · (−0.25) = −0.25"
    assert "∂ −0.25" in page.text(".tags")
    tab.click("#last")

    tab.click("[data-id=n6]")  # h4 = exp(h3)
    assert "h4 = exp(h3) = exp(0) = 1" in page.text("#panel .formula")
    assert page.text(".local .d").startswith("∂h4/∂h3")
    tab.keyboard.press("Escape")

    slider = tab.locator(".leaf-row [type=range]").first  # w to 3: f = 1/(1+e^-3), ∂f/∂w = f (1 - f)
    slider.focus()
    tab.keyboard.press("End")
    page.settle()
    f = 1 / (1 + np.exp(-3.0))
    assert page.text("[data-id=n8] .value") == f"{f:.4g}"
    assert page.text("[data-id=n0] .gradient") == f"ḡ {f * (1 - f):.4g}"
    tab.keyboard.press("Escape")
    tab.keyboard.press("r")
    page.settle()
    assert page.text("[data-id=n8] .value") == "0.5"


def test_a_number_is_dragged_on_the_node(opened: Any) -> None:
    page = opened(explore(neuron, 0.5, 1.0, 0.0))
    box = page.tab.locator("[data-id=n0] .value").bounding_box()
    page.tab.mouse.move(box["x"] + 4, box["y"] + 5)
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + 104, box["y"] + 5, steps=4)
    page.tab.mouse.up()
    page.settle()
    w = page.tab.evaluate("app.model.program.values[app.model.nodes.get('n0').value].data[0]")
    assert w > 0.5
    shown = page.tab.evaluate("app.model.program.values[app.model.nodes.get('n8').value].data[0]")
    assert shown == pytest.approx(1 / (1 + np.exp(-w)), rel=1e-6)


def test_language_theme_and_keys(opened: Any) -> None:
    page = opened(explore(neuron, 0.0, 1.0, 0.0), color_scheme="dark", locale="zh-CN")
    tab = page.tab
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    assert tab.evaluate("document.documentElement.lang") == "zh-CN"
    assert "还原" in page.text("#reset")
    tab.click("#language")
    assert page.text("#reset") == "Reset"
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.keyboard.press("t")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    tab.keyboard.press("/")
    tab.keyboard.type("exp")
    tab.keyboard.press("Enter")
    assert page.text("#panel h2").startswith("h4")
    tab.locator(".node[data-id=n8]").focus()
    tab.keyboard.press("Enter")
    assert page.text("#panel h2").startswith("h6")
    tab.locator(".node[data-id=n0]").focus()
    tab.keyboard.press("ArrowUp")
    page.settle()
    assert page.text("[data-id=n0] .value") == "0.005"
    tab.keyboard.press("d")
    assert tab.locator(".tag.slope").count() == 8
    keys = tab.evaluate("[Object.keys(WORDS.en).sort(), Object.keys(WORDS.zh).sort()]")
    assert keys[0] == keys[1]


def test_paths_light_up_with_the_share_they_carry(opened: Any) -> None:
    page = opened(explore(lambda x: bl.sin(x) * x, 2.0))
    page.tab.hover("[data-id=n0] .name")
    page.tab.wait_for_timeout(200)
    g = np.cos(2) * 2 + np.sin(2)
    tags = page.tab.locator(".tag.share").all_text_contents()
    found = sorted(float(t.replace("%", "").replace("−", "-")) for t in tags)
    through_sin, by_itself = 100 * np.cos(2) * 2 / g, 100 * np.sin(2) / g
    assert found == pytest.approx(sorted([through_sin, through_sin, by_itself]), rel=1e-2)
    page.tab.click("[data-id=n0] .name")
    routes = page.tab.locator(".route")  # each path with its product, the larger first
    products = [float(t.replace("−", "-").rsplit(" ", 1)[1]) for t in routes.all_text_contents()]
    assert products == pytest.approx([np.sin(2), np.cos(2) * 2], rel=1e-3)
    routes.nth(1).hover()
    assert page.tab.locator(".edge.lit").count() == 2
    assert page.tab.locator(".tag.slope").count() == 2


def test_layers_fold_and_values_are_those_of_python(opened: Any) -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential(*[nn.Dense(4, "sigmoid") for _ in range(10)])
    x = rng.normal(size=(3, 4)).astype("f4")
    model(x)
    page = opened(explore(lambda p, x: bl.mean(model.apply(p, x)[0] ** 2), model.parameters(), x))
    tab = page.tab
    assert tab.locator(".node.group").count() == 10
    tab.locator(".node.group").first.click()
    tab.locator("#panel button", has_text="Open this group").click()
    assert tab.locator(".cluster").count() == 1
    tab.locator(".cluster text").click()
    assert tab.locator(".cluster").count() == 0


def test_verdicts_lead_to_their_layers(opened: Any) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(32, 6)).astype("f4"), rng.integers(0, 3, 32)
    model = nn.Sequential(nn.Dense(8, "relu"), nn.Dense(3))
    model(x)
    model[0].bias = bl.full((8,), -30.0)  # units that never wake
    found = bl.diagnose(model, "cross_entropy", (x, labels), steps=10, mends=False)
    page = opened(explore(bl.softmax_cross_entropy(model(x), labels), model=model, diagnosis=found))
    dead = page.tab.locator("button.verdict", has_text="Dead units")
    assert "0" in dead.text_content()
    dead.click()
    assert page.text("#panel h2").startswith("0: Dense")
    page.tab.click("#language")
    page.tab.keyboard.press("Escape")
    assert page.tab.locator("button.verdict", has_text="死亡单元").count() == 1


def test_a_run_shows_its_history(opened: Any, tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 64, dtype="f4")[:, None]
    model = nn.Sequential(nn.Dense(8, "tanh"), nn.Dense(1))
    calls = [bl.watch(tmp_path, share=0.9), train.CSVLog(tmp_path / "log.csv")]
    train.Trainer(model, optim.adam(0.01), callbacks=calls).fit(data.Loader((x, x**2), 16, key=0), epochs=30)
    page = opened(explore(bl.mse(model(x), x**2), model=model, run=tmp_path))
    assert page.text("#panel").count("loss") >= 1
    page.tab.evaluate("app.goTo(app.model.data.nodes.find(n => n.path === '0.weight').id)")
    assert "Over the training" in page.text("#panel")
    assert page.tab.locator("#panel .plot").count() >= 4


def test_what_does_not_follow_says_so(opened: Any) -> None:
    page = opened(explore(lambda x: bl.sum(bl.linalg.inv(x) ** 2), np.array([[2.0, 0.5], [0.1, 3.0]])))
    tab = page.tab
    tab.click("[data-id=n1]")
    assert "there is no kernel for inv here" in page.text("#panel .warning")
    tab.keyboard.press("Escape")
    tab.evaluate("app.change(app.model.nodes.get('n0'), 0, 4)")
    page.settle()
    assert tab.locator(".value.stale").count() == 3
    assert tab.locator(".gradient.stale").count() >= 1
    tab.click("[data-id=n2]")
    assert "the old value" in "".join(tab.locator("#panel .warning:not([hidden])").all_text_contents())


def test_numbers_that_are_none_are_shown(opened: Any) -> None:
    with np.errstate(all="ignore"):
        page = opened(explore(lambda x: bl.sum(bl.log(x) * 0), np.array([0.0, 1.0])))
    assert page.text("[data-id=n3] .value") == "NaN"
    page.tab.click("[data-id=n1]")
    assert page.tab.locator("#panel .heat td").first.text_content() == "−∞"


def test_every_mode_has_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ḡ(" in explore(bl.compile(neuron), 0.0, 1.0, 0.0).html
    with static.Graph().as_default(), static.Session() as session:
        x, w = static.placeholder("float32", name="x"), static.Variable(0.0, name="w")
        y = neuron(w, x, 0.0)
        session.run(static.global_variables_initializer())
        page = explore(y, session=session, feed_dict={x: 1.0})
    assert '"label":"w"' in page.html
    assert page._repr_html_().startswith("<iframe srcdoc=")
    assert "KiB" in repr(page)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert page.open().as_uri() == opened[0]
    assert explore(tape_of(neuron, 0.0, 1.0, 0.0), path=tmp_path / "page.html").title == "h6"
    assert (tmp_path / "page.html").exists()
    with pytest.raises(bl.ArgumentError, match="expected a Tensor or a function"):
        explore(3)
