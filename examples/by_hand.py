"""What does backpropagation compute, written out by hand?

A network 4-16-8-3 learns to answer (0.1, 0.1, 0.6). Its gradients are computed three ways: by hand in NumPy, by
Backlit, and by PyTorch or TensorFlow where one is installed. They agree, and two questions that every beginner asks
get their answers in shapes and numbers: why `x.T @`, and what the gradient of `x@w+b` is when there is no loss.
"""

from itertools import pairwise

import numpy as np

import backlit as bl
from backlit.show import stage, style

SIZES = (4, 16, 8, 3)
TARGET = np.array([0.1, 0.1, 0.6])
rng = np.random.default_rng(0)
X = rng.normal(size=(5, 4))  # five samples, all with the same target


def start():
    return [{"w": rng.normal(0, 1 / np.sqrt(n), (n, m)), "b": np.zeros(m)} for n, m in pairwise(SIZES)]


def network(layers, x):
    *hidden, last = layers
    for layer in hidden:
        x = bl.tanh(x @ layer["w"] + layer["b"])
    return x @ last["w"] + last["b"]


def loss(layers, x):
    return bl.mean(bl.sum((network(layers, x) - TARGET) ** 2, axis=1))


def by_hand(layers, x):
    """The loss, its gradients, and that of x @ w1 + b1: every line of the chain rule written out."""
    (w1, b1), (w2, b2), (w3, b3) = [(layer["w"], layer["b"]) for layer in layers]
    a1 = np.tanh(x @ w1 + b1)  # (5, 16)
    a2 = np.tanh(a1 @ w2 + b2)  # (5, 8)
    y = a2 @ w3 + b3  # (5, 3)

    d3 = 2 * (y - TARGET) / len(x)  # ∂loss/∂y, (5, 3)
    d2 = (d3 @ w3.T) * (1 - a2**2)  # back through w3 and tanh, (5, 8)
    d1 = (d2 @ w2.T) * (1 - a1**2)  # back through w2 and tanh, (5, 16)
    gradients = [{"w": before.T @ d, "b": d.sum(axis=0)} for before, d in ((x, d1), (a1, d2), (a2, d3))]
    return np.mean(np.sum((y - TARGET) ** 2, axis=1)), gradients, d1


def by_backlit(layers, x):
    value, gradients = bl.value_and_grad(loss)(layers, x)
    return value.item(), [{name: g.numpy() for name, g in layer.items()} for layer in gradients]


def by_torch(layers, x):
    import torch

    params = [{name: torch.tensor(a, requires_grad=True) for name, a in layer.items()} for layer in layers]
    a = torch.tensor(x)
    for layer in params[:-1]:
        a = torch.tanh(a @ layer["w"] + layer["b"])
    y = a @ params[-1]["w"] + params[-1]["b"]
    value = ((y - torch.tensor(TARGET)) ** 2).sum(1).mean()
    value.backward()
    return value.item(), [{name: p.grad.numpy() for name, p in layer.items()} for layer in params]


def by_tensorflow(layers, x):
    import tensorflow as tf

    params = [{name: tf.Variable(a) for name, a in layer.items()} for layer in layers]
    with tf.GradientTape() as tape:
        a = tf.constant(x)
        for layer in params[:-1]:
            a = tf.tanh(a @ layer["w"] + layer["b"])
        y = a @ params[-1]["w"] + params[-1]["b"]
        value = tf.reduce_mean(tf.reduce_sum((y - TARGET) ** 2, axis=1))
    return float(value), [{name: g.numpy() for name, g in layer.items()} for layer in tape.gradient(value, params)]


def fit(layers, x, steps, rate=0.1):
    """Gradient descent; the loss at every step."""
    optimizer, slope, losses = bl.optim.sgd(rate), bl.value_and_grad(loss), []
    state = optimizer.init(layers)
    for _ in range(steps):
        value, gradients = slope(layers, x)
        layers, state = optimizer.update(layers, gradients, state)
        losses.append(value.item())
    return layers, losses


def compare(layers):
    """The gradients of every way that can be gone here, as {way: gradients}."""
    ways = {"by hand": by_hand(layers, X)[1], "Backlit": by_backlit(layers, X)[1]}
    for name, way in (("PyTorch", by_torch), ("TensorFlow", by_tensorflow)):
        try:
            ways[name] = way(layers, X)[1]
            break
        except ImportError:
            continue
    return ways


def largest_difference(a, b):
    return max(np.abs(p[name] - q[name]).max() for p, q in zip(a, b, strict=True) for name in p)


def why_transposed(layers):
    """`x.T @ d` adds up, over the samples, what each sample alone says about the weights."""
    d1 = np.ones((5, 16))
    one_by_one = sum(np.outer(x, d) for x, d in zip(X, d1, strict=True))
    print("Why x.T @ d?  y = x @ w: x is (5, 4), w (4, 16), y (5, 16).")
    print("  w[i, j] takes part in y[s, j] with weight x[s, i], in every sample s, so its gradient is the sum over s")
    print("  of x[s, i] d[s, j]: the samples must be summed away, and x.T @ d, (4, 5) @ (5, 16), does just that.")
    print(f"  Sum of five outer products minus x.T @ d: at most {np.abs(one_by_one - X.T @ d1).max():.1e}\n")


