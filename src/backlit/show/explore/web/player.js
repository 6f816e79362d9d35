// Playing the lecture: which step it is, what is known by then, and the pace.
"use strict";

const PACE = 1100;

class Player {
  constructor(app) {
    this.app = app;
    this.timer = null;
    this.button = Object.fromEntries(
      ["first", "back", "play", "step", "last", "time", "count", "speed"].map((id) => [
        id,
        document.getElementById(id),
      ]),
    );
    this.button.first.onclick = () => this.go(0);
    this.button.last.onclick = () => this.go(this.steps.length - 1);
    this.button.back.onclick = () => this.move(-1);
    this.button.step.onclick = () => this.move(1);
    this.button.play.onclick = () => this.toggle();
    this.button.time.oninput = () => this.go(Number(this.button.time.value));
    this.button.speed.onchange = () => this.timer && (this.pause(), this.toggle());
    this.renew();
  }

  // The steps of what is on the stage now; the lecture stands at its end.
  renew() {
    this.pause();
    this.steps = stepsOf(this.app.stage.place);
    this.forward = new Map();
    this.backward = new Map();
    this.incoming = new Map();
    this.steps.forEach((s, k) => {
      if (s.kind === "forward") this.forward.set(s.id, k);
      if (s.kind !== "backward") return;
      this.backward.set(s.edge.key, k);
      this.incoming.set(s.edge.source, [...(this.incoming.get(s.edge.source) ?? []), s.edge]);
    });
    this.seedAt = this.steps.findIndex((s) => s.kind === "seed");
    this.now = this.steps.length - 1;
    this.button.time.max = this.steps.length - 1;
    this.tell();
  }

  get busy() {
    return this.now < this.steps.length - 1;
  }

  // What of an item is known at this step.
  shows(id) {
    if (!this.busy) return { value: true, gradient: true };
    const value = this.now >= (this.forward.get(id) ?? 0),
      { now, of, text } = this.arrived(id);
    if (id === this.steps[this.seedAt].id) return { value, gradient: this.now >= this.seedAt };
    return { value, gradient: now > 0, partial: now < of ? (text ?? "…") : undefined };
  }

  passed(edge) {
    return this.now >= (this.backward.get(edge.key) ?? Infinity) || !this.busy;
  }

  // How many of the pieces of a gradient have come, of how many; of single numbers their sum as text.
  arrived(id) {
    const edges = this.incoming.get(id) ?? [],
      come = edges.filter((e) => this.passed(e)),
      values = this.app.model.program.values;
    const pieces = come.flatMap((e) => e.members.filter((m) => m.piece >= 0).map((m) => values[m.piece]));
    const single = pieces.length > 0 && pieces.every((p) => p && p.data.length === 1);
    return {
      now: come.length,
      of: edges.length,
      text: single ? digits(pieces.reduce((s, p) => s + p.data[0], 0)) : null,
    };
  }

  go(k, animate = false) {
    this.now = Math.max(0, Math.min(this.steps.length - 1, k));
    if (!animate) this.pause();
    this.tell();
    this.app.stage.refresh();
    this.point(animate);
  }

  // Light up what the step is about.
  point(animate) {
    const { stage } = this.app,
      step = this.steps[this.now],
      time = (0.62 * PACE) / Number(this.button.speed.value);
    const id = step.kind === "backward" ? step.edge.source : step.id;
    if (id && !stage.inView(id)) stage.centreOn(id, 0.3);
    if (step.kind === "forward") {
      stage.mark([step.id], step.edges, true);
      if (animate) for (const e of step.edges) stage.pulse(e, true, time);
    } else if (step.kind === "backward") {
      stage.mark([step.edge.source], [step.edge], false);
      if (animate) stage.pulse(step.edge, false, time);
    } else stage.mark(step.id ? [step.id] : [], [], step.kind !== "seed");
    stage.tags();
  }

  move(by) {
    this.pause();
    this.go(this.now + by, by > 0);
  }

  toggle() {
    if (this.timer) return this.pause();
    if (!this.busy) this.go(0);
    const tick = () => {
      this.go(this.now + 1, true);
      if (!this.busy) return this.pause();
      this.timer = setTimeout(tick, PACE / Number(this.button.speed.value));
    };
    this.timer = setTimeout(tick, 300);
    this.tell();
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    this.tell();
  }

  tell() {
    if (!this.steps) return;
    const step = this.steps[this.now],
      { button } = this;
    const caption = captionOf(step, this.app.model, this.app.stage.place, this);
    if (caption !== this.caption) document.getElementById("caption").innerHTML = this.caption = caption;
    button.time.value = this.now;
    button.time.setAttribute("aria-valuetext", say("steps", { i: this.now, n: this.steps.length - 1 }));
    button.count.textContent = `${this.now} / ${this.steps.length - 1}`;
    button.play.classList.toggle("playing", Boolean(this.timer));
    const word = say(this.timer ? "pause" : "play");
    button.play.title = word;
    button.play.setAttribute("aria-label", word);
    button.back.disabled = button.first.disabled = this.now === 0;
    button.step.disabled = button.last.disabled = !this.busy;
  }
}
