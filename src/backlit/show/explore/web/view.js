// How the stage is looked at: moved, zoomed, centred; and the small tools that everything drawn is made with.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes = {}, parent = null, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  parent?.append(element);
  return element;
}

const ruler = document.createElement("canvas").getContext("2d");

function widthOf(text, font) {
  ruler.font = font;
  return ruler.measureText(text).width;
}

const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// What a stage inherits: `root` the SVG, `place` where things stand, `at` how they are shown, `draw` and `refresh`.
class View {
  // All of it in view; until the reader moves it, it stays so when layers fold and unfold.
  fit() {
    const { clientWidth: w, clientHeight: h } = this.root,
      { width, height } = this.place,
      room = Math.max(110, h - 205);
    const scale = Math.min(1.35, (w - 100) / width, room / height);
    this.at = { scale, x: (w - width * scale) / 2, y: 58 + (room - height * scale) / 2 };
    this.fitted = true;
    this.draw();
    this.refresh();
  }

  zoom(by, x = this.root.clientWidth / 2, y = this.root.clientHeight / 2) {
    const scale = Math.min(4, Math.max(0.02, this.at.scale * by)),
      k = scale / this.at.scale;
    this.at = { scale, x: x - (x - this.at.x) * k, y: y - (y - this.at.y) * k };
    this.fitted = false;
    this.later();
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.draw();
      this.refresh();
    });
  }

  inView(id) {
    const box = this.place.boxes.get(id),
      { x, y, scale } = this.at,
      { clientWidth: w, clientHeight: h } = this.root;
    if (!box) return true;
    const [cx, cy] = centre(box);
    return x + cx * scale > 40 && x + cx * scale < w - 40 && y + cy * scale > 20 && y + cy * scale < h - 130;
  }

  centreOn(id, least = 0.8) {
    const box = this.place.boxes.get(id);
    if (!box) return;
    const scale = Math.max(this.at.scale, least),
      [cx, cy] = centre(box),
      from = { ...this.at },
      start = performance.now();
    const to = { scale, x: this.root.clientWidth / 2 - cx * scale, y: (this.root.clientHeight - 110) / 2 - cy * scale };
    const move = (now) => {
      const t = Math.min(1, (now - start) / 260),
        s = t * (2 - t);
      for (const key of ["x", "y", "scale"]) this.at[key] = from[key] + (to[key] - from[key]) * s;
      this.draw();
      if (t < 1) requestAnimationFrame(move);
      else this.refresh();
    };
    requestAnimationFrame(move);
  }

  listen() {
    const fingers = new Map();
    let moved = false;
    this.root.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const box = this.root.getBoundingClientRect();
        this.zoom(
          Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)),
          event.clientX - box.x,
          event.clientY - box.y,
        );
      },
      { passive: false },
    );
    this.root.addEventListener("pointerdown", (event) => {
      const handle = event.target.closest?.("[data-scrub]");
      if (handle) return this.app.scrubNode(event, handle.dataset.scrub);
      fingers.set(event.pointerId, event);
      moved = false;
    });
    addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
      if (!moved && Math.hypot(dx, dy) < 4) return;
      moved = true;
      this.root.classList.add("dragging");
      if (fingers.size === 2) {
        const other = [...fingers.values()].find((f) => f.pointerId !== event.pointerId),
          box = this.root.getBoundingClientRect();
        const apart = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
        this.zoom(apart(event) / Math.max(1, apart(before)), other.clientX - box.x, other.clientY - box.y);
      } else {
        this.at.x += dx;
        this.at.y += dy;
        this.fitted = false;
        this.later();
      }
      fingers.set(event.pointerId, event);
    });
    const up = (event) => {
      if (fingers.delete(event.pointerId) && !moved && event.type === "pointerup") this.click(event);
      this.root.classList.remove("dragging");
    };
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
    this.root.addEventListener("keydown", (event) => {
      const g = event.target.closest("[data-id], [data-group]");
      if (!g || !["Enter", " ", "ArrowUp", "ArrowDown"].includes(event.key)) return;
      if (event.key.startsWith("Arrow")) {
        if (this.nudge(g.dataset.id, event.key === "ArrowUp" ? 1 : -1)) event.preventDefault();
        return;
      }
      event.preventDefault();
      event.stopPropagation();
      this.press(g);
    });
    const over = (event) => {
      const g = event.target.closest?.("[data-id]");
      this.app.hover(g && this.place.items.get(g.dataset.id) ? g.dataset.id : null);
    };
    this.root.addEventListener("pointerover", over);
    this.root.addEventListener("pointerleave", () => this.app.hover(null));
    this.root.addEventListener("focusin", (event) => {
      const g = event.target.closest("[data-id]");
      if (g && g.matches(":focus-visible") && !this.inView(g.dataset.id)) this.centreOn(g.dataset.id, 0.3);
    });
  }
}

// A line with round corners through points, from where the path is.
function around(from, points) {
  const all = [from, ...points];
  let d = "";
  for (let i = 1; i < all.length; i++) {
    const [a, b, c] = [all[i - 1], all[i], all[i + 1]];
    if (!c) {
      d += `L${b}`;
      break;
    }
    const part = (p) => {
      const length = Math.hypot(p[0] - b[0], p[1] - b[1]),
        r = Math.min(12, length / 2);
      return length ? [b[0] + ((p[0] - b[0]) * r) / length, b[1] + ((p[1] - b[1]) * r) / length] : b;
    };
    d += `L${part(a)}Q${b} ${part(c)}`;
  }
  return d;
}

const centre = (box) => [box.x + box.width / 2, box.y + box.height / 2];
const meets = (a, b) => a.x <= b.x + b.width && b.x <= a.x + a.width && a.y <= b.y + b.height && b.y <= a.y + a.height;
