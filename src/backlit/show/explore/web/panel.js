// The panel beside the stage: of the whole its inputs and verdicts, of a node all that is known of it.
"use strict";

class Panel extends Sheet {
  constructor(app) {
    super();
    this.app = app;
    this.root = document.getElementById("panel");
    this.updates = [];
  }

  // Draw anew for what is chosen: a node, a folded group or nothing.
  show() {
    const { app } = this,
      item = app.chosen === null ? null : app.stage.place.items.get(app.chosen);
    this.updates = [];
    this.root.replaceChildren();
    if (!item) this.overview();
    else if (item.folded) this.group(item.folded);
    else this.node(item.node);
    this.root.setAttribute("aria-label", item ? this.app.stage.words(item).name : say("overview"));
  }

  // Numbers only, while something is dragged.
  update() {
    for (const update of this.updates) update();
  }

  // --- the whole ---

  overview() {
    const { model } = this.app,
      { data } = model,
      output = model.nodes.get(data.output);
    this.add(
      this.lively(
        "p",
        { class: "big" },
        () => `${variable(output.label)} = <span class="f">${escaped(model.valueText(output))}</span>`,
      ),
    );
    this.verdicts();
    const leaves = model.data.nodes.filter((n) => model.leaf(n));
    if (leaves.length) {
      this.heading("inputs");
      this.add(make("p", { class: "note" }, say("inputsHint")));
      for (const n of leaves.slice(0, 60)) this.add(this.leafRow(n));
    }
    if (data.history?.epochs.steps.length > 1) {
      this.heading("history");
      const { steps, loss, validation_loss } = data.history.epochs;
      for (const [values, key, colour] of [
        [loss, "course loss", "var(--forward)"],
        [validation_loss, "course validation", "var(--slope)"],
      ]) {
        const plot = values && curve(steps, values, colour, say(key));
        if (plot) this.add(plot);
      }
    }
    if (model.collapsed.size) this.add(make("p", { class: "note" }, say("nodesLeft", { n: model.data.nodes.length })));
    this.heading("keys");
    const keys = make("div", { class: "keys" });
    const rows = [
      ["␣", "keySpace"],
      ["← →", "keyArrows"],
      ["Tab", "keyTab"],
      ["↑ ↓", "keyUp"],
      ["/", "keySearch"],
      ["D", "keyD"],
      ["R", "keyR"],
      ["T", "keyT"],
      ["Esc", "keyEsc"],
    ];
    for (const [key, word] of rows) keys.append(make("kbd", {}, key), make("span", {}, say(word)));
    this.add(keys);
  }

  verdicts() {
    const { data } = this.app.model;
    if (!data.verdicts) return;
    this.heading("verdicts");
    if (!data.verdicts.length) this.add(make("p", { class: "note" }, say("healthy")));
    for (const v of data.verdicts) {
      const colour = v.because ? "var(--amber)" : "var(--bad)";
      const button = make(v.target ? "button" : "div", { class: "verdict", style: `--colour:${colour}` });
      if (v.target) button.onclick = () => this.app.goTo(v.target);
      button.append(
        make("b", {}, `${say(v.fault)}${v.layer ? ` · ${v.layer}` : ""}`),
        make("span", {}, `${v.evidence.replace(/[.]?$/, ".")}`),
      );
      if (v.because) button.append(make("span", {}, ` ${say("because", { x: say(v.because) })}`));
      const what = v.tried ? say("tried", { x: v.tried }) : v.mend ? say("mend", { x: v.mend }) : "";
      if (what) button.append(make("em", {}, what));
      this.add(button);
    }
  }

  // --- a group ---

  group(g) {
    const { model, stage } = this.app;
    this.back();
    this.add(make("h2", {}, g.title, make("span", { class: "kind" }, say("group"))));
    this.add(make("p", { class: "note" }, say("nodes", { n: g.members.length })));
    this.add(make("button", { onclick: () => stage.fold(g.key, false) }, say("open")));
    for (const id of g.members) {
      const n = model.nodes.get(id);
      if (!model.leaf(n)) continue;
      this.add(this.leafRow(n));
    }
    this.history(g.path);
  }

  back() {
    this.add(make("button", { class: "crumb", onclick: () => this.app.choose(null) }, `← ${say("overview")}`));
  }

  // --- a node ---

  node(n) {
    const { model } = this.app;
    this.back();
    this.add(
      make(
        "h2",
        {},
        n.label,
        make(
          "span",
          { class: "kind" },
          [n.template ? n.op : say(n.kind), sizes(n.shape), n.dtype].filter(Boolean).join(" · "),
        ),
      ),
    );
    if (n.template) this.add(this.lively("p", { class: "formula" }, () => formulaHtml(model, n)));
    if (n.line) this.add(make("p", { class: "where" }, say("line", { x: n.line })));
    if (n.code) this.add(make("code", {}, n.code));
    const groups = model
      .around(n.group)
      .reverse()
      .map((key) => model.groups.get(key));
    for (const g of groups.slice(-1))
      this.add(
        make(
          "p",
          { class: "note" },
          make("button", { class: "crumb", onclick: () => this.app.stage.fold(g.key, true) }, `${g.title} ⊟`),
        ),
      );
    this.honesty(n);
    this.locals(n);
    if (n.parts) for (const part of n.parts) this.array(`${n.label}[${part.index}]`, n, part.value, "value");
    else this.valueOf(n);
    this.gradientOf(n);
    this.routes(n);
    this.sharesAt(n);
    this.history(n.path);
  }

