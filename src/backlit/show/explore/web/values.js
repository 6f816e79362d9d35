// Values in the panel: numbers that can be dragged, tables of colours, histograms, figures.
"use strict";

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "html") element.innerHTML = value;
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((c) => c !== null));
  return element;
}

// How far a number moves for a pixel: a hundredth of its own size.
const paceOf = (x) => 0.01 * Math.pow(10, Math.floor(Math.log10(Math.max(Math.abs(x), 0.3))));

// A number some steps up or down.
const nudged = (x, way) => Number((x + way * 5 * paceOf(x)).toPrecision(6));

// Follow a pointer that pulls a number sideways; with Shift ten times as fine.
function pull(event, start, change) {
  event.preventDefault();
  const pace = paceOf(start),
    from = event.clientX;
  const move = (e) => change(Number((start + (e.clientX - from) * pace * (e.shiftKey ? 0.1 : 1)).toPrecision(6)));
  const end = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
    document.body.style.cursor = "";
  };
  document.body.style.cursor = "ew-resize";
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
}

// Make an element a number to drag, or to move by the arrow keys.
function scrubbed(element, label, get, set) {
  element.classList.add("scrub");
  element.tabIndex = 0;
  element.setAttribute("role", "slider");
  element.setAttribute("aria-label", label);
  element.addEventListener("pointerdown", (event) => pull(event, get(), set));
  element.addEventListener("keydown", (event) => {
    const way = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    set(nudged(get(), way));
  });
  return element;
}

// The largest table; larger arrays are a picture.
const MOST_ROWS = 16,
  MOST_COLUMNS = 12;

// An array as a table of coloured numbers, by slices of its last two axes; `change(place, value)` where it can be dragged.
function heatTable(array, label, change = null, slice = 0) {
  const shape = array.shape.length < 2 ? [1, array.data.length] : array.shape.slice(-2),
    [rows, columns] = shape,
    start = slice * rows * columns;
  const size = ends(array.data),
    [warm, cool] = themeColours(),
    table = make("table", { class: "heat", "aria-label": label });
  table.update = (now) => {
    const top = ends(now.data);
    for (const cell of table.querySelectorAll("td")) {
      const v = now.data[cell.place];
      cell.textContent = digits(v, 3);
      cell.style.background = cellColour(v, top, warm, cool);
      if (change) cell.setAttribute("aria-valuenow", v);
    }
  };
  for (let r = 0; r < rows; r++) {
    const row = make("tr");
    for (let c = 0; c < columns; c++) {
      const place = start + r * columns + c,
        v = array.data[place];
      const cell = make(
        "td",
        {
          style: `background:${cellColour(v, size, warm, cool)}`,
          title: `[${[...indices(place, array.shape)].join(", ")}]`,
        },
        digits(v, 3),
      );
      cell.place = place;
      if (change)
        scrubbed(
          cell,
          `${label}[${[...indices(place, array.shape)].join(", ")}]`,
          () => change.now(place),
          (x) => change(place, x),
        );
      row.append(cell);
    }
    table.append(row);
  }
  return table;
}

function cellColour(v, size, warm, cool) {
  const [r, g, b, a] = colourOf(v, size, warm, cool);
  return `rgb(${r} ${g} ${b} / ${((0.62 * a) / 255).toFixed(3)})`;
}

function indices(place, shape) {
  return stridesOf(shape).map((step, i) => Math.floor(place / step) % shape[i]);
}

function histogram(summary, colour) {
  const { counts, ends: range } = summary,
    top = Math.max(1, ...counts);
  const plot = svg("svg", {
    class: "plot",
    viewBox: "0 0 320 92",
    role: "img",
    "aria-label": `${digits(range[0])} … ${digits(range[1])}`,
    style: `--colour:${colour}`,
  });
  counts.forEach((n, i) =>
    svg(
      "rect",
      { class: "bar", x: i * 10 + 0.5, y: 74 - (70 * n) / top, width: 9, height: (70 * n) / top, rx: 1.5 },
      plot,
    ),
  );
  if (range.length) {
    svg("text", { class: "axis", x: 0, y: 88 }, plot, digits(range[0], 3));
    svg("text", { class: "axis", x: 320, y: 88, "text-anchor": "end" }, plot, digits(range[1], 3));
    if (range[0] < 0 && range[1] > 0) {
      const x = (-320 * range[0]) / (range[1] - range[0]);
      svg("text", { class: "axis", x, y: 88, "text-anchor": "middle" }, plot, "0");
    }
  }
  return plot;
}

