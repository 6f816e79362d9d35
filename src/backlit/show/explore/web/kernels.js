// The ops that are no functions of single numbers. Each kernel: (out, inputs, arguments); it fills out.data.
"use strict";

const KERNELS = {
  each: (out, inputs, { f }) => each(out, FUNCTIONS[f], inputs),

  // --- moving elements ---
  view(out, [x], { start, strides }) {
    walk(out.shape, [strides], (i, at) => {
      out.data[i] = x.data[start + at[0]];
    });
  },
  table(out, inputs, { places }) {
    const starts = [];
    let total = 0;
    for (const x of inputs) {
      starts.push(total);
      total += x.data.length;
    }
    for (let i = 0; i < places.length; i++) {
      let place = places[i] - 1,
        k = 0;
      if (place < 0) {
        out.data[i] = 0;
        continue;
      }
      while (k + 1 < inputs.length && place >= starts[k + 1]) k++;
      out.data[i] = inputs[k].data[place - starts[k]];
    }
  },
  added(out, inputs, { places, at }) {
    const y = inputs[inputs.length - 1];
    if (inputs.length === 2) out.data.set(inputs[0].data);
    else out.data.fill(0);
    walk(at, [broadcastStrides(y.shape, at)], (i, [k]) => {
      out.data[places[i]] += y.data[k];
    });
  },
  filled_like: (out, _, { value }) => out.data.fill(Number(value)),
  one_hot(out, [x], { axis, num_classes }) {
    const at = axis < 0 ? axis + out.shape.length : axis;
    lines(out.shape, at, (start, step, k) => {
      for (let c = 0; c < num_classes; c++) out.data[start + c * step] = +(x.data[k] === c);
    });
  },
  minus_one_hot(out, [x, labels], { axis }) {
    out.data.set(x.data);
    lines(x.shape, axis, (start, step, k) => {
      out.data[start + labels.data[k] * step] -= 1;
    });
  },

  // --- reductions ---
  sum: reduced((xs) => total(xs)),
  mean: reduced((xs) => total(xs) / xs.length),
  prod: reduced((xs) => xs.reduce((a, b) => a * b, 1)),
  max: reduced((xs) => xs.reduce((a, b) => Math.max(a, b), -Infinity)),
  min: reduced((xs) => xs.reduce((a, b) => Math.min(a, b), Infinity)),
  all: reduced((xs) => +xs.every((v) => v !== 0)),
  any: reduced((xs) => +xs.some((v) => v !== 0)),
  count_nonzero: reduced((xs) => xs.filter((v) => v !== 0).length),
  var: reduced(variance),
  std: reduced((xs, args) => Math.sqrt(variance(xs, args))),
  argmax: reduced((xs) => best(xs, (a, b) => a > b)),
  argmin: reduced((xs) => best(xs, (a, b) => a < b)),
  logsumexp: reduced((xs) => {
    const top = xs.reduce((a, b) => Math.max(a, b), -Infinity),
      base = Number.isFinite(top) ? top : 0;
    return Math.log(xs.reduce((s, v) => s + Math.exp(v - base), 0)) + base;
  }),
  power_norm: reduced((xs, { ord }) => {
    const p = Number(ord);
    if (p === 2) return Math.hypot(...xs);
    return Math.pow(
      xs.reduce((s, v) => s + Math.pow(Math.abs(v), p), 0),
      1 / p,
    );
  }),

  // --- along one axis ---
  softmax: (out, [x], { axis }) => softmaxed(out.data, x, axis, false),
  log_softmax: (out, [x], { axis }) => softmaxed(out.data, x, axis, true),
  softmax_cross_entropy(out, [x, labels], { axis, reduction }) {
    const logs = new Float64Array(x.data.length),
      losses = [],
      n = x.shape[axis];
    softmaxed(logs, x, axis, true);
    lines(x.shape, axis, (start, step, k) => {
      let loss = 0;
      if (labels.code[0] === "f") {
        for (let c = 0; c < n; c++) {
          const at = start + c * step;
          if (labels.data[at] !== 0) loss -= labels.data[at] * logs[at];
        }
      } else loss = -logs[start + labels.data[k] * step];
      losses.push(loss);
    });
    if (reduction === "none") out.data.set(losses);
    else out.data[0] = total(losses) / (reduction === "mean" ? losses.length : 1);
  },
  cumulative_sum(out, [x], { axis, include_initial }) {
    const n = x.shape[axis],
      from = [];
    lines(x.shape, axis, (start, step) => from.push([start, step]));
    lines(out.shape, axis, (start, step, k) => {
      const [source, pace] = from[k],
        first = include_initial ? 1 : 0;
      let sum = 0;
      if (first) out.data[start] = 0;
      for (let i = 0; i < n; i++) out.data[start + (i + first) * step] = sum += x.data[source + i * pace];
    });
  },
  linear_recurrence(out, [a, b], { axis }) {
    lines(out.shape, axis, (start, step) => {
      let y = 0;
      for (let i = 0; i < out.shape[axis]; i++) {
        const at = start + i * step;
        out.data[at] = y = (i ? a.data[at] * y : 0) + b.data[at];
      }
    });
  },

  // --- products ---
  matmul(out, [x, w]) {
    const vector = x.shape.length === 1,
      column = w.shape.length === 1;
    const one = vector ? [1, ...x.shape] : x.shape,
      two = column ? [...w.shape, 1] : w.shape;
    const [rows, inner] = one.slice(-2),
      columns = two[two.length - 1];
    const batch = broadcastShape(one.slice(0, -2), two.slice(0, -2));
    const strides = [one, two].map((s) => broadcastStrides(s.slice(0, -2), batch).map((k) => k * sizeOf(s.slice(-2))));
    const line = new Float64Array(columns);
    walk(batch, strides, (i, [p, q]) => {
      for (let r = 0; r < rows; r++) {
        line.fill(0);
        for (let k = 0; k < inner; k++) {
          const v = x.data[p + r * inner + k],
            from = q + k * columns;
          for (let c = 0; c < columns; c++) line[c] += v * w.data[from + c];
        }
        out.data.set(line, (i * rows + r) * columns);
      }
    });
  },
  einsum_one: (out, [x], { term, out: result }) => contracted(out, result, [x], [term]),
  einsum_pair: (out, inputs, { one, two, out: result }) => contracted(out, result, inputs, [one, two]),
};

