// The panel beside the stage: of the whole its inputs and verdicts, of a node all that is known of it.
"use strict";

class Panel {
  constructor(app) {
    this.app = app;
    this.root = document.getElementById("panel");
    this.slice = 0;
    this.updates = [];
  }

  // Draw anew for what is chosen: a node, a folded group or nothing.
  show() {
    const { app } = this, item = app.chosen === null ? null : app.stage.place.items.get(app.chosen);
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

  add(...elements) {
    this.root.append(...elements.filter((e) => e !== null && e !== undefined));
  }

  heading(key, fill) {
    this.add(make("h3", {}, say(key, fill)));
  }

  // Something that is written again when numbers change.
  lively(tag, attributes, html) {
    const element = make(tag, attributes);
    const write = () => (element.innerHTML = html());
    write();
    this.updates.push(write);
    return element;
  }

  // --- the whole ---

  overview() {
    const { model } = this.app, { data } = model, output = model.nodes.get(data.output);
    this.add(this.lively("p", { class: "big" }, () => `${variable(output.label)} = <span class="f">${escaped(model.short(output, output.value, model.value(output)))}</span>`));
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
      for (const [values, key, colour] of [[loss, "course loss", "var(--forward)"], [validation_loss, "course validation", "var(--slope)"]]) {
        const plot = values && curve(steps, values, colour, say(key));
        if (plot) this.add(plot);
      }
    }
    if (model.collapsed.size) this.add(make("p", { class: "note" }, say("nodesLeft", { n: model.data.nodes.length })));
    this.heading("keys");
    const keys = make("div", { class: "keys" });
    const rows = [["␣", "keySpace"], ["← →", "keyArrows"], ["Tab", "keyTab"], ["/", "keySearch"], ["D", "keyD"], ["R", "keyR"], ["T", "keyT"], ["Esc", "keyEsc"]];
    for (const [key, word] of rows) keys.append(make("kbd", {}, key), make("span", {}, say(word)));
    this.add(keys);
  }

  leafRow(n) {
    const { model } = this.app, array = model.value(n), row = make("div", { class: "leaf-row", "data-leaf": n.id });
    row.append(make("button", { class: "name", title: n.label, onclick: () => this.app.choose(n.id, true) }, n.label));
    const single = array.data.length === 1;
    if (single) row.append(...this.slider(n, 0));
    else row.classList.add("wide");
    const g = () => `<span class="b">ḡ ${escaped(model.short(n, n.cotangent, model.cotangent(n)))}</span>`;
    row.append(this.lively("span", { class: "g" }, () => (single ? g() : `<span class="f">${escaped(model.short(n, n.value, model.value(n)))}</span> ${g()}`)));
    row.onpointerenter = () => this.app.hover(model.shownAs(n.id));
    row.onpointerleave = () => this.app.hover(null);
    return row;
  }

  // A slider and a number to drag, for one element of a leaf.
  slider(n, element) {
    const { model } = this.app, now = () => model.value(n).data[element], reach = Math.max(3, 2 * Math.abs(now()));
    const range = make("input", { type: "range", min: -reach, max: reach, step: reach / 300, "aria-label": n.label });
    const number = make("span", { class: "scrub" });
    range.oninput = () => this.app.change(n, element, Number(range.value));
    scrubbed(number, n.label, now, (x) => this.app.change(n, element, x));
    const write = () => {
      range.value = now();
      number.textContent = digits(now());
      number.setAttribute("aria-valuenow", now());
    };
    write();
    this.updates.push(write);
    return [range, number];
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
      button.append(make("b", {}, `${say(v.fault)}${v.layer ? ` · ${v.layer}` : ""}`), make("span", {}, `${v.evidence.replace(/[.]?$/, ".")}`));
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
    this.add(make("h2", {}, n.label, make("span", { class: "kind" }, [n.template ? n.op : say(n.kind), sizes(n.shape), n.dtype].filter(Boolean).join(" · "))));
    if (n.template) this.add(this.lively("p", { class: "formula" }, () => formulaHtml(model, n)));
    if (n.line) this.add(make("p", { class: "where" }, say("line", { x: n.line })));
    if (n.code) this.add(make("code", {}, n.code));
    const groups = model.around(n.group).reverse().map((key) => model.groups.get(key));
    for (const g of groups.slice(-1)) this.add(make("p", { class: "note" }, make("button", { class: "crumb", onclick: () => this.app.stage.fold(g.key, true) }, `${g.title} ⊟`)));
    this.honesty(n);
    this.locals(n);
    if (n.parts) for (const part of n.parts) this.array(`${n.label}[${part.index}]`, n, part.value, "value");
    else this.valueOf(n);
    this.gradientOf(n);
    this.sharesAt(n);
    this.history(n.path);
  }

