// The chain rule by paths: in a graph of single numbers each way from a node to the output, with the product of its factors.
"use strict";

// With more ways than this they are not counted out one by one.
const MOST_ROUTES = 400;
const SHOWN_ROUTES = 6;

// The ways from a node to the output, the largest product first: {edges, factors, product}; null where values are
// arrays or there are too many ways.
function routesOf(model, start) {
  const whole = model.cotangent(model.nodes.get(start));
  if (!whole || whole.data.length !== 1) return null;
  const onward = new Map(),
    ways = new Map([[model.data.output, 1]]),
    { edges, nodes } = model.paths(start);
  for (const number of edges.keys()) {
    const e = model.edges[number];
    if (!model.slope(e)?.exact) return null;
    onward.set(e.source, [...(onward.get(e.source) ?? []), e]);
  }
  for (const n of [...model.data.nodes].reverse()) {
    if (!nodes.has(n.id) || n.id === model.data.output) continue;
    ways.set(
      n.id,
      (onward.get(n.id) ?? []).reduce((sum, e) => sum + (ways.get(e.target) ?? 0), 0),
    );
  }
  if (!(ways.get(start) <= MOST_ROUTES)) return null;
  const seed = model.program.values[model.data.seed].data[0],
    found = [];
  const walkOn = (id, route, product) => {
    if (id === model.data.output) found.push({ edges: route, product });
    for (const e of onward.get(id) ?? []) walkOn(e.target, [...route, e], product * model.slope(e).value);
  };
  walkOn(start, [], seed);
  return found.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
}

// A way in one line: w → h1 → h2, and its factors as the chain rule multiplies them, from the output back.
function routeHtml(model, route) {
  const names = [route.edges[0].source, ...route.edges.map((e) => e.target)].map((id) =>
    variable(model.nodes.get(id).label),
  );
  const factors = [...route.edges].reverse().map((e) => factor(model.slope(e).value));
  return `<span>${names.join(" → ")}</span><span class="d">${factors.join(" · ")} = <b>${digits(route.product)}</b></span>`;
}
