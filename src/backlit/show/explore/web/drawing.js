// How the graph is drawn: as SVG, of which only what is in view exists; from afar, where there is too much, as a canvas.
"use strict";

// With more nodes than this in view they are drawn as dots.
const MOST_DRAWN = 420;

// What a stage inherits beside `View`: `model`, `layers` to draw on, `drawn` what there is, `lit` the paths lit up.
class Drawing extends View {
  words(item) {
    const n = item.node;
    if (item.folded)
      return { name: shortened(item.folded.title, 30), how: say("nodes", { n: item.folded.members.length }) };
    return {
      name: shortened(n.label, 26),
      how: n.template
        ? shortened(
            `= ${filled(
              n.template,
              n.inputs.map((x) => x.name),
            )}`,
            32,
          )
        : "",
    };
  }

  thumb(item) {
    const array = this.model.value(item.node);
    return array && array.data.length > 1 && array.data.length <= 40000 ? array : null;
  }

  sizeOf(item) {
    const { name, how } = this.words(item);
    const first = widthOf(name, "italic 600 14px Georgia, serif") + (how ? widthOf(how, "12px Georgia, serif") + 7 : 0);
    const n = item.node,
      bold = "600 12.5px system-ui, sans-serif";
    const second = Math.max(widthOf(this.model.valueText(n), bold), widthOf(`ḡ ${this.model.gradientText(n)}`, bold));
    const text = Math.max(first + (item.folded ? 16 : 0), second + (this.thumb(item) ? 58 : 10), 74) + 22;
    return [Math.round(text), item.node.cotangent === undefined && !item.folded ? 48 : 66];
  }

  draw() {
    const { x, y, scale } = this.at,
      { clientWidth: w, clientHeight: h } = this.root;
    this.world.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
    const view = { x: -x / scale - 80, y: -y / scale - 80, width: w / scale + 160, height: h / scale + 160 };
    const seen = [...this.place.items.keys()].filter((id) => meets(this.place.boxes.get(id), view));
    const afar = seen.length > MOST_DRAWN;
    const wanted = new Map();
    if (!afar) {
      for (const key of this.place.open)
        if (key && meets(this.place.boxes.get(key), view)) wanted.set(`c${key}`, () => this.cluster(key));
      for (const e of this.place.edges) if (meets(e.box, view)) wanted.set(`e${e.key}`, () => this.edge(e));
      for (const id of seen) wanted.set(`n${id}`, () => this.node(this.place.items.get(id)));
    }
    for (const [key, element] of this.drawn)
      if (!wanted.has(key) && !element.contains(document.activeElement)) {
        element.remove();
        this.drawn.delete(key);
      }
    for (const [key, make] of wanted) if (!this.drawn.has(key)) this.drawn.set(key, make());
    this.drawFar(afar, view);
  }

  drawFar(afar, view) {
    const ratio = window.devicePixelRatio || 1,
      { clientWidth: w, clientHeight: h } = this.root,
      { x, y, scale } = this.at;
    this.far.hidden = !afar;
    this.root.classList.toggle("afar", afar);
    if (!afar) return;
    this.far.width = w * ratio;
    this.far.height = h * ratio;
    const context = this.far.getContext("2d"),
      style = getComputedStyle(document.documentElement),
      colour = (name) => style.getPropertyValue(name).trim();
    context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
    context.lineWidth = 0.7 / scale;
    context.strokeStyle = colour("--strong");
    context.globalAlpha = 0.55;
    context.beginPath();
    const { boxes } = this.place;
    for (const e of this.place.edges) {
      if (!meets(e.box, view)) continue;
      context.moveTo(...centre(boxes.get(e.source)));
      context.lineTo(...centre(boxes.get(e.target)));
    }
    context.stroke();
    context.globalAlpha = 1;
    const paints = { fine: "--forward", none: "--strong", vanished: "--amber", zero: "--amber", burst: "--bad" };
    for (const [id, item] of this.place.items) {
      const box = boxes.get(id);
      if (!meets(box, view)) continue;
      const state = this.lit ? (this.lit.nodes.has(id) ? "lit" : "none") : this.model.stateOf(item.node);
      context.fillStyle = colour(
        id === this.app.chosen || state === "lit"
          ? "--slope"
          : id === this.model.data.output
            ? "--backward"
            : paints[state],
      );
      context.fillRect(box.x, box.y, box.width, box.height);
    }
  }

