"""Wrong calls, each with the error it must raise and the words its message must contain."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import static
from backlit.base.errors import ArgumentError, BacklitError, DtypeError, GradientError, GraphError, ShapeError

M = bl.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
V = bl.tensor([1.0, 2.0])
I = bl.tensor([1, 2, 3])  # noqa: E741
IMAGE, KERNEL = bl.ones((1, 3, 8, 8)), bl.ones((4, 3, 3, 3))


def leaf() -> bl.Tensor:
    return bl.tensor([1.0, 2.0], requires_grad=True)


def backward_twice() -> None:
    y = (leaf() * 2).sum()
    y.backward()
    y.backward()


def change_what_was_saved() -> None:
    with bl.settings(check=True):
        array = np.ones(2, np.float32)
        y = (leaf() * bl.asarray(array, copy=False)).sum()
        array[0] = 7
        y.backward()


def change_a_leaf() -> None:
    x = leaf()
    x += 1


def write_into_a_leaf() -> None:
    leaf()[0] = 5.0


def write_into_numpy() -> None:
    M.numpy()[0, 0] = 1.0


def write_a_wrong_shape() -> None:
    bl.ones((2, 3))[0] = bl.ones(4)


def grow_in_place() -> None:
    x = bl.ones(3)
    x += bl.ones((2, 3))


def promote_in_place() -> None:
    x = bl.tensor([1, 2])
    x += 0.5


def set_requires_grad_of_integers() -> None:
    I.requires_grad = True


def clear_requires_grad_of_a_result() -> None:
    (M * 2).requires_grad = False


def set_a_gradient_of_another_shape() -> None:
    leaf().grad = bl.ones(3)


def enter_unknown_setting() -> None:
    with bl.settings(speed=3):
        pass


def enter_integer_default() -> None:
    with bl.settings(default_dtype="int32"):
        pass


# --- the static mode -------------------------------------------------------------------------------


def in_graph(f: Callable[..., Any]) -> Callable[[], Any]:
    """`f(p)` within a new graph, where `p` is a placeholder named pixels."""

    def call() -> Any:
        with static.Graph().as_default():
            return f(static.placeholder(bl.float32, (None, 3), name="pixels"))

    return call


def two_graphs(p: Any) -> Any:
    with static.Graph().as_default():
        return p + static.placeholder(bl.float32, (2, 3), name="other")


def fetch_of_another_graph(p: Any) -> Any:
    with static.Graph().as_default() as other:
        pass
    return static.Session(other).run(p)


def uninitialized(p: Any) -> Any:
    return static.Session().run(static.Variable(np.ones(2), name="weights"))


#: What is wrong: the call, the class of the error, and words of its message.
TABLE: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    # shapes
    "shapes do not broadcast": (lambda: M + bl.ones(2), ShapeError, r"add: .*\(2, 3\) and \(2,\).* 3 meets 2"),
    "three shapes": (lambda: bl.where(bl.ones(2) > 0, M, 0.0), ShapeError, "where: .* do not broadcast"),
    "matmul, inner sizes": (lambda: M @ M, ShapeError, r"matmul: .* 3 is not 2.*transposed.*mT"),
    "matmul, a vector": (lambda: M @ V, ShapeError, "matmul: .* 3 is not 2"),
    "matmul, a scalar": (lambda: bl.matmul(M, 2.0), ShapeError, r"1 or more dimensions.* multiplies with \*"),
    "reshape, elements": (lambda: bl.reshape(M, (4, 2)), ShapeError, r"reshape: 6 elements .*\(4, 2\)"),
    "reshape, two unknown": (lambda: bl.reshape(M, (-1, -1)), ShapeError, "one -1"),
    "reshape, a fraction": (lambda: bl.reshape(M, (2.5, 2)), ArgumentError, "must be an integer"),
    "broadcast_to": (lambda: bl.broadcast_to(M, (3, 2)), ShapeError, "broadcast_to: .* do not broadcast"),
    "negative size": (lambda: bl.zeros((-1, 2)), ShapeError, "negative size"),
    "concat, sizes": (lambda: bl.concat([M, bl.ones((2, 2))]), ShapeError, r"concat: array 1 .*\(2, 2\).*axis 0"),
    "concat, nothing": (lambda: bl.concat([]), ArgumentError, "concat: expected one array or more"),
    "stack": (lambda: bl.stack([M, V]), ShapeError, "stack: array 1 .* must be equal"),
    "ragged lists": (lambda: bl.tensor([[1.0], [1.0, 2.0]]), ShapeError, "rectangular"),
    "item of many": (lambda: M.item(), ShapeError, r"item\(\): .* one element, got shape \(2, 3\)"),
    "truth of many": (lambda: bool(M), ShapeError, r"bool\(\): .*\.any\(\) or \.all\(\)"),
    "length of a scalar": (lambda: len(bl.tensor(1.0)), ShapeError, r"shape \(\) has no length"),
    "iterate over a scalar": (lambda: list(bl.tensor(1.0)), ShapeError, r"iteration .* shape \(\)"),
    "write a wrong shape": (write_a_wrong_shape, ShapeError, r"\(4,\)"),
    "grow in place": (grow_in_place, ShapeError, r"x \+= y: .*\(2, 3\).*write x = x \+ y"),
    # axes and indices
    "axis out of range": (lambda: bl.sum(M, axis=2), ShapeError, "sum: axis 2 .* legal axes are -2 to 1"),
    "axis twice": (lambda: bl.sum(M, axis=(0, -2)), ShapeError, "names an axis twice"),
    "axis by name": (lambda: bl.sum(M, axis="rows"), ArgumentError, "axis must be an integer, got 'rows'"),
    "squeeze": (lambda: bl.squeeze(M, 0), ShapeError, "squeeze: axis 0 .* has size 2, not 1"),
    "expand_dims": (lambda: bl.expand_dims(M, axis=5), ShapeError, "legal axes are -3 to 2"),
    "permute_dims": (lambda: bl.permute_dims(M, (0, 0)), ShapeError, "each of the 2 axes once"),
    "index out of range": (lambda: M[5], IndexError, "index 5 is out of range for axis 0 of size 2"),
    "too many indices": (lambda: M[0, 0, 0], IndexError, "3 indices for 2 dimension"),
    "index with a fraction": (lambda: M[1.5], DtypeError, "an index must be made of integers"),
    "mask of another shape": (lambda: M[bl.ones(3) > 0], IndexError, r"mask of shape \(3,\)"),
    "take beyond the end": (lambda: bl.take(M, bl.tensor([7]), axis=0), IndexError, "index 7 .* size 2"),
    "take by floats": (lambda: bl.take(M, V, axis=0), DtypeError, "indices must be integers"),
    "embedding beyond the table": (lambda: bl.embedding(bl.tensor([5]), M), IndexError, "index 5"),
    # dtypes
    "unknown dtype": (lambda: bl.tensor([1.0], dtype="float8"), DtypeError, "'float8' is not supported; choose"),
    "strings": (lambda: bl.tensor(["a"]), DtypeError, "give numbers or arrays"),
    "an object": (lambda: bl.exp(object()), DtypeError, "exp: cannot take .*object.* give a Tensor"),
    "a string operand": (lambda: M + "a", TypeError, "unsupported operand"),
    "exp of integers": (lambda: bl.exp(I), DtypeError, r"exp: expected floating-point.* int64.*astype\(bl.float32\)"),
    "order of complex numbers": (lambda: bl.tensor([1j]) < 1.0, DtypeError, "less: .* complex64.*bl.real"),
    "bits of floats": (lambda: bl.bitwise_and(V, V), DtypeError, "integer or boolean dtypes, got float32"),
    "no common integer": (lambda: bl.tensor(np.uint64(1)) + bl.tensor(np.int64(1)), DtypeError, "no common integer"),
    "fractions in place": (promote_in_place, ShapeError, "float32, x has .* int64"),
    "a float as an index": (lambda: [1, 2][bl.tensor(1.0)], DtypeError, "expected an integer Tensor"),
    "limits of an integer": (lambda: bl.finfo(bl.int32), DtypeError, "iinfo is for integers"),
    "unknown kind": (lambda: bl.isdtype(bl.int32, "float"), ArgumentError, "'float' is not one of .*real floating"),
    "one_hot of floats": (lambda: bl.one_hot(V, 3), DtypeError, "one_hot: expected integer"),
    "uncopied cast": (lambda: np.asarray(M, dtype="int64", copy=False), ArgumentError, "copy=False"),
    # arguments
    "unknown keyword": (lambda: bl.sum(M, axes=1), ArgumentError, r"sum\(x, .*unexpected keyword argument 'axes'"),
    "keyword of a plain op": (lambda: bl.exp(M, axis=1), ArgumentError, r"exp\(x, /\): .*'axis'"),
    "missing argument": (lambda: bl.exp(), ArgumentError, "missing a required argument: 'x'"),
    "too many arguments": (lambda: bl.add(M, M, M), ArgumentError, "too many positional"),
    "unknown name": (lambda: bl.tensr, AttributeError, "no attribute 'tensr'"),
    "unknown setting": (enter_unknown_setting, ArgumentError, "no setting named 'speed'; there are default_dtype"),
    "integer default": (enter_integer_default, ArgumentError, "expected float32 or float64"),
    "unknown device": (lambda: M.to_device("gpu"), ArgumentError, "expected device 'cpu'"),
    "conv, channels": (lambda: bl.conv2d(IMAGE, KERNEL[:, :2]), ShapeError, "conv2d: x has 3 channels, w expects 2"),
    "conv, no batch": (lambda: bl.conv2d(IMAGE[0], KERNEL), ShapeError, r"\(batch, channels, height, width\)"),
    "conv, padding": (lambda: bl.conv2d(IMAGE, KERNEL, padding="full"), ArgumentError, "'full'; expected 'same'"),
    "conv, stride": (lambda: bl.conv2d(IMAGE, KERNEL, stride=0), ArgumentError, "stride=0; expected 1 or more"),
    "conv, too large": (lambda: bl.conv2d(IMAGE[..., :2], KERNEL), ShapeError, "kernel .* does not fit"),
    "pool, too large": (lambda: bl.max_pool2d(IMAGE, 9), ShapeError, "window .* does not fit"),
    "einsum, sizes": (lambda: bl.einsum("ij,jk->ik", M, M), ShapeError, "label 'j' stands for sizes 3 and 2"),
    "einsum, terms": (lambda: bl.einsum("ij,jk->ik", M), ArgumentError, "2 terms for 1 operands"),
    "einsum, output": (lambda: bl.einsum("ij->iz", M), ArgumentError, "label 'z' is in no term"),
    "solve, not square": (lambda: bl.linalg.solve(M, V), ShapeError, r"square matrices.*\(2, 3\)"),
    "argument by name": (lambda: bl.grad(lambda x: x, argnums="x")(1.0), ArgumentError, "got 'x'.*by position"),
    "primals without a list": (lambda: bl.jvp(bl.sin, 1.0, [1.0]), ArgumentError, r"primals.*write \[primal\]"),
    "hvp without a list": (lambda: bl.hvp(bl.sin, 1.0, [1.0]), ArgumentError, "hvp: primals must be a list"),
    "gradient of a number": (lambda: bl.grad(3)(1.0), ArgumentError, r"expected a function.*got 3 \(int\)"),  # type: ignore[arg-type]
    "beyond int64": (lambda: bl.tensor(2**70), DtypeError, "beyond what int64 holds"),
    "singular": (lambda: bl.linalg.inv(bl.zeros((2, 2))), ArgumentError, "singular.*pinv"),
    "not positive": (lambda: bl.linalg.cholesky(-bl.eye(2)), ArgumentError, "not positive definite"),
    "no key": (lambda: bl.random.normal(3, (2,)), ArgumentError, r"bl.random.key\(seed\)"),
    "step of zero": (lambda: bl.arange(0, 5, 0), ArgumentError, "step must not be 0"),
    "top_k of too few": (lambda: bl.top_k(M, 9), ArgumentError, "k must be 0 to 3"),
    "negative padding": (lambda: bl.pad(M, -5), ArgumentError, "widths must be 0 or more"),
    "labels of floats": (lambda: bl.softmax_cross_entropy(M, V), ShapeError, "Class numbers have an integer dtype"),
    "unknown reduction": (lambda: bl.mse(M, M, reduction="avg"), ArgumentError, "'mean', 'sum' or 'none', got 'avg'"),
    # derivatives
    "integers that require grad": (lambda: bl.tensor([1], requires_grad=True), DtypeError, r"astype\(bl.float32\)"),
    "integers made to": (set_requires_grad_of_integers, DtypeError, "only floating-point Tensors"),
    "a result made not to": (clear_requires_grad_of_a_result, GradientError, r"multiply at test_errors.py:\d+.*detach"),
    "backward twice": (backward_twice, GradientError, r"sum at test_errors.py:\d+ was freed.*retain_graph=True"),
    "backward of nothing": (lambda: V.sum().backward(), GradientError, "nothing is recorded .*requires_grad=True"),
    "backward of many": (lambda: (M * 2).backward(), GradientError, r"shape \(2, 3\), not one element.*sum\(\)"),
    "cotangent's shape": (lambda: (M * 2).backward(bl.ones((3, 2))), ShapeError, r"cotangent .*\(3, 2\).*\(2, 3\)"),
    "saved value changed": (change_what_was_saved, GradientError, "changed in place after it was saved"),
    "leaf changed in place": (change_a_leaf, GradientError, r"x \+= y: .* leaf .*no_grad\(\)"),
    "leaf written into": (write_into_a_leaf, GradientError, r"x\[...\] = y: .* leaf"),
    "written into numpy()": (write_into_numpy, ValueError, "read-only"),
    "a gradient's shape": (set_a_gradient_of_another_shape, ShapeError, r"\.grad: expected shape \(2,\), got \(3,\)"),
    "grad of many": (lambda: bl.grad(lambda x: x * 2)(V), GradientError, "not one element"),
    "grad of a pair": (lambda: bl.grad(lambda x: (x, x))(V), GradientError, "one scalar Tensor.*has_aux=True"),
    "grad by integers": (lambda: bl.grad(bl.sum)(I), DtypeError, "argument 0 has dtype int64.*argnums"),
    "grad by no argument": (lambda: bl.grad(bl.sum, argnums=3)(V), ArgumentError, "argument 3, but 1 were given"),
    "grad without aux": (lambda: bl.grad(bl.sum, has_aux=True)(V), ArgumentError, r"must return \(output, aux\)"),
    "grad of an integer": (lambda: bl.grad(bl.argmax)(V), DtypeError, "floating-point output, got int64"),
    "vjp, cotangent": (lambda: bl.vjp(bl.exp, V)[1](bl.ones(3)), ShapeError, r"cotangent has shape \(3,\)"),
    "vjp, structure": (lambda: bl.vjp(lambda x: (x, x), V)[1](V), ArgumentError, "trees differ at the root"),
    "jvp, tangent": (lambda: bl.jvp(bl.exp, [V], [bl.ones(3)]), ShapeError, r"tangent has shape \(3,\)"),
    "jvp, structure": (lambda: bl.jvp(bl.exp, [V], []), ArgumentError, "trees differ"),
    "no derivative": (lambda: bl.grad(lambda x: bl.nextafter(x, 1.0).sum())(V), GradientError, "no function of real"),
    # the static mode
    "not fed": (in_graph(lambda p: static.Session().run(p * 2)), GraphError, "'pixels' .*test_errors.py:.* not fed"),
    "fed a wrong shape": (
        in_graph(lambda p: static.Session().run(bl.sum(p), {p: np.ones((2, 4))})),
        ShapeError, r"'pixels' .*expects shape \(None, 3\), it was fed \(2, 4\)",
    ),
    "fed no placeholder": (in_graph(lambda p: static.Session().run(p, {3: 1.0})), ArgumentError, "feed_dict is 3"),
    "truth of a symbol": (in_graph(lambda p: bool(p > 0)), GraphError, r"bool\(\): .* has no value.*bl.cond"),
    "value of a symbol": (in_graph(lambda p: p.numpy()), GraphError, r"numpy\(\): 'pixels' .* has no value"),
    "two graphs": (in_graph(two_graphs), GraphError, "two different graphs"),
    "fetch of another graph": (in_graph(fetch_of_another_graph), GraphError, "belongs to another graph"),
    "not initialized": (in_graph(uninitialized), GraphError, "'weights' .*global_variables_initializer"),
    "fetch by a wrong name": (in_graph(lambda p: static.Session().run("loss")), GraphError, "no node named 'loss'"),
    "shape that depends on values": (in_graph(bl.nonzero), GraphError, "nonzero: its shape depends on values"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_wrong_call(name: str) -> None:
    call, kind, words = TABLE[name]
    with pytest.raises(kind, match=f"(?s){words}") as caught:
        call()
    if kind not in (TypeError, AttributeError, ValueError):
        assert isinstance(caught.value, BacklitError)
    assert re.match(r".*[.)?]$", str(caught.value), re.DOTALL) or not isinstance(caught.value, BacklitError)


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 60
