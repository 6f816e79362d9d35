// Where everything stands. Each group is laid out by itself, from the inside outwards, and is then one box in the group
// around it. Ranks are longest paths; the order within a rank begins with the one that Python found. The main axis runs
// from inputs to output: to the right on wide stages, downwards on narrow ones.
"use strict";

const GAP = { rank: 62, side: 18, title: 22, pad: 8, line: 46, port: 12 };
// More places than this along long edges are not kept free: such graphs are seen from afar.
const MOST_DUMMIES = 6000;

function layout(model, sizeOf, down, [width, height]) {
  const { items, edges } = model.view();
  const children = new Map([["", []]]),
    parent = new Map(),
    boxes = new Map(),
    inner = new Map();
  for (const g of model.groups.values())
    if (!model.around(g.key).some((k) => model.collapsed.has(k))) children.set(g.key, []);
  for (const item of items.values()) parent.set(item.id, item.group);
  for (const key of children.keys()) if (key) parent.set(key, model.groups.get(key).parent);
  const firsts = [...items.keys()],
    open = new Set(children.keys());
  for (const id of firsts) children.get(parent.get(id)).push(id);
  for (const key of open) if (key) children.get(parent.get(key)).push(key);

  const chain = (id) => {
    const found = [id];
    while (parent.get(found[found.length - 1])) found.push(parent.get(found[found.length - 1]));
    return found;
  };
  // An edge is cut at the borders of groups. Each piece is a wire between two things of one group: children, or ports
  // on its border, "<" where the value of a source comes in and ">" where it leaves.
  const within = new Map([...open].map((key) => [key, new Map()])),
    ports = new Map([...open].map((key) => [key, new Set()]));
  const wire = (e, key, source, target) => {
    const wires = within.get(key),
      name = `${source} ${target}`;
    if (!wires.has(name)) wires.set(name, { source, target });
    e.pieces.push([key, wires.get(name)]);
  };
  const port = (key, name) => {
    ports.get(key).add(name);
    return name;
  };
  for (const e of edges) {
    const a = chain(e.source).reverse(),
      b = chain(e.target).reverse();
    let i = 0;
    while (i < a.length - 1 && i < b.length - 1 && a[i] === b[i]) i++;
    e.pieces = [];
    for (let j = a.length - 2; j >= i; j--) wire(e, a[j], a[j + 1], port(a[j], `>${e.source}`));
    wire(e, i ? a[i - 1] : "", a[i], b[i]);
    for (let j = i; j < b.length - 1; j++) wire(e, b[j], port(b[j], `<${e.source}`), b[j + 1]);
  }

  // The group that holds nearly everything is the one whose ranks are broken into lines.
  let broad = "";
  const count = (key) => firsts.filter((id) => chain(id).includes(key)).length;
  for (let next = ""; next !== undefined;) {
    broad = next;
    next = children.get(broad).find((id) => open.has(id) && count(id) > 0.7 * firsts.length);
  }

  const order = new Map();
  const orderOf = (id) => {
    if (id[0] === "<" || id[0] === ">") id = id.slice(1);
    if (order.has(id)) return order.get(id);
    const group = model.groups.get(id);
    const places = group ? group.members.map((m) => model.nodes.get(m).order) : [items.get(id).node.order];
    order.set(id, places.reduce((a, b) => a + b, 0) / Math.max(1, places.length));
    return order.get(id);
  };

  const solve = (key) => {
    const ids = [...children.get(key), ...ports.get(key)];
    const boxesHere = ids.map((id) => {
      if (id[0] === "<" || id[0] === ">") return { along: 0, across: 6 };
      if (open.has(id)) return solve(id);
      const [w, h] = sizeOf(items.get(id));
      return down ? { along: h, across: w } : { along: w, across: h };
    });
    const solved = layered(
      ids,
      boxesHere,
      [...within.get(key).values()],
      orderOf,
      key === broad ? (down ? [height, width] : [width, height]) : [Math.max(700, down ? height : width), Infinity],
    );
    inner.set(key, solved);
    if (!key) return solved;
    const title = 7 * model.groups.get(key).title.length + 40;
    const along = solved.along + 2 * GAP.pad + (down ? GAP.title : 0),
      across = solved.across + 2 * GAP.pad + (down ? 0 : GAP.title);
    return down ? { along, across: Math.max(across, title) } : { along: Math.max(along, title), across };
  };
  const whole = solve("");

  const point = (along, across) => (down ? [across, along] : [along, across]);
  const put = (key, along, across) => {
    const solved = inner.get(key);
    const out = (place) => point(along + place[0], across + place[1]);
    solved.places = new Map(solved.ids.map((id, i) => [id, out(solved.at[i])]));
    for (const wire of within.get(key).values())
      wire.bends = wire.bends.map((b) => (b.around ? { around: b.around.map(out) } : out(b)));
    children.get(key).forEach((id, i) => {
      const b = solved.boxes[i],
        [x, y] = point(along + solved.at[i][0] - b.along / 2, across + solved.at[i][1] - b.across / 2);
      const [w, h] = down ? [b.across, b.along] : [b.along, b.across];
      boxes.set(id, { x, y, width: w, height: h });
      if (open.has(id)) {
        const spareAcross = (b.across - inner.get(id).across - (down ? 0 : GAP.title)) / 2,
          spareAlong = (b.along - inner.get(id).along - (down ? GAP.title : 0)) / 2;
        put(
          id,
          along + solved.at[i][0] - b.along / 2 + spareAlong + (down ? GAP.title : 0),
          across + solved.at[i][1] - b.across / 2 + spareAcross + (down ? 0 : GAP.title),
        );
      }
    });
  };
  put("", 0, 0);
  for (const e of edges) {
    e.through = [];
    for (const [key, { source, target, bends }] of e.pieces) {
      const { places } = inner.get(key);
      if (source[0] === "<") e.through.push(places.get(source));
      e.through.push(...bends);
      if (target[0] === ">") e.through.push(places.get(target));
    }
    e.through = e.through.map((stop, i, all) =>
      stop.around ? { around: between(all[i - 1], stop.around, all[i + 1], down ? 0 : 1) } : stop,
    );
  }
  const [w, h] = point(whole.along, whole.across);
  return { items, edges, boxes, open, width: w, height: h, down };
}

