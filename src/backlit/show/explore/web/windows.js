// Convolutions and pooling: all walk over output positions and taps of a window, and meet at places of the input.
"use strict";

// visit(position, tap, place) for every tap of every position that lies inside the input; all flat.
function windows(size, kernel, out, { stride, padding, dilation }, visit) {
  const own = stridesOf(size),
    rank = size.length;
  const position = new Array(rank).fill(0),
    tap = new Array(rank);
  for (let p = 0, n = sizeOf(out); p < n; p++) {
    tap.fill(0);
    for (let k = 0, m = sizeOf(kernel); k < m; k++) {
      let place = 0,
        inside = true;
      for (let i = 0; i < rank && inside; i++) {
        const at = position[i] * stride[i] + tap[i] * dilation[i] - padding[i][0];
        inside = at >= 0 && at < size[i];
        place += at * own[i];
      }
      if (inside) visit(p, k, place);
      next(tap, kernel);
    }
    next(position, out);
  }
}

function next(place, shape) {
  for (let i = shape.length - 1; i >= 0; i--) {
    if (++place[i] < shape[i]) return;
    place[i] = 0;
  }
}

// The trilinear form sum x[n, c, place] w[o, c, tap] g[n, o, position]: `add(x, w, g)` is told the flat places of each.
function trilinear(x, w, g, geometry, add) {
  const meets = [];
  windows(x.slice(2), w.slice(2), g.slice(2), geometry, (p, k, at) => meets.push(p, k, at));
  const [space, taps, positions] = [x, w, g].map((s) => sizeOf(s.slice(2)));
  const groups = geometry.groups,
    outputs = w[0] / groups,
    channels = w[1];
  for (let n = 0; n < x[0]; n++)
    for (let o = 0; o < w[0]; o++)
      for (let c = 0; c < channels; c++) {
        const part = Math.floor(o / outputs) * channels + c;
        const [atX, atW, atG] = [(n * x[1] + part) * space, (o * channels + c) * taps, (n * w[0] + o) * positions];
        for (let i = 0; i < meets.length; i += 3) add(atX + meets[i + 2], atW + meets[i + 1], atG + meets[i]);
      }
}

Object.assign(KERNELS, {
  convolve(out, [x, w], geometry) {
    const sums = new Float64Array(out.data.length);
    trilinear(x.shape, w.shape, out.shape, geometry, (a, b, c) => (sums[c] += x.data[a] * w.data[b]));
    out.data.set(sums);
  },
  convolve_transposed(out, [g, w], geometry) {
    const sums = new Float64Array(out.data.length);
    trilinear(out.shape, w.shape, g.shape, geometry, (a, b, c) => (sums[a] += g.data[c] * w.data[b]));
    out.data.set(sums);
  },
  convolve_weight(out, [x, g], geometry) {
    const sums = new Float64Array(out.data.length);
    trilinear(x.shape, out.shape, g.shape, geometry, (a, b, c) => (sums[b] += x.data[a] * g.data[c]));
    out.data.set(sums);
  },

  pool_max: (out, [x], args) =>
    pooled(
      x.shape,
      out.shape,
      args,
      topOf(x, (at, _, value) => (out.data[at] = value), out),
    ),
  pool_argmax: (out, [x], args) =>
    pooled(
      x.shape,
      out.shape,
      args,
      topOf(x, (at, tap) => (out.data[at] = tap), out),
    ),
  pool_pick(out, [x, which], args) {
    out.data.fill(0);
    pooled(x.shape, out.shape, args, (at, tap, place) => {
      if (which.data[at] === tap) out.data[at] = x.data[place];
    });
  },
  pool_place(out, [g, which], args) {
    out.data.fill(0);
    pooled(out.shape, g.shape, args, (at, tap, place) => {
      if (which.data[at] === tap) out.data[place] += g.data[at];
    });
  },
  pool_sum(out, [x], args) {
    out.data.fill(0);
    pooled(x.shape, out.shape, args, (at, _, place) => (out.data[at] += x.data[place]));
  },
  pool_spread(out, [g], args) {
    out.data.fill(0);
    pooled(out.shape, g.shape, args, (at, _, place) => (out.data[place] += g.data[at]));
  },
});

function pooled(x, out, args, visit) {
  const space = sizeOf(x.slice(2)),
    positions = sizeOf(out.slice(2));
  for (let n = 0; n < x[0] * x[1]; n++)
    windows(x.slice(2), args.window, out.slice(2), args, (p, k, at) => visit(n * positions + p, k, n * space + at));
}

// The first maximum of each window, told as it rises.
function topOf(x, tell, out) {
  const top = new Float64Array(out.data.length).fill(-Infinity);
  const seen = new Uint8Array(out.data.length);
  return (at, tap, place) => {
    const v = x.data[place];
    if (seen[at] && !(v > top[at]) && !(Number.isNaN(v) && !Number.isNaN(top[at]))) return;
    if (seen[at] && Number.isNaN(top[at])) return;
    seen[at] = 1;
    top[at] = v;
    tell(at, tap, v);
  };
}