const total = (xs) => {
  let sum = 0;
  for (let i = 0; i < xs.length; i++) sum += xs[i];
  return sum;
};

function variance(xs, { correction }) {
  const mean = total(xs) / xs.length;
  let sum = 0;
  for (const v of xs) sum += (v - mean) * (v - mean);
  return sum / (xs.length - correction);
}

function best(xs, better) {
  let at = 0;
  for (let i = 1; i < xs.length && !Number.isNaN(xs[at]); i++) if (better(xs[i], xs[at]) || Number.isNaN(xs[i])) at = i;
  return at;
}

// A function of the elements along axes. `axis` is a list of axes, one axis, or null for all.
function reduced(f) {
  return (out, [x], args) => {
    const rank = x.shape.length,
      axis = args.axis;
    const gone = axis === null ? x.shape.map((_, i) => i) : [].concat(axis).map((a) => (a < 0 ? a + rank : a));
    const kept = x.shape.map((_, i) => i).filter((i) => !gone.includes(i)),
      own = stridesOf(x.shape);
    const shape = gone.map((i) => x.shape[i]),
      inner = gone.map((i) => own[i]);
    const xs = new Float64Array(sizeOf(shape));
    walk(
      kept.map((i) => x.shape[i]),
      [kept.map((i) => own[i])],
      (i, [start]) => {
        walk(shape, [inner], (k, [at]) => {
          xs[k] = x.data[start + at];
        });
        out.data[i] = f(xs, args);
      },
    );
  };
}

// The lines of an array along an axis: where each starts, its step, its number.
function lines(shape, axis, visit) {
  const own = stridesOf(shape),
    rest = shape.filter((_, i) => i !== axis);
  walk(rest, [own.filter((_, i) => i !== axis)], (k, [start]) => visit(start, own[axis], k));
}

function softmaxed(y, x, axis, logarithm) {
  const n = x.shape[axis];
  lines(x.shape, axis, (start, step) => {
    let top = -Infinity,
      sum = 0;
    for (let i = 0; i < n; i++) top = Math.max(top, x.data[start + i * step]);
    for (let i = 0; i < n; i++) sum += Math.exp(x.data[start + i * step] - top);
    for (let i = 0; i < n; i++) {
      const d = x.data[start + i * step] - top;
      y[start + i * step] = logarithm ? d - Math.log(sum) : Math.exp(d) / sum;
    }
  });
}

function broadcastShape(a, b) {
  const rank = Math.max(a.length, b.length);
  const long = (s) => [...new Array(rank - s.length).fill(1), ...s];
  const [p, q] = [long(a), long(b)];
  return p.map((n, i) => (n === 1 ? q[i] : n));
}

// Einstein's sum: the product of the inputs at the places that labels name, added up over labels not in `result`.
function contracted(out, result, inputs, terms) {
  const sizes = {};
  terms.forEach((term, k) => [...term].forEach((c, i) => (sizes[c] = Math.max(sizes[c] ?? 1, inputs[k].shape[i]))));
  const summed = Object.keys(sizes).filter((c) => !result.includes(c)),
    labels = [...result, ...summed];
  const steps = (term, shape) => {
    const own = stridesOf(shape);
    return labels.map((c) => [...term].reduce((s, d, i) => s + (d === c && shape[i] > 1 ? own[i] : 0), 0));
  };
  const sums = new Float64Array(out.data.length);
  const strides = [steps(result, out.shape), ...terms.map((t, k) => steps(t, inputs[k].shape))];
  const [a, b] = inputs.map((x) => x.data);
  walk(
    labels.map((c) => sizes[c]),
    strides,
    (_, at) => {
      sums[at[0]] += b ? a[at[1]] * b[at[2]] : a[at[1]];
    },
  );
  out.data.set(sums);
}
