// The page as a whole: what is chosen, what was changed, keys, language and theme.
"use strict";

class App {
  constructor() {
    const data = JSON.parse(document.getElementById("data").textContent);
    this.model = new Model(data, new Program(data.program));
    this.chosen = null;
    this.slopes = false;
    this.player = null;
    language = remembered("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
    document.documentElement.dataset.theme =
      remembered("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    this.words();
    this.stage = new Stage(this.model, this);
    this.player = new Player(this);
    this.panel = new Panel(this);
    this.search = new Search(this);
    this.buttons();
    this.panel.show();
    addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resized()).observe(this.stage.root);
  }

  // --- what is chosen ---

  choose(id, centred = false) {
    this.chosen = id;
    this.panel.show();
    this.stage.refresh();
    if (id && (centred || !this.stage.inView(id))) this.stage.centreOn(this.model.shownAs(id), 0.6);
  }

  // To a node or group that may be inside folded groups.
  goTo(id) {
    const group = this.model.groups.get(id),
      around = this.model.around(group ? group.parent : this.model.nodes.get(id).group);
    const folded = around.filter((key) => this.model.collapsed.has(key));
    for (const key of folded) this.model.collapsed.delete(key);
    if (folded.length || (group && !this.model.collapsed.has(id))) {
      if (group) this.model.collapsed.add(id);
      this.stage.arrange();
      this.arranged();
    }
    this.choose(id, true);
  }

  arranged() {
    this.player?.renew();
    if (this.chosen !== null && !this.stage.place.items.has(this.chosen)) this.chosen = null;
    this.panel?.show();
  }

  hover(id) {
    if (this.hovered === id) return;
    this.hovered = id;
    clearTimeout(this.hovering);
    this.hovering = setTimeout(
      () => {
        const item = id && this.stage.place.items.get(id),
          start =
            item && !item.folded && item.node.cotangent !== undefined && id !== this.model.data.output ? id : null;
        if (start || (this.stage.lit && !this.stage.lit.factors)) this.stage.light(start);
      },
      id ? 120 : 60,
    );
  }

  // --- what is changed ---

  change(node, element, value) {
    this.model.program.change(node.value, element, value);
    this.later();
  }

  scrubNode(event, id) {
    const node = this.model.nodes.get(id);
    this.choose(id);
    pull(event, this.model.value(node).data[0], (x) => this.change(node, 0, x));
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.stage.refresh();
      this.panel.update();
      this.player.tell();
    });
  }

  // --- buttons, keys, words ---

  buttons() {
    const on = (id, act) => (document.getElementById(id).onclick = act);
    on("nearer", () => this.stage.zoom(1.25));
    on("further", () => this.stage.zoom(0.8));
    on("fit", () => this.stage.fit());
    on("slopes", () => this.toggleSlopes());
    on("reset", () => this.reset());
    on("language", () => this.speak(language === "en" ? "zh" : "en"));
    on("theme", () => this.dress(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  }

  toggleSlopes() {
    this.slopes = !this.slopes;
    document.getElementById("slopes").setAttribute("aria-pressed", String(this.slopes));
    this.stage.tags();
  }

  reset() {
    this.model.program.reset();
    this.later();
  }

  speak(name) {
    language = name;
    remember("language", name);
    this.words();
    this.stage.arrange();
    this.stage.draw();
    this.stage.refresh();
    this.player.tell();
    this.panel.show();
  }

  dress(theme) {
    document.documentElement.dataset.theme = theme;
    remember("theme", theme);
    this.stage.refresh();
    this.panel.show();
  }

  words() {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.getElementById("title").textContent = this.model.data.title;
    const titles = {
      reset: "resetHint",
      slopes: "slopes",
      language: "languageHint",
      theme: "theme",
      nearer: "nearer",
      further: "further",
      fit: "fit",
      first: "first",
      back: "back",
      step: "step",
      last: "last",
      time: "time",
      speed: "speed",
      graph: "graph",
      search: "search",
    };
    for (const [id, key] of Object.entries(titles)) {
      const element = document.getElementById(id);
      if (id !== "graph" && id !== "search") element.title = say(key);
      element.setAttribute("aria-label", say(key));
    }
    document.getElementById("reset").textContent = say("reset");
    document.getElementById("language").textContent = say("language");
    document.getElementById("theme").textContent = "◐";
    document.getElementById("search").placeholder = say("search");
    const bars = document.querySelectorAll("[role=toolbar]");
    ["tools", "views", "controls"].forEach((key, i) => bars[i].setAttribute("aria-label", say(key)));
    const marks = [
      ["--forward", "legendForward"],
      ["--backward", "legendBackward"],
      ["--slope", "legendSlope"],
      ["--amber", "legendVanished"],
      ["--bad", "legendBurst"],
    ];
    document
      .getElementById("legend")
      .replaceChildren(
        ...marks.map(([colour, key]) => make("span", {}, make("i", { style: `--colour:var(${colour})` }), say(key))),
      );
  }

  key(event) {
    const field = event.target.closest("input, select, textarea");
    if ((field && event.key !== "Escape") || event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      " ": () => this.player.toggle(),
      ArrowRight: () => this.player.move(1),
      ArrowLeft: () => this.player.move(-1),
      Home: () => this.player.go(0),
      End: () => this.player.go(this.player.steps.length - 1),
      "/": () => this.search.input.focus(),
      d: () => this.toggleSlopes(),
      r: () => this.reset(),
      t: () => document.getElementById("theme").click(),
      Escape: () => this.choose(null),
      "+": () => this.stage.zoom(1.25),
      "=": () => this.stage.zoom(1.25),
      "-": () => this.stage.zoom(0.8),
      0: () => this.stage.fit(),
    };
    if (event.key === " " && event.target.closest("button, [role=button]")) return;
    const act = acts[event.key] ?? acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  resized() {
    const { clientWidth: w, clientHeight: h } = this.stage.root;
    if (this.size && this.size[0] === w && this.size[1] === h) return;
    const first = !this.size;
    this.size = [w, h];
    if (first) return;
    if (this.stage.place.down !== w < 0.7 * h) {
      this.stage.arrange();
      this.arranged();
    }
    this.stage.fit();
  }
}

// What the reader chose last time, where the browser lets a page keep it.
function remembered(key) {
  try {
    return localStorage.getItem(`backlit-${key}`);
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(`backlit-${key}`, value);
  } catch {
    return;
  }
}

window.app = new App();
requestAnimationFrame(() => setTimeout(() => performance.mark("graph shown")));