def without_a_loss(layers):
    """The gradient of a matrix y is that of the sum of its entries, and has the shape of what is differentiated."""
    w, b = layers[0]["w"], layers[0]["b"]
    y, pull = bl.vjp(lambda w, b: X @ w + b, w, b)
    dw, db = (g.numpy() for g in pull(bl.ones_like(y)))
    jacobian = bl.jacobian(lambda w: X @ w + b)(w)
    print("And the gradient of y = x @ w + b with no loss?  y is (5, 16), not one number. What frameworks then return")
    print("  is the gradient of y.sum(): each entry of y pulls with weight 1. It has the shape of w (or of b):")
    print(f"  dw {dw.shape}, every column alike: the sums of x over the samples, {X.sum(0).round(3).tolist()}")
    print(f"     its first column is             {dw[:, 0].round(3).tolist()}")
    print(f"  db {db.shape}, every entry {db[0]:g}: one for each sample.")
    print(f"  The whole derivative of y by w is the Jacobian, {jacobian.shape}: 5·16 results by 4·16 weights;")
    print(f"  dw is its sum over the results: at most {np.abs(jacobian.numpy().sum((0, 1)) - dw).max():.1e} apart.\n")
    return dw, db


def explained():
    """The gradients of the first layer, in shapes."""
    layers = [{name: bl.tensor(x, requires_grad=True) for name, x in layer.items()} for layer in start()]
    names = {f"{name}{i}": x for i, layer in enumerate(layers, 1) for name, x in layer.items()}
    return bl.explain(loss(layers, X), wrt=["w1", "b1"], names=names)


def draw(path, layers, losses, ways):
    title = f"One gradient, {'three' if len(ways) == 3 else 'two'} ways; and why it needs x.T"
    mosaic = [["loss", "loss", "ways"], ["x.T", "d", "dw"]]
    with style.picture(path, title, size=(11, 6.4), mosaic=mosaic, width_ratios=[5, 16, 16],
                       height_ratios=[1.9, 1]) as (_, axes):  # fmt: skip
        axes["loss"].semilogy(losses)
        axes["loss"].set(xlabel="step", ylabel="loss", title="fit to (0.1, 0.1, 0.6)")

        flat = {name: np.concatenate([g.ravel() for p in way for g in p.values()]) for name, way in ways.items()}
        hand, reach = flat.pop("by hand"), 1.1 * np.abs(flat["Backlit"]).max()
        axes["ways"].plot([-reach, reach], [-reach, reach], color=style.FAINT, lw=1)
        for (name, other), mark, colour in zip(flat.items(), "ox", (style.SKY, style.ORANGE), strict=False):
            axes["ways"].plot(hand, other, mark, ms=5, color=colour, label=f"by {name}")
        axes["ways"].set(
            xlabel="∂loss, by hand", ylabel="∂loss", title=f"{hand.size} parameters: equal to the last digits"
        )
        axes["ways"].legend(loc="upper left")

        _, gradients, d = by_hand(layers, X)
        dw = gradients[0]["w"]
        for name, matrix, label in (
            ("x.T", X.T, "x.T"),
            ("d", d, "@  d, the gradient of x @ w + b"),
            ("dw", dw, "=  dw"),
        ):
            rows, columns = matrix.shape
            reach = np.abs(matrix).max()
            axes[name].imshow(matrix, cmap=style.diverging(), vmin=-reach, vmax=reach)
            axes[name].set(title=f"{label}  ({rows}, {columns})", xticks=[], yticks=[])
            axes[name].grid(visible=False)
        axes["x.T"].set(xlabel="samples", ylabel="inputs")
        axes["d"].set(xlabel="units", ylabel="samples")
        axes["dw"].set(xlabel="units", ylabel="inputs")


def main(out, quick=False):
    layers = start()
    ways = compare(layers)
    print("Largest difference from the gradients by hand, over all parameters:")
    gaps = {name: largest_difference(ways["by hand"], g) for name, g in ways.items() if name != "by hand"}
    for name, gap in gaps.items():
        print(f"  {name:11}{gap:.1e}")
    if len(ways) == 2:
        print("  (neither PyTorch nor TensorFlow is installed here)")
    print()
    why_transposed(layers)
    dw, db = without_a_loss(layers)

    fitted, losses = fit(layers, X, 100 if quick else 500)
    answer = network(fitted, X).numpy().mean(axis=0)
    print(f"fit: loss {losses[0]:.4f} to {losses[-1]:.1e} in {len(losses)} steps; the answer is {answer.round(4)}")
    draw(out / "by_hand.png", layers, losses, ways)
    print(f"Picture: {out / 'by_hand.png'}")
    return {"gaps": gaps, "losses": losses, "answer": answer, "dw": dw, "db": db}


if __name__ == "__main__":
    stage.run(main)
