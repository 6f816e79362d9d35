// Numbers, shapes and formulas as people write them.
"use strict";

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

// In four digits: 0.25, −1.204, 3.1·10⁻⁵.
function digits(x, n = 4) {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e-3 && size < 1e6) return String(Number(x.toPrecision(n))).replace("-", "−");
  const [mantissa, exponent] = x.toExponential(n - 2).split("e");
  const raised = [...String(Number(exponent))].map((c) => SUPERSCRIPTS[c]).join("");
  return `${String(Number(mantissa)).replace("-", "−")}·10${raised}`;
}

const percent = (x) => `${digits(100 * x, 3)} %`;
const sizes = (shape) => shape.map((n) => (n === null ? "?" : n)).join("×");

// A number in a formula: in brackets where it is negative.
const factor = (x) => (x < 0 ? `(${digits(x)})` : digits(x));

function norm(data) {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i] * data[i];
  return Math.sqrt(sum);
}

// An array in short: a number as it is, else its shape and norm.
const brief = (array) =>
  array.data.length === 1 ? digits(array.data[0]) : `${sizes(array.shape)} ‖${digits(norm(array.data), 3)}‖`;

const escaped = (text) =>
  String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

// A minus sign as it is printed.
const printed = (text) => text.replace(/ - /g, " − ").replace(/(^|[(\s])-(?=\S)/g, "$1−");

// A formula with {0}, {1}, ... filled in.
function filled(template, parts) {
  return printed(template)
    .replace(/\{(\d+)\}/g, (_, i) => parts[i])
    .replace(/\(\((−[^()]*)\)\)/g, "($1)");
}

function summaryOf(data) {
  let sum = 0,
    low = Infinity,
    high = -Infinity,
    zeros = 0,
    odd = 0;
  const fine = [];
  for (const v of data) {
    if (!Number.isFinite(v)) {
      odd++;
      continue;
    }
    fine.push(v);
    sum += v;
    low = Math.min(low, v);
    high = Math.max(high, v);
    zeros += v === 0;
  }
  const mean = sum / fine.length,
    counts = new Array(32).fill(0);
  let spread = 0;
  for (const v of fine) {
    spread += (v - mean) ** 2;
    counts[high > low ? Math.min(31, Math.floor((32 * (v - low)) / (high - low))) : 16]++;
  }
  return {
    norm: norm(data),
    mean,
    std: Math.sqrt(spread / fine.length),
    min: low,
    max: high,
    zeros: zeros / data.length,
    odd,
    counts,
    ends: [low, high],
  };
}
