"""Boxes lie apart, groups hold their own, edges run down from box to box; ranks, order and folding."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from typing import Any

import pytest

import backlit as bl
from backlit.explain.tape import tape_of
from backlit.show.graph.folding import chosen, folded
from backlit.show.graph.groups import Group
from backlit.show.graph.layered import Item, Wire, layered
from backlit.show.graph.layout import Box, Layout, layout
from backlit.show.graph.scene import Scene, SceneEdge, SceneNode, scene_of

from .networks import NETWORKS, lstm


def apart(a: Box, b: Box) -> bool:
    return a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y


def holds(outer: Box, inner: Box) -> bool:
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width + 1e-6
        and inner.y + inner.height <= outer.y + outer.height + 1e-6
    )


def faults(found: Layout) -> list[str]:
    """What is wrong with a layout."""
    scene, wrong = found.scene, []
    places = {n.id: (n.group, found.boxes[n.id]) for n in scene.nodes}
    places |= {key: (scene.groups[key].parent, box) for key, box in found.group_boxes.items()}
    for (a, (_, one)), (b, (_, other)) in combinations(places.items(), 2):
        nested = a in scene.groups and a in scene.within(places[b][0])
        nested |= b in scene.groups and b in scene.within(places[a][0])
        if not nested and not apart(one, other):
            wrong.append(f"{a} and {b} overlap")
    wrong += [
        f"{a} is not in its group" for a, (g, box) in places.items() if g and not holds(found.group_boxes[g], box)
    ]
    for e, points in found.routes.items():
        source, target = found.boxes[e.source], found.boxes[e.target]
        (x, y), (end, low) = points[0], points[-1]
        if not (source.x <= x <= source.x + source.width and y == pytest.approx(source.y + source.height)):
            wrong.append(f"{e} does not leave its source")
        if not (target.x <= end <= target.x + target.width and low == pytest.approx(target.y)):
            wrong.append(f"{e} does not arrive")
        if any(b[1] < a[1] - 1e-6 for a, b in pairwise(points)):
            wrong.append(f"{e} runs upwards")
        wrong += [
            f"{e} runs through {n}" for n, box in found.boxes.items() if n not in e[:2] and runs_through(points, box)
        ]
    wrong += [f"{e} does not go down" for e in scene.edges if found.ranks[e.source] >= found.ranks[e.target]]
    return wrong


def runs_through(points: list[Any], box: Box) -> bool:
    """Does a route touch a box, bends taken as what they span at most?"""
    for (x, y), (u, v) in pairwise(points):
        inside = y < box.y + box.height - 1e-6 and v > box.y + 1e-6
        if inside and min(x, u) < box.x + box.width and max(x, u) > box.x:
            return True
    return False


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("collapse", [False, "auto", True, 1])
def test_every_network_is_laid_out_cleanly(name: str, collapse: Any) -> None:
    scene = scene_of(NETWORKS[name]())
    assert faults(layout(scene, chosen(scene, collapse))) == []


def test_the_check_of_layouts_finds_faults() -> None:
    scene = scene_of(NETWORKS["xor"]())
    good = layout(scene)
    moved = {**good.boxes, "n5": good.boxes["n6"]}
    assert len(faults(good._replace(boxes=moved))) >= 3
    assert any("runs through" in f for f in faults(good._replace(boxes={**good.boxes, "n5": Box(0, 0, 500, 900)})))


def test_known_graphs_have_no_more_crossings_than_they_must() -> None:
    tree = [Wire((i - 1) // 2, i) for i in range(1, 31)]
    k33 = [Wire(i, 3 + j) for i in range(3) for j in range(3)]  # complete, in two ranks: C(3,2)² = 9
    cube = [Wire(a, a | 1 << k) for a in range(8) for k in range(3) if not a >> k & 1]
    for wires, least in ((tree, 0), (k33, 9), (cube, 2)):
        size = max(w.target for w in wires) + 1
        shuffled = random.Random(0).sample(range(size), size)
        found = layered([Item(10, 10)] * size, [Wire(shuffled[w.source], shuffled[w.target]) for w in wires])
        assert found.crossings == least


def test_a_symmetric_graph_is_drawn_symmetrically() -> None:
    found = layered([Item(10, 10)] * 4, [Wire(0, 1), Wire(0, 2), Wire(1, 3), Wire(2, 3)])
    x = [c[0] for c in found.centres]
    assert x[0] == pytest.approx(x[3])
    assert x[1] + x[2] == pytest.approx(2 * x[0])


def test_a_large_graph_is_laid_out_as_small_ones_are() -> None:
    size, rng = 5000, random.Random(1)
    wires = {Wire(rng.randrange(max(0, i - 20), i), i) for i in range(1, size) for _ in range(rng.choice((1, 1, 2)))}
    found = layered([Item(80, 40)] * size, sorted(wires))
    assert sorted(i for rank in found.order for i in rank if i < size) == list(range(size))
    assert all(found.ranks[a] < found.ranks[b] for a, b, *_ in wires)


def test_folding_joins_edges_and_keeps_the_graph_free_of_cycles() -> None:
    scene = scene_of(lstm())
    turns = frozenset(k for k, g in scene.groups.items() if g.kind == "turn")
    small = folded(scene, turns)
    assert [n.label for n in small.nodes if n.kind == "group"] == [f"turn {i}" for i in range(5)]
    places = {n.id: i for i, n in enumerate(small.nodes)}
    assert all(places[e.source] < places[e.target] for e in small.edges)
    (recurrent,) = (n for n in small.nodes if n.label.endswith("recurrent"))
    assert sum(e.source == recurrent.id for e in small.edges) == 5
    assert chosen(scene, "auto") == turns


def test_long_loops_have_one_group_for_their_middle() -> None:
    tape = tape_of(lambda w, xs: bl.scan(lambda c, x: (bl.tanh(w * c + x), c), 0.5, xs)[0], 0.3, bl.ones(50))
    titles = [g.title for g in scene_of(tape).groups.values() if g.kind == "turn"]
    assert titles == ["turn 0", "turn 1", "turns 2 to 47", "turn 48", "turn 49"]


def test_a_path_that_is_not_there_is_named() -> None:
    scene = scene_of(NETWORKS["xor"]())
    assert [scene.groups[k].title for k in chosen(scene, "1")] == ["1: Dense"]
    with pytest.raises(bl.ArgumentError, match=r"no group has the path 'layers'; there are '', '0', '1'"):
        chosen(scene, ["layers"])


def random_scene(rng: random.Random) -> Scene:
    """A graph in random groups within groups, each an interval of nodes."""
    size = rng.randrange(1, 60)
    groups: dict[str, Group] = {}
    inside = [""] * size

    def split(start: int, stop: int, parent: str, depth: int) -> None:
        while start < stop:
            end = start + 1
            if depth < 4 and rng.random() < 0.25:
                end = rng.randrange(start + 1, stop + 1)
                key = f"g{len(groups)}"
                groups[key] = Group(key, "title " * rng.randrange(1, 7), key, parent, "layer")
                inside[start:end] = [key] * (end - start)
                split(start, end, key, depth + 1)
            start = end

    split(0, size, "", 0)
    nodes = [
        SceneNode(f"n{i}", "n" * rng.randrange(1, 25), "", "op", inside[i], (), "", "", 1.0, "", None, "op")
        for i in range(size)
    ]
    edges = [
        SceneEdge(f"n{rng.randrange(max(0, i - rng.choice((3, 10, 60))), i)}", f"n{i}", slot, 1.0)
        for i in range(1, size)
        for slot in range(rng.choice((0, 1, 1, 2, 2, 3, 6)))
    ]
    return Scene(nodes, edges, groups, f"n{size - 1}")


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_in_random_groups_are_laid_out_cleanly(seed: int) -> None:
    rng = random.Random(seed)
    scene = random_scene(rng)
    for keys in (frozenset(), chosen(scene, True), frozenset(k for k in scene.groups if rng.random() < 0.3)):
        assert faults(layout(scene, keys)) == []
