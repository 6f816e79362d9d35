// The stage: where the nodes of a graph stand, which of them are folded, and what the reader does with them.
"use strict";

class Stage extends Drawing {
  constructor(model, app) {
    super();
    this.model = model;
    this.app = app;
    this.root = document.getElementById("graph");
    this.far = document.getElementById("far");
    this.world = svg("g", {}, this.root);
    this.layers = {};
    for (const name of ["clusters", "edges", "nodes", "tags", "pulses"])
      this.layers[name] = svg("g", { class: name }, this.world);
    this.drawn = new Map();
    this.at = { x: 0, y: 0, scale: 1 };
    this.lit = null;
    this.listen();
    this.arrange();
    this.fit();
  }

  arrange() {
    const { clientWidth: w, clientHeight: h } = this.root;
    this.place = layout(this.model, (item) => this.sizeOf(item), w < 0.7 * h, [w - 100, Math.max(110, h - 205)]);
    this.edgesOf = new Map();
    const ending = new Map();
    for (const e of this.place.edges) {
      for (const id of [e.source, e.target]) this.edgesOf.set(id, [...(this.edgesOf.get(id) ?? []), e]);
      ending.set(e.target, [...(ending.get(e.target) ?? []), e]);
    }
    const { boxes, down } = this.place;
    for (const [target, edges] of ending) {
      const box = boxes.get(target),
        room = down ? box.width : box.height;
      const from = (e) =>
        (e.through.length
          ? (e.through[e.through.length - 1].around?.[4] ?? e.through[e.through.length - 1])
          : centre(boxes.get(e.source)))[down ? 0 : 1];
      edges.sort((a, b) => from(a) - from(b));
      const step = Math.min(15, (0.7 * room) / edges.length);
      edges.forEach((e, i) => this.route(e, (i - (edges.length - 1) / 2) * step));
    }
    for (const element of this.drawn.values()) element.remove();
    this.drawn.clear();
  }

  route(e, shift) {
    const { boxes, down } = this.place,
      a = boxes.get(e.source),
      b = boxes.get(e.target);
    const [p, q] = [centre(a), centre(b)];
    const start = down ? [p[0], a.y + a.height] : [a.x + a.width, p[1]];
    const end = down ? [q[0] + shift, b.y - 5] : [b.x - 5, q[1] + shift];
    const points = [start];
    e.d = `M${start}`;
    for (const stop of [...e.through, end]) {
      if (stop.around) {
        e.d += around(points[points.length - 1], stop.around);
        points.push(...stop.around);
      } else {
        const [[x0, y0], [x1, y1]] = [points[points.length - 1], stop];
        e.d += down
          ? `C${x0} ${(y0 + y1) / 2} ${x1} ${(y0 + y1) / 2} ${x1} ${y1}`
          : `C${(x0 + x1) / 2} ${y0} ${(x0 + x1) / 2} ${y1} ${x1} ${y1}`;
        points.push(stop);
      }
    }
    const [x, y] = end;
    e.head = down
      ? `M${x - 4} ${y - 2}L${x + 4} ${y - 2}L${x} ${y + 5}Z`
      : `M${x - 2} ${y - 4}L${x - 2} ${y + 4}L${x + 5} ${y}Z`;
    const xs = points.map((v) => v[0]),
      ys = points.map((v) => v[1]);
    e.box = {
      x: Math.min(...xs),
      y: Math.min(...ys),
      width: Math.max(...xs) - Math.min(...xs),
      height: Math.max(...ys) - Math.min(...ys),
    };
  }

  fold(key, folded) {
    const before = this.place.boxes.get(key),
      anchor = before ? centre(before) : null;
    if (folded) this.model.collapsed.add(key);
    else {
      this.model.collapsed.delete(key);
      for (const outer of this.model.around(key)) this.model.collapsed.delete(outer);
    }
    this.arrange();
    const after = this.place.boxes.get(key);
    if (anchor && after) {
      const [x, y] = centre(after);
      this.at.x += (anchor[0] - x) * this.at.scale;
      this.at.y += (anchor[1] - y) * this.at.scale;
    }
    this.app.arranged();
    if (this.fitted) return this.fit();
    this.draw();
    this.refresh();
  }

  // One path alone, with its factors.
  lightRoute(edges) {
    const nodes = edges && [edges[0].source, ...edges.map((e) => e.target)].map((id) => this.model.shownAs(id));
    this.lit = edges
      ? { nodes: new Set(nodes), edges: new Map(edges.map((e) => [e.number, null])), factors: true }
      : null;
    this.refresh();
  }

  // All paths from a node to the output, with the share of its gradient that each edge carries.
  light(id) {
    const found = id === null ? null : this.model.paths(id);
    if (found) found.nodes = new Set([...found.nodes].map((n) => this.model.shownAs(n)));
    this.lit = found && found.edges.size ? found : null;
    this.refresh();
  }

  click(event) {
    const g = event.target.closest?.("[data-id], [data-group]");
    if (g) return this.press(g, event.target.matches(".open"));
    const [x, y] = [event.offsetX, event.offsetY].map((v, i) => (v - [this.at.x, this.at.y][i]) / this.at.scale);
    const hit = this.far.hidden
      ? null
      : [...this.place.items.keys()].find((id) => meets(this.place.boxes.get(id), { x, y, width: 0, height: 0 }));
    this.app.choose(hit ?? null);
    if (hit) this.centreOn(hit);
  }

  // The single number of a leaf a little up or down.
  nudge(id, way) {
    const item = this.place.items.get(id);
    if (!item || item.folded || !this.model.leaf(item.node)) return false;
    const { data } = this.model.value(item.node);
    if (data.length === 1) this.app.change(item.node, 0, nudged(data[0], way));
    return data.length === 1;
  }

  // A click or Enter: an open group folds, a folded one that is chosen already opens, anything else is chosen.
  press(g, open = false) {
    const { group, id } = g.dataset;
    if (group) return this.fold(group, true);
    if (this.place.items.get(id).folded && (open || this.app.chosen === id)) return this.fold(id, false);
    this.app.choose(id);
  }
}
