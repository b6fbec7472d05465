"""Runs the code blocks of README.md and docs/*.md and compares what they print with the page.

    python tests/docs_blocks.py [--slow] [--update] [PAGE ...]

The blocks of a page run in order in one temporary directory, which also has links to `docs`, `rust` and `schemas`:

* `console`: lines that begin with `$ ` are commands, the lines below each are its output;
* `sh`: commands whose output is not shown;
* `python`: one namespace a page; a `text` block right below holds what the block prints;
* any block with `title="NAME"` is written to that file.

An HTML comment on the line before a block changes how it runs:

* `<!-- docs: skip: REASON -->`: it does not run;
* `<!-- docs: slow -->`: it runs with `--slow` only;
* `<!-- docs: varies -->`: numbers and spaces may differ; `<!-- docs: varies: REGEX -->`: in matching lines only;
* `<!-- docs: exit N -->`: the last command ends with this exit code;
* `<!-- docs: setup: COMMAND -->`, anywhere: a command that the page does not show.

In printed output, `…` stands for any text of a line, and a line of `…` for any lines. `--update` writes what is printed
now into the page.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
LINKED = ("docs", "rust", "schemas")
RUN = ("console", "sh", "python")
WIDTH = "80"
ELISION = "…"

FENCE = re.compile(r"^```(?P<language>[a-z]*)(?:\s+(?P<info>.*))?$")
DIRECTIVE = re.compile(r"^<!-- docs: (?P<name>[a-z]+):?\s*(?P<value>.*?) -->$")
DIRECTIVES = ("exit", "setup", "skip", "slow", "varies")
NUMBER = re.compile(r"[+-]?\d[\d,.]*")


@dataclass
class Block:
    """A fenced block, or a setup command: its place in the page and how it runs."""

    language: str
    first: int  # index of the first line of the body
    lines: list[str]
    title: str | None = None
    directives: dict[str, str] = field(default_factory=dict)
    output: Block | None = None  # of Python: the `text` block right below

    @property
    def runs(self) -> bool:
        """Whether there is anything to run."""
        return "skip" not in self.directives and (self.language in RUN or self.title is not None)


@dataclass
class Difference:
    """Lines `first` to `last` of a page, which should read `lines`."""

    first: int
    last: int
    lines: list[str]
    found: str


class PageError(Exception):
    """A page breaks the conventions, or one of its commands fails."""


def pages() -> list[Path]:
    """README.md and all pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def parse(text: str, name: str) -> list[Block]:
    """All blocks of a page, in order."""
    blocks: list[Block] = []
    directives: dict[str, str] = {}
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        if directive := DIRECTIVE.match(line):
            if directive["name"] not in DIRECTIVES:
                raise PageError(f"{name}:{at + 1}: unknown directive {directive['name']!r}")
            if directive["name"] == "setup":
                blocks.append(Block("sh", at + 1, [directive["value"]], directives=directives))
                directives = {}
            else:
                directives[directive["name"]] = directive["value"]
        elif fence := FENCE.match(line):
            end = next((i for i in range(at + 1, len(lines)) if lines[i] == "```"), None)
            if end is None:
                raise PageError(f"{name}:{at + 1}: the block has no end")
            title = re.search(r'title="([^"]+)"', fence["info"] or "")
            block = Block(fence["language"], at + 1, lines[at + 1 : end], title and title[1], directives)
            if block.language == "text" and blocks and is_output(lines, blocks[-1], at):
                blocks[-1].output = block
                blocks[-1].directives |= directives
            else:
                blocks.append(block)
            directives, at = {}, end
        elif directives and line:
            raise PageError(f"{name}:{at + 1}: a directive stands on the line before its block")
        at += 1
    return blocks


def is_output(lines: list[str], before: Block, at: int) -> bool:
    """Whether only blank lines and directives stand between a Python block and line `at`."""
    between = lines[before.first + len(before.lines) + 1 : at]
    return before.language == "python" and all(not line or DIRECTIVE.match(line) for line in between)


def commands(block: Block) -> list[tuple[str, int, list[str]]]:
    """The commands of a block: text, index of the first line of output in the block, output."""
    if block.language == "sh":
        return [("\n".join(block.lines), len(block.lines), [])]
    found: list[tuple[str, int, list[str]]] = []
    at = 0
    while at < len(block.lines):
        line = block.lines[at]
        at += 1
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + block.lines[at].removeprefix("> ")
                at += 1
            found.append((command, at, []))
        elif found:
            found[-1][2].append(line)
        else:
            raise PageError(f"a console block begins with a command, not with {line!r}")
    return found


def pattern(line: str, varies: str | None) -> str:
    """The regular expression of a line of output."""

    def literal(text: str) -> str:
        return ".*".join(re.escape(part) for part in text.split(ELISION))

    if varies is None or not re.search(varies, line):
        return literal(line)
    words = (NUMBER.pattern.join(literal(part) for part in NUMBER.split(word)) for word in line.split())
    return r"\s*" + r"\s+".join(words) + r"\s*"


def same(expected: list[str], found: list[str], varies: str | None) -> bool:
    """Whether a printed output is the one that a page shows."""
    whole = "".join(r"(?:.*\n)*" if line == ELISION else pattern(line, varies) + r"\n" for line in expected)
    return re.fullmatch(whole, "".join(f"{line}\n" for line in found)) is not None


