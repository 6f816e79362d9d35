"""How well can a small network read handwritten digits?

Two static graphs, each fed mini-batches of 128 through placeholders: a fully connected network 784-128-10, and one
with convolution and pooling, which knows that neighbouring pixels belong together. Real MNIST is used where it is on
this machine, otherwise scikit-learn's small digits, which are 8 x 8 pixels.
"""

import math
import time

import numpy as np

import backlit as bl
from backlit import data, static
from backlit.base.errors import DataError
from backlit.show import stage, style

BATCH = 128
RATE = 0.003


def dense(x, inputs, outputs, rng, name):
    w = static.Variable(rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs)).astype(np.float32), name=f"{name}_w")
    b = static.Variable(np.zeros(outputs, np.float32), name=f"{name}_b")
    return x @ w + b


def convolution(x, channels, filters, rng, name):
    """Filters of 5 x 5, the largest of every 2 x 2 pixels, ReLU."""
    start = rng.normal(0, np.sqrt(2 / (25 * channels)), (filters, channels, 5, 5)).astype(np.float32)
    w = static.Variable(start, name=f"{name}_w")
    b = static.Variable(np.zeros((filters, 1, 1), np.float32), name=f"{name}_b")
    padding = "valid" if x.shape[-1] > 8 else "same"  # the smallest images cannot spare their edges
    return bl.relu(bl.max_pool2d(bl.conv2d(x, w, padding=padding) + b, 2))


def fully_connected(x, side, rng):
    h = bl.relu(dense(bl.reshape(x, (-1, side * side)), side * side, 128, rng, "hidden"))
    return dense(h, 128, 10, rng, "out")


def convolutional(x, side, rng):
    h = convolution(bl.reshape(x, (-1, 1, side, side)), 1, 12, rng, "first")
    h = convolution(h, 12, 32, rng, "second")
    features = math.prod(h.shape[1:])
    h = bl.relu(dense(bl.reshape(h, (-1, features)), features, 128, rng, "hidden"))
    return dense(h, 128, 10, rng, "out")


def train(network, digits, epochs, seed=0):
    """Train a network; its validation accuracy on the way as rows (epoch, accuracy), and what it says of the test."""
    rng = np.random.default_rng(seed)
    scale = data.Standardize.fit(digits.train.x, axis=None)
    side = digits.train.x.shape[1]
    with static.Graph().as_default():
        x = static.placeholder(bl.float32, shape=(None, side, side), name="x")
        y = static.placeholder(bl.int64, shape=(None,), name="y")
        rate = static.placeholder(bl.float32, shape=(), name="rate")
        scores = network(x, side, rng)
        loss = bl.softmax_cross_entropy(scores, y)
        step = static.AdamOptimizer(rate).minimize(loss)
        answer = bl.argmax(scores, axis=1)

        with static.Session() as session:

            def answers(part):
                batches = data.Loader(part, 500, shuffle=False, transform=scale)
                return np.concatenate([session.run(answer, {x: images}) for images, _ in batches])

            def validate():
                return np.mean(answers(digits.validation) == digits.validation.y)

            session.run(static.global_variables_initializer())
            batches = data.Loader(digits.train, BATCH, key=seed, transform=scale)
            curve, done = [(0, validate())], 0
            for epoch in range(epochs):
                for images, labels in batches:
                    slowing = RATE * (1 - done / (epochs * batches.steps))  # large steps first, small ones to settle
                    session.run(step, {x: images, y: labels, rate: slowing})
                    done += 1
                    if 4 * done // batches.steps > 4 * (done - 1) // batches.steps:  # four times an epoch
                        curve.append((done / batches.steps, validate()))
                print(f"  epoch {epoch + 1:2}   validation accuracy {curve[-1][1]:.2%}", flush=True)
            return np.array(curve), answers(digits.test)


def explained():
    """The first gradient of the network with convolutions, for four of scikit-learn's digits."""
    digits = data.load("digits").train
    with static.Graph().as_default(), static.Session() as session:
        x = static.placeholder(bl.float32, shape=(None, 8, 8), name="x")
        y = static.placeholder(bl.int64, shape=(None,), name="y")
        loss = bl.softmax_cross_entropy(convolutional(x, 8, np.random.default_rng(0)), y)
        session.run(static.global_variables_initializer())
        feed = {x: data.Standardize.fit(digits.x, axis=None)(digits.x[:4]), y: digits.y[:4]}
        return bl.explain(loss, session=session, feed_dict=feed)


def draw(path, digits, results):
    best = max(results, key=lambda name: results[name]["accuracy"])
    title = f"{digits.name}: the {best} network misreads {1 - results[best]['accuracy']:.2%} of the test images"
    with style.picture(path, title, columns=2, size=(11.5, 4.6)) as (_, (left, right)):
        for name, found in results.items():
            epochs, accuracy = found["curve"][1:].T
            left.semilogy(epochs, 100 * (1 - accuracy), label=f"{name}: {found['accuracy']:.2%} on the test images")
        left.set(xlabel="epoch", ylabel="misread validation images (%)", title="While training")
        left.minorticks_off()
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50) if left.get_ylim()[0] < tick < left.get_ylim()[1]]
        left.set_yticks(ticks, [f"{tick}" for tick in ticks])
        left.legend()

        test, said = digits.test, results[best]["said"]
        side = test.x.shape[1]
        right.set_title(f"Misread by the {best} network: what it was → what it said")
        for place, row in enumerate(np.flatnonzero(said != test.y)[:24]):
            x, y = 1.5 * side * (place % 6), 1.5 * side * (place // 6)
            right.imshow(test.x[row], cmap="gray_r", extent=(x, x + side, y + side, y))
            right.text(x + side / 2, y + 1.05 * side, f"{test.y[row]} → {said[row]}", ha="center", va="top")
        right.set(xlim=(0, 9 * side), ylim=(6 * side, 0))
        right.axis("off")


def main(out, quick=False):
    try:
        digits = data.load("digits" if quick else "mnist", download=False)
    except DataError:
        print("MNIST is not on this machine, so these are scikit-learn's 8 x 8 digits. For the real ones:")
        print(
            "`backlit train --data mnist` downloads them, or set BACKLIT_DATA to a folder that holds the four files.\n"
        )
        digits = data.load("digits")
    print(digits)
    large = digits.name == "mnist"
    results = {}
    for name, network, epochs in (
        ("fully connected", fully_connected, 8 if large else 40),
        ("convolutional", convolutional, 3 if large else 20),
    ):
        print(f"{name}:")
        start = time.perf_counter()
        curve, said = train(network, digits, epochs)
        accuracy = float(np.mean(said == digits.test.y))
        results[name] = {"curve": curve, "said": said, "accuracy": accuracy}
        print(f"  test accuracy {accuracy:.2%}, after {epochs} epochs in {time.perf_counter() - start:.1f} s\n")
    draw(out / "mnist.png", digits, results)
    print(f"Picture: {out / 'mnist.png'}")
    return results


if __name__ == "__main__":
    stage.run(main)
