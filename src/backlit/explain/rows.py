"""An answer as text and as HTML: a headline, and below it pairs of a word and what is to be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from textwrap import wrap

from .plain import WIDTH

Rows = Sequence[tuple[str, str]]


def as_text(headline: str, rows: Rows) -> str:
    """The answer in lines; an empty word goes on with the one above."""
    lines = wrap(headline, WIDTH)
    for word, text in rows:
        lines += wrap(
            text, WIDTH, initial_indent=f"  {word:<9}", subsequent_indent=" " * 11, break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
    return "\n".join(lines)


def as_html(headline: str, rows: Rows) -> str:
    """The answer as a table."""
    cells = "".join(
        f"<tr><th style='text-align:left;vertical-align:top;padding-right:1em'>{escape(word)}</th>"
        f"<td style='text-align:left'>{escape(text)}</td></tr>"
        for word, text in rows
    )
    return f"<div><b>{escape(headline)}</b><table>{cells}</table></div>"
