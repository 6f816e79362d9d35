"""Running a static graph: what is computed, what is refused, what a run leaves behind."""

from __future__ import annotations

import re

import numpy as np
import pytest

import backlit as bl
from backlit import static
from backlit.graph.defer import defer


@pytest.fixture(autouse=True)
def graph():
    with static.Graph() as g:
        yield g


def here(text: str) -> str:
    """A pattern for a label that names this file."""
    return text + r".* at test_static_session\.py:\d+"


def test_both_imports_are_one_module():
    import backlit.static

    assert bl.static is static
    assert backlit.static.Session is static.Session


# --- fetches -------------------------------------------------------------------------------------------


def test_fetches_keep_their_structure():
    x = static.placeholder("float32", (None,), name="x")
    y = x * 2
    step = static.group(y)
    with static.Session() as session:
        found = session.run({"y": y, "all": [x, (y, step)]}, {x: [1.0, 2.0]})
    np.testing.assert_array_equal(found["y"], np.array([2, 4], "f"))
    assert isinstance(found["all"][1], tuple)
    assert found["all"][1][1] is None
    assert found["y"].dtype == np.float32


def test_scalars_come_back_as_numbers():
    x = static.placeholder("float32", ())
    with static.Session() as session:
        found = session.run(x * 3, {x: 2})
    assert isinstance(found, np.float32)
    assert found == 6


def test_fetch_and_feed_by_name(graph):
    x = static.placeholder("float32", (), name="x")
    with graph.name_scope("head"):
        static.identity(x * 2, name="loss")
    with static.Session() as session:
        assert session.run("head/loss:0", {"x": 4}) == 8
        with pytest.raises(bl.GraphError, match="similar names are head/loss"):
            session.run("other/loss", {"x": 1})


def test_names_are_unique(graph):
    names = [static.placeholder("float32", (), name="x").name for _ in range(3)]
    assert names == ["x", "x_1", "x_2"]
    assert graph.get_tensor_by_name("x_1:0").name == "x_1"


def test_only_what_is_fetched_is_computed_and_only_once():
    calls = []

    def watched(name):
        return lambda v: calls.append(name) or v

    x = static.placeholder("float32", (2,), name="x")
    other = static.placeholder("float32", (2,), name="other")
    a = static.py_func(watched("a"), [x], "float32", name="a")
    b = static.py_func(watched("b"), [a], "float32", name="b")
    c = static.py_func(watched("c"), [a], "float32", name="c")
    static.py_func(watched("d"), [other], "float32", name="d")
    with static.Session() as session:
        session.run([b, c, b], {x: [1, 2]})
    assert sorted(calls) == ["a", "b", "c"]


def test_growing_the_graph_between_runs():
    x = static.placeholder("float32", (None,), name="x")
    with static.Session() as session:
        y = x + 1
        np.testing.assert_array_equal(session.run(y, {x: [1, 2]}), [2, 3])
        z = y * y
        np.testing.assert_array_equal(session.run(z, {x: [1, 2]}), [4, 9])
        np.testing.assert_array_equal(session.run(y, {x: [1, 2]}), [2, 3])


def test_what_is_fetched_may_be_written_to():
    v = static.Variable(np.zeros(3, "f"))
    c = static.constant(np.ones(3, "f"))
    x = static.placeholder("float32", (3,))
    fed = np.ones(3, "f")
    set_v = v.assign(x)
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        for fetch in (v, bl.reshape(v, (3, 1)), c, x, set_v, bl.copy(v)):
            found = session.run(fetch, {x: fed})
            found[...] = 9
        fed[...] = 7
        np.testing.assert_array_equal(session.run(v), np.ones(3))
        np.testing.assert_array_equal(session.run(c), np.ones(3))


def test_constants_are_copies():
    array = np.ones(3, "f")
    x = static.placeholder("float32", (3,))
    c = static.constant(array)
    y = x + array
    z = bl.concat([x, array], axis=0)
    array[...] = 100
    with static.Session() as session:
        for t in session.run([c, y, z], {x: np.zeros(3)}):
            assert t.max() == 1


def test_eager_tensors_enter_as_constants():
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    x = static.placeholder("float32", (2,))
    y = x * w
    with bl.no_grad():
        w += 5  # gives the name another value, not the graph
    with static.Session() as session:
        np.testing.assert_array_equal(session.run(y, {x: [3, 4]}), [3, 8])


# --- feeding -------------------------------------------------------------------------------------------

