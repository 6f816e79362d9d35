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


def build():
    """The graph: points, classes, weights, biases, the classes' probabilities, and the loss."""
    rng = np.random.default_rng(1)
    x = static.placeholder(bl.float32, shape=(None, 2), name="x")
    c = static.placeholder(bl.float32, shape=(None, 2), name="c")
    W = static.Variable(rng.normal(size=(2, 2)).astype(np.float32), name="W")
    b = static.Variable(np.zeros(2, np.float32), name="b")
    p = bl.softmax(x @ W + b, axis=1)
    return x, c, W, b, p, -bl.mean(bl.sum(c * bl.log(p), axis=1))


def train(points, labels, steps):
    """The loss, W and b before every step and after the last, and the classes' probabilities at the end."""
    with static.Graph().as_default():
        x, c, W, b, p, loss = build()
        step = static.GradientDescentOptimizer(0.2).minimize(loss)

        with static.Session() as session:
            session.run(static.global_variables_initializer())
            feed = {x: points, c: labels}
            history = []
            for _ in range(steps):
                history.append(session.run([loss, W, b], feed))
                session.run(step, feed)
            return [*history, session.run([loss, W, b], feed)], session.run(p, feed)


def line(W, b):
    """Where both classes are equally likely: normal · x + offset = 0."""
    return W[:, 1] - W[:, 0], b[1] - b[0]


def explained():
    """The gradients before the first step, for two points of each cloud."""
    points, labels = clouds(2)
    with static.Graph().as_default(), static.Session() as session:
        x, c, W, b, _, loss = build()
        session.run(static.global_variables_initializer())
        return bl.explain(loss, session=session, feed_dict={x: points, c: labels}, wrt=[W, b])


def draw(path, points, labels, history):
    losses = [loss for loss, _, _ in history]
    with style.picture(path, "A hundred steps turn the line between the clouds",
                       columns=2, size=(10.5, 4.7)) as (_, (left, right)):  # fmt: skip
        normal, offset = line(*history[-1][1:])
        grid = np.linspace(-5.5, 5.5, 200)
        chance = 1 / (1 + np.exp(-(np.stack(np.meshgrid(grid, grid), -1) @ normal + offset)))
        left.imshow(chance, cmap=style.diverging().reversed(), alpha=0.5, origin="lower", extent=(-5.5, 5.5, -5.5, 5.5))
        for step, strength in ((0, 0.25), (3, 0.4), (10, 0.6), (len(history) - 1, 1)):
            (n1, n2), offset = line(*history[step][1:])
            left.axline((0, -offset / n2), slope=-n1 / n2, color=style.INK, alpha=strength, lw=1.6)
            edge = min(max((-4.8 * n2 - offset) / n1, -5.2), 4.0)  # where the line leaves the picture below, or beside
            style.label(left, f"{step}", edge, -(n1 * edge + offset) / n2, ha="center", va="center")
        for which, colour in ((0, style.ORANGE), (1, style.BLUE)):
            left.plot(*points[labels[:, which] == 1].T, "o", color=colour, mec=style.PAPER, ms=6)
        left.set(xlim=(-5.5, 5.5), ylim=(-5.5, 5.5), xlabel="x₁", ylabel="x₂", aspect="equal",
                 title="The line after 0, 3, 10 and 100 steps")  # fmt: skip
        left.grid(visible=False)
        right.semilogy(losses)
        right.set(xlabel="step", ylabel="cross-entropy (nats)", title=f"Loss: {losses[0]:.2f} → {losses[-1]:.3f}")


def main(out, quick=False):
    points, labels = clouds()
    history, p = train(points, labels, 100)
    for step in (0, 1, 10, 100):
        print(f"after {step:3} steps   cross-entropy {history[step][0]:.4f}")
    right = np.mean(p.argmax(1) == labels.argmax(1))
    (n1, n2), offset = line(*history[-1][1:])
    print(f"{right:.0%} of {len(points)} points on the right side of {n1:.3f} x1 {n2:+.3f} x2 {offset:+.3f} = 0")
    draw(out / "perceptron.png", points, labels, history)
    print(f"Picture: {out / 'perceptron.png'}")
    return {"losses": [loss for loss, _, _ in history], "accuracy": right}


if __name__ == "__main__":
    stage.run(main)
