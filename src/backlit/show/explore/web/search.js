// The search box: names, operations, layers and lines.
"use strict";

class Search {
  constructor(app) {
    this.app = app;
    this.input = document.getElementById("search");
    this.list = document.getElementById("found");
    this.input.oninput = () => this.find();
    this.input.onkeydown = (event) => this.key(event);
    this.input.onblur = () => setTimeout(() => this.close(), 150);
    this.hits = [];
    this.at = 0;
  }

  find() {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean),
      { model } = this.app;
    this.hits = [];
    this.at = 0;
    if (!words.length) return this.close();
    for (const n of model.data.nodes) {
      const path = model
          .around(n.group)
          .map((k) => model.groups.get(k).title)
          .join(" "),
        text = `${n.label} ${n.op} ${path} ${n.line}`.toLowerCase();
      if (words.every((w) => text.includes(w)))
        this.hits.push({
          n,
          path,
          rank: n.label.toLowerCase().startsWith(words[0]) ? 0 : n.op.startsWith(words[0]) ? 1 : 2,
        });
    }
    this.hits = this.hits.sort((a, b) => a.rank - b.rank).slice(0, 30);
    this.list.replaceChildren(
      ...this.hits.map(({ n, path }, i) =>
        make(
          "li",
          { role: "option", id: `hit${i}`, onpointerdown: () => this.take(i) },
          n.label,
          make("span", {}, [n.template ? n.op : say(n.kind), path].filter(Boolean).join(" · ")),
        ),
      ),
    );
    if (!this.hits.length) this.list.replaceChildren(make("li", {}, make("span", {}, say("nothing"))));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.point();
  }

  point() {
    [...this.list.children].forEach((li, i) => li.setAttribute("aria-selected", String(i === this.at)));
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
    if (this.hits.length) this.input.setAttribute("aria-activedescendant", `hit${this.at}`);
  }

  key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.at = Math.max(0, Math.min(this.hits.length - 1, this.at + (event.key === "ArrowDown" ? 1 : -1)));
      this.point();
    } else if (event.key === "Enter" && this.hits.length) this.take(this.at);
    else if (event.key === "Escape") {
      this.input.value = "";
      this.close();
      this.input.blur();
    }
    event.stopPropagation();
  }

  take(i) {
    this.close();
    this.app.goTo(this.hits[i].n.id);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }
}
