// What there is to see: nodes, edges and groups; which of them are folded; what each node's value and gradient are.
"use strict";

class Model {
  constructor(data, program) {
    this.data = data;
    this.program = program;
    this.nodes = new Map(data.nodes.map((n) => [n.id, n]));
    this.groups = new Map(data.groups.map((g) => [g.key, { ...g, members: [] }]));
    this.edges = data.edges.map(([source, target, slot, piece, slope], number) => ({
      number,
      source,
      target,
      slot,
      piece,
      slope,
    }));
    this.into = new Map(data.nodes.map((n) => [n.id, []]));
    this.outOf = new Map(data.nodes.map((n) => [n.id, []]));
    for (const e of this.edges) {
      this.into.get(e.target).push(e);
      this.outOf.get(e.source).push(e);
    }
    for (const n of data.nodes) for (const key of this.around(n.group)) this.groups.get(key).members.push(n.id);
    this.fixed = new Map(data.nodes.filter((n) => n.fixed).map((n) => [n.id, received(n.fixed)]));
    this.collapsed = new Set(data.collapsed);
  }

  // A group and those around it, the innermost first.
  around(key) {
    const found = [];
    for (; key; key = this.groups.get(key).parent) found.push(key);
    return found;
  }

  // A node (or group) itself, or the outermost folded group that it is in.
  shownAs(id) {
    const folded = this.around(this.groups.has(id) ? id : this.nodes.get(id).group).filter((key) =>
      this.collapsed.has(key),
    );
    return folded.length ? folded[folded.length - 1] : id;
  }

  // What is on the stage: {id, group, node} or {id, group, folded, last}, and edges {source, target, members}.
  view() {
    const items = new Map(),
      edges = new Map();
    for (const n of this.data.nodes) {
      const id = this.shownAs(n.id);
      if (id === n.id) items.set(id, { id, group: n.group, node: n });
      else if (!items.has(id)) {
        const g = this.groups.get(id);
        const last =
          g.members
            .map((m) => this.nodes.get(m))
            .filter((m) => m.template)
            .pop() ?? n;
        items.set(id, { id, group: g.parent, folded: g, node: last });
      }
    }
    for (const e of this.edges) {
      const source = this.shownAs(e.source),
        target = this.shownAs(e.target);
      if (source === target) continue;
      const key = `${source}>${target}`;
      if (!edges.has(key)) edges.set(key, { key, source, target, members: [] });
      edges.get(key).members.push(e);
    }
    return { items, edges: [...edges.values()] };
  }

  value(node) {
    return this.fixed.get(node.id) ?? (node.value === undefined ? null : this.program.values[node.value]);
  }

  cotangent(node) {
    return node.cotangent === undefined ? null : this.program.values[node.cotangent];
  }

  summary(number) {
    return this.data.summaries[number] ?? null;
  }

  // The value of a node in short.
  valueText(node) {
    return this.brief(node, this.value(node), node.value === undefined ? node.summary : this.summary(node.value));
  }

  // Its gradient in short; empty where none comes.
  gradientText(node) {
    return node.cotangent === undefined ? "" : this.brief(node, this.cotangent(node), this.summary(node.cotangent));
  }

  // An array in short; of one that is not here what its summary says.
  brief(node, array, summary) {
    if (array) return brief(array);
    return summary ? `${sizes(node.shape)} ‖${digits(Number(summary.norm), 3)}‖` : "";
  }

  // Did something that a node depends on change, which the page cannot follow?
  stale(node) {
    return this.program.stale.has(node.value) || this.program.stale.has(node.cotangent);
  }

  normOf(number) {
    if (number === undefined || number < 0) return NaN;
    const array = this.program.values[number];
    return array ? norm(array.data) : Number(this.summary(number)?.norm ?? NaN);
  }

  // The norm of what comes back along an edge, by that of the output's own.
  weight(edge) {
    const parts = edge.members
      .map((e) => this.normOf(e.piece))
      .filter((w) => !Number.isNaN(w) || edge.members.length === 1);
    return parts.length ? Math.hypot(...parts) / this.normOf(this.data.seed) : NaN;
  }

  state(weight, comes) {
    const { vanished, burst } = this.data.limits;
    if (!comes) return "none";
    if (!(weight <= burst)) return "burst";
    return weight === 0 ? "zero" : weight < vanished ? "vanished" : "fine";
  }

  stateOf(node) {
    const comes = node.cotangent !== undefined;
    return this.state(this.normOf(node.cotangent) / this.normOf(this.data.seed), comes);
  }

  // The derivative along an edge: one number, or of arrays its mean size; null where the op has no such thing.
  slope(edge) {
    const array = edge.slope >= 0 ? this.program.values[edge.slope] : null;
    if (array) {
      if (array.data.length === 1) return { exact: true, value: array.data[0] };
      let sum = 0;
      for (const v of array.data) sum += Math.abs(v);
      return { exact: false, value: sum / array.data.length };
    }
    const g = this.cotangent(this.nodes.get(edge.target)),
      piece = edge.piece >= 0 ? this.program.values[edge.piece] : null;
    if (g && piece && g.data.length === 1 && piece.data.length === 1 && g.data[0] !== 0)
      return { exact: true, value: piece.data[0] / g.data[0] };
    return null;
  }

  leaf(node) {
    return !node.template && node.value !== undefined && this.program.live(node.value) && node.cotangent !== undefined;
  }

  // Everything between a node and the output: nodes, edges, and what share of the node's gradient each edge carries.
  paths(start) {
    const below = new Set([start]),
      edges = [];
    for (const n of this.data.nodes)
      for (const e of this.into.get(n.id))
        if (below.has(e.source) && e.piece >= 0) {
          below.add(n.id);
          edges.push(e);
        }
    const leads = new Set([this.data.output]),
      found = [];
    for (const e of edges.reverse())
      if (leads.has(e.target)) {
        leads.add(e.source);
        found.push(e);
      }
    return {
      nodes: new Set([...below].filter((id) => leads.has(id))),
      edges: new Map(found.map((e) => [e.number, this.share(start, e)])),
      live: this.liveShares(start, found.reverse()),
    };
  }

  share(start, edge) {
    return this.data.shares[start]?.[edge.number] ?? null;
  }

  // In a graph of single numbers the shares follow what is dragged: tangent times cotangent by the whole.
  liveShares(start, edges) {
    const whole = this.cotangent(this.nodes.get(start));
    if (!whole || whole.data.length !== 1 || whole.data[0] === 0) return null;
    const tangents = new Map([[start, 1]]),
      shares = new Map();
    for (const e of edges) {
      const slope = this.slope(e),
        g = this.cotangent(this.nodes.get(e.target));
      if (!slope?.exact || !g || g.data.length !== 1) return null;
      const t = (tangents.get(e.source) ?? 0) * slope.value;
      tangents.set(e.target, (tangents.get(e.target) ?? 0) + t);
      shares.set(e.number, (t * g.data[0]) / whole.data[0]);
    }
    return shares;
  }
}
