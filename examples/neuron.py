"""How does one neuron know which way to go?

f(x; w, b) = 1 / (1 + exp(-(w x + b))) is six small steps. Each step has a simple derivative of its own;
multiplied together, from the result back to w and b, they are the gradient: that is the chain rule, and
backpropagation is nothing else. Descent follows it.
"""

import numpy as np

import backlit as bl
from backlit.show import stage, style

X, W, B = 1.0, 0.0, 0.0

STEPS = [  # what each step is called, and computes from the one before
    ("h1 = w x", lambda w: w * X),
    ("h2 = h1 + b", lambda h1: h1 + B),
    ("h3 = -h2", lambda h2: -h2),
    ("h4 = exp(h3)", lambda h3: bl.exp(h3)),
    ("h5 = 1 + h4", lambda h4: 1 + h4),
    ("h6 = 1 / h5", lambda h5: 1 / h5),
]


def neuron(w, b):
    return 1 / (1 + bl.exp(-(w * X + b)))


def step_by_step():
    """The value of each step, its own derivative, and the derivative of f by it."""
    values, local = [W], []
    for _, step in STEPS:
        value, slope = bl.value_and_grad(step)(values[-1])
        values.append(value.item() + 0.0)  # so that -0 reads 0
        local.append(slope.item())
    backward = np.cumprod([1.0, *local[::-1]])[::-1]  # ∂f/∂w, ∂f/∂h1, ..., ∂f/∂h6
    return values, local, backward


def descend(steps, rate=1.0):
    """f after every step down its own gradient."""
    w, b = bl.tensor(W), bl.tensor(B)
    slope = bl.value_and_grad(neuron, argnums=(0, 1))
    heights = []
    for _ in range(steps):
        f, (dw, db) = slope(w, b)
        w, b = w - rate * dw, b - rate * db
        heights.append(f.item())
    return [*heights, neuron(w, b).item()]


def explained():
    """The same, found in the graph."""
    w, b = bl.tensor(W, requires_grad=True), bl.tensor(B, requires_grad=True)
    return bl.explain(neuron(w, b))


def draw(path, values, local, backward, heights):
    title = "A gradient is a product of small derivatives, collected on the way back"
    with style.picture(path, title, columns=2, size=(11, 4.4), width_ratios=[1.45, 1]) as (_, (left, right)):
        left.set(xlim=(-0.5, 6.5), ylim=(-1.3, 1.3), title="At x = 1, w = 0, b = 0")
        left.axis("off")
        names = ["w", "h1", "h2", "h3", "h4", "h5", "h6"]
        box = {"boxstyle": "round,pad=0.45", "facecolor": style.PAPER, "edgecolor": style.INK}
        arrow = {"arrowstyle": "-|>", "shrinkA": 13, "shrinkB": 13, "lw": 1.4}
        for i, (name, value, gradient) in enumerate(zip(names, values, backward, strict=True)):
            left.text(i, 0, name, ha="center", va="center", fontweight="bold", bbox=box)
            left.text(i, 0.26, f"{value:g}", ha="center", color=style.BLUE, fontsize=12)
            left.text(i, -0.4, f"{gradient:+.2f}", ha="center", color=style.ORANGE, fontsize=12)
        for i, ((formula, _), slope) in enumerate(zip(STEPS, local, strict=True)):
            left.annotate("", (i + 1, 0.06), (i, 0.06), arrowprops=arrow | {"color": style.BLUE})
            left.annotate("", (i, -0.06), (i + 1, -0.06), arrowprops=arrow | {"color": style.ORANGE})
            left.text(i + 0.5, 0.56, formula, ha="center", color=style.BLUE, fontsize=8)
            left.text(i + 0.5, -0.68, f"× {slope:+g}", ha="center", color=style.FAINT, fontsize=9)
        left.text(-0.35, 0.92, "forward: each value from the one before", color=style.BLUE)
        left.text(-0.35, -0.94, "× the derivative of each step", color=style.FAINT)
        left.text(-0.35, -1.2, "backward: ∂f by each value, products from the right; f is h6", color=style.ORANGE)

        steps = np.arange(1, len(heights))
        right.loglog(steps, heights[1:])
        right.loglog(steps[9:], 1 / (2 * steps[9:]), "--", color=style.FAINT, lw=1.2)
        right.set(xlabel="step of descent", ylabel="f", title="The flatter the sigmoid, the slower the descent")
        style.label(right, "1 / (2 · step)", 110, 0.008, style.FAINT)


def main(out, quick=False):
    values, local, backward = step_by_step()
    print("step              value   its derivative   ∂f/∂(what it takes)")
    for (formula, _), value, slope, gradient in zip(STEPS, values[1:], local, backward, strict=False):
        print(f"{formula:14} {value:8g} {slope:+16g} {gradient:+21g}")

    w, b = bl.tensor(W, requires_grad=True), bl.tensor(B, requires_grad=True)
    f = neuron(w, b)
    f.backward()
    print(f"\nbackward() agrees: f = {f.item()}, ∂f/∂w = {w.grad.item()}, ∂f/∂b = {b.grad.item()}")

    heights = descend(100 if quick else 1000)
    print(f"After {len(heights) - 1:,} steps of descent f has fallen from {heights[0]} to {heights[-1]:.6f}.")
    draw(out / "neuron.png", values, local, backward, heights)
    print(f"Picture: {out / 'neuron.png'}")
    return {"h": values[1:], "dw": w.grad.item(), "db": b.grad.item(), "heights": heights}


if __name__ == "__main__":
    stage.run(main)
