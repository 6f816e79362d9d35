"""Crossings of our layered layout beside those of grandalf, another layout after Sugiyama, on the same graphs."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from typing import Any

import pytest

from backlit.show.graph.layered import Item, Wire, layered

graphs: Any = pytest.importorskip("grandalf.graphs")
layouts: Any = pytest.importorskip("grandalf.layouts")


class Box:
    w, h = 80, 40


def crossings_of_grandalf(size: int, edges: list[tuple[int, int]]) -> int:
    vertices = [graphs.Vertex(i) for i in range(size)]
    total = 0
    for part in graphs.Graph(vertices, [graphs.Edge(vertices[a], vertices[b]) for a, b in edges]).C:
        for v in part.sV:
            v.view = Box()
        layout = layouts.SugiyamaLayout(part)
        layout.init_all(optimize=False)
        layout.draw(6)
        place = {v: i for layer in layout.layers for i, v in enumerate(layer)}
        links: dict[int, list[tuple[int, int]]] = {}
        for e in part.sE:
            a, b = sorted(e.v, key=lambda v: layout.grx[v].rank)
            first, last = layout.grx[a].rank, layout.grx[b].rank
            points = [a, *(layout.ctrls[e][r] for r in range(first + 1, last)), b]
            for rank, (upper, lower) in enumerate(pairwise(points), first):
                links.setdefault(rank, []).append((place[upper], place[lower]))
        for row in links.values():
            total += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(row, 2))
    return total


def test_fewer_lines_cross_than_in_another_layout() -> None:
    rng = random.Random(5)
    ours, theirs = 0, 0
    for size, span, more in ((30, 8, 0.5), (60, 10, 0.4), (120, 12, 0.4)) * 3:
        edges = sorted(
            {(rng.randrange(max(0, i - span), i), i) for i in range(1, size) for _ in range(1 + (rng.random() < more))}
        )
        ours += layered([Item(80, 40)] * size, [Wire(a, b) for a, b in edges]).crossings
        theirs += crossings_of_grandalf(size, edges)
    assert ours <= theirs
