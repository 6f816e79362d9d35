"""`compile`: a function traced once for each signature, and run as a plan from then on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from threading import RLock
from types import MethodType
from typing import Any, overload

from ..base.config import recording
from ..base.errors import ArgumentError, GradientError, shown
from ..base.shapes import as_index
from ..compiler.plan import Plan, build
from ..graph.opdef import OpDef
from ..graph.tensor import Tensor
from .calling import MISS, Short, form_of, written
from .derivative import op_of, pulled_back, recorded
from .donation import paired
from .ends import Given
from .epochs import Run, chunk_of, run_epochs
from .repeating import looped
from .signature import Call, Leaf, Parameters, parameters_of, taken_apart, thread_count
from .trace import Trace, trace

#: So many written functions are tried before a call goes the long way.
_TRIED = 8


class Compiled:
    """What `compile` returns: the function, which runs as a plan.

    Attributes:
        traces: how many times the function was traced: once for each signature.
    """

    def __init__(
        self, function: Callable[..., Any], *, donate: Any = (), threads: int | None = None, static_argnames: Any = ()
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._name = getattr(function, "__name__", type(function).__name__).strip("<>")
        self._parameters = parameters_of(function, self._name, static_argnames, donate)
        self._threads = thread_count(threads, "compile")
        self._lock = RLock()
        self._short: tuple[Short, ...] = ()
        self._known: dict[Hashable, _Specialised] = {}
        self._loops: dict[tuple[int, int | None, bool], Compiled] = {}
        self._chunk: Compiled | None = None
        self.traces = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for short in self._short:
            out = short(args, kwargs)
            if out is not MISS:
                return out
        return self._long_way(args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<compiled {self._name}, traced {self.traces} times>"

    @property
    def function(self) -> Callable[..., Any]:
        """The Python function itself."""
        return self._function

    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """The plan that a call with these arguments runs; made where it is not there yet, but not run."""
        call = taken_apart(args, kwargs, self._parameters, self._name)
        special = None if call.symbolic else self._specialised(call)
        if special is None:
            raise ArgumentError(f"{self._name}.plan: give arguments that have values; a function is being traced.")
        return special.plan

    def repeat(self, n: int, *, carry: int | None = None, collect: bool = False) -> Compiled:
        """The function applied `n` times in one native loop, its first results fed back to its first arguments.

        `step.repeat(1000)(params, state, x, y)` calls `params, state, loss = step(params, state, x, y)` a thousand
        times on the parameters and the state that the call before returned, and always on the same x and y.

        Args:
            n: how often; 1 or more.
            carry: how many results go back to the arguments. By default as many as arguments are donated; without
                donation the first one, and an error where more of them would fit.
            collect: return the other results of all steps, stacked along a new first axis; else those of the last step.

        Returns:
            The compiled loop, made once for the same arguments. It donates what this function donates.

        >>> import backlit as bl
        >>> newton = bl.compile(lambda x, a: (x + a / x) / 2)
        >>> newton.repeat(20)(1.0, 2.0)
        tensor(1.4142135, dtype=float32)
        """
        count = as_index(n, "n", f"{self._name}.repeat")
        if count < 1:
            raise ArgumentError(f"{self._name}.repeat: n must be 1 or more, got {count}.")
        key = (count, carry, bool(collect))
        with self._lock:
            if key not in self._loops:
                leading = [name for name in self._parameters.names if name in self._parameters.donated]
                if carry is None and leading != list(self._parameters.names[: len(leading)]):
                    raise ArgumentError(
                        f"{self._name}.repeat: the donated arguments {', '.join(leading)} are not its first ones; say "
                        "with carry= how many results go back to the first arguments."
                    )
                loop = looped(self._function, count, carry, bool(collect), leading, self._name)
                self._loops[key] = self._like(loop, self._parameters)
        return self._loops[key]

    def epochs(
        self, data: Any, batch_size: int, *, state: Any, shuffle: Any = None, epochs: int = 1, first_epoch: int = 0,
        on_epoch: Callable[[int, Any, Any], Any] | None = None,
        on_progress: Callable[[int, int, int], Any] | None = None, drop_last: bool = False,
    ) -> Run:  # fmt: skip
        """Train on the minibatches of a data set for whole epochs, in native loops.

        The function takes the parts of the state and then those of a batch, and returns the new parts of the state
        first: `params, optimizer_state, loss = step(params, optimizer_state, x, y)`. It is back in Python at least
        about every tenth of a second. Ctrl-C raises `Interrupted` (a KeyboardInterrupt) between two steps, whose
        `run` holds what was reached.

        Args:
            data: an array, or a tuple of arrays (or trees of them), one for each argument of a batch, along whose
                first axis batches are taken.
            batch_size: examples in a batch. What is left at the end of an epoch makes a smaller one.
            state: a tuple of the arguments that are carried from step to step; it is left as it is.
            shuffle: a key (`bl.random.key(0)`); each epoch goes through the data in the order
                `permutation(fold_in(shuffle, epoch), n)`. Without it, in the order of the data.
            epochs: how many.
            first_epoch: the number of the first one, to go on where another run ended.
            on_epoch: called after each epoch with its number, the state, and the values of its steps; the run ends
                when it returns False or raises StopIteration.
            on_progress: called now and then with the number of the epoch, the steps done in it, and how many it has.
            drop_last: leave out the smaller batch.

        >>> import backlit as bl
        >>> @bl.compile
        ... def step(w, x, y):
        ...     loss, slope = bl.value_and_grad(lambda w: ((w * x - y) ** 2).mean())(w)
        ...     return w - 0.1 * slope, loss
        >>> x = bl.linspace(0, 1, 50)
        >>> run = step.epochs((x, 3 * x), 16, state=(0.0,), shuffle=bl.random.key(0), epochs=40)
        >>> round(run.state[0].item(), 2), run.values.shape
        (3.0, (40, 4))
        """
        with self._lock:
            if self._chunk is None:
                chunk = chunk_of(self._function, self._name)
                self._chunk = Compiled(chunk, donate=("state", "values"), threads=self._threads)
        return run_epochs(
            self._function, self._chunk, self._name, data, batch_size, state, shuffle, epochs, first_epoch,
            on_epoch, on_progress, drop_last,
        )  # fmt: skip

    def _like(self, function: Callable[..., Any], parameters: Parameters) -> Compiled:
        """Another function compiled with the settings of this one."""
        other = Compiled(function, threads=self._threads)
        other._parameters = parameters
        return other

    def _long_way(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a form not seen lately: look for its trace, or make it."""
        call = taken_apart(args, kwargs, self._parameters, self._name)
        special = None if call.symbolic else self._specialised(call)
        if special is None:
            return self._function(*args, **kwargs)
        donor = next((x.path for x in call.leaves if x.donated and _tracked(x)), None)
        if donor is not None and recording.get():
            raise GradientError(
                f"{self._name}: {donor} is donated and requires grad, but what has been overwritten cannot be "
                "differentiated. Call it inside `with bl.no_grad():`, or give t.detach()."
            )
        return self._written_for(special, call)(call.args, call.kwargs)

    def _specialised(self, call: Call) -> _Specialised | None:
        """The trace for this signature with its plan; None where the function is part of an outer one being traced."""
        with self._lock:
            special = self._known.get(call.key)
            if special is None or not special.trace.current:
                found = trace(self._function, call, self._parameters, self._name)
                if found is None:
                    return None
                self.traces += 1
                special = self._known[call.key] = _Specialised(found, call, self._name, self._threads)
            return special

    def _written_for(self, special: _Specialised, call: Call) -> Short:
        """The short way for calls of this form, to be tried first from now on."""
        with self._lock:
            key = (call.key, form_of(call))
            short = special.written.get(key)
            if short is None:
                on_tape = lambda inputs, origin: recorded(special.op, special.trace, inputs, origin)
                short = written(call, special.trace, special.plan, on_tape, self._parameters, self._name)
                special.written[key] = short
            self._short = (short, *[s for s in self._short if s is not short][: _TRIED - 1])
        return short