  cluster(key) {
    const group = this.model.groups.get(key),
      box = this.place.boxes.get(key);
    const g = svg(
      "g",
      {
        class: "cluster",
        "data-group": key,
        tabindex: 0,
        role: "button",
        "aria-expanded": "true",
        "aria-label": say("opened", { name: group.title }),
      },
      this.layers.clusters,
    );
    svg("rect", { x: box.x, y: box.y, width: box.width, height: box.height, rx: 14 }, g);
    svg("text", { x: box.x + 14, y: box.y + 17 }, g, `${group.title}  ⊟`);
    svg("title", {}, g, say("close"));
    return g;
  }

  node(item) {
    const box = this.place.boxes.get(item.id),
      n = item.node,
      { name, how } = this.words(item),
      state = this.model.stateOf(n);
    const kind = item.folded ? "group" : n.kind;
    const g = svg(
      "g",
      {
        class: `node ${kind} ${state}`,
        "data-id": item.id,
        tabindex: 0,
        role: "button",
        transform: `translate(${box.x} ${box.y})`,
      },
      this.layers.nodes,
    );
    svg(
      "rect",
      { class: "box", width: box.width, height: box.height, rx: kind === "leaf" || kind === "parameter" ? 16 : 9 },
      g,
    );
    svg("rect", { class: "mark", x: 0, y: 12, width: 3.5, height: box.height - 24, rx: 1.7 }, g);
    svg("text", { x: 12, y: 20, class: "name" }, g, name);
    if (how) svg("text", { x: 12 + widthOf(name, "italic 600 14px Georgia, serif") + 7, y: 20, class: "how" }, g, how);
    const lines = {
      value: svg("text", { x: 12, y: 39, class: "value" }, g),
      gradient: svg("text", { x: 12, y: 57, class: "gradient" }, g),
    };
    if (item.folded) svg("text", { x: box.width - 20, y: 20, class: "open" }, g, "⊞");
    if (this.thumb(item)) {
      svg(
        "image",
        {
          class: "thumb",
          x: box.width - 58,
          y: 27,
          width: 50,
          height: box.height - 33,
          preserveAspectRatio: "xMidYMid meet",
        },
        g,
      );
    }
    if (!item.folded && this.model.leaf(n) && this.model.value(n).data.length === 1) {
      lines.value.classList.add("scrub");
      lines.value.dataset.scrub = n.id;
    }
    g.lines = lines;
    this.fill(g, item);
    return g;
  }

  // The numbers and marks of a node as they are now.
  fill(g, item) {
    const n = item.node,
      { player, chosen } = this.app,
      array = this.model.value(n);
    const shown = player ? player.shows(item.id) : { value: true, gradient: true };
    const value = shown.value ? this.model.valueText(n) : "?";
    const gradient = shown.gradient ? (shown.partial ?? this.model.gradientText(n)) : "";
    g.lines.value.textContent = n.parts && !item.folded ? `${n.parts.length} ×` : value;
    g.lines.gradient.textContent = gradient ? `ḡ ${gradient}` : "";
    const image = g.querySelector("image");
    if (image && array) {
      const { url, width } = picture(array, 100);
      image.setAttribute("href", shown.value ? url : "");
      image.classList.toggle("coarse", width < 40);
    }
    g.classList.toggle("waiting", !shown.value);
    const { stale } = this.model.program;
    g.lines.value.classList.toggle("stale", stale.has(n.value));
    g.lines.gradient.classList.toggle("stale", stale.has(n.cotangent));
    g.classList.toggle("chosen", chosen === item.id);
    g.classList.toggle("lit", Boolean(this.lit?.nodes.has(item.id)));
    const { name, how } = this.words(item);
    g.setAttribute(
      "aria-label",
      item.folded
        ? say("folded", { name, n: item.folded.members.length })
        : say("aria", { name, how, value, gradient: gradient || say("noGradient") }),
    );
    if (!player?.busy) {
      const state = this.model.stateOf(n);
      for (const s of ["fine", "none", "vanished", "zero", "burst"]) g.classList.toggle(s, s === state);
    }
  }

  edge(e) {
    const g = svg("g", { "data-edge": e.key }, this.layers.edges);
    svg("path", { class: "line", d: e.d }, g);
    svg("path", { class: "head", d: e.head }, g);
    this.paint(g, e);
    return g;
  }

