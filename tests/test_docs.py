"""The commands and programs of README.md and docs/*.md print what the pages say (tests/docs_blocks.py)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from docs_blocks import ROOT, Page, pages, parse

if TYPE_CHECKING:
    from pathlib import Path

SHELL = re.compile(r"(\$ |agentgen |aiperf |pip |python |make )")


def blocks(page: Path) -> list[str]:
    return [block.language for block in parse(page.read_text(encoding="utf-8"), page.name) if block.runs]


def is_slow(page: Path) -> bool:
    return any("slow" in block.directives for block in parse(page.read_text(encoding="utf-8"), page.name))


def check(path: Path, directory: Path, *, slow: bool) -> None:
    page = Page(path, directory)
    differences = list(page.run(slow=slow))
    assert not differences, "\n\n".join(map(page.report, differences))


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)], ids=lambda page: page.name)
def test_blocks_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    check(page, tmp_path, slow=False)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", [page for page in pages() if is_slow(page)], ids=lambda page: page.name)
def test_slow_blocks_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    check(page, tmp_path, slow=True)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_command_stands_in_a_block_that_runs_or_says_why_not(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in parse(text, page.name):
        if block.language in {"", "text", "bash", "shell"}:
            assert not any(SHELL.match(line) for line in block.lines), f"line {block.first}: use console or sh"
        if "skip" in block.directives:
            assert block.directives["skip"], f"line {block.first}: say why the block is skipped"
    indented = [line for line in text.splitlines() if re.match(r" {4,}" + SHELL.pattern, line)]
    assert not [line for line in indented if line not in fenced(text)], "use console or sh"


def fenced(text: str) -> set[str]:
    return {line for block in parse(text, "") for line in block.lines}


def test_pages_are_found() -> None:
    assert ROOT / "docs" / "glossary.md" in pages()
