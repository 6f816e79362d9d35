"""The look of graph drawings: colours by class, light and dark. Written out, without variables, so that programs which
turn SVG into pixels understand it.
"""

from __future__ import annotations

from ..style import AMBER, BLUE, FAINT, GREEN, INK, PAPER, PURPLE, SKY

RED = "#D01C3A"

_LIGHT = {
    "paper": PAPER, "ink": INK, "faint": FAINT, "edge": "#7D8B9C", "none": "#B9C1CB", "red": RED, "share": BLUE,
    "against": PURPLE, "value": "#3A434D", "gradient": "#0A62A0", "group": "#F6F8FA", "inner": "#EDF1F5",
    "rim": "#D3DAE2", "op": "#FFFFFF", "op-rim": "#8793A1", "leaf": "#E2F0FA", "leaf-rim": SKY, "parameter": "#FFF3DA",
    "parameter-rim": AMBER, "constant": "#EEF0F2", "constant-rim": "#9AA4AF", "output": "#DFF5EC", "output-rim": GREEN,
    "fold": "#E9EDF3", "fold-rim": "#76828F",
}  # fmt: skip
_DARK = {
    "paper": "#14181D", "ink": "#E8ECF1", "faint": "#98A3AF", "edge": "#7A8899", "none": "#48525E", "red": "#FF5C72",
    "share": "#56B4F0", "against": "#DE93BF", "value": "#C6CED7", "gradient": "#6CBBF2", "group": "#1B2027",
    "inner": "#232A32", "rim": "#3A444F", "op": "#20262D", "op-rim": "#76828F", "leaf": "#14303F",
    "leaf-rim": "#56B4E9",
    "parameter": "#3A2E12", "parameter-rim": "#E0A93B", "constant": "#262B31", "constant-rim": "#6B7480",
    "output": "#123628", "output-rim": "#2FC492", "fold": "#2B323B", "fold-rim": "#8793A1",
}  # fmt: skip

#: What is drawn how; names in braces are colours.
_RULES = """
.bl-graph .paper {{ fill: {paper}; }}
.bl-graph text {{ fill: {ink}; font-family: 'DejaVu Sans', Verdana, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif;
  font-size: 12px; }}
.bl-graph .title {{ font-size: 16px; font-weight: bold; }}
.bl-graph .note, .bl-graph .key {{ fill: {faint}; font-size: 11px; }}
.bl-graph .head {{ font-weight: bold; }}
.bl-graph .value {{ fill: {value}; }}
.bl-graph .gradient {{ fill: {gradient}; }}
.bl-graph .bad .gradient, .bl-graph .value.bad {{ fill: {red}; font-weight: bold; }}
.bl-graph .box {{ stroke-width: 1.2; fill: {op}; stroke: {op-rim}; }}
.bl-graph .leaf .box {{ fill: {leaf}; stroke: {leaf-rim}; }}
.bl-graph .parameter .box {{ fill: {parameter}; stroke: {parameter-rim}; }}
.bl-graph .constant .box {{ fill: {constant}; stroke: {constant-rim}; stroke-dasharray: 3 2; }}
.bl-graph .group .box, .bl-graph .folded .box {{ fill: {fold}; stroke: {fold-rim}; }}
.bl-graph .output .box {{ fill: {output}; stroke: {output-rim}; stroke-width: 2.4; }}
.bl-graph .bad .box {{ stroke: {red}; stroke-width: 2; }}
.bl-graph .frame {{ fill: {group}; stroke: {rim}; stroke-width: 1; }}
.bl-graph .frame.inner {{ fill: {inner}; }}
.bl-graph .frame.turn {{ stroke-dasharray: 5 3; }}
.bl-graph .frame-title {{ fill: {faint}; font-size: 11.5px; font-weight: bold; stroke: {group}; stroke-width: 4px;
  stroke-linejoin: round; paint-order: stroke; }}
.bl-graph .frame-title.inner {{ stroke: {inner}; }}
.bl-graph .edge {{ fill: none; stroke: {edge}; }}
.bl-graph .edge.none {{ stroke: {none}; stroke-dasharray: 2 4; }}
.bl-graph .edge.vanished, .bl-graph .edge.zero {{ stroke: {red}; stroke-dasharray: 6 3; }}
.bl-graph .edge.burst, .bl-graph .edge.broken {{ stroke: {red}; }}
.bl-graph .edge.share {{ stroke: {share}; }}
.bl-graph .edge.against {{ stroke: {against}; stroke-dasharray: 7 3; }}
.bl-graph .tip {{ fill: {edge}; }}
.bl-graph .tip.none {{ fill: {none}; }}
.bl-graph .tip.bad {{ fill: {red}; }}
.bl-graph .tip.share {{ fill: {share}; }}
.bl-graph .tip.against {{ fill: {against}; }}
"""


def css() -> str:
    """The style sheet of a drawing."""
    dark = "\n".join("  " + line for line in _filled(_DARK).splitlines())
    return f"{_filled(_LIGHT)}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _filled(colours: dict[str, str]) -> str:
    """The rules with these colours. `format_map` would take `{op-rim}` for a field with a default."""
    text = _RULES.strip().replace("{{", "\0").replace("}}", "\1")
    for name, colour in colours.items():
        text = text.replace(f"{{{name}}}", colour)
    return text.replace("\0", "{").replace("\1", "}")