  honesty(n) {
    const { model } = this.app,
      stale = make("p", { class: "warning" }, say("stale"));
    if (n.fixed || n.summary) this.add(make("p", { class: "note" }, say("fixed")));
    if (n.reason) {
      const [why, ...op] = n.reason.split(" ");
      this.add(make("p", { class: "warning" }, say("notLive", { x: say(`why ${why}`, { x: op.join(" ") }) })));
    }
    if (n.chosen) this.add(make("p", { class: "warning" }, say("chosen")));
    const write = () => (stale.hidden = !model.stale(n));
    write();
    this.updates.push(write);
    this.add(stale);
  }

  locals(n) {
    const { model } = this.app,
      edges = model.into.get(n.id).filter((e) => e.piece >= 0);
    if (!edges.length) return;
    this.heading("local");
    const table = make("table", { class: "local" });
    for (const e of edges) {
      const source = model.nodes.get(e.source);
      table.append(
        this.lively("tr", {}, () => {
          const slope = model.slope(e),
            [local, back] = model.data.rules[e.number] ?? ["", ""];
          const size = !slope
            ? ""
            : slope.exact
              ? `= ${digits(slope.value)}`
              : `<small>${say("average", { x: digits(slope.value, 3) })}</small>`;
          if (!local && back && !slope?.exact)
            return `<td class="b">ḡ(${variable(source.label)})</td><td colspan="2">+= ${ruleHtml(back)}</td>`;
          const formula = local && printed(local) !== digits(slope?.value ?? NaN) ? `= ${printed(escaped(local))}` : "";
          return `<td class="d">∂${variable(n.label)}/∂${variable(source.label)}</td><td>${formula}</td><td class="d">${size}</td>`;
        }),
      );
    }
    this.add(table);
  }

  valueOf(n) {
    const { model } = this.app,
      array = model.value(n);
    this.heading("value");
    if (array && array.data.length === 1 && model.leaf(n)) {
      const row = make("div", { class: "leaf-row" });
      row.append(make("span", { class: "name" }, n.label), ...this.slider(n, 0));
      return this.add(row);
    }
    this.array(n.label, n, n.value, null);
  }

  gradientOf(n) {
    if (n.parts) {
      for (const part of n.parts)
        if (part.cotangent !== undefined) this.array(`ḡ ${n.label}[${part.index}]`, n, part.cotangent, "gradient");
      return;
    }
    this.heading("cotangent", { x: n.label });
    if (n.cotangent === undefined) return this.add(make("p", { class: "note" }, say("noGradient")));
    this.array(`ḡ ${n.label}`, n, n.cotangent, null);
  }

  // The paths to the output with their products; one lights up under the pointer or in focus.
  routes(n) {
    const { model, stage } = this.app;
    if (n.id === model.data.output || n.cotangent === undefined || !routesOf(model, n.id)?.length) return;
    this.heading("routes", { x: n.label });
    const box = make("div");
    const draw = () => {
      const routes = routesOf(model, n.id) ?? [],
        rest = routes.slice(SHOWN_ROUTES);
      box.replaceChildren(
        ...routes.slice(0, SHOWN_ROUTES).map((route) => {
          const light = () => stage.lightRoute(route.edges),
            dark = () => stage.lightRoute(null);
          return make("button", {
            class: "route",
            html: routeHtml(model, route),
            onpointerenter: light,
            onfocus: light,
            onpointerleave: dark,
            onblur: dark,
          });
        }),
      );
      const sum = rest.reduce((s, route) => s + route.product, 0);
      if (rest.length) box.append(make("p", { class: "note" }, say("otherRoutes", { n: rest.length, x: digits(sum) })));
    };
    draw();
    this.updates.push(draw);
    this.add(box);
  }

  // The edges at this node that carry the gradient of a leaf, by their shares.
  sharesAt(n) {
    const { model } = this.app,
      edges = model.outOf.get(n.id).filter((e) => e.piece >= 0);
    if (edges.length < 2) return;
    this.heading("shares");
    this.add(make("p", { class: "note" }, say("shareHint")));
    const whole = () => model.cotangent(n);
    for (const e of edges) {
      const target = model.nodes.get(e.target);
      this.add(
        this.lively("div", { class: "path-row" }, () => {
          const piece = model.program.values[e.piece],
            g = whole();
          if (!piece || !g) return variable(target.label);
          let dot = 0;
          for (let i = 0; i < g.data.length; i++) dot += piece.data[i] * g.data[i];
          const share = dot / norm(g.data) ** 2;
          const width = Math.min(100, Math.abs(share) * 100 || 0);
          return `<span>${variable(target.label)}</span><span class="meter"><i style="width:${width}%"></i></span><span class="d">${Number.isFinite(share) ? percent(share) : "–"}</span>`;
        }),
      );
    }
  }

  // What a run kept of a layer or parameter.
  history(path) {
    const { history } = this.app.model.data,
      record = history?.of[path],
      spread = history?.spreads[path];
    if (!path || !record || history.steps.length < 2) return;
    this.heading("history");
    const colours = {
      cotangent: "var(--backward)",
      gradient: "var(--backward)",
      dead: "var(--amber)",
      saturated: "var(--amber)",
      slope: "var(--slope)",
    };
    for (const [key, values] of Object.entries(record)) {
      const plot = curve(history.steps, values, colours[key] ?? "var(--forward)", say(`course ${key}`));
      if (plot) this.add(plot);
    }
    if (spread) this.add(make("p", { class: "note" }, say("spread")), ridge(spread));
  }
}
