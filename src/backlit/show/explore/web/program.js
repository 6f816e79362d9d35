// The program: nodes in an order in which they can be computed, those of the backward pass among them.
"use strict";

class Program {
  // data: {nodes: [[kernel, inputs, shape, dtype], ...], kernels, constants, leaves}. An input is the number of a node,
  // or -1 - the number of a constant. A node with kernel -1 is a leaf, or is not computed here (kernel -2).
  constructor(data) {
    this.kernels = data.kernels.map(({ name, args, places }) => {
      return { run: KERNELS[name], args: places ? { ...args, places: new Int32Array(bytesOf(places)) } : args };
    });
    this.constants = data.constants.map(received);
    this.nodes = data.nodes.map(([kernel, inputs, shape, code]) => ({ kernel, inputs, shape, code }));
    this.values = new Array(this.nodes.length).fill(null);
    for (const [number, sent] of data.values) this.values[number] = received(sent);
    this.users = this.nodes.map(() => []);
    this.nodes.forEach((node, i) => node.inputs.forEach((j) => j >= 0 && this.users[j].push(i)));
    this.original = new Map();
    this.stale = new Set();
    this.compute(this.nodes.map((_, i) => i));
  }

  // Can the node be computed here?
  live(i) {
    return this.nodes[i].kernel >= -1 && this.values[i] !== null;
  }

  compute(numbers) {
    for (const i of numbers) {
      const { kernel, inputs, shape, code } = this.nodes[i];
      if (kernel < 0) continue;
      const given = inputs.map((j) => (j >= 0 ? this.values[j] : this.constants[-1 - j]));
      const out = empty(shape, code);
      this.kernels[kernel].run(out, given, this.kernels[kernel].args);
      this.values[i] = out;
    }
  }

  // All that depends on a node, in order.
  behind(i) {
    const found = new Set([i]),
      order = [];
    for (let j = i + 1; j < this.nodes.length; j++)
      if (this.nodes[j].inputs.some((k) => found.has(k))) {
        found.add(j);
        order.push(j);
      }
    return order;
  }

  // Give one element of a leaf another value; all that follows from it is computed again.
  change(leaf, element, value) {
    const array = this.values[leaf];
    if (!this.original.has(leaf)) this.original.set(leaf, array.data.slice());
    array.data[element] = value;
    this.follow(leaf);
  }

  follow(leaf) {
    const order = this.behind(leaf);
    for (const i of order) if (this.nodes[i].kernel < 0) this.stale.add(i);
    this.compute(order);
  }

  reset() {
    for (const [leaf, data] of this.original) this.values[leaf].data.set(data);
    const changed = [...this.original.keys()];
    this.original.clear();
    this.stale.clear();
    for (const leaf of changed) this.compute(this.behind(leaf));
  }
}