  paint(g, e) {
    const weight = this.model.weight(e),
      comes = e.members.some((m) => m.piece >= 0),
      { player } = this.app;
    const shown = player ? player.shows(e.source).value && player.shows(e.target).value : true;
    const lit = this.lit && e.members.some((m) => this.lit.edges.has(m.number));
    g.setAttribute("class", `edge ${this.model.state(weight, comes)}${shown ? "" : " waiting"}${lit ? " lit" : ""}`);
    const width = comes && weight > 0 ? 1.3 + 0.75 * Math.min(5, Math.max(0, Math.log10(weight) + 4)) : 1.3;
    const share = lit ? this.shareOf(e) : null;
    g.firstChild.style.strokeWidth = share !== null ? 1.5 + 5 * Math.min(1, Math.abs(share)) : width;
  }

  shareOf(e) {
    const live = this.lit.live;
    const parts = e.members
      .map((m) => (live ? live.get(m.number) : this.lit.edges.get(m.number)))
      .filter((s) => s !== undefined && s !== null);
    return parts.length ? parts.reduce((a, b) => a + b, 0) : null;
  }

  // Everything in view again, where only numbers changed.
  refresh() {
    for (const [key, element] of this.drawn) {
      if (key[0] === "n") this.fill(element, this.place.items.get(key.slice(1)));
    }
    for (const e of this.place.edges) {
      const element = this.drawn.get(`e${e.key}`);
      if (element) this.paint(element, e);
    }
    this.root.classList.toggle("quiet", Boolean(this.lit));
    this.tags();
    if (!this.far.hidden) this.draw();
  }

  // Numbers on edges: local derivatives, or shares of a gradient that is followed.
  tags() {
    this.layers.tags.replaceChildren();
    const { player } = this.app;
    for (const e of this.place.edges) {
      const element = this.drawn.get(`e${e.key}`);
      if (!element) continue;
      if (this.lit) {
        if (!element.classList.contains("lit")) continue;
        const share = this.shareOf(e),
          slope = this.lit.factors && e.members.length === 1 ? this.model.slope(e.members[0]) : null;
        if (slope) this.tag(element.firstChild, `∂ ${digits(slope.value, 3)}`, "slope");
        if (share !== null) this.tag(element.firstChild, percent(share), "share");
      } else if ((this.app.slopes || player?.busy) && (!player || player.passed(e))) {
        const slope = e.members.length === 1 ? this.model.slope(e.members[0]) : null;
        if (slope) this.tag(element.firstChild, `${slope.exact ? "∂" : "|∂|≈"} ${digits(slope.value, 3)}`, "slope");
      }
    }
  }

  tag(path, text, kind) {
    const { x, y } = path.getPointAtLength(path.getTotalLength() / 2),
      g = svg("g", { class: `tag ${kind}` }, this.layers.tags);
    const width = widthOf(text, "600 11.5px sans-serif") + 13;
    svg("rect", { x: x - width / 2, y: y - 9.5, width, height: 19, rx: 9.5 }, g);
    svg("text", { x, y: y + 4, "text-anchor": "middle" }, g, text);
  }

  // A drop of light along an edge; ends after `time` milliseconds.
  pulse(e, forward, time) {
    const element = this.drawn.get(`e${e.key}`);
    if (!element || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const path = element.firstChild,
      length = path.getTotalLength(),
      dot = svg("circle", { r: 6, class: `pulse ${forward ? "forward" : "backward"}` }, this.layers.pulses);
    const start = performance.now();
    const move = (now) => {
      const t = Math.min(1, (now - start) / time),
        eased = t * t * (3 - 2 * t);
      const { x, y } = path.getPointAtLength(length * (forward ? eased : 1 - eased));
      dot.setAttribute("transform", `translate(${x} ${y})`);
      if (t < 1 && dot.isConnected) requestAnimationFrame(move);
      else dot.remove();
    };
    requestAnimationFrame(move);
  }

  mark(items, edges, forward) {
    for (const element of this.drawn.values()) element.classList.remove("now", "now-back");
    const word = forward ? "now" : "now-back";
    for (const id of items) this.drawn.get(`n${id}`)?.classList.add(word);
    for (const e of edges) this.drawn.get(`e${e.key}`)?.classList.add(word);
  }
}
