"""The Python blocks of the pages in the root run, one after the other, and print what the page says they print."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "README.zh-CN.md", "ARCHITECTURE.md"]

#: A block of Python, and the block of text that follows it at once, if one does.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    """The Python blocks of a page, each with the output that is written below it."""
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_print_what_the_page_says(page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    found = blocks(page)
    assert found
    for number, (code, expected) in enumerate(found, start=1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), names)
        assert printed.getvalue().rstrip() == expected.rstrip(), f"block {number} of {page}:\n{code}"


def test_both_languages_show_the_same_code() -> None:
    def code(page: str) -> list[str]:
        return [re.sub(r"\s*#.*", "", block) for block, _ in blocks(page)]

    assert code("README.md") == code("README.zh-CN.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_local_link_leads_somewhere(page: str) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    missing = [t for t in targets if not (ROOT / t).exists()]
    assert not missing
