// Arrays as colours: warm above 0, cool below, by the largest size in the array.
"use strict";

function ends(data) {
  let low = Infinity,
    high = -Infinity;
  for (const v of data) {
    if (!Number.isFinite(v)) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  return Math.max(Math.abs(low), Math.abs(high)) || 1;
}

// The colour of one number as [r, g, b, opacity].
function colourOf(v, size, warm, cool) {
  if (!Number.isFinite(v)) return [200, 50, 43, 255];
  const strength = Math.min(1, Math.abs(v) / size);
  return [...(v < 0 ? cool : warm), Math.round(255 * Math.pow(strength, 0.75))];
}

function themeColours() {
  const style = getComputedStyle(document.documentElement);
  return ["--warm", "--cool"].map((name) => style.getPropertyValue(name).trim().split(/\s+/).map(Number));
}

// An array as rows and columns: the last two axes, those before them side by side.
function tiled(array) {
  const shape = array.shape.filter((n, i, all) => n > 1 || i >= all.length - 2);
  if (shape.length < 2) {
    const n = array.data.length,
      columns = n <= 16 ? n : Math.ceil(Math.sqrt(3 * n));
    return { rows: Math.ceil(n / columns), columns, at: (r, c) => (r * columns + c < n ? r * columns + c : -1) };
  }
  const [h, w] = shape.slice(-2),
    count = array.data.length / (h * w);
  if (count === 1) return { rows: h, columns: w, at: (r, c) => r * w + c };
  const wide = Math.ceil(Math.sqrt((count * h) / w) * 1.3),
    gap = h > 2 ? 1 : 0;
  const many = Math.min(count, Math.max(1, wide)),
    lines = Math.ceil(count / many);
  return {
    rows: lines * (h + gap) - gap,
    columns: many * (w + gap) - gap,
    at(r, c) {
      const [i, y] = [Math.floor(r / (h + gap)), r % (h + gap)],
        [j, x] = [Math.floor(c / (w + gap)), c % (w + gap)];
      const tile = i * many + j;
      return y < h && x < w && tile < count ? tile * h * w + y * w + x : -1;
    },
  };
}

const sketch = document.createElement("canvas");

// A picture of an array as a data URL, one pixel an element; larger ones are thinned out.
function picture(array, most = 96) {
  const { rows, columns, at } = tiled(array),
    [warm, cool] = themeColours();
  const thin = Math.max(1, Math.ceil(Math.max(rows, columns) / most));
  const [h, w] = [Math.ceil(rows / thin), Math.ceil(columns / thin)],
    size = ends(array.data);
  sketch.width = w;
  sketch.height = h;
  const context = sketch.getContext("2d"),
    image = context.createImageData(w, h);
  for (let r = 0; r < h; r++)
    for (let c = 0; c < w; c++) {
      const place = at(r * thin, c * thin);
      if (place >= 0) image.data.set(colourOf(array.data[place], size, warm, cool), 4 * (r * w + c));
    }
  context.putImageData(image, 0, 0);
  return { url: sketch.toDataURL(), width: w, height: h };
}
