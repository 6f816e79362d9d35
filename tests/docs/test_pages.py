"""The pages of `docs/`: their code runs, and every name they mention exists. `make docs` shows the output, too."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import backlit as bl

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]
CELL = re.compile(r"^```\{code-cell\} python\n(?::[^\n]*\n)*(.*?)^```$", re.MULTILINE | re.DOTALL)

#: These run the examples, which have tests of their own.
ELSEWHERE = {"gallery.md"}


def cells(page: Path) -> list[str]:
    return CELL.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [p for p in PAGES if cells(p) and p.name not in ELSEWHERE], ids=lambda p: p.stem)
def test_the_cells_of_a_page_run(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, cell in enumerate(cells(page), start=1):
        exec(compile(ast.parse(cell), f"{page.name}, cell {number}", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_name_that_a_page_mentions_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = []
    for name in sorted(set(re.findall(r"\b(?:bl|static)\.[A-Za-z_][A-Za-z_.0-9]*\b(?<!\.md)", text))):
        found: object = bl
        for part in name.removeprefix("bl.").split("."):
            found = getattr(found, part, None)
        if found is None:
            missing.append(name)
    assert not missing
