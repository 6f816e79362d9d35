"""Why an op makes infinities or NaN of finite numbers: a table of reasons, and what mends each.

The first entry that fits is taken, so special cases stand before general ones. Numbers of IEEE 754: Goldberg 1991,
"What every computer scientist should know about floating-point arithmetic", sections 2.2.1 and 2.2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

#: A leaf with numbers beyond this has grown in training, whatever it holds.
HUGE = 1e6


class Largest(NamedTuple):
    """The leaf with the largest finite numbers: its name, the largest, and whether gradients by it are asked for."""

    name: str
    size: float
    parameter: bool


class Case(NamedTuple):
    """What is known where a number that is not finite comes up.

    Attributes:
        op: the name of the op that made it.
        inputs: its inputs as arrays; None for what is none.
        out: its result (of an op with several the first bad one).
        forward: for a step of the backward pass, the name of the op whose derivative it belongs to; empty else.
        given: the inputs of that op.
        untaken: is it a value of the forward pass that the output does not depend on, only its derivative does?
        makers: the names of the ops that made the inputs, up to some steps back.
        users: the names of the ops that the result goes into, up to some steps on.
        largest: the leaf with the largest numbers.
        turn: which turn of which loop it is of; empty outside of one.
    """

    op: str
    inputs: Sequence[Any]
    out: Any
    forward: str
    given: Sequence[Any]
    untaken: bool
    makers: set[str]
    users: set[str]
    largest: Largest
    turn: str = ""

    def at(self, i: int) -> Any:
        """The entries of input number i where the result is not finite; all where the shapes do not tell."""
        x, bad = np.asarray(self.inputs[i]), ~np.isfinite(np.asarray(self.out))
        try:
            return np.broadcast_to(x, bad.shape)[bad]
        except ValueError:
            return x.ravel()

    def of(self, i: int) -> Any:
        """Input number i of the op whose derivative it is, all entries."""
        return np.asarray(self.given[i]).ravel() if i < len(self.given) else np.zeros(0)


class Reason(NamedTuple):
    """One entry of the table.

    Attributes:
        key: its name.
        ops: the names of the ops it may be about; empty for all.
        derivative: is it about their derivatives?
        applies: does it fit this case?
        why: what happened, in a sentence.
        mend: what to do.
    """

    key: str
    ops: tuple[str, ...]
    derivative: bool
    applies: Callable[[Case], Any]
    why: str
    mend: str


LOGS = ("log", "log2", "log10", "log1p")
ROWS = ("softmax", "log_softmax", "logsumexp", "softmax_cross_entropy")
SUMS = ("sum", "mean", "add", "subtract", "cumulative_sum", "segment_sum", "pool_sum", "linear_recurrence")
PRODUCTS = ("matmul", "einsum_pair", "einsum_one", "convolve", "convolve_transposed", "convolve_weight")
TIMES = ("multiply", "guarded_multiply", "masked_multiply", "prod", "cumulative_prod", "det")
SPREAD = ("std", "var", "power_norm", "hypot", "square", "pow", "cosh", "sinh", "expm1")
GROWING = (*SUMS, *PRODUCTS, *TIMES, *SPREAD, "exp", "softplus")
UP = "lower the learning rate, clip the gradients (optim.clip_by_global_norm) or normalise (nn.LayerNorm)"


def _zero(x: Any) -> bool:
    return bool(x.size) and bool(np.any(x == 0))


def _finite(c: Case) -> bool:
    return all(x is None or np.isfinite(np.asarray(x)).all() for x in c.inputs)


def _infinite(c: Case) -> bool:
    return any(x is not None and np.isinf(np.asarray(x)).any() for x in c.inputs)


def _argument(c: Case) -> Any:
    """What a logarithm is taken of."""
    return c.at(0) + 1 if c.op == "log1p" else c.at(0)


def _log_zero(c: Case) -> bool:
    return _zero(_argument(c))


def _grown(c: Case) -> bool:
    return _finite(c) and c.largest.size > HUGE


def _row_masked(c: Case) -> bool:
    x = np.asarray(c.inputs[0])
    return x.ndim > 0 and bool(np.isneginf(x).any())


TABLE: tuple[Reason, ...] = (
    Reason(
        "the branch of where that was not taken", (), False,
        lambda c: c.untaken and c.users & {"where", "clip", "maximum", "minimum"},
        "the branch of where that was not taken: its value is dropped, but its derivative is 0 times infinity",
        "put where inside, so that nothing infinite is computed: bl.log(bl.where(ok, x, 1)) before bl.where(ok, ..., "
        "0)",
    ),
    # --- logarithms -----------------------------------------------------------------------------------
    Reason(
        "log of a softmax that underflowed", LOGS, False, lambda c: _log_zero(c) and "softmax" in c.makers,
        "log(0): a probability underflowed to 0 in softmax",
        "take bl.log_softmax(logits) in place of bl.log(bl.softmax(logits)), or nn.losses.cross_entropy, which takes "
        "logits",
    ),
    Reason(
        "log of a sigmoid that underflowed", LOGS, False, lambda c: _log_zero(c) and "sigmoid" in c.makers,
        "log(0): a probability of sigmoid was rounded to 0 (or 1, of which 1 - p is 0)",
        "take bl.log_sigmoid(x), or nn.losses.binary_cross_entropy, which takes logits",
    ),
    Reason(
        "log of an exp that underflowed", LOGS, False, lambda c: _log_zero(c) and "exp" in c.makers,
        "log(0): exp underflowed to 0",
        "take bl.logsumexp(x, axis) in place of bl.log(bl.sum(bl.exp(x), axis)), and x in place of bl.log(bl.exp(x))",
    ),
    Reason(
        "log of 0", LOGS, False, lambda c: _log_zero(c) and not np.any(_argument(c) < 0), "log(0) is minus infinity",
        "keep the input away from 0: bl.log(x + 1e-7) or bl.log(bl.maximum(x, 1e-7)); in x log x put bl.where inside: "
        "bl.log(bl.where(x > 0, x, 1))",
    ),
    Reason(
        "log of a negative number", LOGS, False, lambda c: np.any(_argument(c) < 0),
        "the logarithm of a negative number",
        "let the input be positive: bl.softplus(x), bl.exp(x), or bl.log(bl.maximum(x, 1e-7))",
    ),
    # --- quotients, roots, powers ---------------------------------------------------------------------
    Reason(
        "0/0", ("divide",), False, lambda c: np.any((c.at(0) == 0) & (c.at(1) == 0)), "0/0",
        "add a small number to the denominator, x / (s + 1e-7), or choose: bl.where(s > 0, x / bl.where(s > 0, s, 1), "
        "0)",
    ),
    Reason(
        "inf/inf", ("divide",), False, lambda c: np.any(np.isinf(c.at(0)) & np.isinf(c.at(1))),
        "infinity by infinity", "keep both finite; a quotient of exponentials is bl.softmax",
    ),
    Reason(
        "normalised by a spread of 0", ("divide",), False,
        lambda c: _zero(c.at(1)) and {"std", "var", "sqrt", "power_norm"} & c.makers,
        "division by 0: what is divided by, a spread or a norm, is 0, for all its numbers are equal",
        "add a small number: (x - m) / (std + 1e-5), or take nn.LayerNorm, nn.BatchNorm or nn.Standardize",
    ),
    Reason(
        "division by 0", ("divide", "reciprocal", "rsqrt", "floor_divide", "remainder"), False,
        lambda c: _zero(c.at(len(c.inputs) - 1)), "division by 0",
        "add a small number to the denominator, x / (s + 1e-7), or leave these entries out with bl.where inside: "
        "x / bl.where(s != 0, s, 1)",
    ),
    Reason(
        "overflow in a quotient", ("divide", "reciprocal"), False, _finite,
        "a quotient is too large for its dtype: the denominator is tiny",
        "add a small number to the denominator, x / (s + 1e-7)",
    ),
    Reason(
        "root of a negative number", ("sqrt", "rsqrt"), False, lambda c: np.any(c.at(0) < 0),
        "the square root of a negative number",
        "a difference that should be positive may come out below 0 by rounding: bl.sqrt(bl.maximum(x, 0) + 1e-12); a "
        "variance is bl.var(x), not mean(x²) - mean(x)²",
    ),
    Reason(
        "0 to a negative power", ("pow",), False,
        lambda c: np.any((c.at(0) == 0) & (c.at(1) < 0)), "0 to a negative power is a division by 0",
        "keep the base away from 0: (x + 1e-7) ** p",
    ),
    Reason(
        "fractional power of a negative number", ("pow",), False, lambda c: np.any(c.at(0) < 0) and _finite(c)
        and np.any(np.isnan(np.asarray(c.out))), "a negative number to a power that is no integer",
        "let the base be positive: bl.abs(x) ** p or bl.maximum(x, 0) ** p",
    ),
    # --- domains ----------------------------------------------------------------------------------------
    Reason(
        "out of the domain", ("asin", "acos", "atanh"), False, lambda c: np.any(np.abs(c.at(0)) >= 1),
        "the input is not inside [-1, 1], perhaps by rounding", "clip it: bl.acos(bl.clip(x, -1 + 1e-6, 1 - 1e-6))",
    ),
    Reason(
        "out of the domain", ("acosh", "erfinv", "lgamma", "digamma", "polygamma"), False, _finite,
        "the input is outside of the domain of the function, or at a pole", "clip it to where the function is finite",
    ),
    # --- infinities that meet ---------------------------------------------------------------------------
    Reason(
        "a row that is masked throughout", ROWS, False, _row_masked,
        "a row in which every entry is minus infinity: all is masked, nothing is left to share 1 among",
        "leave at least one entry of each row, or mask with a large finite number, -1e9, and drop these rows from the "
        "loss",
    ),
    Reason(
        "inf - inf", (*SUMS, *ROWS, "softplus", "var", "std"), False, lambda c: _infinite(c), "inf - inf",
        "keep both terms finite: infinities that stand for a mask may be added once, not subtracted",
    ),
    Reason(
        "0 * inf", (*TIMES, *PRODUCTS, "astype"), False, _infinite, "0 * inf, which is no number",
        "a product does not take infinities away, bl.where does: bl.where(mask, x, 0) in place of mask * x",
    ),
    # --- overflow ---------------------------------------------------------------------------------------
    Reason(
        "parameters have grown", GROWING, False, lambda c: _grown(c) and c.largest.parameter,
        "overflow: the numbers in {leaf} are as large as {size:.3g}", UP,
    ),
    Reason(
        "inputs are huge", GROWING, False, _grown, "overflow: the numbers in {leaf} are as large as {size:.3g}",
        "standardise the inputs: model = nn.Sequential(nn.Standardize.of(x), ...)",
    ),
    Reason(
        "the state of a loop has grown", (*SUMS, *PRODUCTS, *TIMES, "square", "pow"), False,
        lambda c: _finite(c) and c.turn,
        "the state grows from turn to turn of the loop, until it is too large for {dtype}",
        "bound it (tanh in place of relu, clip, nn.LayerNorm), take nn.LSTM or nn.GRU, or start from smaller or "
        "orthogonal recurrent weights",
    ),
    Reason(
        "overflow in exp of a softmax by hand", ("exp",), False, lambda c: _finite(c) and "divide" in c.users,
        "exp overflows: e**x is too large for {dtype} from x = {limit:.0f} on",
        "take bl.softmax(x, axis) (or bl.sigmoid(x)) in place of exp(x) / sum(exp(x)): it subtracts the largest first",
    ),
    Reason(
        "overflow in exp", ("exp", "expm1", "sinh", "cosh"), False, _finite,
        "exp overflows: e**x is too large for {dtype} from x = {limit:.0f} on",
        "take the composed function: bl.logsumexp, bl.softplus for log(1 + exp(x)), bl.log_softmax; or clip x",
    ),
    Reason(
        "overflow in a product of matrices", PRODUCTS, False, _finite, "a sum of products is too large for {dtype}",
        UP + "; smaller first weights and standardised inputs may do too",
    ),
    Reason(
        "overflow in a square", ("square", "pow", "power_norm", "hypot", "var", "std"), False, _finite,
        "the square (or power) of a number is too large for {dtype}",
        "scale it down first; of large errors nn.losses.huber or mae grow less than mse. " + UP[0].upper() + UP[1:],
    ),
    Reason(
        "overflow in a sum", SUMS, False, lambda c: _finite(c) and np.asarray(c.inputs[0]).size,
        "a sum is too large for {dtype}", "take a mean in place of a sum, or scale down first",
    ),
    Reason(
        "overflow in a product", TIMES, False, _finite, "a product is too large for {dtype}",
        "scale down first; add logarithms in place of multiplying many numbers",
    ),
    Reason(
        "too large for the dtype", ("astype",), False, _finite, "the number is beyond what {dtype} holds",
        "scale it down before the cast, or keep the wider dtype",
    ),
    Reason(
        "nothing to average", ("mean", "var", "std"), False, _finite, "the mean (or spread) of no numbers: 0/0",
        "look whether a mask or a slice leaves nothing; a spread of one number with correction=1 is 0/0 too",
    ),
    # --- derivatives ------------------------------------------------------------------------------------
    Reason(
        "norm'(0)", ("sqrt",), True,
        lambda c: _zero(c.of(0)) and "sum" in c.makers and c.makers & {"square", "pow", "multiply"},
        "the derivative of a norm at 0: sqrt'(0) is infinite, and meets the derivative 0 of the squares",
        "take bl.linalg.vector_norm(x), whose derivative at 0 is 0, or add a small number: bl.sqrt(s + 1e-12)",
    ),
    Reason(
        "sqrt'(0)", ("sqrt", "rsqrt"), True, lambda c: _zero(c.of(0)),
        "the derivative of a square root is infinite at 0", "add a small number under the root: bl.sqrt(x + 1e-12)",
    ),
    Reason(
        "pow'(0)", ("pow",), True, lambda c: _zero(c.of(0)),
        "the derivative of x**p at 0 is infinite for p below 1", "keep the base away from 0: (x + 1e-7) ** p",
    ),
    Reason(
        "log'(0)", LOGS, True, lambda c: True, "the derivative of log is infinite at 0 (1/x overflows near it)",
        "keep the input away from 0: bl.log(x + 1e-7)",
    ),
    Reason(
        "derivative at the edge of the domain", ("asin", "acos", "atanh", "acosh", "erfinv"), True,
        lambda c: True, "the derivative is infinite at the edge of the domain",
        "clip the input: bl.acos(bl.clip(x, -1 + 1e-6, 1 - 1e-6))",
    ),
    Reason(
        "derivative of a quotient", ("divide", "reciprocal"), True, lambda c: True,
        "the derivative of a / b by b is -a / b²: b² underflows, or the quotient is too large",
        "add a small number to the denominator, x / (s + 1e-7)",
    ),
    Reason(
        "equal eigenvalues", ("eigh", "eig", "svd", "eigvals"), True, lambda c: True,
        "the derivative of eigenvectors divides by differences of eigenvalues, and two are equal",
        "use eigenvalues only (bl.linalg.eigvalsh), or add a small diagonal of different numbers",
    ),
    Reason(
        "the gradient grew beyond all bounds", (), True, _finite,
        "the gradient itself is too large for {dtype}: it grew from step to step on its way back",
        "clip where it grows (normalisation between layers, orthogonal recurrent weights) or scale the loss down; "
        "clipping afterwards comes too late",
    ),
    Reason(
        "0 * inf in a derivative", (), True, _infinite, "0 * inf in the derivative: a value of the forward pass is "
        "infinite", "keep the value finite, with bl.where inside the function",
    ),
)  # fmt: skip

#: What is said where no entry fits.
UNKNOWN = Reason(
    "made of finite numbers", (), False, lambda c: True, "the result is not finite, though the inputs are",
    "look at the inputs below; in float64 (bl.settings(default_dtype=bl.float64)) overflow comes later",
)  # fmt: skip


def reason_for(case: Case) -> tuple[Reason, str]:
    """The first entry of the table that fits, and its sentence filled in."""
    derivative = bool(case.forward)
    name = case.forward or case.op
    for reason in TABLE:
        about = name in reason.ops or not reason.ops
        with np.errstate(all="ignore"):
            if about and reason.derivative == derivative and reason.applies(case):
                break
    else:
        reason = UNKNOWN
    dtype = np.asarray(case.out).dtype
    limit = np.log(float(np.finfo(dtype).max)) if dtype.kind in "fc" else np.inf
    filled = reason.why.format(leaf=case.largest.name, size=case.largest.size, dtype=dtype.name, limit=limit)
    return reason, filled