// The way around the end of a line, from the place before it and to the place after it, where these are on borders.
function between(before, points, after, axis) {
  const found = points.map((p) => [...p]);
  if (before && !before.around) found[0][axis] = before[axis];
  if (after && !after.around) found[3][axis] = found[4][axis] = after[axis];
  return found;
}

// Places for boxes {along, across} connected by wires {source, target}; of each wire the bends between its ends.
function layered(ids, boxes, wires, orderOf, room) {
  const place = new Map(ids.map((id, i) => [id, i])),
    n = ids.length;
  const after = ids.map(() => []),
    before = ids.map(() => []);
  for (const w of wires) {
    const a = place.get(w.source),
      b = place.get(w.target);
    after[a].push(b);
    before[b].push(a);
  }
  const first = ids.map((id) => id[0] === "<"),
    last = ids.map((id) => id[0] === ">");
  const rank = ranks(n, after, before, first, last);
  const nodes = ids.map((id, i) => ({
    rank: rank[i],
    size: boxes[i].across,
    key: orderOf(id),
    near: [],
    far: [],
    real: i,
  }));
  let spare = MOST_DUMMIES;
  for (const w of wires) {
    const a = place.get(w.source),
      b = place.get(w.target);
    w.chain = [];
    const span = rank[b] - rank[a] - 1;
    let last = a;
    if (span > 0 && (spare -= span) > 0)
      for (let k = 1; k <= span; k++) {
        const t = k / (span + 1),
          key = nodes[a].key * (1 - t) + nodes[b].key * t;
        nodes.push({ rank: rank[a] + k, size: 4, key, near: [], far: [], real: -1 });
        w.chain.push(nodes.length - 1);
        link(nodes, last, nodes.length - 1);
        last = nodes.length - 1;
      }
    link(nodes, last, b);
  }
  const rows = [];
  nodes.forEach((node, i) => (rows[node.rank] ??= []).push(i));
  const filledRows = rows.map((row) => row ?? []);
  sorted(filledRows, nodes);
  const across = placed(filledRows, nodes);
  const depth = filledRows.map((row) =>
    Math.max(0, ...row.map((i) => (nodes[i].real >= 0 ? boxes[nodes[i].real].along : 0))),
  );
  const { lines, starts, shift, along, total } = broken(filledRows, nodes, across, depth, room);
  const middle = (i) => starts[nodes[i].rank] + depth[nodes[i].rank] / 2,
    side = (i) => across[i] + shift[lines[nodes[i].rank]];
  for (const w of wires)
    w.bends = bendsOf(w, place, { nodes, lines, middle, side, depth, along, gutter: (line) => shift.gutters[line] });
  return { ids, boxes, wires, at: ids.map((_, i) => [middle(i), side(i)]), across: total, along };
}