  honesty(n) {
    const { model } = this.app, stale = make("p", { class: "warning" }, say("stale"));
    if (n.fixed || n.summary) this.add(make("p", { class: "note" }, say("fixed")));
    if (n.reason) {
      const [why, ...op] = n.reason.split(" ");
      this.add(make("p", { class: "warning" }, say("notLive", { x: say(`why ${why}`, { x: op.join(" ") }) })));
    }
    if (n.chosen) this.add(make("p", { class: "warning" }, say("chosen")));
    const write = () => (stale.hidden = !model.program.stale.has(n.value) && !model.program.stale.has(n.cotangent));
    write();
    this.updates.push(write);
    this.add(stale);
  }

  locals(n) {
    const { model } = this.app, edges = model.into.get(n.id).filter((e) => e.piece >= 0);
    if (!edges.length) return;
    this.heading("local");
    const table = make("table", { class: "local" });
    for (const e of edges) {
      const source = model.nodes.get(e.source);
      table.append(this.lively("tr", {}, () => {
        const slope = model.slope(e), [local, back] = model.data.rules[e.number] ?? ["", ""];
        const size = !slope ? "" : slope.exact ? `= ${digits(slope.value)}` : `<small>${say("average", { x: digits(slope.value, 3) })}</small>`;
        if (!local && back && !slope?.exact) return `<td class="b">ḡ(${variable(source.label)})</td><td colspan="2">+= ${ruleHtml(back)}</td>`;
        const formula = local && local !== digits(slope?.value ?? NaN) ? `= ${printed(escaped(local))}` : "";
        return `<td class="d">∂${variable(n.label)}/∂${variable(source.label)}</td><td>${formula}</td><td class="d">${size}</td>`;
      }));
    }
    this.add(table);
  }

