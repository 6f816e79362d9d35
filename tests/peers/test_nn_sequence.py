"""Recurrent layers beside torch.nn: values and all gradients, in float64."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import backlit as bl
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
    units = params["forwards.0.recurrent"].shape[0]
    for i in range(layers):
        for way, suffix in (("forwards", ""), ("backwards", "_reverse"))[: 1 + bidirectional]:
            here = f"{way}.{i}."
            found[f"weight_ih_l{i}{suffix}"] = params[here + "weight"].T
            found[f"weight_hh_l{i}{suffix}"] = params[here + "recurrent"].T
            if here + "bias" in params:
                bias = params[here + "bias"]
                second = torch.zeros_like(bias)
                if here + "recurrent_bias" in params:
                    second = torch.cat([second[: 2 * units], params[here + "recurrent_bias"]])
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

    same(model, ours, theirs, inputs, compiled=lengths is not None)


# --- attention and transformers ----------------------------------------------------------------------

SEEN = np.array([[True, True, False, True], [True, False, True, True], [False, True, True, True]])
COUNTS = np.array([[True] * 4, [True, True, False, False], [False, True, True, True]])
BIAS = np.random.default_rng(4).normal(size=(3, 4))
HEADWISE = np.random.default_rng(5).uniform(size=(3, 2, 3, 4)) < 0.8
HEADWISE[..., 1] = True  # no row hides all, which would be NaN in torch

MASKS: dict[str, dict[str, Any]] = {
    "free": {},
    "boolean": {"mask": SEEN},
    "additive": {"mask": BIAS},
    "hiding": {"mask": np.where(SEEN, BIAS, -np.inf)},
    "padding": {"key_mask": COUNTS},
    "both": {"mask": SEEN, "key_mask": np.array([[True] * 4, [True, True, True, False], [True, True, True, True]])},
    "additive and padding": {"mask": BIAS, "key_mask": COUNTS},
    "by sample": {"mask": np.stack([SEEN, ~np.eye(3, 4, dtype=bool), np.tri(3, 4, dtype=bool)])},
    "by head": {"mask": HEADWISE},
}


def torch_attention(params: dict[str, Any], at: str = "", to: str = "") -> dict[str, Any]:
    """The weights of `torch.nn.MultiheadAttention`."""
    parts = ("query", "key", "value")
    weights = [params[f"{at}{part}.weight"].T for part in parts]
    found = {f"{to}out_proj.weight": params[f"{at}out.weight"].T}
    if len({w.shape for w in weights}) == 1:
        found[f"{to}in_proj_weight"] = torch.cat(weights)
    else:
        found.update({f"{to}{n}_proj_weight": w for n, w in zip("qkv", weights, strict=True)})
    if f"{at}out.bias" in params:
        found[f"{to}in_proj_bias"] = torch.cat([params[f"{at}{part}.bias"] for part in parts])
        found[f"{to}out_proj.bias"] = params[f"{at}out.bias"]
    return found


def torch_mask(mask: Any, heads: int) -> Any:
    """A mask as torch takes it: True hides; one for each sample and head lies along the first axis."""
    if mask is None:
        return None
    mask = torch.tensor(mask if mask.dtype != bool else ~mask)
    if mask.ndim == 3:
        mask = mask[:, None].repeat(1, heads, 1, 1)
    return mask.reshape(-1, *mask.shape[-2:]) if mask.ndim == 4 else mask


@pytest.mark.parametrize("mask", MASKS)
def test_attention_to_another_sequence(mask: str) -> None:
    """Queries, keys and values of different widths."""
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 3, 6)), rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 4, 2))
    model = nn.MultiHeadAttention(2).build(q, k, v)
    module = torch.nn.MultiheadAttention(6, 2, kdim=5, vdim=2, batch_first=True).double()
    given = MASKS[mask]
    hidden = None if "key_mask" not in given else torch.tensor(~given["key_mask"])
    options = {"attn_mask": torch_mask(given.get("mask"), 2), "key_padding_mask": hidden}
    if options["attn_mask"] is not None and options["attn_mask"].dtype != torch.bool and hidden is not None:
        options["key_padding_mask"] = torch.zeros(hidden.shape, dtype=torch.float64).masked_fill(hidden, -np.inf)

    def theirs(params: Any, *inputs: Any) -> Any:
        return [torch.func.functional_call(module, torch_attention(params), inputs, options)[0]]

    same(model, lambda run, *inputs: [run(*inputs, **given)], theirs, [q, k, v])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_attention_to_itself(causal: bool, bias: bool) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5, 6))
    model = nn.MultiHeadAttention(3, causal=causal, use_bias=bias).build((5, 6))
    module = torch.nn.MultiheadAttention(6, 3, batch_first=True, bias=bias).double()
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if causal else None

    def theirs(params: Any, x: Any) -> Any:
        return [torch.func.functional_call(module, torch_attention(params), (x, x, x), {"attn_mask": mask})[0]]

    same(model, lambda run, x: [run(x)], theirs, [x])


def torch_block(params: dict[str, Any], at: str, to: str, norms: list[str], attentions: dict[str, str]) -> Any:
    """The weights of a block of a transformer in torch."""
    found = {}
    for ours, theirs in attentions.items():
        found.update(torch_attention(params, f"{at}{ours}.", f"{to}{theirs}."))
    for i, norm in enumerate(norms, 1):
        found[f"{to}norm{i}.weight"], found[f"{to}norm{i}.bias"] = (
            params[f"{at}{norm}.{what}"] for what in ("scale", "shift")
        )
    for i, layer in enumerate(("inner", "outer"), 1):
        found[f"{to}linear{i}.weight"] = params[f"{at}feed_forward.{layer}.weight"].T
        found[f"{to}linear{i}.bias"] = params[f"{at}feed_forward.{layer}.bias"]
    return found


@pytest.mark.parametrize("norm_first", [True, False])
def test_encoder(norm_first: bool) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 6))
    model = nn.TransformerEncoder(2, 2, 5, activation="gelu", norm_first=norm_first, dropout=0).build((4, 6))
    block = torch.nn.TransformerEncoderLayer(
        6, 2, 5, dropout=0, activation="gelu", batch_first=True, norm_first=norm_first
    )
    last = torch.nn.LayerNorm(6) if norm_first else None
    module = torch.nn.TransformerEncoder(block, 2, last, enable_nested_tensor=False).double()
    mask, padding = np.tri(4, dtype=bool), np.arange(4) < np.array([[4], [1], [3]])

    def theirs(params: Any, x: Any) -> Any:
        weights: dict[str, Any] = {}
        for i in range(2):
            norms = ["attention_norm", "feed_forward_norm"]
            weights |= torch_block(params, f"blocks.{i}.", f"layers.{i}.", norms, {"attention": "self_attn"})
        if norm_first:
            weights |= {"norm.weight": params["norm.scale"], "norm.bias": params["norm.shift"]}
        options = {"mask": torch.tensor(~mask), "src_key_padding_mask": torch.tensor(~padding)}
        return [torch.func.functional_call(module, weights, (x,), options)]

    same(model, lambda run, x: [run(x, mask=mask, key_mask=padding)], theirs, [x])


@pytest.mark.parametrize("norm_first", [True, False])
def test_decoder(norm_first: bool) -> None:
    rng = np.random.default_rng(0)
    x, memory = rng.normal(size=(3, 3, 6)), rng.normal(size=(3, 4, 6))
    model = nn.TransformerDecoder(2, 3, 5, norm_first=norm_first, dropout=0).build((3, 6), (4, 6))
    block = torch.nn.TransformerDecoderLayer(6, 3, 5, dropout=0, batch_first=True, norm_first=norm_first)
    last = torch.nn.LayerNorm(6) if norm_first else None
    module = torch.nn.TransformerDecoder(block, 2, last).double()
    causal = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)

    def theirs(params: Any, x: Any, memory: Any) -> Any:
        weights: dict[str, Any] = {}
        for i in range(2):
            norms = ["attention_norm", "memory_norm", "feed_forward_norm"]
            attentions = {"attention": "self_attn", "memory_attention": "multihead_attn"}
            weights |= torch_block(params, f"blocks.{i}.", f"layers.{i}.", norms, attentions)
        if norm_first:
            weights |= {"norm.weight": params["norm.scale"], "norm.bias": params["norm.shift"]}
        options = {
            "tgt_mask": causal,
            "memory_mask": torch.tensor(~SEEN),
            "memory_key_padding_mask": torch.tensor(~COUNTS),
        }
        return [torch.func.functional_call(module, weights, (x, memory), options)]

    same(model, lambda run, *inputs: [run(*inputs, memory_mask=SEEN, memory_key_mask=COUNTS)], theirs, [x, memory])


def test_rotary_is_a_product_of_complex_numbers() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6))
    angles = torch.outer(torch.arange(5.0), 1e4 ** (-torch.arange(3) / 3)).double()
    turn = torch.polar(torch.ones(5, 3).double(), angles)
    turned = torch.complex(*torch.tensor(x).split(3, -1)) * turn
    np.testing.assert_allclose(nn.rotary(bl.tensor(x)), torch.cat([turned.real, turned.imag], -1), rtol=1e-6)


# --- random sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_recurrent_of_random_size(seed: int) -> None:
    """Down to one sequence, one step, one feature and one unit."""
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(list(KINDS)))
    n, time, features, units, layers = (int(rng.integers(1, 5)) for _ in range(5))
    bidirectional, lengths = bool(rng.integers(2)), rng.integers(1, time + 1, n)
    lengths[0] = time
    mine, twin = KINDS[kind]
    model = mine(units, layers, bidirectional=bidirectional).build((time, features))
    module = twin(features, units, layers, bidirectional=bidirectional, batch_first=True).double()

    def theirs(params: Any, x: Any) -> Any:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        weights = torch_weights(params, layers, bidirectional)
        outputs, _ = torch.func.functional_call(module, weights, (packed,))
        return [torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0]]

    inputs = [rng.normal(size=(n, time, features))]
    same(model, lambda run, x: [run(x, lengths=lengths)], theirs, inputs, compiled=seed < 2)


@pytest.mark.parametrize("seed", range(8))
def test_encoder_of_random_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, time, heads, hidden = (int(rng.integers(1, 5)) for _ in range(4))
    width, norm_first = heads * int(rng.integers(1, 4)), bool(rng.integers(2))
    options: dict[str, Any] = {"dropout": 0, "norm_first": norm_first}
    model = nn.TransformerEncoderLayer(heads, hidden, causal=True, **options).build((time, width))
    module = torch.nn.TransformerEncoderLayer(width, heads, hidden, batch_first=True, **options).double()
    mask = torch.triu(torch.ones(time, time, dtype=torch.bool), 1)

    def theirs(params: Any, x: Any) -> Any:
        weights = torch_block(params, "", "", ["attention_norm", "feed_forward_norm"], {"attention": "self_attn"})
        return [torch.func.functional_call(module, weights, (x,), {"src_mask": mask})]

    same(model, lambda run, x: [run(x)], theirs, [rng.normal(size=(n, time, width))], compiled=seed < 2)
