"""Why do deep sigmoid networks hardly learn in their first layers?

Ten layers of one unit each, a chain x → w1 → w2 → ... → w10 toward the target 3. The gradient of w1 is a product
of ten derivatives of the activation. The sigmoid's is never above 1/4, so the product vanishes; ReLU's is 1 or 0,
so it passes whole or not at all; leaky ReLU's 0.01 keeps a trickle alive.
"""

from itertools import pairwise

import numpy as np

import backlit as bl
from backlit.show import stage, style

DEPTH, TARGET = 10, 3.0
ACTIVATIONS = {
    "sigmoid": bl.sigmoid,
    "tanh": bl.tanh,
    "ReLU": bl.relu,
    "leaky ReLU": lambda z: bl.leaky_relu(z, negative_slope=0.01),
}
COLOURS = dict(zip(ACTIVATIONS, (style.BLUE, style.PURPLE, style.ORANGE, style.GREEN), strict=True))
STYLES = {"sigmoid": "o-", "tanh": "^-", "ReLU": "s-", "leaky ReLU": "D--"}


def cost(weights, activation, width=1):
    """(output - 3)² for the input 1; every layer but the last has `width` units, and no biases."""
    a = np.ones((1, weights[0].shape[0]))
    for w in weights:
        a = activation(a @ w)
    return bl.sum((a - TARGET) ** 2)


def chain(off=None):
    """Ten weights of one, the one of layer `off` negative."""
    weights = [np.ones((1, 1)) for _ in range(DEPTH)]
    if off is not None:
        weights[off - 1] = -weights[off - 1]
    return weights


def wide(width=3):
    """Random weights for layers of `width` units: mean 0, variance 2 / width, as He et al. (2015) advise for ReLU."""
    rng = np.random.default_rng(44)  # of few seeds, one whose ReLUs do not all close
    sizes = [1, *[width] * (DEPTH - 1), 1]
    return [rng.normal(0, np.sqrt(2 / n), (n, m)) for n, m in pairwise(sizes)]


def sizes_of_gradients(weights, activation):
    """The length of dC/dw of every layer."""
    return [float(np.linalg.norm(g.numpy())) for g in bl.grad(cost)(weights, activation)]


def explained():
    """The chain of sigmoids: the one path from the first weight to the cost and that from the last."""
    weights = [bl.tensor(w, requires_grad=True) for w in chain()]
    names = {f"w{i}": w for i, w in enumerate(weights, 1)}
    return bl.explain(cost(weights, bl.sigmoid), wrt=["w1", f"w{DEPTH}"], names=names)


def draw(path, panels):
    title = "On its way through ten sigmoids a gradient all but vanishes; at one closed ReLU it ends"
    with style.picture(path, title, columns=3, size=(13, 4.4), sharey=True) as (_, axes):
        for axis, (heading, table) in zip(axes, panels.items(), strict=True):
            for name, sizes in table.items():
                line = {"color": COLOURS[name], "ms": 4.5, "lw": 1.5}
                if max(sizes) > 0:
                    axis.semilogy(range(1, DEPTH + 1), sizes, STYLES[name], label=name, **line)
                else:
                    floor = axis.get_xaxis_transform()
                    axis.plot(range(1, DEPTH + 1), [0.05] * DEPTH, "x", transform=floor, **line)
                    style.label(axis, f"{name}: exactly 0 in every layer", 1, 0.1, line["color"], transform=floor)
            axis.set(xlabel="layer", title=heading)
            axis.set_xticks(range(1, DEPTH + 1))
            axis.grid(visible=False, axis="x")
        axes[0].legend(loc="lower right")
        axes[0].set(ylabel="|dC/dw|, logarithmic", ylim=(1e-13, 1e2))


def main(out, quick=False):
    panels = {}
    for heading, weights in (
        ("One unit wide, all weights 1", chain()),
        ("The same, w6 = -1: unit 6 is off", chain(off=6)),
        ("Three units wide, random weights", wide()),
    ):
        panels[heading] = {name: sizes_of_gradients(weights, f) for name, f in ACTIVATIONS.items()}
        print(f"{heading}: |dC/dw| of layers 1 to {DEPTH}")
        for name, sizes in panels[heading].items():
            print(f"  {name:11}" + "".join(f"{s:9.1e}" if s else f"{'0':>9}" for s in sizes))
        print()
    print("Why ReLU gives ten zeros when one unit is off: dC/dw of a layer is (what comes in) x (what comes back).")
    print("Before unit 6 nothing comes back, for the derivative of the closed unit is 0 and multiplies every path;")
    print("from unit 7 on nothing comes in, for the closed unit's output is 0; unit 6 itself is closed.")
    print("Leaky ReLU lets a hundredth through each closed unit (here 6 to 10, all below 0): little, but not nothing.")
    draw(out / "vanishing.png", panels)
    print(f"Picture: {out / 'vanishing.png'}")
    return panels


if __name__ == "__main__":
    stage.run(main)
