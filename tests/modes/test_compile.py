"""`bl.compile`: what a compiled function returns, what is traced when, and what is refused."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

import backlit as bl
from backlit import optim, static
from backlit.base.trees import leaves

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([[0], [1], [1], [0]], np.float32)


def near(found: Any, expected: Any) -> None:
    """Equal trees, up to rounding."""
    assert isinstance(found, bl.Tensor) or type(found) is type(expected)
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert isinstance(a, bl.Tensor)
        b = b if isinstance(b, bl.Tensor) else bl.tensor(b)
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def start() -> dict[str, Any]:
    one, two = bl.random.split(bl.random.key(1))
    return {
        "hidden": {"w": bl.random.normal(one, (2, 4)), "b": bl.zeros(4)},
        "output": {"w": bl.random.normal(two, (4, 1)), "b": bl.zeros(1)},
    }


def loss(p: Any, x: Any, y: Any) -> bl.Tensor:
    hidden = bl.tanh(x @ p["hidden"]["w"] + p["hidden"]["b"])
    return bl.mean((bl.sigmoid(hidden @ p["output"]["w"] + p["output"]["b"]) - y) ** 2)


ADAM = optim.adam(0.05)


def step(p: Any, state: Any, x: Any, y: Any) -> Any:
    value, gradient = bl.value_and_grad(loss)(p, x, y)
    return (*ADAM.update(p, gradient, state), value)


# --- the same results ----------------------------------------------------------------------------------


def test_a_whole_training_step() -> None:
    fast = bl.compile(step, donate=("p", "state"))
    p, state = start(), ADAM.init(start())
    q, other = start(), ADAM.init(start())
    for _ in range(30):
        p, state, value = fast(p, state, X, Y)
        q, other, expected = step(q, other, X, Y)
    near(value, expected)
    near(p, q)
    near(state, other)
    assert fast.traces == 1


def test_as_a_decorator_with_and_without_arguments() -> None:
    @bl.compile
    def double(x: Any) -> Any:
        """Twice x."""
        return x * 2

    @bl.compile(threads=1)
    def triple(x: Any) -> Any:
        return x * 3

    assert (double(2.0).item(), triple(2.0).item()) == (4, 6)
    assert (double.__name__, double.__doc__) == ("double", "Twice x.")
    assert "double" in repr(double)


def test_a_method() -> None:
    @dataclass
    class Line:
        slope: Any
        name: str = field(default="line", metadata={"static": True})

        @bl.compile
        def at(self, x: Any) -> Any:
            return self.slope * x

    assert Line(2.0).at(3.0).item() == 6
    assert Line(3.0).at(3.0).item() == 9
    assert Line.at.traces == 1
    assert Line(3.0, "other").at(3.0).item() == 9
    assert Line.at.traces == 2


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Layer:
    w: Any
    b: Any
    name: str = field(default="layer", metadata={"static": True})


TREES: list[Any] = [
    1.5, (1.0, 2.0), [1.0, [2.0]], {"b": 1.0, "a": (2.0,)}, Pair(1.0, {"x": [2.0]}), Layer(1.0, np.ones(2, "f")),
    {"none": None, "x": 1.0}, ((), [], {}, 1.0), OrderedDict(b=1.0, a=2.0), {1: 1.0, "1": 2.0},
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_trees_go_in_and_come_out(tree: Any) -> None:
    def f(t: Any) -> Any:
        return bl.base.trees.tree_map(lambda x: x * 2, t)

    fast = bl.compile(f)
    for _ in range(3):
        near(fast(tree), f(tree))
    assert fast.traces == 1


def test_a_default_dict_comes_back_as_one() -> None:
    given = defaultdict(list, x=1.0)
    found = bl.compile(lambda t: bl.base.trees.tree_map(lambda x: x + 1, t))(given)
    assert isinstance(found, defaultdict)
    assert found["new"] == []
    assert found["x"].item() == 2


def test_what_is_no_array_comes_back_as_it_was() -> None:
    fast = bl.compile(lambda x: {"y": x + 1, "name": "plus", "count": 3, "none": None, "parts": (True, 2.5)})
    for _ in range(2):
        found = fast(1.0)
        assert (found["name"], found["count"], found["none"], found["parts"]) == ("plus", 3, None, (True, 2.5))


def test_inputs_and_constants_handed_through() -> None:
    table = np.arange(3.0)
    fast = bl.compile(lambda x, y: (x, x, table, bl.ones(2), y * 2))
    given, array = bl.tensor([1.0, 2.0]), np.array([1.0, 2.0])
    for x in (given, array):
        same, again, constant, ones, _ = fast(x, 1.0)
        near((same, again, constant, ones), (bl.tensor(x), bl.tensor(x), bl.tensor(table), bl.ones(2)))
    same = fast(array, 1.0)[0]
    array[:] = 9  # the caller's own array is not what the Tensor holds
    assert same.tolist() == [1, 2]
    assert bl.compile(lambda x: x)(given).tolist() == [1, 2]
    assert bl.compile(lambda: bl.ones(3))().tolist() == [1, 1, 1]


def test_kinds_of_arrays(tmp_path: Any) -> None:
    fast = bl.compile(lambda x: bl.sum(x * 2))
    array = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    expected = array.sum() * 2
    file = np.memmap(tmp_path / "array", np.float32, "w+", shape=(3, 4))
    file[:] = array
    arrays = (
        array, bl.tensor(array), np.asfortranarray(array), np.stack([array, array], -1)[..., 0], array.astype(">f4"),
        file, bl.asarray(file, copy=False),
    )  # fmt: skip
    for x in arrays:
        assert fast(x).item() == expected
        assert fast(x).item() == expected
    assert fast.traces == 1
    for one in (np.float32(3), np.array(3, np.float32), bl.tensor(3.0), bl.asarray(np.array(3, np.float32)), 3.0):
        assert fast(one).item() == 6
        assert fast(one).item() == 6
    assert fast.traces == 2


def test_loops_and_branches_that_depend_on_values() -> None:
    def collatz(n: Any) -> Any:
        return bl.while_loop(
            lambda s: s[0] > 1,
            lambda s: (bl.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1),
            (n, 0),
        )[1]

    fast = bl.compile(collatz)
    assert [fast(n).item() for n in (1, 6, 27)] == [0, 8, 111]
    absolute = bl.compile(lambda x: bl.cond(x > 0, lambda x: x, lambda x: -x, x))
    assert [absolute(x).item() for x in (2.0, -3.0)] == [2, 3]
    total = bl.compile(lambda n: bl.fori_loop(0, n, lambda i, x: x + i, 0))
    assert [total(n).item() for n in (4, 5)] == [6, 10]


# --- what is traced, and when ----------------------------------------------------------------------------


def test_one_trace_for_each_signature() -> None:
    calls: list[int] = []

    @bl.compile
    def f(x: Any, scale: Any = 1.0) -> Any:
        calls.append(1)
        return x * scale

    for x in (np.ones(2, "f"), bl.ones(2), np.zeros(2, "f")):
        for scale in (1.0, 2.5, bl.tensor(3.0), np.float32(4)):
            near(f(x, scale), bl.tensor(x) * scale)
    assert len(calls) == f.traces == 1
    f(np.ones(3, "f"), 1.0)  # another shape
    f(np.ones(2, "d"), 1.0)  # another dtype
    f([np.ones(2, "f")][0], scale=1.0)  # another form of the call
    f(np.ones(2, "f"))
    assert f.traces == 5
    with bl.settings(default_dtype=bl.float64):
        f(np.ones(2, "f"))
    assert f.traces == 6
    f(np.ones(2, "f"), 2.0)
    assert f.traces == 6


def test_numbers_take_the_dtype_of_the_arrays_beside_them() -> None:
    f = bl.compile(lambda x, a: x * a)
    for dtype in (np.float32, np.float64, np.float16):
        found = f(np.ones(2, dtype), 0.1)
        assert found.dtype == dtype
        assert found[0].numpy() == dtype(0.1)
    assert f(np.ones(2, np.float32), 3).dtype == np.float32
    assert f(2.0, 3.0).dtype == np.float32
    assert f(2, 3).dtype == np.int64
    assert bl.compile(lambda x: ~x)(True).dtype == np.bool_


def test_static_arguments_are_part_of_the_signature() -> None:
    @bl.compile(static_argnames=("power", "mode"))
    def f(x: Any, power: Any, *, mode: str = "plain") -> Any:
        y = x
        for _ in range(power - 1):
            y = y * x
        return -y if mode == "minus" else y

    assert [f(2.0, n).item() for n in (1, 2, 3, 3, 2)] == [2, 4, 8, 8, 4]
    assert f.traces == 3
    assert f(2.0, 2, mode="minus").item() == -4
    assert f(2.0, power=3, mode="plain").item() == 8
    assert f.traces == 5
    g = bl.compile(lambda x, flag: x + 1 if flag is True else x, static_argnames="flag")
    assert [g(1.0, flag).item() for flag in (True, 1, True, 1)] == [2, 1, 2, 1]  # 1 == True


def test_many_signatures_in_turn() -> None:
    f = bl.compile(lambda x: bl.sum(x))
    for _ in range(3):
        for n in range(20):
            assert f(np.ones(n, "f")).item() == n
    assert f.traces == 20


def test_the_order_of_a_dict_belongs_to_its_structure() -> None:
    f = bl.compile(lambda d: next(iter(d.values())) * 10)
    assert f({"a": 1.0, "b": 2.0}).item() == 10
    assert f({"b": 2.0, "a": 1.0}).item() == 20
    assert f({"a": 1.0, "b": 2.0}).item() == 10


def test_a_compiled_function_inside_another_is_part_of_it() -> None:
    inner = bl.compile(lambda x: bl.sin(x) * x)
    outer = bl.compile(lambda x: bl.grad(inner)(x) + inner(x))
    near(outer(0.5), bl.grad(lambda x: bl.sin(x) * x)(0.5) + np.float32(np.sin(0.5) * 0.5))
    assert inner.traces == 0
    scale = bl.compile(lambda x: bl.compile(lambda: x * 2)())  # closes over what is being traced
    assert scale(3.0).item() == 6
    with static.Graph().as_default(), static.Session() as session:
        p = static.placeholder("float32", ())
        assert session.run(inner(p), {p: 1.0}) == np.float32(np.sin(np.float32(1)))


@pytest.mark.usefixtures("on_numpy")
def test_the_plan_can_be_looked_at() -> None:
    f = bl.compile(lambda x: bl.exp(x) * 2)
    plan = f.plan(np.ones(3, "f"))
    assert next(n.op.name for n in plan.graph.nodes) == "exp"
    assert "exp" in plan.source
    assert f.plan(1.0) is f.plan(2.0)
    f(np.ones(3, "f"))
    assert f.traces == 2


# --- differentiating what is compiled --------------------------------------------------------------------


def test_derivatives_pass_through() -> None:
    fast = bl.compile(loss)
    near(bl.grad(fast)(start(), X, Y), bl.grad(loss)(start(), X, Y))
    cube = bl.compile(lambda x: x * x * x)
    x = bl.tensor(2.0, requires_grad=True)
    y = cube(x) * 3
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 36
    f = lambda x: bl.sum(bl.sin(x) * x)
    v = bl.tensor([0.5, -1.0], bl.float64)
    near(bl.hessian(bl.compile(f))(v), bl.hessian(f)(v))
    near(bl.jvp(bl.compile(f), [v], [v]), bl.jvp(f, [v], [v]))
    near(bl.grad(bl.grad(bl.grad(cube)))(2.0), bl.tensor(6.0))
    mixed = bl.compile(lambda x, i: {"y": x[i] * 2, "i": i + 1, "x": x, "name": "mixed"})
    near(bl.grad(lambda x: mixed(x, 1)["y"] + mixed(x, 0)["x"].sum())(v), bl.tensor([1.0, 3.0], bl.float64))


def test_nothing_is_recorded_inside_no_grad() -> None:
    x = bl.tensor(2.0, requires_grad=True)
    f = bl.compile(lambda x: x * x)
    for _ in range(2):
        with bl.no_grad():
            assert not f(x).requires_grad
        assert f(x).requires_grad
    assert f.traces == 1


def test_a_tensor_closed_over_is_read_in_each_call_and_gets_its_gradient() -> None:
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    f = bl.compile(lambda x: (w * x).sum())
    f(np.ones(2, "f")).backward()
    assert w.grad is not None
    assert w.grad.tolist() == [1, 1]
    with bl.no_grad():
        w += 1
        assert f(np.ones(2, "f")).item() == 5
    assert f(np.ones(2, "f")).item() == 5
    assert f.traces == 1
    with bl.no_grad():
        w._become(bl.ones(1), "a test")
    assert f(np.ones(2, "f")).item() == 2
    assert f.traces == 2


def test_what_is_closed_over_otherwise_is_a_constant() -> None:
    w = bl.tensor([1.0, 2.0])
    f = bl.compile(lambda x: (w * x).sum())
    assert f(1.0).item() == 3
    w += 1
    assert f(1.0).item() == 3


# --- donation ----------------------------------------------------------------------------------------------

SPENT = r"donated to step\(\.\.\.\) at test_compile\.py:\d+.*use the tensor that step returned"

USES: dict[str, Any] = {
    "arithmetic": lambda t: t + 1, "from the right": lambda t: 1 - t, "numpy": lambda t: t.numpy(),
    "np.asarray": np.asarray, "shape": lambda t: t.shape, "function": bl.exp, "index": lambda t: t[0],
    "format": lambda t: f"{t:.2f}", "sum": bl.sum, "copy": bl.Tensor, "compiled": bl.compile(lambda t: t),
    "requires grad": lambda t: setattr(t, "requires_grad", True), "join": lambda t: bl.concat([t, t]),
    "where": lambda t: bl.where(True, t, t), "bool": bool, "len": len, "in place": lambda t: t.__iadd__(1),
    "write": lambda t: t.__setitem__(0, 1.0), "dlpack": np.from_dlpack, "scan": lambda t: bl.cumulative_sum(t),
}  # fmt: skip


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_donated_tensor_is_not_used_again(use: Any) -> None:
    def step(w: Any, x: Any) -> Any:
        return w - x

    w = bl.tensor([1.0, 2.0])
    bl.compile(step, donate=0)(w, np.ones(2, "f"))
    with pytest.raises(bl.GraphError, match=SPENT):
        use(w)


def test_a_donated_tensor_says_so_when_it_is_shown() -> None:
    w = bl.tensor([1.0, 2.0])
    bl.compile(lambda w: w * 2, donate=0)(w)
    assert "donated to lambda at test_compile.py" in repr(w) == str(w)
    assert "donated to lambda" in w._repr_html_()


def test_only_donated_memory_is_taken() -> None:
    f = bl.compile(lambda p, x: ([w * x + 1 for w in p], p[0].sum()), donate=0)
    array = np.ones(4, "f")
    first = bl.ones(4)
    view, value = first[1:], first.numpy()
    out, total = f([first, bl.asarray(array, copy=False)], 2.0)
    assert total.item() == 4
    assert (view.tolist(), value.tolist(), array.tolist()) == ([1] * 3, [1] * 4, [1] * 4)
    (again, _), _ = f(out, 2.0)
    assert again.tolist() == [7] * 4
    raw = np.ones(4, "f")
    f([raw, raw], 2.0)
    assert raw.tolist() == [1] * 4
    twice = bl.ones(4)
    (a, b), _ = f([twice, twice], 3.0)
    assert a.tolist() == b.tolist() == [4] * 4


def test_memory_that_nobody_else_holds_is_taken() -> None:
    taken: list[bool] = []
    plan = lambda values: [values[0]]
    f = bl.compile(lambda p: p + 1, donate=0)
    p = bl.ones(5)
    f.plan(p)
    special = next(iter(f._known.values()))
    special.plan = plan  # hands on what it is given
    for _ in range(3):
        before = p.value.ctypes.data
        p = f(p)
        taken.append(p.value.ctypes.data == before)
    view = p[1:]
    before = p.value.ctypes.data
    p = f(p)
    taken.append(p.value.ctypes.data == before)
    assert taken == [True, True, True, False]
    assert view.tolist() == [1] * 4


def test_what_is_handed_through_from_a_donated_argument_is_good() -> None:
    f = bl.compile(lambda p: {"frozen": p["frozen"], "w": p["w"] + p["frozen"]}, donate="p")
    p = {"frozen": bl.ones(3), "w": bl.zeros(3)}
    for _ in range(3):
        p = f(p)
    assert p["frozen"].tolist() == [1] * 3
    assert p["w"].tolist() == [3] * 3


# --- many threads, many calls --------------------------------------------------------------------------------


def test_eight_threads_at_once() -> None:
    f = bl.compile(lambda x, n: bl.sum(x * x) * n)
    wrong: list[Any] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(40):
            n = int(rng.integers(1, 6))
            x = rng.normal(size=n).astype(np.float32)
            found = f(x, 2.0).item()
            if abs(found - 2 * float((x * x).sum())) > 1e-4:
                wrong.append((x, found))

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert f.traces == 5


def test_memory_stays_flat() -> None:
    f = bl.compile(lambda p, x: {"w": p["w"] * 0.5 + x}, donate="p")
    p = {"w": bl.ones(1000)}
    kept: list[int] = []
    tracemalloc.start()
    for _ in range(3):
        for _ in range(4_000):
            p = f(p, 1.0)
        gc.collect()
        kept.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert kept[2] - kept[1] < 10_000, kept


# --- wrong calls ---------------------------------------------------------------------------------------------


def changes_its_argument(x: Any) -> Any:
    x += 1
    return x


def closes_over_a_result() -> None:
    y = bl.tensor([1.0], requires_grad=True) * 2
    bl.compile(lambda x: x * y)(1.0)


def donates_what_requires_grad() -> None:
    bl.compile(lambda w: w * 2, donate=0)(bl.tensor([1.0], requires_grad=True))


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "no function": (lambda: bl.compile(3), bl.ArgumentError, "expected a function, got 3"),  # type: ignore[call-overload]
    "no threads": (lambda: bl.compile(len, threads=0), bl.ArgumentError, "threads must be 1 or more"),
    "donate a stranger": (lambda: bl.compile(loss, donate="q"), bl.ArgumentError, "'q', which is no argument of loss"),
    "donate beyond": (lambda: bl.compile(loss, donate=7), bl.ArgumentError, "7, which is no argument of loss.*p, x, y"),
    "static and donated": (
        lambda: bl.compile(loss, donate="x", static_argnames="x"), bl.ArgumentError, "'x' of loss is static and donated"
    ),
    "a string": (lambda: bl.compile(loss)("p", X, Y), bl.DtypeError, "loss: p is 'p'.*static_argnames='p'"),
    "a function": (
        lambda: bl.compile(loss)({"hidden": len}, X, Y), bl.DtypeError, r"p\.hidden is <built.*static_argnames='p'"
    ),
    "objects": (lambda: bl.compile(loss)(X, X, np.array([None])), bl.DtypeError, "loss: y: dtype.*not supported"),
    "a big number": (lambda: bl.compile(loss)(2**70, X, Y), bl.DtypeError, "p is 1180.*beyond what int64 holds"),
    "static without hash": (
        lambda: bl.compile(loss, static_argnames="p")([1], X, Y), bl.ArgumentError, "static argument p is .1.*no hash"
    ),
    "a missing argument": (lambda: bl.compile(loss)(start()), TypeError, "missing 2 required"),
    "an argument changed in place": (
        lambda: bl.compile(changes_its_argument)(X), bl.GraphError, r"changes its argument x in place.*x\.clone\(\)"
    ),
    "a result closed over": (
        closes_over_a_result, bl.GradientError, r"multiply at test_compile\.py:\d+.*give it as an argument"
    ),
    "donated and differentiated": (donates_what_requires_grad, bl.GradientError, "w is donated and requires grad"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), WRONG.values(), ids=WRONG.keys())
def test_wrong_call(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"(?s){words}"):
        call()
