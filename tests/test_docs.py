"""The commands and programs of README.md and docs/*.md print what the pages say (tests/docs_blocks.py)."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from docs_blocks import ROOT, Page, PageError, elide, pages, parse, same

if TYPE_CHECKING:
    from pathlib import Path

SHELL = re.compile(r"(\$ |agentgen |aiperf |pip |python |make )")


def blocks(page: Path) -> list[str]:
    return [block.language for block in parse(page.read_text(encoding="utf-8"), page.name) if block.runs]


def is_slow(page: Path) -> bool:
    return any("slow" in block.directives for block in parse(page.read_text(encoding="utf-8"), page.name))


# Pages whose commands run on Linux only.
LINUX_ONLY = {"collect.md"}


def check(path: Path, directory: Path, *, slow: bool) -> None:
    if path.name in LINUX_ONLY and sys.platform != "linux":
        pytest.skip("the commands of this page run on Linux only")
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
    assert {ROOT / "README.md", ROOT / "docs" / "glossary.md"} <= set(pages())


@pytest.mark.parametrize(
    ("expected", "found", "varies", "equal"),
    [
        (["a  1"], ["a  1"], None, True),
        (["a  1"], ["a  2"], None, False),
        (["a  1"], ["a 1,234.5"], "", True),
        (["a  1"], ["b  2"], "", False),
        (["a  1", "b 1"], ["a 2", "b 1"], "^a", True),
        (["a  1", "b 1"], ["a 2", "b 2"], "^a", False),
        (["a", "…", "d"], ["a", "b", "c", "d"], None, True),
        (["a", "…", "d"], ["a", "b", "c"], None, False),
        (["in … s (x)"], ["in 0.2 s (x)"], None, True),
        (["1.5"], ["1x5"], None, False),
        ([], ["a"], None, False),
    ],
)
def test_outputs_are_compared_by_the_marks_of_the_page(
    expected: list[str], found: list[str], varies: str | None, *, equal: bool
) -> None:
    assert same(expected, found, varies) is equal


def test_an_update_leaves_out_what_the_page_leaves_out() -> None:
    found = ["head", "x", "rate 2 %", "y", "z", "end"]
    assert elide(["head", "…", "rate 1 %", "…", "end"], found) == ["head", "…", "rate 2 %", "…", "end"]
    assert elide(["head", "…"], found) == ["head", "…"]
    assert elide(["other"], found) == found


@pytest.mark.parametrize("text", ["<!-- docs: sometimes -->", "```sh\ntrue", "<!-- docs: slow -->\ntext"])
def test_a_page_that_breaks_the_conventions_is_refused(text: str) -> None:
    with pytest.raises(PageError):
        parse(text, "page.md")


def test_a_page_is_run_in_order_and_updated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("docs_blocks.ROOT", tmp_path)
    path, directory = tmp_path / "page.md", tmp_path / "run"
    directory.mkdir()
    path.write_text(
        "<!-- docs: setup: echo made > made -->\n```console\n$ cat made\nold\n```\n"
        "```python\nfrom pathlib import Path\nprint(Path('made').read_text().strip())\n```\n\n```text\nmade\n```\n"
        "<!-- docs: exit 3 -->\n```console\n$ echo 1 && exit 3\n```\n"
    )
    page = Page(path, directory)
    differences = list(page.run(slow=False))
    assert [difference.lines for difference in differences] == [["made"], ["1"]]
    page.update(differences)
    assert "$ cat made\nmade\n```" in path.read_text()
    assert "exit 3\n1\n```" in path.read_text()
