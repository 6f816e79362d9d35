"""Recurrent networks written with plain operations, for the tests of loops: their losses, and arrays to run them on.

Each takes `m`, a namespace with what the operators do not do, and its arrays; so the same text runs in Backlit, in
PyTorch and in JAX.
"""

from __future__ import annotations

from typing import Any

import numpy as np

T, B, D, H, V = 5, 2, 3, 4, 7
_RNG = np.random.default_rng(5)


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Small random arrays in float64."""
    return [_RNG.normal(size=s) / 2 for s in shapes]


#: The weights of an LSTM from D to H, of one from H to H, and a sequence of batches.
LSTM = arrays((D, 4 * H), (H, 4 * H), (4 * H,))
UPPER = arrays((H, 4 * H), (H, 4 * H), (4 * H,))
XS, TARGET, OUT = arrays((T, B, D), (B, H), (H, V))


def gates(m: Any, c: Any, z: Any) -> tuple[Any, Any]:
    """The state (h, c) after a step of an LSTM (Hochreiter & Schmidhuber 1997), from c and its gates side by side."""
    n = z.shape[-1] // 4
    i, f, g, o = (z[..., k * n : (k + 1) * n] for k in range(4))
    c = m.sigmoid(f) * c + m.sigmoid(i) * m.tanh(g)
    return m.sigmoid(o) * m.tanh(c), c


def cell(m: Any, state: Any, x: Any, wx: Any, wh: Any, b: Any) -> tuple[Any, Any]:
    """A step of an LSTM."""
    h, c = state
    return gates(m, c, x @ wx + h @ wh + b)


def lstm(m: Any, wx: Any, wh: Any, b: Any, xs: Any, target: Any) -> Any:
    """The squared error of the last state."""
    zero = m.zeros(target.shape)
    (h, _), _ = m.scan(lambda s, x: (cell(m, s, x, wx, wh, b), None), (zero, zero), xs)
    return ((h - target) ** 2).sum()


def joined(m: Any, w: Any, b: Any, xs: Any, target: Any) -> Any:
    """The same with the two products written as one."""
    zero = m.zeros(target.shape)
    step = lambda s, x: (gates(m, s[1], m.concat([x, s[0]]) @ w + b), None)
    (h, _), _ = m.scan(step, (zero, zero), xs)
    return ((h - target) ** 2).sum()


def stacked(m: Any, wx: Any, wh: Any, b: Any, vx: Any, vh: Any, d: Any, out: Any, xs: Any) -> Any:
    """Two layers in one loop, with a product on top of each step."""
    zero = m.zeros((B, H))

    def step(state: Any, x: Any) -> Any:
        lower = cell(m, state[0], x, wx, wh, b)
        upper = cell(m, state[1], lower[0], vx, vh, d)
        return (lower, upper), upper[0] @ out

    _, ys = m.scan(step, ((zero, zero), (zero, zero)), xs)
    return (m.tanh(ys) ** 2).sum()


def layers(m: Any, wx: Any, wh: Any, b: Any, vx: Any, vh: Any, d: Any, out: Any, xs: Any) -> Any:
    """Two layers, one loop after the other."""
    zero = m.zeros((B, H))

    def through(weights: Any, xs: Any) -> Any:
        def step(s: Any, x: Any) -> Any:
            s = cell(m, s, x, *weights)
            return s, s[0]

        return m.scan(step, (zero, zero), xs)[1]

    return (m.tanh(through((vx, vh, d), through((wx, wh, b), xs)) @ out) ** 2).sum()


def gru(m: Any, wx: Any, wh: Any, b: Any, wn: Any, un: Any, xs: Any, target: Any) -> Any:
    """A GRU (Cho et al. 2014), the sequence read from its end."""

    def step(h: Any, x: Any) -> Any:
        both = m.sigmoid(x @ wx + h @ wh + b)
        r, z = both[..., :H], both[..., H:]
        return (1 - z) * m.tanh(x @ wn + r * (h @ un)) + z * h, None

    h, _ = m.scan(step, m.zeros(target.shape), xs, reverse=True)
    return ((h - target) ** 2).sum()


#: For each name the loss, the arrays, and how many of them are weights.
LOSSES: dict[str, tuple[Any, list[Any], int]] = {
    "lstm": (lstm, [*LSTM, XS, TARGET], 3),
    "lstm of one sequence": (lstm, [*LSTM, XS[:, 0], TARGET[0]], 3),
    "joined": (joined, [*arrays((D + H, 4 * H), (4 * H,)), XS, TARGET], 2),
    "stacked": (stacked, [*LSTM, *UPPER, OUT, XS], 7),
    "layers": (layers, [*LSTM, *UPPER, OUT, XS], 7),
    "gru": (gru, [*arrays((D, 2 * H), (H, 2 * H), (2 * H,), (D, H), (H, H)), XS, TARGET], 5),
}
