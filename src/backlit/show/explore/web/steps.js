// The lecture: one step for each value that is computed, then one for each edge that a gradient comes back along.
"use strict";

function stepsOf(place) {
  const order = topological(place),
    into = new Map([...place.items.keys()].map((id) => [id, []]));
  for (const e of place.edges) into.get(e.target).push(e);
  const steps = [{ kind: "start" }];
  for (const id of order) {
    const item = place.items.get(id);
    if (item.folded || item.node.template) steps.push({ kind: "forward", id, edges: into.get(id) });
  }
  steps.push({ kind: "seed", id: order[order.length - 1] });
  for (const id of [...order].reverse())
    for (const e of into.get(id))
      if (e.members.some((m) => m.piece >= 0)) steps.push({ kind: "backward", id, edge: e });
  steps.push({ kind: "done" });
  return steps;
}

function topological(place) {
  const waiting = new Map([...place.items.keys()].map((id) => [id, 0])),
    after = new Map([...place.items.keys()].map((id) => [id, []]));
  for (const e of place.edges) {
    waiting.set(e.target, waiting.get(e.target) + 1);
    after.get(e.source).push(e.target);
  }
  const order = [...waiting].filter(([, n]) => !n).map(([id]) => id);
  for (let i = 0; i < order.length; i++)
    for (const id of after.get(order[i])) {
      waiting.set(id, waiting.get(id) - 1);
      if (!waiting.get(id)) order.push(id);
    }
  return order;
}

const variable = (name) => `<span class="var">${escaped(name)}</span>`;
const bar = (name) => `<span class="b">ḡ(${variable(name)})</span>`;

// What a step does, in one line of HTML.
function captionOf(step, model, place, player) {
  if (step.kind === "start") return `<span class="note">${say("start")}</span>`;
  if (step.kind === "done") return `<span class="note">${say("done")}</span>`;
  const item = place.items.get(step.id),
    n = item.node;
  if (step.kind === "seed")
    return `${bar(n.label)} = <span class="b">1</span> <small>${say("seed", { g: digits(model.program.values[model.data.seed].data[0]) })}</small>`;
  if (step.kind === "forward") {
    if (item.folded) {
      const how = say("forwardGroup", {
        name: item.folded.title,
        n: item.folded.members.length,
        shape: sizes(n.shape) || "1",
      });
      return `<span class="note">${escaped(how)}</span> <span class="f">${escaped(model.valueText(n))}</span>`;
    }
    return formulaHtml(model, n);
  }
  return backwardHtml(step.edge, model, place, player);
}

// h3 = exp(h2) = exp(0) = 1
function formulaHtml(model, n) {
  const numbers = n.inputs.map((x) => {
    const array = x.number !== undefined ? null : model.program.values[x.value];
    return x.number ?? (array && array.data.length === 1 ? factor(array.data[0]) : null);
  });
  const template = escapedTemplate(n.template),
    names = filled(
      template,
      n.inputs.map((x) => variable(x.name)),
    );
  const value = `<span class="f">${escaped(model.valueText(n))}</span>`;
  const single = numbers.every((x) => x !== null) && n.inputs.some((x) => x.number === undefined);
  const middle = single ? `${filled(template, numbers)} = ` : "";
  const end = n.parts ? "" : ` = ${middle}${value}`;
  return `${variable(n.label)} = ${names}${end}`;
}

// A rule as Python writes it, with gradients in their colour.
const ruleHtml = (rule) => printed(escaped(rule)).replace(/ḡ\(([^()]*)\)/g, (_, name) => bar(name));

const escapedTemplate = (template) => template.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// ḡ(h2) += ḡ(h3) · ∂h3/∂h2 = −0.25 · 1 = −0.25
function backwardHtml(edge, model, place, player) {
  const [source, target] = [place.items.get(edge.source), place.items.get(edge.target)];
  const [from, to] = [
    target.folded ? target.folded.title : target.node.label,
    source.folded ? source.folded.title : source.node.label,
  ];
  const arrived = player.arrived(edge.source),
    sum =
      arrived.of > 1
        ? ` <small>${arrived.now === arrived.of ? say("complete") : say("sofar", { x: arrived.now + " / " + arrived.of })}${arrived.text ? `: <span class="b">${arrived.text}</span>` : ""}</small>`
        : "";
  const m = edge.members[0],
    piece = m.piece >= 0 ? model.program.values[m.piece] : null;
  const size = piece ? brief(piece) : digits(model.weight(edge), 3);
  if (edge.members.length > 1 || target.folded || source.folded) {
    const gain = (model.weight(edge) * model.normOf(model.data.seed)) / model.normOf(target.node.cotangent);
    const through = say("backwardGroup", { name: from, gain: digits(gain, 3) });
    return `${bar(to)} += <span class="b">${escaped(size)}</span> <small>${escaped(through)}</small>${sum}`;
  }
  const slope = model.slope(m),
    g = model.cotangent(target.node);
  const local = `<span class="d">∂${variable(from)}/∂${variable(to)}</span>`;
  if (slope?.exact && g && g.data.length === 1 && piece)
    return `${bar(to)} += ${bar(from)} · ${local} = <span class="b">${digits(g.data[0])}</span> · <span class="d">${factor(slope.value)}</span> = <span class="b">${digits(piece.data[0])}</span>${sum}`;
  if (slope) {
    const about = slope.exact ? digits(slope.value) : say("average", { x: digits(slope.value, 3) });
    return `${bar(to)} += ${bar(from)} ⊙ ${local} <small><span class="d">∂ ${about}</span></small> → <span class="b">${escaped(size)}</span>${sum}`;
  }
  const rule = model.data.rules[m.number]?.[1];
  return `${bar(to)} += ${rule ? ruleHtml(rule) : `(${local})ᵀ ${bar(from)}`} → <span class="b">${escaped(size)}</span>${sum}`;
}
