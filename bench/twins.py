"""The networks for texts of `backlit.train.networks` as torch modules with the same parameters."""

from __future__ import annotations

from typing import Any


def twin(name: str, model: Any) -> Any:
    """The torch module of a built network: "lstm" or "transformer"."""
    import torch

    params = {path: torch.from_numpy(v.numpy().copy()) for path, v in model.parameters().items()}
    return {"lstm": _lstm, "transformer": _transformer}[name](model, params)


def _lstm(model: Any, params: dict[str, Any]) -> Any:
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            (count, size), units = params["0.weight"].shape, params["2.weight"].shape[0]
            self.embed, self.lstm = nn.Embedding(count, size), nn.LSTM(size, units, batch_first=True)
            self.out = nn.Linear(units, count)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(self.embed(x))[0])

    module, at = Network(), "1.forwards.0."
    bias = params[at + "bias"]
    module.load_state_dict(
        {
            "embed.weight": params["0.weight"], "lstm.weight_ih_l0": params[at + "weight"].T,
            "lstm.weight_hh_l0": params[at + "recurrent"].T, "lstm.bias_ih_l0": bias, "lstm.bias_hh_l0": bias * 0,
            "out.weight": params["2.weight"].T, "out.bias": params["2.bias"],
        }
    )  # fmt: skip
    module.lstm.bias_hh_l0.requires_grad_(False)  # it would only double the steps of the other
    return module


def _transformer(model: Any, params: dict[str, Any]) -> Any:
    import torch
    from torch import nn

    encoder = model.layers[2]
    (count, width), length = params["0.weight"].shape, params["1.weight"].shape[0]

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.places = nn.Embedding(count, width), nn.Embedding(length, width)
            block = nn.TransformerEncoderLayer(
                width, encoder.heads, 4 * width, encoder.blocks[0].dropout, "gelu", batch_first=True, norm_first=True
            )
            self.blocks = nn.TransformerEncoder(block, encoder.layers, nn.LayerNorm(width), enable_nested_tensor=False)
            self.out = nn.Linear(width, count)
            self.hidden = nn.Transformer.generate_square_subsequent_mask(length)

        def forward(self, x: Any) -> Any:
            h = self.embed(x) + self.places.weight
            return self.out(self.blocks(h, mask=self.hidden, is_causal=True))

    values = {
        "embed.weight": params["0.weight"], "places.weight": params["1.weight"],
        "out.weight": params["3.weight"].T, "out.bias": params["3.bias"],
    }  # fmt: skip
    norms = {"2.norm.": "blocks.norm."}
    for i in range(encoder.layers):
        ours, theirs = f"2.blocks.{i}.", f"blocks.layers.{i}."
        parts = [f"{ours}attention.{part}." for part in ("query", "key", "value")]
        values[theirs + "self_attn.in_proj_weight"] = torch.cat([params[p + "weight"].T for p in parts])
        values[theirs + "self_attn.in_proj_bias"] = torch.cat([params[p + "bias"] for p in parts])
        dense = {
            "attention.out": "self_attn.out_proj",
            "feed_forward.inner": "linear1",
            "feed_forward.outer": "linear2",
        }
        for a, b in dense.items():
            values[f"{theirs}{b}.weight"] = params[f"{ours}{a}.weight"].T
            values[f"{theirs}{b}.bias"] = params[f"{ours}{a}.bias"]
        norms |= {f"{ours}attention_norm.": f"{theirs}norm1.", f"{ours}feed_forward_norm.": f"{theirs}norm2."}
    for a, b in norms.items():
        values[b + "weight"], values[b + "bias"] = params[a + "scale"], params[a + "shift"]
    module = Network()
    module.load_state_dict(values)
    return module