class _Specialised:
    """A function for one signature: its trace, the plan that runs it, and the op that it is on a tape."""

    def __init__(self, found: Trace, call: Call, name: str, threads: int | None) -> None:
        graph = found.graph
        through = {e.input for e in found.ends if isinstance(e, Given)}  # a result lies there already
        inputs = [(x.path, x.spec, x.donated and i not in through) for i, x in enumerate(call.leaves)]
        outputs = [(path, o.spec) for path, o in zip(found.paths, graph.outputs, strict=True)]
        self.trace = found
        self.plan = build(graph, threads=threads, donated=paired(inputs, outputs), name=name)
        self.written: dict[Hashable, Short] = {}
        self._name, self._threads = name, threads

    @functools.cached_property
    def op(self) -> OpDef:
        """The plan as an op, made when a derivative is first recorded."""
        graph = self.trace.graph
        # What a tape may still need is never overwritten, so this plan donates nothing.
        plan = build(graph, threads=self._threads, donated={}, name=self._name)
        pull = Compiled(pulled_back(graph, self._name), threads=self._threads)
        return op_of(graph, plan, pull, self._name)


def _tracked(leaf: Leaf) -> bool:
    """Is what is computed from this value being differentiated?"""
    return isinstance(leaf.given, Tensor) and leaf.given.node is not None