  valueOf(n) {
    const { model } = this.app, array = model.value(n);
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
      for (const part of n.parts) if (part.cotangent !== undefined) this.array(`ḡ ${n.label}[${part.index}]`, n, part.cotangent, "gradient");
      return;
    }
    this.heading("cotangent", { x: n.label });
    if (n.cotangent === undefined) return this.add(make("p", { class: "note" }, say("noGradient")));
    this.array(`ḡ ${n.label}`, n, n.cotangent, null);
  }

  // A number, a table, or picture, figures and histogram; `number` is its place in the program.
  array(label, n, number, heading) {
    const { model } = this.app, get = () => (number === undefined ? model.value(n) : model.program.values[number]), array = get();
    const gradient = label.startsWith("ḡ"), colour = gradient ? "var(--backward)" : "var(--forward)";
    if (heading) this.add(make("p", { class: "note" }, label));
    if (!array) {
      const summary = number === undefined ? n.summary : model.summary(number);
      if (!summary) return;
      this.add(make("p", { class: "note" }, say("elements", { n: n.shape.reduce((a, b) => a * b, 1), shape: sizes(n.shape) })), figures(summary), histogram(summary, colour));
      return;
    }
    if (array.data.length === 1) return this.add(this.lively("p", { class: `big ${gradient ? "b" : "f"}` }, () => digits(get().data[0], 6)));
    const shape = array.shape.filter((k) => k > 1), editable = !gradient && number === n.value && model.leaf(n);
    const [rows, columns] = shape.length < 2 ? [1, array.data.length] : shape.slice(-2);
    const column = shape.length < 2 && columns > MOST_COLUMNS && columns <= 64;
    if ((rows <= MOST_ROWS && columns <= MOST_COLUMNS) || column) {
      const wide = column ? [columns / wrapped(columns), wrapped(columns)] : shape.length < 2 ? [1, columns] : shape;
      this.slices(label, n, { ...array, shape: wide }, get, editable);
    } else this.picture(label, n, get, editable);
    if (array.data.length > 6) {
      const box = make("div");
      const draw = () => {
        const summary = summaryOf(get().data);
        box.replaceChildren(figures(summary), histogram(summary, colour));
      };
      draw();
      this.updates.push(draw);
      this.add(box);
    }
  }

  // A larger array as a picture; that of a leaf can be drawn on.
  picture(label, n, get, editable) {
    const image = make("img", { class: "picture", alt: label, draggable: "false" }), most = 160;
    const draw = () => {
      const { url, width, height } = picture(get(), most);
      image.src = url;
      image.style.aspectRatio = `${width} / ${height}`;
    };
    draw();
    this.updates.push(draw);
    this.add(image);
    const { rows, columns, at } = tiled(get());
    if (!editable || Math.max(rows, columns) > most) return;
    const ink = ends(get().data);
    const paint = (event) => {
      const box = image.getBoundingClientRect(), r = Math.floor((rows * (event.clientY - box.y)) / box.height), c = Math.floor((columns * (event.clientX - box.x)) / box.width);
      const place = r >= 0 && r < rows && c >= 0 && c < columns ? at(r, c) : -1;
      if (place >= 0) this.app.change(n, place, event.shiftKey ? 0 : ink);
    };
    image.classList.add("canvas");
    image.onpointerdown = (event) => {
      event.preventDefault();
      image.setPointerCapture(event.pointerId);
      paint(event);
      image.onpointermove = paint;
    };
    image.onpointerup = image.onpointercancel = () => (image.onpointermove = null);
    this.add(make("p", { class: "note" }, say("paint")));
  }

  slices(label, n, shown, get, editable) {
    const [rows, columns] = shown.shape.slice(-2), count = shown.data.length / (rows * columns);
    const box = make("div", { class: "scroll", tabindex: -1 });
    let slice = 0;
    const change = editable ? Object.assign((place, x) => this.app.change(n, place, x), { now: (place) => get().data[place] }) : null;
    const draw = () => {
      box.replaceChildren(heatTable(shown, label, change, slice));
      box.firstChild.update(get());
    };
    draw();
    this.updates.push(() => box.firstChild.update(get()));
    this.add(box);
    if (count > 1) {
      const caption = make("span", { class: "note" }), write = () => (caption.textContent = say("slice", { i: slice + 1, n: count }));
      const range = make("input", { type: "range", min: 0, max: count - 1, value: 0, "aria-label": say("slice", { i: 1, n: count }), oninput: () => ((slice = Number(range.value)), draw(), write()) });
      write();
      this.add(make("div", { class: "controls" }, range, caption));
    }
  }

  // The edges at this node that carry the gradient of a leaf, by their shares.
  sharesAt(n) {
    const { model } = this.app, edges = model.outOf.get(n.id).filter((e) => e.piece >= 0);
    if (edges.length < 2) return;
    this.heading("shares");
    this.add(make("p", { class: "note" }, say("shareHint")));
    const whole = () => model.cotangent(n);
    for (const e of edges) {
      const target = model.nodes.get(e.target);
      this.add(this.lively("div", { class: "path-row" }, () => {
        const piece = model.program.values[e.piece], g = whole();
        if (!piece || !g) return variable(target.label);
        let dot = 0;
        for (let i = 0; i < g.data.length; i++) dot += piece.data[i] * g.data[i];
        const share = dot / norm(g.data) ** 2;
        const width = Math.min(100, Math.abs(share) * 100 || 0);
        return `<span>${variable(target.label)}</span><span class="meter"><i style="width:${width}%"></i></span><span class="d">${Number.isFinite(share) ? percent(share) : "–"}</span>`;
      }));
    }
  }

  // What a run kept of a layer or parameter.
  history(path) {
    const { history } = this.app.model.data, record = history?.of[path], spread = history?.spreads[path];
    if (!path || !record || history.steps.length < 2) return;
    this.heading("history");
    const colours = { cotangent: "var(--backward)", gradient: "var(--backward)", dead: "var(--amber)", saturated: "var(--amber)", slope: "var(--slope)" };
    for (const [key, values] of Object.entries(record)) {
      const plot = curve(history.steps, values, colours[key] ?? "var(--forward)", say(`course ${key}`));
      if (plot) this.add(plot);
    }
    if (spread) this.add(make("p", { class: "note" }, say("spread")), ridge(spread));
  }
}

// A row length for a long vector: the largest divisor up to a table's width.
function wrapped(n) {
  for (let w = 8; w > 1; w--) if (n % w === 0) return w;
  return 1;
}
