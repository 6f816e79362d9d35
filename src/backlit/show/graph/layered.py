"""`layered`: boxes in layers, as Sugiyama draws graphs, each edge running downwards past all boxes on its way.

Sugiyama, Tagawa & Toda, 'Methods for visual understanding of hierarchical system structures' (1981), with the steps
as in Gansner, Koutsofios, North & Vo, 'A technique for drawing directed graphs' (1993): ranks, order within ranks,
coordinates. The last are found by least squares under the order, rank by rank (isotonic regression; Barlow et al.,
1972), which makes pictures symmetric.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

#: Free space between boxes of a rank, between a line and its neighbours, and between ranks.
GAP, LINE_GAP, RANK_GAP = 22.0, 12.0, 32.0
#: Beside ranks that hold nothing but places where edges come in or leave.
PIN_GAP = 16.0
#: For each pixel that a line goes sideways between two ranks they lie this much further apart, up to twice as far.
SLOPE = 0.05
#: Sweeps that find nothing better before the search for an order ends.
PATIENCE = 6
#: How much edges want to be straight: between boxes, at the end of a long edge, along one. (Gansner et al., section 4,
#: have 1, 2 and 8; here long edges are made straight in the end, and what follows directly is to stand straight below.)
STRAIGHT = (3.0, 1.0, 3.0)


class Item(NamedTuple):
    """A box to be placed.

    Attributes:
        width, height: its size.
        pin: "first" or "last" for a place where edges come in from above, or leave below; else empty.
    """

    width: float
    height: float
    pin: str = ""


class Wire(NamedTuple):
    """An edge between items by their places in the list.

    Attributes:
        out, into: where it leaves and arrives, from the middle of the box.
        pull: how much it wants to be straight, by others.
    """

    source: int
    target: int
    out: float = 0.0
    into: float = 0.0
    pull: float = 1.0


class Placed(NamedTuple):
    """Where things are; y grows downwards.

    Attributes:
        ranks: of each item.
        order: the items of each rank from left to right, without lines that pass.
        centres: x and y of the middle of each item.
        routes: for each wire the points that it runs through, at each rank it passes two.
        width, height: of the whole.
        crossings: how often lines cross.
    """

    ranks: list[int]
    order: list[list[int]]
    centres: list[tuple[float, float]]
    routes: list[list[tuple[float, float]]]
    width: float
    height: float
    crossings: int


def layered(items: Sequence[Item], wires: Sequence[Wire]) -> Placed:
    """Place items so that every wire runs downwards; the wires must have no cycle.

    >>> found = layered([Item(10, 10)] * 4, [Wire(0, 1), Wire(0, 2), Wire(1, 3), Wire(2, 3)])
    >>> found.ranks, found.order, found.crossings
    ([0, 1, 1, 2], [[0], [1, 2], [3]], 0)
    """
    ranks = ranked(items, wires)
    net = _Net(items, wires, ranks)
    crossings = net.sort()
    xs = net.spread()
    return net.placed(xs, crossings)


def ranked(items: Sequence[Item], wires: Sequence[Wire]) -> list[int]:
    """Ranks such that every wire goes down by one or more, and the sum of their lengths is small.

    The longest path from above gives the fewest ranks; then items with more wires below than above go down as far as
    they can (weights stand just above where they are used), and those with more above go up.
    """
    n = len(items)
    below: list[list[int]] = [[] for _ in range(n)]
    above: list[list[int]] = [[] for _ in range(n)]
    for s, t in {(w.source, w.target) for w in wires}:
        below[s].append(t)
        above[t].append(s)
    waiting = [len(a) for a in above]
    order = [i for i in range(n) if not waiting[i]]
    for i in order:
        for j in below[i]:
            waiting[j] -= 1
            if not waiting[j]:
                order.append(j)
    first = 1 if any(i.pin == "first" for i in items) else 0
    ranks = [0] * n
    for i in order:
        ranks[i] = 0 if items[i].pin == "first" else max((ranks[j] + 1 for j in above[i]), default=first)
    for _ in range(2):
        for i in reversed(order):
            if len(below[i]) > len(above[i]) and items[i].pin != "first":
                ranks[i] = min(ranks[j] for j in below[i]) - 1
        for i in order:
            if len(above[i]) > len(below[i]) and below[i]:
                ranks[i] = max(ranks[j] for j in above[i]) + 1
    last = max((r for i, r in enumerate(ranks) if items[i].pin != "last"), default=0) + 1
    return [last if items[i].pin == "last" else r for i, r in enumerate(ranks)]


#: The other end of a link, where it is at from the middle there and from the middle here, and how much it pulls.
End = tuple[int, float, float, float]


class _Net:
    """Items and, on every rank that a long wire passes, a point of it; wires that leave at one place share points."""

    def __init__(self, items: Sequence[Item], wires: Sequence[Wire], ranks: list[int]) -> None:
        self.items, self.wires, self.ranks = items, wires, list(ranks)
        self.widths = [i.width for i in items]
        self.paths: list[list[int]] = []
        trunks: dict[tuple[int, float, int], int] = {}
        links: dict[tuple[int, int, float, float], float] = {}  # upper, lower, out, into; how much it pulls
        for w in wires:
            path, out = [w.source], w.out
            for rank in range(ranks[w.source] + 1, ranks[w.target]):
                point = trunks.get((w.source, w.out, rank))
                if point is None:
                    point = trunks[w.source, w.out, rank] = len(self.widths)
                    self.widths.append(0.0)
                    self.ranks.append(rank)
                link = path[-1], point, out, 0.0
                links[link] = max(links.get(link, 0.0), w.pull)
                path.append(point)
                out = 0.0
            link = path[-1], w.target, out, w.into
            links[link] = max(links.get(link, 0.0), w.pull)
            self.paths.append([*path, w.target])
        size = len(self.widths)
        self.above: list[list[End]] = [[] for _ in range(size)]
        self.below: list[list[End]] = [[] for _ in range(size)]
        for (a, b, out, into), pull in links.items():
            pull *= STRAIGHT[(a >= len(items)) + (b >= len(items))]
            self.below[a].append((b, into, out, pull))
            self.above[b].append((a, out, into, pull))
        self.rows: list[list[int]] = []

    # --- order -----------------------------------------------------------------------------------

    def sort(self) -> int:
        """Order the ranks; the crossings of the best order found.

        From each of two first orders, ranks are sorted by barycentres, downwards and upwards in turn.
        """
        size = len(self.widths)
        rows: list[list[int]] = []
        best = -1
        for toward in (self.above, self.below):
            self._start(toward)
            found = self._crossings()
            stale = 0
            for sweep in range(max(4, min(24, 600_000 // (size + 1)))):
                if best < 0 or found < best:
                    best, rows, stale = found, [list(r) for r in self.rows], 0
                if best == 0 or stale > PATIENCE:
                    break
                down = sweep % 2 == 0
                for r in range(1, len(self.rows)) if down else range(len(self.rows) - 2, -1, -1):
                    self._by_barycentre(r, self.above if down else self.below)
                if size < 6000:
                    self._swap()
                found = self._crossings()
                stale += 1
            if best == 0 or size > 1500:
                break
        self.rows = rows
        return best

    def _start(self, toward: list[list[End]]) -> None:
        """A first order: depth first, so that what hangs together stands together."""
        size = len(self.widths)
        self.rows = [[] for _ in range(max(self.ranks, default=0) + 1)]
        seen = [False] * size
        for root in sorted(range(size), key=self.ranks.__getitem__, reverse=toward is self.above):
            todo = [root]
            while todo:
                i = todo.pop()
                if not seen[i]:
                    seen[i] = True
                    self.rows[self.ranks[i]].append(i)
                    todo += [j for j, *_ in reversed(toward[i])]

    def _keys(self, row: Sequence[int]) -> dict[int, tuple[int, float]]:
        return {i: (k, self.widths[i] or 1.0) for k, i in enumerate(row)}

    def _by_barycentre(self, r: int, toward: list[list[End]]) -> None:
        row = self.rows[r]
        other = self.rows[r - 1] if toward is self.above else self.rows[r + 1]
        places = self._keys(other)
        wanted: list[float] = []
        free: list[bool] = []
        for k, i in enumerate(row):
            ends = toward[i]
            free.append(bool(ends))
            total = 0.0
            for j, end, own, _ in ends:
                place, width = places[j]
                total += place + end / width - (own / self.widths[i] if self.widths[i] else 0.0) * 1e-3
            wanted.append(total / len(ends) if ends else float(k))
        # What has no wire this way keeps its place; the others are sorted among theirs.
        moving = sorted((k for k in range(len(row)) if free[k]), key=lambda k: wanted[k])
        slots = (k for k in range(len(row)) if free[k])
        new = list(row)
        for slot, k in zip(slots, moving, strict=True):
            new[slot] = row[k]
        self.rows[r] = new

    def _swap(self) -> None:
        """Swap neighbours wherever that takes crossings away (Gansner et al., section 3, 'transpose')."""
        for _ in range(4):
            better = False
            for r, row in enumerate(self.rows):
                up = self._keys(self.rows[r - 1]) if r else {}
                down = self._keys(self.rows[r + 1]) if r + 1 < len(self.rows) else {}
                ends = {
                    i: (
                        sorted(up[j][0] + end / up[j][1] for j, end, *_ in self.above[i]),
                        sorted(down[j][0] + end / down[j][1] for j, end, *_ in self.below[i]),
                    )
                    for i in row
                }
                for k in range(len(row) - 1):
                    a, b = ends[row[k]], ends[row[k + 1]]
                    now = _inversions(a[0], b[0]) + _inversions(a[1], b[1])
                    if now and now > _inversions(b[0], a[0]) + _inversions(b[1], a[1]):
                        row[k], row[k + 1] = row[k + 1], row[k]
                        better = True
            if not better:
                break

    def _crossings(self) -> int:
        total = 0
        for r in range(len(self.rows) - 1):
            lower = self._keys(self.rows[r + 1])
            ends: list[float] = []
            for i in self.rows[r]:  # from the left end of each box to its right
                at = sorted((own, lower[j][0] + end / lower[j][1]) for j, end, own, _ in self.below[i])
                ends += [end for _, end in at]
            passed: list[float] = []
            for end in ends:
                total += len(passed) - bisect_right(passed, end)
                insort(passed, end)
        return total

    # --- coordinates -----------------------------------------------------------------------------

    def spread(self) -> list[float]:
        """The x of the middle of everything."""
        both = [a + b for a, b in zip(self.above, self.below, strict=True)]
        steps = [self._steps(row) for row in self.rows]
        xs = [0.0] * len(self.widths)
        for row, step in zip(self.rows, steps, strict=True):
            middle = step[-1] / 2 if step else 0.0
            for i, x in zip(row, step, strict=True):
                xs[i] = x - middle
        downwards = range(len(self.rows))
        rounds = max(2, min(8, 100_000 // (len(self.widths) + 1)))
        for _ in range(rounds):
            for toward, sweep in ((self.above, downwards), (self.below, reversed(downwards))):
                for r in sweep:
                    self._settle(self.rows[r], steps[r], toward, xs)
        for _ in range(rounds):
            for sweep in (downwards, reversed(downwards)):
                for r in sweep:
                    self._settle(self.rows[r], steps[r], both, xs)
        self._straighten(xs)
        return xs

    def _straighten(self, xs: list[float]) -> None:
        """Let long wires run straight down as far as the boxes beside them leave room."""
        items = len(self.items)
        beside = {i: (row, k) for row in self.rows for k, i in enumerate(row) if i >= items}
        for start in range(items, len(self.widths)):
            if any(j >= items for j, *_ in self.above[start]):
                continue  # not the first point of its wire
            run: list[int] = []
            low, high = -inf, inf
            point: int | None = start
            while point is not None:
                left, right = self._room(*beside[point], xs)
                if max(low, left) > min(high, right):
                    _align(run, low, high, xs)
                    run, low, high = [], -inf, inf
                run.append(point)
                low, high = max(low, left), min(high, right)
                point = next((j for j, *_ in self.below[point] if j >= items), None)
            _align(run, low, high, xs)

    def _room(self, row: Sequence[int], k: int, xs: list[float]) -> tuple[float, float]:
        """How far a point may move to the left and to the right between its neighbours."""
        left = right = inf
        if k:
            left = xs[row[k]] - xs[row[k - 1]] - self.widths[row[k - 1]] / 2 - LINE_GAP
        if k + 1 < len(row):
            right = xs[row[k + 1]] - xs[row[k]] - self.widths[row[k + 1]] / 2 - LINE_GAP
        return xs[row[k]] - max(left, 0.0), xs[row[k]] + max(right, 0.0)

    def _steps(self, row: Sequence[int]) -> list[float]:
        """The least x of each of a row, from the first one's."""
        found: list[float] = []
        x = 0.0
        for k, i in enumerate(row):
            if k:
                before = row[k - 1]
                gap = GAP if self.widths[i] and self.widths[before] else LINE_GAP
                x += (self.widths[before] + self.widths[i]) / 2 + gap
            found.append(x)
        return found

    def _settle(self, row: Sequence[int], steps: Sequence[float], toward: list[list[End]], xs: list[float]) -> None:
        """Put each of a row where its neighbours want it, as near as order and size allow, by least squares."""
        blocks: list[tuple[float, float, int]] = []  # mean of what is wanted, weight, how many
        for i, step in zip(row, steps, strict=True):
            total = weight = 0.0
            for j, end, own, pull in toward[i]:
                total += pull * (xs[j] + end - own)
                weight += pull
            if not weight:
                total, weight = 1e-3 * xs[i], 1e-3
            value, count = total / weight - step, 1
            while blocks and blocks[-1][0] > value:
                other, more, how_many = blocks.pop()
                value = (value * weight + other * more) / (weight + more)
                weight += more
                count += how_many
            blocks.append((value, weight, count))
        k = 0
        for value, _, count in blocks:
            for _ in range(count):
                xs[row[k]] = value + steps[k]
                k += 1

    # --- the result ------------------------------------------------------------------------------

    def placed(self, xs: list[float], crossings: int) -> Placed:
        """Coordinates from the left and the top, and the routes of the wires."""
        n = len(self.items)
        left = min((xs[i] - self.widths[i] / 2 for i in range(len(xs))), default=0.0)
        right = max((xs[i] + self.widths[i] / 2 for i in range(len(xs))), default=0.0)
        xs = [x - left for x in xs]
        tops: list[float] = []
        heights: list[float] = []
        y = gap = 0.0
        for row in self.rows:
            if any(i < n and self.items[i].pin == "last" for i in row):
                y -= min(gap, RANK_GAP) - PIN_GAP
            tops.append(y)
            heights.append(max((self.items[i].height for i in row if i < n), default=0.0))
            gap = PIN_GAP if any(i < n and self.items[i].pin for i in row) else RANK_GAP
            wide = max((abs(xs[i] + own - xs[j] - end) for i in row for j, end, own, _ in self.below[i]), default=0.0)
            gap += min(SLOPE * wide, RANK_GAP)
            y += heights[-1] + gap
        mid = lambda i: tops[self.ranks[i]] + heights[self.ranks[i]] / 2
        routes: list[list[tuple[float, float]]] = []
        for wire, path in zip(self.wires, self.paths, strict=True):
            s, t = wire.source, wire.target
            points = [(xs[s] + wire.out, mid(s) + self.items[s].height / 2)]
            if heights[self.ranks[s]] > self.items[s].height:
                points.append((points[0][0], tops[self.ranks[s]] + heights[self.ranks[s]]))
            for p in path[1:-1]:
                points += [(xs[p], tops[self.ranks[p]]), (xs[p], tops[self.ranks[p]] + heights[self.ranks[p]])]
            end = (xs[t] + wire.into, mid(t) - self.items[t].height / 2)
            if heights[self.ranks[t]] > self.items[t].height:
                points.append((end[0], tops[self.ranks[t]]))
            routes.append([*points, end])
        order = [[i for i in row if i < n] for row in self.rows]
        centres = [(xs[i], mid(i)) for i in range(n)]
        return Placed(self.ranks[:n], order, centres, routes, right - left, max(y - gap, 0.0), crossings)


def _align(run: Sequence[int], low: float, high: float, xs: list[float]) -> None:
    """One x for all points of a run: their mean, as near as the room allows."""
    if run:
        x = min(max(sum(xs[i] for i in run) / len(run), low), high)
        for i in run:
            xs[i] = x


def _inversions(a: Sequence[float], b: Sequence[float]) -> int:
    """How many pairs of wires cross, of a box with ends `a` and one to the right of it with ends `b`; both sorted."""
    total = k = 0
    for end in a:
        while k < len(b) and b[k] < end:
            k += 1
        total += k
    return total