Names = str | int | Sequence[str | int]


@overload
def compile(
    function: Callable[..., Any], *, donate: Names = (), threads: int | None = None, static_argnames: Names = ()
) -> Compiled: ...


@overload
def compile(
    function: None = None, *, donate: Names = (), threads: int | None = None, static_argnames: Names = ()
) -> Callable[[Callable[..., Any]], Compiled]: ...


def compile(
    function: Any = None, *, donate: Names = (), threads: int | None = None, static_argnames: Names = ()
) -> Any:
    """A function that does the same as `function`, traced once for each signature and run as a native plan.

    The function is called once on tensors without values, and what it does to them is recorded, the derivatives it
    takes (`bl.grad`) and the update of an optimizer included. That is compiled for the shapes at hand and run in
    its place, in this and every later call with the same signature: the structure of the arguments (dicts, lists,
    tuples, named tuples, dataclasses), the shapes and dtypes of the arrays in them, and the values of static arguments.

    What the function does besides happens once, when it is traced: it prints once, and an array or a global that it
    reads is taken as it is then. Three things are read in each call: its arguments, Tensors with
    `requires_grad` that it closes over, and what it gets by calling Backlit's functions on these. A decision on a
    value (`if x > 0`) is not possible while tracing: use `bl.where`, `bl.cond`, `bl.while_loop`.

    Numbers among the arguments are inputs like arrays, so that a new learning rate does not trace anew: floats of the
    dtype of the floating-point arrays beside them, integers as int64. The result has the structure of what
    the function returns, with Tensors for its arrays; strings and numbers come back as they were.

    A result can be differentiated (`backward`, `bl.grad`); its derivative is compiled when it is first
    needed, and computes the forward pass anew. It is faster to compile a function that calls `bl.grad` itself.

    Args:
        function: what to compile; without it, a decorator is returned.
        donate: names or positions of arguments whose memory the results may take, such as parameters that the
            function returns changed. A donated Tensor cannot be used after the call. Memory that anything else
            refers to, and arrays that are no Tensors, are copied and left as they are.
        threads: how many threads a call may use; by default as many as there are cores.
        static_argnames: names of arguments that are no arrays but part of the signature: any hashable values.

    >>> import backlit as bl
    >>> @bl.compile
    ... def step(w, x):
    ...     slope = bl.grad(lambda w: ((x * w - 1) ** 2).sum())(w)
    ...     return w - 0.1 * slope
    >>> step(0.0, bl.tensor([1.0, 2.0])), step(1.0, bl.tensor([1.0, 2.0])), step.traces
    (tensor(0.6, dtype=float32), tensor(0.6, dtype=float32), 1)
    """
    if function is None:
        return lambda f: compile(f, donate=donate, threads=threads, static_argnames=static_argnames)
    if not callable(function):
        raise ArgumentError(f"compile: expected a function, got {shown(function)} ({type(function).__name__}).")
    return Compiled(function, donate=donate, threads=threads, static_argnames=static_argnames)
