// Functions of numbers that Math lacks. Functions made of the ops' records call them by these names.
"use strict";

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

function logaddexp(a, b) {
  if (a === b) return a + Math.LN2;
  const top = Math.max(a, b);
  return top + Math.log1p(Math.exp(-Math.abs(a - b)));
}

// To the nearest integer, of two to the even one.
function toEven(x) {
  const low = Math.floor(x),
    rest = x - low;
  if (rest !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

const negative = (x) => x < 0 || Object.is(x, -0);
const copySign = (x, y) => (negative(y) ? -Math.abs(x) : Math.abs(x));

// 1 to any power is 1 here, and anything to the power of 0, NaN included, as IEEE 754 has it.
function power(a, b) {
  if (a === 1 || b === 0 || (a === -1 && Math.abs(b) === Infinity)) return 1;
  return Math.pow(a, b);
}

function modulo(a, b) {
  const rest = a % b;
  if (rest === 0) return copySign(rest, b);
  return rest < 0 !== b < 0 ? rest + b : rest;
}

function floorDivide(a, b) {
  if (b === 0) return a / b;
  const rest = a % b;
  let quotient = (a - rest) / b;
  if (rest !== 0 && rest < 0 !== b < 0) quotient -= 1;
  const whole = Math.floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

// Abramowitz & Stegun 7.1.6 near 0, the continued fraction 7.1.14 (by Lentz's method) beyond.
function erf(x) {
  if (Number.isNaN(x)) return x;
  return Math.abs(x) < 2.5 ? erfSeries(x) : Math.sign(x) * (1 - erfcFraction(Math.abs(x)));
}

function erfc(x) {
  if (Number.isNaN(x)) return x;
  if (Math.abs(x) < 1) return 1 - erfSeries(x);
  return x > 0 ? erfcFraction(x) : 2 - erfcFraction(-x);
}

function erfSeries(x) {
  let term = x,
    sum = x;
  for (let n = 1; n < 200 && Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

function erfcFraction(x) {
  if (x > 27) return 0;
  let f = x,
    c = x,
    d = 0;
  for (let n = 1; n < 400; n++) {
    const a = n / 2;
    d = 1 / (x + a * d);
    c = x + a / c;
    const step = c * d;
    f *= step;
    if (Math.abs(step - 1) < 1e-16) break;
  }
  return Math.exp(-x * x) / (f * Math.sqrt(Math.PI));
}