GOOD_FEEDS = [
    ("a list", "float32", (2,), [1, 2]),
    ("a wider float", "float32", (2,), np.array([0.5, 2.0])),
    ("integers for floats", "float32", (2,), np.array([1, 2])),
    ("an eager tensor", "float32", (2,), bl.tensor([1.0, 2.0])),
    ("small integers for a narrow dtype", "uint8", (2,), [1, 255]),
    ("a number", "float64", (), 3),
    ("booleans", "bool", (1,), [True]),
    ("real for complex", "complex64", (1,), [1.0]),
]


@pytest.mark.parametrize(("dtype", "shape", "value"), [pytest.param(*c, id=n) for n, *c in GOOD_FEEDS])
def test_what_may_be_fed(dtype, shape, value):
    x = static.placeholder(dtype, shape)
    with static.Session() as session:
        found = session.run(bl.copy(x), {x: value})
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.asarray(value))


BAD_FEEDS = [
    ("a wrong size", bl.ShapeError, r"expects shape \(None, 3\), it was fed \(2, 4\)", np.zeros((2, 4))),
    ("a wrong rank", bl.ShapeError, r"it was fed \(3,\)", np.zeros(3)),
    ("complex for real", bl.DtypeError, "expected float32, got complex128", np.zeros((2, 3), complex)),
    ("strings", bl.DtypeError, "cannot make one", [["a", "b", "c"]]),
    ("a ragged list", bl.ShapeError, "rectangular", [[1.0], [1.0, 2.0]]),
]


@pytest.mark.parametrize(("error", "text", "value"), [pytest.param(*c, id=n) for n, *c in BAD_FEEDS])
def test_what_may_not_be_fed(error, text, value):
    x = static.placeholder("float32", (None, 3), name="x")
    y = x * 2
    with static.Session() as session, pytest.raises(error, match=text) as info:
        session.run(y, {x: value})
    assert re.search(here(r"'x' \(placeholder\)"), str(info.value))


@pytest.mark.parametrize(("dtype", "value"), [("int64", [1.5]), ("uint8", [300]), ("uint8", [-1]), ("bool", [2])])
def test_integers_are_not_fed_what_they_cannot_hold(dtype, value):
    x = static.placeholder(dtype, (1,), name="x")
    with static.Session() as session, pytest.raises(bl.DtypeError, match="'x'"):
        session.run(x, {x: value})


def test_a_default_may_be_fed_or_not():
    rate = static.placeholder_with_default(np.float32(0.5), name="rate")
    with static.Session() as session:
        assert session.run(rate * 2) == 1
        assert session.run(rate * 2, {rate: 3.0}) == 6


# --- errors --------------------------------------------------------------------------------------------


def test_unfed_placeholder_is_named_with_its_line():
    x = static.placeholder("float32", (None, 3), name="x")
    y = bl.exp(x)
    with static.Session() as session, pytest.raises(bl.GraphError, match=here(r"'x' \(placeholder\)")) as info:
        session.run(y)
    assert "'exp' (exp)" in str(info.value)
    assert "feed_dict={x: an array of float32(None, 3)}" in str(info.value)


def test_only_placeholders_are_fed():
    x = static.placeholder("float32", ())
    y = x * 2
    with static.Session() as session:
        with pytest.raises(bl.GraphError, match=here("only placeholders are|'multiply'")):
            session.run(y, {y: 1.0})
        with pytest.raises(bl.GraphError, match="eager tensor"):
            session.run(y, {bl.tensor(1.0): 1.0})
        with pytest.raises(bl.ArgumentError, match="expected a placeholder"):
            session.run(y, {3: 1.0})


def test_a_fed_value_must_be_a_value():
    x = static.placeholder("float32", (), name="x")
    y = static.placeholder("float32", (), name="y")
    with static.Session() as session, pytest.raises(bl.GraphError, match=r"'y'.*has no value itself"):
        session.run(x, {x: y})


def test_fetch_from_another_graph():
    with static.Graph():
        stranger = static.placeholder("float32", (), name="stranger")
    with static.Session() as session:
        with pytest.raises(bl.GraphError, match=here("'stranger'") + ".*another graph"):
            session.run(stranger)
        with pytest.raises(bl.GraphError, match="eager tensor"):
            session.run(bl.tensor(1.0))
        with pytest.raises(bl.ArgumentError, match="cannot fetch 3"):
            session.run([3])
        with pytest.raises(bl.ArgumentError, match="a fetch is None"):
            session.run({"a": [None]})


