"""What does gradient descent see when it fits a straight line?

The mean squared error of y = a0 + a1 x is a bowl over (a0, a1). Least squares jumps to its lowest point by solving
two equations; gradient descent walks there, across the steep side first and then along the valley.
"""

import numpy as np

import backlit as bl
from backlit.show import stage, style

RATE = 0.04
START = (4.5, -1.0)


def sample(n=60):
    """Points about the line y = 1 + 2 x."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 4, n)
    return x, 1 + 2 * x + rng.normal(0, 1, n)


def loss(a, x, y):
    return bl.mean((a[0] + a[1] * x - y) ** 2)


def least_squares(x, y):
    """The lowest point, where the gradient is zero: (AᵀA) a = Aᵀy with A = (1, x)."""
    A = np.stack([np.ones_like(x), x], axis=1)
    return np.linalg.solve(A.T @ A, A.T @ y)


def descend(x, y, steps):
    """The path of gradient descent, one point per step."""
    slope, a = bl.grad(loss), np.array(START)
    path = [a]
    for _ in range(steps):
        a = a - RATE * slope(a, x, y).numpy()
        path.append(a)
    return np.array(path)


def explained():
    """The first gradient of descent, for three points."""
    x, y = sample(3)
    a = bl.tensor(np.array(START), requires_grad=True)
    return bl.explain(loss(a, x, y))


def draw(path, x, y, best, walk):
    with style.picture(path, "Descent walks down the bowl to where least squares jumps",
                       columns=2, size=(11, 4.6)) as (_, (left, right)):  # fmt: skip
        a0, a1 = np.meshgrid(np.linspace(-2.5, 5.5, 160), np.linspace(-1.6, 4.2, 160))
        height = np.mean((a0[..., None] + a1[..., None] * x - y) ** 2, axis=-1)
        left.contourf(a0, a1, np.log(height), 18, cmap=style.depth())
        left.plot(*walk.T, color=style.ORANGE, lw=1.4)
        left.plot(*walk[1:60].T, ".", color=style.ORANGE, ms=5)
        left.plot(*walk[0], "o", color=style.ORANGE, mec=style.PAPER, ms=8)
        left.plot(*best, "*", color=style.PAPER, mec=style.INK, ms=15)
        style.label(left, "start", walk[0, 0] + 0.15, walk[0, 1] - 0.05, style.ORANGE, va="top")
        style.label(left, "least squares", best[0] - 0.25, best[1] - 0.2, ha="right", va="top")
        left.set(xlabel="a₀, the intercept", ylabel="a₁, the slope", title="Mean squared error, darker is lower")
        left.grid(visible=False)
        right.plot(x, y, "o", color=style.SKY, ms=4.5, mec=style.PAPER, mew=0.6)
        ends = np.array([0, 4])
        for step, shade in ((0, 0.35), (2, 0.5), (10, 0.7)):
            right.plot(ends, walk[step, 0] + walk[step, 1] * ends, color=style.ORANGE, alpha=shade, lw=1.2)
            style.label(right, f"step {step}", 4.03, walk[step] @ (1, 4), style.ORANGE, va="center")
        right.plot(ends, best[0] + best[1] * ends, color=style.INK)
        style.label(right, "least squares", 4.03, best @ (1, 4), va="center")
        right.set(xlabel="x", ylabel="y", xlim=(-0.1, 4.8), title=f"y = {best[0]:.2f} + {best[1]:.2f} x")


def main(out, quick=False):
    x, y = sample()
    best = least_squares(x, y)
    walk = descend(x, y, 100 if quick else 400)
    print(f"least squares      a0 = {best[0]:.6f}   a1 = {best[1]:.6f}   loss {loss(best, x, y).item():.6f}")
    for step in (0, 10, 100, len(walk) - 1):
        a = walk[step]
        print(f"descent, step {step:<4} a0 = {a[0]:.6f}   a1 = {a[1]:.6f}   loss {loss(a, x, y).item():.6f}")
    draw(out / "regression.png", x, y, best, walk)
    print(f"Picture: {out / 'regression.png'}")
    return {"best": best, "path": walk}


if __name__ == "__main__":
    stage.run(main)
