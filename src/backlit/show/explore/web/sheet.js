// A sheet of the panel: headings, lines that follow what is changed, sliders, and arrays in every size.
"use strict";

// What the panel inherits: `app`, `root` to write on, and `updates` to call when numbers changed.
class Sheet {
  add(...elements) {
    this.root.append(...elements.filter((e) => e !== null && e !== undefined));
  }

  heading(key, fill) {
    this.add(make("h3", {}, say(key, fill)));
  }

  // Something that is written again when numbers change.
  lively(tag, attributes, html) {
    const element = make(tag, attributes);
    const write = () => (element.innerHTML = html());
    write();
    this.updates.push(write);
    return element;
  }

  leafRow(n) {
    const { model } = this.app,
      array = model.value(n),
      row = make("div", { class: "leaf-row", "data-leaf": n.id });
    row.append(make("button", { class: "name", title: n.label, onclick: () => this.app.choose(n.id, true) }, n.label));
    const single = array.data.length === 1;
    if (single) row.append(...this.slider(n, 0));
    else row.classList.add("wide");
    const g = () => `<span class="b">ḡ ${escaped(model.gradientText(n))}</span>`;
    row.append(
      this.lively("span", { class: "g" }, () =>
        single ? g() : `<span class="f">${escaped(model.valueText(n))}</span> ${g()}`,
      ),
    );
    row.onpointerenter = () => this.app.hover(model.shownAs(n.id));
    row.onpointerleave = () => this.app.hover(null);
    return row;
  }

  // A slider and a number to drag, for one element of a leaf.
  slider(n, element) {
    const { model } = this.app,
      now = () => model.value(n).data[element],
      reach = Math.max(3, 2 * Math.abs(now()));
    const range = make("input", { type: "range", min: -reach, max: reach, step: reach / 300, "aria-label": n.label });
    const number = make("span", { class: "scrub" });
    range.oninput = () => this.app.change(n, element, Number(range.value));
    scrubbed(number, n.label, now, (x) => this.app.change(n, element, x));
    const write = () => {
      range.value = now();
      number.textContent = digits(now());
      number.setAttribute("aria-valuenow", now());
    };
    write();
    this.updates.push(write);
    return [range, number];
  }

  // A number, a table, or picture, figures and histogram; `number` is its place in the program.
  array(label, n, number, heading) {
    const { model } = this.app,
      get = () => (number === undefined ? model.value(n) : model.program.values[number]),
      array = get();
    const gradient = label.startsWith("ḡ"),
      colour = gradient ? "var(--backward)" : "var(--forward)";
    if (heading) this.add(make("p", { class: "note" }, label));
    if (!array) {
      const summary = number === undefined ? n.summary : model.summary(number);
      if (!summary) return;
      this.add(
        make("p", { class: "note" }, say("elements", { n: n.shape.reduce((a, b) => a * b, 1), shape: sizes(n.shape) })),
        figures(summary),
        histogram(summary, colour),
      );
      return;
    }
    if (array.data.length === 1)
      return this.add(this.lively("p", { class: `big ${gradient ? "b" : "f"}` }, () => digits(get().data[0], 6)));
    const shape = array.shape.filter((k) => k > 1),
      editable = !gradient && number === n.value && model.leaf(n);
    const [rows, columns] = shape.length < 2 ? [1, array.data.length] : shape.slice(-2);
    const column = shape.length < 2 && columns > MOST_COLUMNS && columns <= 64;
    if ((rows <= MOST_ROWS && columns <= MOST_COLUMNS) || column) {
      const wide = column ? [columns / wrapped(columns), wrapped(columns)] : shape.length < 2 ? [1, columns] : shape;
      this.slices(label, n, { ...array, shape: wide }, get, editable);
    } else this.picture(label, n, get, editable);
    if (array.data.length > 6) {
      const box = make("div");
      const draw = () => {
        const summary = summaryOf(get().data);
        box.replaceChildren(figures(summary), histogram(summary, colour));
      };
      draw();
      this.updates.push(draw);
      this.add(box);
    }
  }

  // A larger array as a picture; that of a leaf can be drawn on.
  picture(label, n, get, editable) {
    const image = make("img", { class: "picture", alt: label, draggable: "false" }),
      most = 160;
    const draw = () => {
      const { url, width, height } = picture(get(), most);
      image.src = url;
      image.style.aspectRatio = `${width} / ${height}`;
    };
    draw();
    this.updates.push(draw);
    this.add(image);
    const { rows, columns, at } = tiled(get());
    if (!editable || Math.max(rows, columns) > most) return;
    const ink = ends(get().data);
    const paint = (event) => {
      const box = image.getBoundingClientRect(),
        r = Math.floor((rows * (event.clientY - box.y)) / box.height),
        c = Math.floor((columns * (event.clientX - box.x)) / box.width);
      const place = r >= 0 && r < rows && c >= 0 && c < columns ? at(r, c) : -1;
      if (place >= 0) this.app.change(n, place, event.shiftKey ? 0 : ink);
    };
    image.classList.add("canvas");
    image.onpointerdown = (event) => {
      event.preventDefault();
      image.setPointerCapture(event.pointerId);
      paint(event);
      image.onpointermove = paint;
    };
    image.onpointerup = image.onpointercancel = () => (image.onpointermove = null);
    this.add(make("p", { class: "note" }, say("paint")));
  }

  slices(label, n, shown, get, editable) {
    const [rows, columns] = shown.shape.slice(-2),
      count = shown.data.length / (rows * columns);
    const box = make("div", { class: "scroll", tabindex: -1 });
    let slice = 0;
    const change = editable
      ? Object.assign((place, x) => this.app.change(n, place, x), { now: (place) => get().data[place] })
      : null;
    const draw = () => {
      box.replaceChildren(heatTable(shown, label, change, slice));
      box.firstChild.update(get());
    };
    draw();
    this.updates.push(() => box.firstChild.update(get()));
    this.add(box);
    if (count > 1) {
      const caption = make("span", { class: "note" }),
        write = () => (caption.textContent = say("slice", { i: slice + 1, n: count }));
      const range = make("input", {
        type: "range",
        min: 0,
        max: count - 1,
        value: 0,
        "aria-label": say("slice", { i: 1, n: count }),
        oninput: () => ((slice = Number(range.value)), draw(), write()),
      });
      write();
      this.add(make("div", { class: "controls" }, range, caption));
    }
  }
}

// A row length for a long vector: the largest divisor up to a table's width.
function wrapped(n) {
  for (let w = 8; w > 1; w--) if (n % w === 0) return w;
  return 1;
}