// Ranks one after the other; where that is much longer than the stage, in several lines, as text is.
function broken(rows, nodes, across, depth, room) {
  const spans = rows.map((row) => [
    Math.min(...row.map((i) => across[i] - nodes[i].size / 2)),
    Math.max(...row.map((i) => across[i] + nodes[i].size / 2)),
  ]);
  const gap = depth.map((d, r) => (d === 0 || depth[r + 1] === 0 ? GAP.port : GAP.rank)),
    whole = depth.reduce((a, b, r) => a + b + gap[r], 0);
  const cut = (length) => {
    const lines = [],
      starts = [];
    let line = 0,
      x = 0;
    depth.forEach((d, r) => {
      if (x > 0 && x + d > length) [line, x] = [line + 1, 0];
      lines.push(line);
      starts.push(x);
      x += d + gap[r];
    });
    const ends = lines.map((l, r) => [l, starts[r] + depth[r]]),
      along = Math.max(0, ...ends.map((e) => e[1]));
    const shift = [],
      gutters = [];
    let y = 0;
    for (let l = 0; l <= line; l++) {
      const own = spans.filter((_, r) => lines[r] === l);
      const low = Math.min(...own.map((v) => v[0])),
        high = Math.max(...own.map((v) => v[1]));
      shift.push(y - low);
      y += high - low;
      gutters.push(y + GAP.line / 2);
      y += GAP.line;
    }
    return { lines, starts, shift: Object.assign(shift, { gutters }), along, total: Math.max(0, y - GAP.line) };
  };
  const fit = (c) => Math.min(1.1, room[0] / c.along, room[1] / Math.max(1, c.total));
  let best = cut(Infinity);
  if (rows.length < 3) return best;
  for (let k = 2; k <= Math.min(40, rows.length); k++) {
    const c = cut(whole / k + 40);
    if (fit(c) > 1.25 * fit(best) || (best.shift.length > 1 && fit(c) > 1.05 * fit(best))) best = c;
  }
  return best;
}

// Where a wire bends: at the places kept free for it, and around the end of a line.
function bendsOf(wire, place, { nodes, lines, middle, side, depth, along, gutter }) {
  const stops = [place.get(wire.source), ...wire.chain, place.get(wire.target)],
    bends = [];
  stops.forEach((i, k) => {
    if (k && lines[nodes[i].rank] !== lines[nodes[stops[k - 1]].rank]) {
      const before = stops[k - 1],
        y = gutter(lines[nodes[before].rank]),
        half = (j) => depth[nodes[j].rank] / 2;
      const right = Math.min(along + 18, middle(before) + half(before) + 22),
        left = middle(i) - half(i) - 24;
      bends.push({
        around: [
          [right, side(before)],
          [right, y],
          [left, y],
          [left, side(i)],
          [left + 14, side(i)],
        ],
      });
    }
    if (k && k < stops.length - 1) bends.push([middle(i), side(i)]);
  });
  return bends;
}

function link(nodes, a, b) {
  nodes[a].far.push(b);
  nodes[b].near.push(a);
}

