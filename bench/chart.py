"""The chart: for each workload, the time of every contender as a multiple of Backlit's, as an SVG."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from .report import OURS, amount, medians

#: Colours that people who confuse red and green tell apart (Okabe & Ito 2008).
COLOURS = {
    OURS: "#000000",
    "NumPy by hand": "#999999",
    "torch eager": "#D55E00",
    "torch.compile": "#E69F00",
    "jax.jit": "#0072B2",
    "tf.function": "#009E73",
    "TensorFlow XLA": "#56B4E9",
    "tinygrad": "#CC79A7",
    "onnxruntime": "#B8A800",
}

_LEFT, _RIGHT, _TOP, _ROW = 480, 30, 70, 28
_WIDTH = 1080


def svg(record: dict[str, Any]) -> str:
    """Rows are workloads; the axis is logarithmic, and 1 is Backlit."""
    lines = []
    for key, w in record["workloads"].items():
        times = medians(w["results"])
        if (ours := times.get(OURS)) is not None:
            shown = {name: t / ours for name, t in times.items() if name in COLOURS}
            lines.append((key, w["title"], f"{amount(ours, w['unit'])} {w['unit']}", shown))
    ratios = [r for *_, shown in lines for r in shown.values()]
    low = math.floor(math.log10(min([0.5, *ratios])) * 2) / 2
    high = math.ceil(math.log10(max([10.0, *ratios])) * 2) / 2

    def x(ratio: float) -> float:
        return _LEFT + (math.log10(ratio) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    bottom = _TOP + _ROW * len(lines)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 45}" font-size="13" '
        'font-family="system-ui, sans-serif">',
        f'<rect width="{_WIDTH}" height="{bottom + 45}" rx="6" fill="#fff"/>',
    ]
    present = [name for name in COLOURS if any(name in shown for *_, shown in lines)]
    at = 20.0
    for name in present:
        out.append(f'<circle cx="{at}" cy="24" r="6" fill="{COLOURS[name]}"/>')
        out.append(f'<text x="{at + 11}" y="28.5">{escape(name)}</text>')
        at += 30 + 7.6 * len(name)
    for power in range(math.ceil(low), math.floor(high) + 1):
        at = x(10.0**power)
        out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 12}" y2="{bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#555">{10.0**power:g}</text>')
    label = "time as a multiple of Backlit's (to the right: slower)"
    out.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{bottom + 37}" text-anchor="middle" fill="#555">{label}</text>'
    )
    for i, (key, title, ours, shown) in enumerate(lines):
        y = _TOP + _ROW * i + 6
        room = 52 - len(key)
        short = title if len(title) <= room else title[: room - 1] + "…"
        out.append(f'<text x="20" y="{y + 4}"><tspan font-weight="600">{escape(key)}</tspan> {escape(short)}</text>')
        out.append(f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end" fill="#555">{ours}</text>')
        out.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#eee"/>')
        for name in reversed(present):
            if name in shown:
                told = f"{name}: {shown[name]:.2f}"
                out.append(
                    f'<circle cx="{x(shown[name]):.1f}" cy="{y}" r="6" fill="{COLOURS[name]}" fill-opacity=".9" '
                    f'stroke="#fff"><title>{escape(told)}</title></circle>'
                )
    return "\n".join([*out, "</svg>", ""])
