"""How does a static graph learn to tell two clouds apart?

First the graph is built: placeholders for points and labels, a weight matrix, softmax, cross-entropy, and an
optimizer whose `minimize` adds the gradients to the same graph. Only then a session runs it, a hundred times.
"""

import numpy as np

import backlit as bl
from backlit import static
from backlit.show import stage, style


def clouds(n=50):
    """Red points around (-2, -2), blue ones around (2, 2), and their classes as one-hot rows."""
    rng = np.random.default_rng(0)
    red, blue = rng.normal(-2, 1, (n, 2)), rng.normal(2, 1, (n, 2))
    labels = np.repeat(np.eye(2), n, axis=0)
    return np.concatenate([red, blue]).astype(np.float32), labels.astype(np.float32)


def train(points, labels, steps):
    """W, b, and the loss at every step."""
    rng = np.random.default_rng(1)
    with static.Graph().as_default():
        x = static.placeholder(bl.float32, shape=(None, 2), name="x")
        c = static.placeholder(bl.float32, shape=(None, 2), name="c")
        W = static.Variable(rng.normal(size=(2, 2)).astype(np.float32), name="W")
        b = static.Variable(np.zeros(2, np.float32), name="b")
        p = bl.softmax(x @ W + b, axis=1)
        J = -bl.sum(c * bl.log(p))
        step = static.GradientDescentOptimizer(0.01).minimize(J)

        with static.Session() as session:
            session.run(static.global_variables_initializer())
            feed = {x: points, c: labels}
            losses = [float(session.run([J, step], feed)[0]) for _ in range(steps)]
            return *session.run([W, b]), losses, session.run(p, feed)


def draw(path, points, labels, W, b, losses):
    normal, offset = W[:, 1] - W[:, 0], b[1] - b[0]  # both classes are equally likely where normal · x + offset = 0
    with style.picture(path, "A hundred steps turn the line between the clouds",
                       columns=2, size=(10.5, 4.6)) as (_, (left, right)):  # fmt: skip
        grid = np.linspace(-5.5, 5.5, 200)
        plane = np.stack(np.meshgrid(grid, grid), -1)
        chance = 1 / (1 + np.exp(-(plane @ normal + offset)))
        left.contourf(grid, grid, chance, np.linspace(0, 1, 21), cmap=style.diverging().reversed(), alpha=0.45)
        left.axline((0, -offset / normal[1]), slope=-normal[0] / normal[1], color=style.INK)
        for which, colour, name in ((0, style.ORANGE, "red"), (1, style.BLUE, "blue")):
            left.plot(*points[labels[:, which] == 1].T, "o", color=colour, mec=style.PAPER, ms=6, label=name)
        left.set(xlim=(-5.5, 5.5), ylim=(-5.5, 5.5), xlabel="x₁", ylabel="x₂", aspect="equal",
                 title="The line, and how sure the softmax is")  # fmt: skip
        left.grid(visible=False)
        left.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")
        right.semilogy(range(1, len(losses) + 1), losses)
        right.set(
            xlabel="step", ylabel="cross-entropy, summed (nats)", title=f"From {losses[0]:.0f} to {losses[-1]:.2f}"
        )


def main(out, quick=False):
    points, labels = clouds()
    W, b, losses, p = train(points, labels, 100)
    for step in (1, 10, 50, 100):
        print(f"step {step:3}   cross-entropy {losses[step - 1]:9.4f}")
    right = np.mean(p.argmax(1) == labels.argmax(1))
    (n1, n2), offset = W[:, 1] - W[:, 0], b[1] - b[0]
    print(f"{right:.0%} of {len(points)} points on the right side of {n1:.3f} x1 {n2:+.3f} x2 {offset:+.3f} = 0")
    draw(out / "perceptron.png", points, labels, W, b, losses)
    print(f"Picture: {out / 'perceptron.png'}")
    return {"losses": losses, "accuracy": right}


if __name__ == "__main__":
    stage.run(main)
