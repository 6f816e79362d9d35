"""Recurrent layers beside torch.nn: values and all gradients, in float64."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from backlit import nn

from .beside_modules import same

torch: Any = pytest.importorskip("torch")
N, T, D, H = 3, 5, 4, 6
LENGTHS = [5, 2, 3]

KINDS: dict[str, tuple[Any, Any]] = {
    "RNN": (nn.RNN, torch.nn.RNN),
    "relu": (partial(nn.RNN, activation="relu"), partial(torch.nn.RNN, nonlinearity="relu")),
    "LSTM": (nn.LSTM, torch.nn.LSTM),
    "GRU": (nn.GRU, torch.nn.GRU),
}  # fmt: skip


def torch_weights(params: dict[str, Any], layers: int, bidirectional: bool) -> dict[str, Any]:
    """The weights of torch's module from those of ours."""
    found = {}
    for i in range(layers):
        for way, suffix in (("forwards", ""), ("backwards", "_reverse"))[: 1 + bidirectional]:
            here = f"{way}.{i}."
            found[f"weight_ih_l{i}{suffix}"] = params[here + "weight"].T
            found[f"weight_hh_l{i}{suffix}"] = params[here + "recurrent"].T
            if here + "bias" in params:
                bias = params[here + "bias"]
                second = torch.zeros_like(bias)
                if here + "recurrent_bias" in params:
                    second = torch.cat([second[: 2 * H], params[here + "recurrent_bias"]])
                found[f"bias_ih_l{i}{suffix}"], found[f"bias_hh_l{i}{suffix}"] = bias, second
    return found


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize(("layers", "bidirectional", "bias"), [(1, False, False), (2, False, True), (2, True, True)])
@pytest.mark.parametrize("kind", KINDS)
def test_recurrent(kind: str, layers: int, bidirectional: bool, bias: bool, lengths: Any) -> None:
    """Outputs, last states, and gradients of weights, inputs and first states."""
    mine, twin = KINDS[kind]
    model = mine(H, layers, bidirectional=bidirectional, return_state=True, use_bias=bias).build((T, D))
    module = twin(D, H, layers, bidirectional=bidirectional, batch_first=True, bias=bias).double()
    rng = np.random.default_rng(2)
    rows, pair = layers * (1 + bidirectional), kind == "LSTM"
    inputs = [rng.normal(size=(N, T, D)), *(rng.normal(size=(rows, N, H)) for _ in range(1 + pair))]

    def ours(run: Any, x: Any, *state: Any) -> Any:
        outputs, last = run(x, state=state if pair else state[0], lengths=lengths)
        return [outputs, *(last if pair else (last,))]

    def theirs(params: Any, x: Any, *state: Any) -> Any:
        given = x
        if lengths is not None:
            given = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        weights = torch_weights(params, layers, bidirectional)
        outputs, last = torch.func.functional_call(module, weights, (given, state if pair else state[0]))
        if lengths is not None:
            outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=T)
        return [outputs, *(last if pair else (last,))]

    same(model, ours, theirs, inputs)
