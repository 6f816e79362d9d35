"""What does an activation function do to a value, and what to a gradient?

Each function with its derivative, as Backlit computes it: where the derivative is near 0 the unit is saturated
and learns nothing.
"""

import numpy as np

import backlit as bl
from backlit.show import stage, style

FUNCTIONS = {
    "sigmoid": (bl.sigmoid, "(0, 1)"),
    "tanh": (bl.tanh, "(-1, 1)"),
    "ReLU": (bl.relu, "[0, ∞)"),
    "leaky ReLU": (lambda z: bl.leaky_relu(z, negative_slope=0.01), "(-∞, ∞)"),
}
OTHERS = (0.0, 1.0)  # the two scores that stay, while softmax's first one moves


def first_of_three(z):
    """Softmax's first probability for the scores (z, 0, 1)."""
    scores = bl.stack([z, *(bl.full_like(z, other) for other in OTHERS)], axis=-1)
    return bl.softmax(scores, axis=-1)[..., 0]


def with_derivative(f, z):
    """f and f' at many points: f works point by point, so one vector of ones collects every derivative."""
    value, pull = bl.vjp(f, z)
    return value.numpy(), pull(np.ones_like(z))[0].numpy()


def explained():
    """Softmax's first probability at z = 0.5, written out: z moves it by two paths."""
    z = bl.tensor(0.5, requires_grad=True)
    own = bl.exp(z)
    return bl.explain(own / (own + float(np.exp(OTHERS).sum())))


def draw(path, z, curves):
    title = "The sigmoid passes at most a quarter of a gradient; tanh and ReLU can pass it whole"
    with style.picture(path, title, rows=2, columns=3, size=(12, 6.6)) as (_, axes):
        *panels, together = axes.ravel()
        for axis, (name, (value, slope, span)) in zip(panels, curves.items(), strict=True):
            axis.plot(z, value, color=style.BLUE, label="value")
            axis.plot(z, slope, color=style.ORANGE, label="derivative")
            axis.axhline(0, color=style.FAINT, lw=0.8)
            axis.set(title=f"{name}: range {span}", xlabel="z", ylim=(-1.25, 2.25) if name == "tanh" else None)
            if "ReLU" in name:
                axis.set_ylim(-0.4, 3)
        panels[0].legend(loc="upper left")
        panels[4].set_title("softmax of (z, 0, 1), first entry: range (0, 1)")
        panels[4].set_xlabel("z, the first of three scores")
        for (name, (_, slope, _)), colour in zip(curves.items(), style.COLOURS, strict=False):
            dashed = (0, (4, 2)) if name == "leaky ReLU" else "-"
            together.plot(z, slope, color=colour, ls=dashed, label=f"{name}: at most {slope.max():.2f}")
        together.set(title="The derivatives side by side", xlabel="z", ylim=(-0.1, 1.9))
        together.legend(loc="upper left")


def main(out, quick=False):
    z = np.linspace(-6, 6, 1200)  # an even number of points: none at 0, where ReLU has a corner
    curves = {name: (*with_derivative(f, z), span) for name, (f, span) in FUNCTIONS.items()}
    curves["softmax"] = (*with_derivative(first_of_three, z), "(0, 1)")
    print("              range       values seen          largest derivative     at z = -6      at z = 6")
    for name, (value, slope, span) in curves.items():
        print(f"{name:11} {span:>9}   {value.min():8.4f} to {value.max():.4f} {slope.max():15.4f} at z = "
              f"{z[slope.argmax()]:5.2f} {slope[0]:12.5f} {slope[-1]:13.5f}")  # fmt: skip
    draw(out / "activations.png", z, curves)
    print(f"Picture: {out / 'activations.png'}")
    return curves


if __name__ == "__main__":
    stage.run(main)