def test_two_graphs_do_not_mix():
    x = static.placeholder("float32", (), name="x")
    with static.Graph():
        y = static.placeholder("float32", (), name="y")
        v = static.Variable(1.0)
    with pytest.raises(bl.GraphError, match="two different graphs"):
        x + y
    with pytest.raises(bl.GraphError, match="two different graphs"):
        bl.concat([bl.reshape(x, (1,)), bl.reshape(y, (1,))])
    with pytest.raises(bl.GraphError, match="two different graphs"):
        static.group(x, y)
    with pytest.raises(bl.GraphError, match="two different graphs"):
        v.assign(x)
    with pytest.raises(bl.GraphError, match="two different graphs"):
        static.gradients(x * x, y)


def test_uninitialised_variable():
    v = static.Variable(1.0, name="v")
    with (
        static.Session() as session,
        pytest.raises(bl.GraphError, match=here("'v'") + ".*global_variables_initializer"),
    ):
        session.run(v + 1)


def test_closed_session():
    x = static.constant(1.0)
    session = static.Session()
    assert session.run(x) == 1
    session.close()
    with pytest.raises(bl.GraphError, match="closed"):
        session.run(x)


def test_an_error_while_running_names_the_node_and_its_line():
    x = static.placeholder("float32", (None,), name="x")
    y = static.placeholder("float32", (None,), name="y")
    total = x + y
    with static.Session() as session, pytest.raises(bl.ShapeError, match="do not broadcast.*" + here("in 'add'")):
        session.run(total, {x: np.zeros(2), y: np.zeros(3)})


def test_an_error_of_a_python_function_names_its_node():
    def fails(v):
        raise ValueError("no luck")

    x = static.placeholder("float32", ())
    y = static.py_func(fails, [x], "float32")
    with static.Session() as session, pytest.raises(bl.BacklitError, match="no luck.*" + here("in 'fails'")):
        session.run(y, {x: 1.0})


def test_eager_use_of_a_variable_teaches():
    v = static.Variable([1.0, 2.0], name="v")
    for use in (lambda: v.numpy(), lambda: np.asarray(v), lambda: float(v[0]), lambda: bool(v[0] > 0)):
        with pytest.raises(bl.GraphError, match=r"has no value.*Session\.run"):
            use()
    with pytest.raises(bl.GraphError, match="assign_add"):
        v += 1
    with pytest.raises(bl.GraphError, match="assign"):
        v[0] = 1.0
    with pytest.raises(bl.GradientError, match=r"static\.gradients"):
        v.sum().backward()


# --- variables -----------------------------------------------------------------------------------------


def test_reads_see_the_values_from_before_the_run():
    v = static.Variable(1.0)
    w = static.Variable(10.0)
    swap = [v.assign(w), w.assign(v)]
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        assert session.run([v, *swap, v + w]) == [1, 10, 1, 11]
        assert session.run([v, w]) == [10, 1]


def test_assignments_of_a_run_that_fails_are_not_made():
    def fails(x):
        raise ValueError("no luck")

    v = static.Variable(1.0)
    step = static.group(v.assign_add(1.0), static.py_func(fails, [v], "float32"))
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        with pytest.raises(bl.BacklitError):
            session.run(step)
        assert session.run(v) == 1


def test_two_assignments_in_one_run_are_refused():
    v = static.Variable(1.0, name="v")
    one, two = v.assign_add(1.0), v.assign_add(2.0)
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        with pytest.raises(bl.GraphError, match="assigned twice"):
            session.run([one, two])
        assert session.run([one, one]) == [2, 2]
        assert session.run(v) == 2


def test_sessions_do_not_share_values(graph):
    v = static.Variable(np.arange(2.0))
    step = v.assign_sub([1.0, 1.0])
    init = static.global_variables_initializer()
    one, two = static.Session(), static.Session()
    one.run(init)
    two.run(init)
    one.run(step)
    np.testing.assert_array_equal(one.run(v), [-1, 0])
    np.testing.assert_array_equal(two.run(v), [0, 1])


@pytest.mark.parametrize(
    ("initial", "dtype", "expected"),
    [(1.0, None, "float32"), (1, None, "int64"), (np.float64(1), None, "float64"), ([1.0], "float64", "float64"),
     (lambda: np.zeros(2, "f"), None, "float32"), (bl.tensor([1.0]), None, "float32")],
)  # fmt: skip
def test_initial_values(initial, dtype, expected):
    v = static.Variable(initial, dtype)
    with static.Session() as session:
        session.run(v.initializer)
        assert session.run(v).dtype == v.dtype == expected