function figures(summary) {
  const box = make("div", { class: "stats" });
  for (const key of ["norm", "mean", "std", "min", "max"])
    box.append(make("div", {}, make("b", {}, digits(Number(summary[key]))), make("span", {}, say(key))));
  if (summary.zeros > 0)
    box.append(make("div", {}, make("b", {}, percent(summary.zeros)), make("span", {}, say("zeros"))));
  if (summary.odd > 0)
    box.append(make("div", { style: "color:var(--bad)" }, make("b", {}, summary.odd), make("span", {}, say("odd"))));
  return box;
}

// A curve over steps, on a logarithmic scale where it runs over decades.
function curve(steps, values, colour, label) {
  const known = values.map((v, i) => [steps[i], Number(v)]).filter(([, v]) => Number.isFinite(v));
  if (known.length < 2) return null;
  const positive = known.every(([, v]) => v > 0),
    wide = positive && Math.max(...known.map((k) => k[1])) > 30 * Math.min(...known.map((k) => k[1]));
  const ys = known.map(([, v]) => (wide ? Math.log10(v) : v)),
    [low, high] = [Math.min(...ys), Math.max(...ys)],
    first = known[0][0],
    last = known[known.length - 1][0];
  const plot = svg("svg", {
    class: "plot",
    viewBox: "0 0 320 84",
    role: "img",
    "aria-label": label,
    style: `--colour:${colour}`,
  });
  const points = known.map(
    ([s], i) =>
      `${(320 * (s - first)) / (last - first || 1)} ${high > low ? 70 - (60 * (ys[i] - low)) / (high - low) : 42}`,
  );
  svg("path", { d: `M${points.join("L")}` }, plot);
  const real = (y) => digits(wide ? 10 ** y : y, 3);
  svg("text", { class: "axis", x: 0, y: 9 }, plot, `${label}: ${real(low)} … ${real(high)}`);
  svg("text", { class: "axis", x: 0, y: 82 }, plot, String(first));
  svg("text", { class: "axis", x: 320, y: 82, "text-anchor": "end" }, plot, String(last));
  return plot;
}

// How numbers were spread at each step: a column a step, darker where there are more.
function ridge(spread) {
  const known = spread.filter(([, range]) => range),
    low = Math.min(...known.map((s) => s[1][0])),
    high = Math.max(...known.map((s) => s[1][1]));
  const plot = svg("svg", { class: "plot", viewBox: "0 0 320 112", role: "img", "aria-label": say("spread") }),
    width = 320 / Math.max(1, known.length);
  const y = (v) => 96 - (94 * (v - low)) / (high - low || 1);
  known.forEach(([, [from, to], counts], i) => {
    const top = Math.max(1, ...counts),
      step = (to - from) / counts.length;
    counts.forEach((n, k) => {
      if (n)
        svg(
          "rect",
          {
            x: i * width,
            y: y(from + (k + 1) * step),
            width: width + 0.3,
            height: Math.max(0.6, y(from + k * step) - y(from + (k + 1) * step) + 0.3),
            fill: "var(--forward)",
            opacity: (0.08 + 0.92 * (n / top)).toFixed(2),
          },
          plot,
        );
    });
  });
  if (low < 0 && high > 0)
    svg("line", { x1: 0, x2: 320, y1: y(0), y2: y(0), stroke: "var(--faint)", "stroke-dasharray": "2 4" }, plot);
  svg("text", { class: "axis", x: 0, y: 110 }, plot, `${digits(low, 3)} … ${digits(high, 3)}`);
  svg(
    "text",
    { class: "axis", x: 320, y: 110, "text-anchor": "end" },
    plot,
    `${known[0]?.[0] ?? ""} → ${known[known.length - 1]?.[0] ?? ""}`,
  );
  return plot;
}
