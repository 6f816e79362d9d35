"""Which of four equal minima does descent find?

Himmelblau's function f(x, y) = (x² + y - 11)² + (x + y² - 7)² is 0 at four places. Where Adam ends depends on where
it starts: each minimum has its own basin. Two of the four classic starts share a basin, so a fifth one, (-2, 2),
shows the way to the last minimum.
"""

import numpy as np

import backlit as bl
from backlit.show import stage, style

STARTS = np.array([(-4.0, 0.0), (1.0, 0.0), (4.0, 0.0), (0.0, -4.0), (-2.0, 2.0)])
RATE = 0.1


def himmelblau(x, y):
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def height(points):
    """The sum over all walkers: their gradients do not mix, so one call moves them all."""
    return bl.sum(himmelblau(points[:, 0], points[:, 1]))


def walk(steps):
    """The positions of all walkers after every step of Adam: an array (steps + 1, walkers, 2)."""
    optimizer, slope = bl.optim.adam(RATE), bl.grad(height)
    points = bl.tensor(STARTS)
    state, path = optimizer.init(points), [points.numpy()]
    for _ in range(steps):
        points, state = optimizer.update(points, slope(points), state)
        path.append(points.numpy())
    return np.array(path)


def explained():
    """The slope at the start (1, 0): each variable has several paths, and they pull in different directions."""
    x, y = bl.tensor(1.0, requires_grad=True), bl.tensor(0.0, requires_grad=True)
    return bl.explain(himmelblau(x, y))


def draw(path, walks):
    title = "Five starts, four minima: where descent ends depends on where it begins"
    with style.picture(path, title, columns=2, size=(12, 5.4), width_ratios=[1.15, 1]) as (figure, (left, right)):
        x, y = np.meshgrid(*[np.linspace(-5.2, 5.2, 240)] * 2)
        z = himmelblau(x, y)
        place = left.get_subplotspec()
        left.remove()
        left = figure.add_subplot(place, projection="3d", computed_zorder=False)
        left.plot_surface(x, y, np.log10(z + 1), cmap=style.depth(), rcount=120, ccount=120, lw=0, antialiased=False)
        right.contourf(x, y, np.log10(z + 1), 24, cmap=style.depth())
        for i, colour in enumerate((*style.COLOURS[:1:-1], style.ORANGE)):
            way = walks[:, i]
            line = {"color": colour, "lw": 2}
            rise = np.log10(himmelblau(*way.T) + 1) + 0.03
            left.plot(*way.T, rise, **line)
            left.plot(*way[0], rise[0], "o", color=colour, mec=style.PAPER, ms=6)
            right.plot(*way.T, **line)
            right.plot(*way[0], "o", color=colour, mec=style.PAPER, ms=8)
            right.plot(*way[-1], "*", color=colour, mec=style.INK, mew=0.8, ms=15)
            ahead = way[10] - way[0]
            behind = way[0] - 0.45 * ahead / np.hypot(*ahead)
            start = "({:.0f}, {:.0f})".format(*way[0])
            style.label(right, start, *behind, colour, fontweight="bold", ha="center", va="center")
        left.set(xlabel="x", ylabel="y", title="The surface, as log₁₀(f + 1)", zticks=[0, 1, 2, 3])
        left.view_init(elev=50, azim=-62)
        for axis in (left.xaxis, left.yaxis, left.zaxis):
            axis.set_pane_color(style.PAPER)
        right.set(xlabel="x", ylabel="y", aspect="equal", title="Dots: starts; stars: where Adam ends")
        right.grid(visible=False)


def main(out, quick=False):
    walks = walk(400 if quick else 2000)
    print(f"Adam, rate {RATE}, {len(walks) - 1:,} steps")
    for start, end in zip(STARTS, walks[-1], strict=True):
        print(f"  ({start[0]:2.0f}, {start[1]:2.0f})  →  ({end[0]:9.6f}, {end[1]:9.6f})   f = {himmelblau(*end):.1e}")
    print("(-4, 0) and (0, -4) lie in the same basin.")
    draw(out / "himmelblau.png", walks)
    print(f"Picture: {out / 'himmelblau.png'}")
    return {"paths": walks}


if __name__ == "__main__":
    stage.run(main)