def test_initial_value_computed_in_the_graph():
    seed = static.constant([1.0, 2.0])
    v = static.Variable(seed * 3, dtype="float64")
    with static.Session() as session:
        session.run(static.variables_initializer([v]))
        np.testing.assert_array_equal(session.run(v), [3.0, 6.0])
    with pytest.raises(bl.ShapeError, match="every size must be known"):
        static.Variable(static.placeholder("float32", (None,)))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(np.zeros(3, "f"), bl.ShapeError, "expected shape"), (np.zeros(2, complex), bl.DtypeError, "expected float32"),
     (lambda: static.constant([1, 2]), bl.DtypeError, "expected float32, got int64")],
)  # fmt: skip
def test_assignments_must_fit(value, error, text):
    v = static.Variable(np.zeros(2, "f"), name="v")
    with pytest.raises(error, match=text):
        v.assign(value() if callable(value) else value)


def test_an_assignment_that_turns_out_not_to_fit():
    v = static.Variable(np.zeros(2, "f"), name="v")
    x = static.placeholder("float32", (None,))
    step = v.assign(x * 1.0)
    with static.Session() as session, pytest.raises(bl.ShapeError, match=r"expected shape \(2,\), got \(3,\)"):
        session.run(step, {x: np.zeros(3)})


# --- default graph -------------------------------------------------------------------------------------


def test_default_graph():
    before = static.get_default_graph()
    other = static.Graph()
    with other.as_default() as inner:
        assert inner is other
        assert static.get_default_graph() is other
        v = static.Variable(0.0)
        assert [u.name for u in static.global_variables()] == [v.name]
        with bl.settings(default_dtype=bl.float64):
            static.reset_default_graph()
        assert static.get_default_graph() is not other
        assert not static.trainable_variables()
    assert static.get_default_graph() is before
    with static.Session(graph=other) as session:
        assert static.get_default_graph() is other
        assert session.graph is other


def test_a_default_graph_exists_without_being_asked_for():
    from contextvars import Context

    def build():
        with bl.settings(default_dtype=bl.float64):
            x = static.placeholder("float32", ())
        return x, static.get_default_graph()

    x, graph = Context().run(build)
    assert x.node.graph is graph


def test_a_call_is_expanded_under_the_settings_it_was_made_under():
    x = static.placeholder("int64", (None,))
    with bl.settings(default_dtype=bl.float64):
        y = defer("zeros", lambda t: bl.zeros(t.shape), (x,), {})
    with static.Session() as session:
        assert session.run(y, {x: [1, 2]}).dtype == y.dtype == "float64"


def test_printed_forms(graph):
    x = static.placeholder("float32", (None, 2), name="x")
    y = bl.sum(x @ np.ones((2, 1), "f"))
    assert "x = placeholder() float32(None, 2)" in str(graph)
    assert "matmul = matmul(x, float32(2, 1)) float32(None, 1)" in str(graph)
    assert "nodes" in repr(graph)
    with static.Session() as session:
        assert "matmul_(x0, c" in session.plan(y, {x: np.ones((3, 2))})
    assert "symbolic tensor 'x' (placeholder)" in repr(x)
    assert "operation 'group'" in repr(static.group(y))


WRONG = [
    ("a negative size", lambda x, v: static.placeholder("float32", (-1,)), bl.ShapeError, "write None"),
    ("a default of another shape", lambda x, v: static.placeholder_with_default([1.0], (2,)), bl.ShapeError, "default"),
    ("a constant of a tensor", lambda x, v: static.constant(x), bl.ArgumentError, "use it as it is"),
    ("a group of numbers", lambda x, v: static.group(x, 3), bl.ArgumentError, "got int"),
    ("a scope without a name", lambda x, v: static.name_scope("").__enter__(), bl.ArgumentError, "empty"),
    ("an operation as a number", lambda x, v: static.group(x) + 1, TypeError, "unsupported"),
    ("a fed tensor that is computed", lambda x, v: v.assign(3j), bl.DtypeError, "expected float32"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), [pytest.param(*c, id=n) for n, *c in WRONG])
def test_wrong_calls(call, error, text):
    with pytest.raises(error, match=text):
        call(static.placeholder("float32", ()), static.Variable(1.0))


def test_functions_that_assign():
    v = static.Variable(1.0)
    with static.Session() as session:
        session.run(static.variables_initializer([v]))
        found = [session.run(f(v, 2.0)) for f in (static.assign, static.assign_add, static.assign_sub)]
    assert found == [2, 4, 2]


def test_constants_may_be_repeated_and_named():
    c = static.constant(7, shape=(2, 2), name="seven")
    with static.Session() as session:
        np.testing.assert_array_equal(session.run("seven"), np.full((2, 2), 7))
        assert session.run(static.identity(3.5)) == 3.5
        np.testing.assert_array_equal(session.run(static.shape(c)), [2, 2])


def test_an_operation_knows_its_graph(graph):
    init = static.global_variables_initializer()
    assert init.graph is graph
    assert init.name == "init"
