// Arrays: {shape, code, data}, contiguous. float32 is kept in a Float32Array, which rounds; all else is float64.
"use strict";

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

function empty(shape, code) {
  const n = sizeOf(shape);
  return { shape, code, data: code === "f4" ? new Float32Array(n) : new Float64Array(n) };
}

// How far one step along each axis goes, in elements.
function stridesOf(shape) {
  const strides = new Array(shape.length);
  for (let i = shape.length - 1, step = 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

// The strides of an array of `shape` broadcast to `out`: 0 along axes that repeat.
function broadcastStrides(shape, out) {
  const own = stridesOf(shape),
    extra = out.length - shape.length;
  return out.map((_, i) => (i < extra || shape[i - extra] === 1 ? 0 : own[i - extra]));
}

// Walk over all places of `shape`, row by row, with an offset into each of several arrays.
function walk(shape, stridesEach, visit) {
  const n = sizeOf(shape),
    place = new Array(shape.length).fill(0),
    at = stridesEach.map(() => 0);
  for (let i = 0; i < n; i++) {
    visit(i, at);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place[axis]++;
      for (let k = 0; k < at.length; k++) at[k] += stridesEach[k][axis];
      if (place[axis] < shape[axis]) break;
      for (let k = 0; k < at.length; k++) at[k] -= stridesEach[k][axis] * shape[axis];
      place[axis] = 0;
    }
  }
}

const sameShape = (a, b) => a.length === b.length && a.every((n, i) => n === b[i]);

// A function of numbers on broadcast arrays.
function each(out, f, inputs) {
  const y = out.data,
    n = y.length;
  if (
    inputs.every((x) => x.data.length === n || x.data.length === 1) &&
    inputs.every((x) => x.data.length === 1 || sameShape(x.shape, out.shape))
  ) {
    const step = inputs.map((x) => (x.data.length === 1 ? 0 : 1));
    const [a, b, c] = inputs.map((x) => x.data);
    const [p, q, r] = step;
    if (inputs.length === 1) for (let i = 0; i < n; i++) y[i] = f(a[i * p]);
    else if (inputs.length === 2) for (let i = 0; i < n; i++) y[i] = f(a[i * p], b[i * q]);
    else for (let i = 0; i < n; i++) y[i] = f(a[i * p], b[i * q], c[i * r]);
    return;
  }
  const strides = inputs.map((x) => broadcastStrides(x.shape, out.shape));
  walk(out.shape, strides, (i, at) => {
    y[i] = f(...inputs.map((x, k) => x.data[at[k]]));
  });
}

// --- numbers that were sent -----------------------------------------------------------------------------

function bytesOf(text) {
  const raw = atob(text),
    bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes.buffer;
}

const SENT = { f4: Float32Array, f8: Float64Array, i4: Int32Array };

// {s: shape, d: dtype, v: numbers} or {..., b: base64, k: dtype of the bytes}.
function received(sent) {
  const array = empty(sent.s, sent.d);
  array.data.set(sent.b !== undefined ? new SENT[sent.k](bytesOf(sent.b)) : sent.v.map(Number));
  return array;
}
