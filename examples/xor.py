"""Why does XOR need hidden units, and what do two of them do?

No straight line separates (0,0), (1,1) from (0,1), (1,0). A network of two hidden sigmoid units and one output
unit can, and finds out how by gradient descent. It is written twice: number by number, one point at each step, and
with matrices, all four points at each step. Both are the same network.
"""

import numpy as np

import backlit as bl
from backlit.show import stage, style

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([[0], [1], [1], [0]], np.float32)

RATE = 0.5
START = [0.6, 0.6, 0.0, -0.4, -0.9, -0.2, -0.2, -0.9, -0.9]  # small, and such that the units differ


def scalar_network(p, x1, x2):
    """Number by number: six parameters for the hidden units, three for the output unit."""
    u11, u12, u21, u22, c1, c2, v1, v2, d = p
    h1 = bl.sigmoid(x1 * u11 + x2 * u21 + c1)
    h2 = bl.sigmoid(x1 * u12 + x2 * u22 + c2)
    return bl.sigmoid(h1 * v1 + h2 * v2 + d)


def scalar_loss(p, x1, x2, y):
    return (scalar_network(p, x1, x2) - y) ** 2


def network(p, x):
    """All points at once: x is (points, 2), the result (points, 1)."""
    h = bl.sigmoid(x @ p["u"] + p["c"])
    return bl.sigmoid(h @ p["v"] + p["d"])


def loss(p):
    return bl.sum((network(p, X) - Y) ** 2)


def matrices(numbers):
    """The nine numbers as matrices and vectors."""
    a = np.array(numbers, np.float32)
    return {"u": a[:4].reshape(2, 2), "c": a[4:6], "v": a[6:8].reshape(2, 1), "d": a[8:]}


def step_down(value, parameters):
    """One step of gradient descent: backward() leaves in every parameter's .grad how the value depends on it."""
    value.backward()
    with bl.no_grad():
        for w in parameters:
            w -= RATE * w.grad
            w.grad = None


def descend(steps):
    """All points in every step: the parameters at the end, and the loss at every step."""
    p = {name: bl.tensor(a, requires_grad=True) for name, a in matrices(START).items()}
    losses = []
    for _ in range(steps):
        value = loss(p)
        step_down(value, p.values())
        losses.append(value.item())
    return p, losses


def descend_by_numbers(steps):
    """One point after the other: the nine numbers at the end."""
    p = [bl.tensor(number, requires_grad=True) for number in START]
    points = [(x1, x2, y) for (x1, x2), (y,) in zip(X.tolist(), Y.tolist(), strict=True)]
    for step in range(steps):
        step_down(scalar_loss(p, *points[step % 4]), p)
    return p


def largest_difference():
    """Between the two ways to the first gradient: of the matrices, and summed over the points number by number."""
    by_matrices = np.concatenate([g.numpy().ravel() for g in bl.grad(loss)(matrices(START)).values()])
    slope = bl.grad(scalar_loss)
    by_numbers = sum(np.array([g.item() for g in slope(START, *x, *y)]) for x, y in zip(X, Y, strict=True))
    return np.abs(by_matrices - by_numbers).max()


def explained():
    """The first gradient number by number, at the point (1, 0): x1 reaches the loss through both hidden units."""
    p = [bl.tensor(number, requires_grad=True) for number in START]
    x1 = bl.tensor(1.0, requires_grad=True)
    names = dict(zip(("u11", "u12", "u21", "u22", "c1", "c2", "v1", "v2", "d"), p, strict=True))
    return bl.explain(scalar_loss(p, x1, 0.0, 1.0), wrt=["x1", "u11", "v1"], names=names)


def draw(path, p, losses):
    grid = np.linspace(-0.5, 1.5, 201, dtype=np.float32)
    plane = np.stack(np.meshgrid(grid, grid), -1)
    surface = network(p, plane.reshape(-1, 2)).numpy().reshape(plane.shape[:2])
    (u11, u12), (u21, u22) = p["u"].tolist()
    with style.picture(path, "Two hidden units draw two lines, the output unit keeps what lies between",
                       columns=2, size=(11, 4.6)) as (figure, (left, right)):  # fmt: skip
        shade = left.contourf(grid, grid, surface, np.linspace(0, 1, 21), cmap=style.diverging())
        for a, b, c in ((u11, u21, p["c"][0].item()), (u12, u22, p["c"][1].item())):
            left.axline((0, -c / b), slope=-a / b, color=style.INK, lw=1.4)
        for (x1, x2), y in zip(X, Y.ravel(), strict=True):
            colour = style.ORANGE if y else style.BLUE
            left.plot(x1, x2, "o", ms=19, color=style.PAPER)
            left.text(x1, x2, f"{y:.0f}", color=colour, ha="center", va="center_baseline", fontweight="bold")
        ticks = {"xticks": [0, 0.5, 1], "yticks": [0, 0.5, 1], "xlim": (-0.5, 1.5), "ylim": (-0.5, 1.5)}
        left.set(xlabel="x₁", ylabel="x₂", aspect="equal", title="The output; on each line a hidden unit is ½", **ticks)
        left.grid(visible=False)
        figure.colorbar(shade, ax=left, ticks=[0, 0.5, 1], shrink=0.85)
        right.loglog(np.arange(1, len(losses) + 1), losses)
        right.set(
            xlabel="step of descent", ylabel="sum of squared errors", title="A long plateau, then it finds the way"
        )


def main(out, quick=False):
    steps = 2_000 if quick else 30_000
    gap = largest_difference()
    print(f"The first gradient, by matrices and number by number: at most {gap:.0e} apart\n")
    p, losses = descend(steps)
    outputs = network(p, X).numpy().ravel()
    q = descend_by_numbers(steps)
    by_numbers = np.array([scalar_network(q, x1, x2).item() for x1, x2 in X.tolist()])
    print(f"After {steps:,} steps          by matrices   number by number")
    for (x1, x2), y, one, other in zip(X, Y.ravel(), outputs, by_numbers, strict=True):
        print(f"  {x1:.0f} xor {x2:.0f} = {y:.0f}   {one:19.4f} {other:18.4f}")
    draw(out / "xor.png", p, losses)
    print(f"Picture: {out / 'xor.png'}")
    return {"outputs": outputs, "by_numbers": by_numbers, "gap": gap, "losses": losses}


if __name__ == "__main__":
    stage.run(main)
