r"""Formulas as LaTeX, by the records of the ops."""

from __future__ import annotations

import re
from functools import lru_cache

from .symbols import (
    ATOM,
    POWER,
    POWER_FORM,
    PRODUCT,
    SIGN,
    SQUARE_FORM,
    SUM,
    TRANSPOSE_FORM,
    Formula,
    Name,
    between,
    number,
    options,
)  # fmt: skip


def latex(f: Formula, least: int = 0) -> str:
    r"""A formula in LaTeX, without dollars.

    >>> from backlit.explain.symbols import applied
    >>> latex(applied("divide", 1.0, applied("add", 1.0, applied("exp", Name("h3")))))
    '\\frac{1}{1 + e^{h_{3}}}'
    """
    if isinstance(f, Name):
        return latex_name(f.text)
    if isinstance(f, (int, float)):
        shown = re.sub(r"e([+-])0*(\d+)", lambda m: rf" \cdot 10^{{{m[1].strip('+')}{m[2]}}}", number(f))
        return rf"\left({shown}\right)" if f < 0 and least > SUM else shown
    form = f.op.latex
    if form is None:
        words = [*map(latex, f.args), *(rf"\mathrm{{{_escaped(o)}}}" for o in options(f))]
        return rf"\mathrm{{{_escaped(f.op.name)}}}\left({', '.join(words)}\right)"
    firm = _firmness(form)
    parts = [latex(a, _needed(form, i, firm)) for i, a in enumerate(f.args)]
    found = form.format(*parts)
    return rf"\left({found}\right)" if firm < least else found


def latex_name(name: str) -> str:
    r"""A name in LaTeX: `h_{3}` for h3, `\mathrm{...}` for words.

    >>> latex_name("w"), latex_name("h12"), latex_name("model.0.weight")
    ('w', 'h_{12}', '\\mathrm{model.0.weight}')
    """
    if len(name) == 1:
        return name
    found = re.fullmatch(r"([A-Za-z])(\d+)", name)
    return f"{found[1]}_{{{found[2]}}}" if found else rf"\mathrm{{{_escaped(name)}}}"


def _escaped(name: str) -> str:
    return name.replace("_", r"\_").replace(" ", r"\ ").replace("#", r"\#")


@lru_cache(512)
def _firmness(form: str) -> int:
    operator = between(form)
    if operator is not None:
        return operator[1]
    if form == "-{0}":
        return SIGN
    if form in (SQUARE_FORM, POWER_FORM, TRANSPOSE_FORM):
        return POWER
    return PRODUCT if _bare(form, 0) else ATOM


def _needed(form: str, i: int, firm: int) -> int:
    """How firmly the argument `i` must hold together where it stands in `form`."""
    if not _bare(form, i):
        return 0
    if firm == POWER:
        return ATOM
    return max(firm, SUM) + (i > 0 and firm in (SUM, PRODUCT) and "+" not in form and "cdot" not in form)


@lru_cache(512)
def _bare(form: str, i: int) -> bool:
    """Does argument `i` stand in a form without braces, parentheses or bars around it?"""
    at = form.find(f"{{{i}}}")
    before, after = form[:at].rstrip(), form[at + 3 :].lstrip()
    return not (
        before.endswith(("{", "(", "|", ",", r"\lfloor", r"\lceil")) and after.startswith(("}", ")", "|", ",", "\\r"))
    )