// Longest paths; what has no inputs stands right before its first user.
function ranks(n, after, before, first, last) {
  const low = first.some(Boolean) ? 1 : 0,
    rank = first.map((f) => (f ? 0 : low)),
    waiting = before.map((b) => b.length),
    order = [];
  for (let i = 0; i < n; i++) if (!waiting[i]) order.push(i);
  for (let k = 0; k < order.length; k++)
    for (const j of after[order[k]]) {
      rank[j] = Math.max(rank[j], rank[order[k]] + 1);
      if (!--waiting[j]) order.push(j);
    }
  for (let i = 0; i < n; i++)
    if (!first[i] && !before[i].length && after[i].length)
      rank[i] = Math.max(low, Math.min(...after[i].map((j) => rank[j])) - 1);
  const end = Math.max(0, ...rank.filter((_, i) => !last[i])) + 1;
  return rank.map((r, i) => (last[i] ? end : r));
}

// Sweeps by the mean place of neighbours (Sugiyama, Tagawa & Toda 1981), from the order that is there.
function sorted(rows, nodes) {
  for (const row of rows) row.sort((a, b) => nodes[a].key - nodes[b].key);
  const at = new Array(nodes.length);
  const number = (row) => row.forEach((i, k) => (at[i] = k / Math.max(1, row.length)));
  rows.forEach(number);
  const sweep = (row, side) => {
    const wish = new Map(
      row.map((i) => [
        i,
        nodes[i][side].length ? nodes[i][side].reduce((s, j) => s + at[j], 0) / nodes[i][side].length : at[i],
      ]),
    );
    row.sort((a, b) => wish.get(a) - wish.get(b) || at[a] - at[b]);
    number(row);
  };
  const crossings = () => (nodes.length > 800 ? 0 : rows.reduce((s, row) => s + crossed(row, nodes, at), 0));
  let best = rows.map((row) => [...row]),
    least = crossings();
  for (let k = 0; k < 6 && least > 0; k++) {
    rows.forEach((row) => sweep(row, "near"));
    [...rows].reverse().forEach((row) => sweep(row, "far"));
    const now = crossings();
    if (now < least) [least, best] = [now, rows.map((row) => [...row])];
  }
  if (nodes.length <= 800) rows.forEach((row, i) => row.splice(0, row.length, ...best[i]));
}

function crossed(row, nodes, at) {
  const ends = row.flatMap((i) => nodes[i].far.map((j) => at[j]).sort((a, b) => a - b));
  let count = 0;
  for (let i = 0; i < ends.length; i++) for (let j = i + 1; j < ends.length; j++) count += ends[j] < ends[i];
  return count;
}

// Side places: each row as near to its neighbours' mean as the room between boxes lets it (isotonic regression).
function placed(rows, nodes) {
  const at = new Array(nodes.length).fill(0);
  for (const row of rows) {
    let x = -row.reduce((s, i) => s + nodes[i].size + GAP.side, -GAP.side) / 2;
    for (const i of row) {
      at[i] = x + nodes[i].size / 2;
      x += nodes[i].size + GAP.side;
    }
  }
  const rounds = nodes.length > 2500 ? 4 : 13;
  for (let k = 0; k < rounds; k++) {
    const side = k % 3 === 2 ? ["near", "far"] : k % 3 === 0 ? ["near"] : ["far"];
    for (const row of k % 3 === 1 ? [...rows].reverse() : rows) settle(row, nodes, at, side);
  }
  return at;
}

function settle(row, nodes, at, sides) {
  const blocks = [];
  let offset = 0,
    before = null;
  for (const i of row) {
    if (before !== null)
      offset +=
        (nodes[before].size + nodes[i].size) / 2 +
        (nodes[i].real < 0 || nodes[before].real < 0 ? GAP.side / 2 : GAP.side);
    before = i;
    const near = sides.flatMap((s) => nodes[i][s]);
    const weight = near.length ? (nodes[i].real < 0 ? 4 : 1) : 0.05;
    const wish = near.length ? near.reduce((s, j) => s + at[j], 0) / near.length : at[i];
    let block = { members: [[i, offset]], sum: weight * (wish - offset), weight };
    while (
      blocks.length &&
      blocks[blocks.length - 1].sum / blocks[blocks.length - 1].weight > block.sum / block.weight
    ) {
      const b = blocks.pop();
      block = { members: [...b.members, ...block.members], sum: b.sum + block.sum, weight: b.weight + block.weight };
    }
    blocks.push(block);
  }
  for (const b of blocks) for (const [i, o] of b.members) at[i] = b.sum / b.weight + o;
}
