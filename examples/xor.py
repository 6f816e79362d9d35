"""Why does XOR need hidden units, and what do two of them do?

No straight line separates (0,0), (1,1) from (0,1), (1,0). A network of two hidden sigmoid units and one output
unit can, and finds out how by gradient descent. It is written twice: number by number, and for all four points
at once with matrices. Both are the same network and take the same steps.
"""

import numpy as np

import backlit as bl
from backlit.show import stage, style

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([[0], [1], [1], [0]], np.float32)

RATE = 0.5
START = [0.6, 0.6, 0.0, -0.4, -0.9, -0.2, -0.2, -0.9, -0.9]  # small, and such that the units differ


def scalar_loss(p):
    """Number by number: six parameters into the hidden units, three into the output unit."""
    u11, u12, u21, u22, c1, c2, v1, v2, d = p
    total = 0
    for (x1, x2), (y,) in zip(X.tolist(), Y.tolist(), strict=True):
        h1 = bl.sigmoid(x1 * u11 + x2 * u21 + c1)
        h2 = bl.sigmoid(x1 * u12 + x2 * u22 + c2)
        error = bl.sigmoid(h1 * v1 + h2 * v2 + d) - y
        total = total + error * error
    return total


def network(p, x):
    """All points at once: x is (points, 2), the result (points, 1)."""
    h = bl.sigmoid(x @ p["u"] + p["c"])
    return bl.sigmoid(h @ p["v"] + p["d"])


def batched_loss(p):
    return bl.sum((network(p, X) - Y) ** 2)


def matrices(numbers):
    """The nine numbers as matrices and vectors."""
    a = np.array(numbers, np.float32)
    return {"u": a[:4].reshape(2, 2), "c": a[4:6], "v": a[6:8].reshape(2, 1), "d": a[8:]}


def descend(f, p, steps):
    """The parameters after gradient descent on f, and f at every step."""
    optimizer, slope, state, losses = bl.optim.sgd(RATE), bl.value_and_grad(f), (), []
    for _ in range(steps):
        value, gradient = slope(p)
        p, state = optimizer.update(p, gradient, state)
        losses.append(value.item())
    return p, losses


def draw(path, p, losses):
    grid = np.linspace(-0.5, 1.5, 201, dtype=np.float32)
    plane = np.stack(np.meshgrid(grid, grid), -1)
    surface = network(p, plane.reshape(-1, 2)).numpy().reshape(plane.shape[:2])
    (u11, u12), (u21, u22) = p["u"].tolist()
    with style.picture(path, "Two hidden units draw two lines, the output unit keeps what lies between",
                       columns=2, size=(11, 4.6)) as (figure, (left, right)):  # fmt: skip
        shade = left.contourf(grid, grid, surface, np.linspace(0, 1, 21), cmap=style.diverging())
        left.contour(grid, grid, surface, [0.5], colors=style.INK, linewidths=1.2)
        for a, b, c in ((u11, u21, p["c"][0].item()), (u12, u22, p["c"][1].item())):
            left.axline((0, -c / b), slope=-a / b, color=style.PAPER, lw=1.6, ls=(0, (4, 3)))
        for (x1, x2), y in zip(X, Y.ravel(), strict=True):
            colour = style.ORANGE if y else style.BLUE
            left.plot(x1, x2, "o", ms=11, mfc=colour, mec=style.PAPER, mew=1.8)
        left.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), xlabel="x₁", ylabel="x₂", aspect="equal",
                 title="Output; dashed: where a hidden unit is ½")  # fmt: skip
        left.grid(visible=False)
        figure.colorbar(shade, ax=left, ticks=[0, 0.5, 1], shrink=0.85)
        right.loglog(np.arange(1, len(losses) + 1), losses)
        right.set(
            xlabel="step of descent", ylabel="sum of squared errors", title="A long plateau, then it finds the way"
        )


def main(out, quick=False):
    steps = 2_000 if quick else 30_000
    p, losses = descend(batched_loss, matrices(START), steps)
    outputs = network(p, X).numpy().ravel()
    print(f"After {steps:,} steps on all four points:")
    for (x1, x2), y, output in zip(X, Y.ravel(), outputs, strict=True):
        print(f"  {x1:.0f} xor {x2:.0f} = {y:.0f}   the network says {output:.4f}")

    q, by_numbers = descend(scalar_loss, list(START), steps)
    nine = np.concatenate([np.ravel(w) for w in p.values()])
    apart = np.abs(nine - np.array(q)).max()
    print(f"Number by number it takes the same steps: loss {by_numbers[-1]:.6f} and {losses[-1]:.6f}, "
          f"parameters at most {apart:.1e} apart.")  # fmt: skip
    draw(out / "xor.png", p, losses)
    print(f"Picture: {out / 'xor.png'}")
    return {"outputs": outputs, "losses": losses, "scalar_losses": by_numbers, "apart": apart}


if __name__ == "__main__":
    stage.run(main)