def elide(expected: list[str], found: list[str]) -> list[str]:
    """The output found, with the lines left out that a page leaves out."""
    if ELISION not in expected:
        return found
    parts: list[list[str]] = [[]]
    for line in expected:
        if line == ELISION:
            parts.append([])
        else:
            parts[-1].append(line)
    shown = found[: len(parts[0])]
    for part in parts[1:-1]:
        shape = pattern(part[0], "")
        start = next((i for i, line in enumerate(found) if re.fullmatch(shape, line)), None)
        if start is not None:
            shown += [ELISION, *found[start : start + len(part)]]
    return [*shown, ELISION, *(found[-len(parts[-1]) :] if parts[-1] else [])]


class Page:
    """One page and the directory that its blocks run in."""

    def __init__(self, path: Path, directory: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.directory = directory
        self.blocks = parse(path.read_text(encoding="utf-8"), self.name)
        self.names: dict[str, Any] = {"__name__": "__main__"}
        for name in LINKED:
            (directory / name).symlink_to(ROOT / name)

    def run(self, *, slow: bool) -> Iterator[Difference]:
        """Run the blocks in order; yields where the page shows something else than what is printed."""
        for block in self.blocks:
            if not block.runs or ("slow" in block.directives and not slow):
                continue
            if block.title:
                (self.directory / block.title).write_text("\n".join(block.lines) + "\n", encoding="utf-8")
            elif block.language == "python":
                yield from self.run_python(block)
            else:
                yield from self.run_commands(block)

    def run_commands(self, block: Block) -> Iterator[Difference]:
        """Run the commands of a block."""
        todo = commands(block)
        for number, (command, at, expected) in enumerate(todo):
            code, output = self.shell(command)
            wanted = int(block.directives.get("exit", "0")) if number == len(todo) - 1 else 0
            if code != wanted:
                raise PageError(
                    f"{self.name}:{block.first + at}: exit code {code}, expected {wanted}: {command}\n{output}"
                )
            if block.language == "console":
                yield from self.compare(block, block.first + at, expected, output)

    def shell(self, command: str) -> tuple[int, str]:
        """The exit code of a command, and all that it prints."""
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": WIDTH,
            "NO_COLOR": "1",
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
            "PYTHONIOENCODING": "utf-8",
        }
        done = subprocess.run(
            ["bash", "-e", "-c", command],  # noqa: S607  as in a terminal
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        return done.returncode, done.stdout

    def run_python(self, block: Block) -> list[Difference]:
        """Run a block of Python among the names that earlier ones left."""
        printed = io.StringIO()
        source = "\n" * block.first + "\n".join(block.lines)
        with contextlib.chdir(self.directory), contextlib.redirect_stdout(printed):
            exec(compile(source, self.name, "exec", dont_inherit=True), self.names)  # noqa: S102  the pages are ours
        if block.output is None:
            if printed.getvalue():
                raise PageError(f"{self.name}:{block.first}: prints, but no text block follows:\n{printed.getvalue()}")
            return []
        directives = Block("", 0, [], directives=block.directives | block.output.directives)
        return self.compare(directives, block.output.first, block.output.lines, printed.getvalue())

    def compare(self, block: Block, first: int, expected: list[str], output: str) -> list[Difference]:
        """What a page shows from line `first` on beside what was printed."""
        found = [line.rstrip() for line in output.rstrip().split("\n")] if output.strip() else []
        shown = expected
        while shown and not shown[-1].strip():
            shown = shown[:-1]
        if same(shown, found, block.directives.get("varies")):
            return []
        return [Difference(first, first + len(shown), elide(shown, found), "\n".join(found))]

    def update(self, differences: list[Difference]) -> None:
        """Write into the page what is printed now."""
        lines = self.path.read_text(encoding="utf-8").split("\n")
        for difference in sorted(differences, key=lambda each: each.first, reverse=True):
            lines[difference.first : difference.last] = difference.lines
        self.path.write_text("\n".join(lines), encoding="utf-8")

    def report(self, difference: Difference) -> str:
        """A difference for people: where, what the page shows, what was printed."""
        shown = self.path.read_text(encoding="utf-8").split("\n")[difference.first : difference.last]
        return "\n".join(
            [f"{self.name}:{difference.first + 1}: the page shows", *shown, "-- printed:", difference.found]
        )


def main() -> int:
    """Run the pages that are named, or all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE")
    parser.add_argument("--slow", action="store_true", help="run the blocks that take long, too")
    parser.add_argument("--update", action="store_true", help="write what is printed now into the pages")
    arguments = parser.parse_args()
    failed = False
    for path in arguments.pages or pages():
        with tempfile.TemporaryDirectory() as directory:
            differences: list[Difference] = []
            page = Page(path.resolve(), Path(directory))
            try:
                for difference in page.run(slow=arguments.slow):
                    differences.append(difference)  # noqa: PERF402  those before an error count
            except PageError as error:
                failed = True
                sys.stdout.write(f"{error}\n")
            if arguments.update:
                page.update(differences)
                sys.stdout.write(f"{page.name}: {len(differences)} outputs updated\n")
            else:
                failed |= bool(differences)
                sys.stdout.write(("\n\n".join(map(page.report, differences)) or f"{page.name}: ok") + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
