"""Lines, facts and tables that rich draws at any width; a number is never cut or broken.

All text is taken as it is: rich's markup, emoji codes and highlighting are off.
"""

from __future__ import annotations

import io
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from rich.cells import cell_len
from rich.console import Console, Group
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from agentgen.text.format import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

    from rich.console import ConsoleOptions, RenderableType, RenderResult

WIDTH = 80  # columns without a terminal
INDENT = 2
GAP = 2
LABEL = 12  # columns of a fact's label, indent included


def line(text: str, style: str = "") -> Text:
    """One line that is never wrapped, such as a path to be copied."""
    return Text(printable(text), style=style, no_wrap=True, overflow="ignore")


BLANK = line("")


@dataclass(frozen=True)
class Clauses:
    """Clauses on as few lines as hold them, broken between clauses; between words where a line holds no clause.

    Attributes:
        clauses: The clauses with their punctuation; single words make a paragraph.
        first: What the first line starts with.
        rest: What the other lines start with.
        style: rich's style of the text, on a terminal.
    """

    clauses: Iterable[str]
    first: str = ""
    rest: str = ""
    style: str = ""

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines."""
        room = options.max_width
        current, is_empty = self.first, True
        for clause in self.clauses:
            for part in [clause] if cell_len(self.rest + clause) <= room else clause.split(" "):
                if not is_empty and cell_len(f"{current} {part}") > room:
                    yield line(current, self.style)
                    current, is_empty = self.rest, True
                current += part if is_empty else f" {part}"
                is_empty = False
        yield line(current, self.style)


def paragraph(text: str, *, first: str = "", rest: str = "") -> Clauses:
    """Text broken between words."""
    return Clauses(text.split(" "), first, rest)


@dataclass(frozen=True)
class Facts:
    """Labels, and clauses beside them; an empty label continues the fact above.

    Attributes:
        facts: Label and clauses of each.
        indent: Columns before the labels.
    """

    facts: Iterable[tuple[str, Iterable[str]]]
    indent: int = INDENT

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        """The facts, one below the other."""
        for label, clauses in self.facts:
            yield Clauses(clauses, f"{' ' * self.indent}{label}".ljust(LABEL), " " * LABEL)


@dataclass(frozen=True)
class Table:
    """A title and rows of figures; columns that do not fit beside the others come below, with the labels once more.

    Attributes:
        title: The line above; empty for none.
        headings: Of the columns; all empty for none.
        rows: Label and cells of each row.
        groups: Numbers of adjacent columns that stay together (default: each column may move alone).
        notes: Lines below, as clauses.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    groups: Sequence[int] | None = None
    notes: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The title, and as many tables as the width needs."""
        if self.title:
            yield Clauses(self.title.split(" "), style="bold")
        for columns in self._folded(options.max_width):
            table = self._part(columns)
            # A terminal narrower than one column of figures wraps the line: rich would cut the figure.
            width = max(
                options.max_width, Measurement.get(console, options.update(max_width=sys.maxsize), table).maximum
            )
            yield from console.render(table, options.update(width=width, max_width=width))
        if self.notes:
            yield Clauses(self.notes, " " * INDENT, " " * INDENT)

    def _folded(self, room: int) -> Iterator[range]:
        """Columns of each part."""
        cells = [[heading, *(row[index] for _, row in self.rows)] for index, heading in enumerate(self.headings)]
        widths = [GAP + max(map(cell_len, column)) for column in cells]
        label = INDENT + max((cell_len(label) for label, _ in self.rows), default=0)
        first = end = 0
        used = label
        for group in self.groups or [1] * len(self.headings):
            more = sum(widths[end : end + group])
            if end > first and used + more > room:
                yield range(first, end)
                first, used = end, label
            end, used = end + group, used + more
        yield range(first, end)

    def _part(self, columns: range) -> Padding:
        table = RichTable(
            box=None, pad_edge=False, padding=(0, 0, 0, GAP), show_header=any(self.headings), header_style=""
        )
        table.add_column(no_wrap=True)
        for column in columns:
            table.add_column(Text(printable(self.headings[column])), justify="right", no_wrap=True)
        for label, cells in self.rows:
            table.add_row(*(Text(printable(text)) for text in (label, *(cells[column] for column in columns))))
        return Padding(table, (0, 0, 0, INDENT), expand=False)


def plain(*pieces: RenderableType, width: int = WIDTH) -> str:
    """The pieces as text without colours."""
    return _drawn(pieces, width=width, is_terminal=False)


def show(*pieces: RenderableType, err: bool = False) -> None:
    """Print the pieces: at the terminal's width, or in 80 columns without colours where there is no terminal."""
    stream = sys.stderr if err else sys.stdout
    is_terminal = stream.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else WIDTH
    click.echo(_drawn(pieces, width=width, is_terminal=is_terminal), err=err)


def _drawn(pieces: Iterable[RenderableType], *, width: int, is_terminal: bool) -> str:
    target = io.StringIO()
    console = console_on(target, width=width, is_terminal=is_terminal)
    console.print(Group(*pieces), crop=False, end="")
    return "\n".join(drawn.rstrip() for drawn in target.getvalue().splitlines())


def console_on(target: TextIO, *, width: int | None = None, is_terminal: bool | None = None) -> Console:
    """A rich console that takes text as it is."""
    return Console(
        file=target,
        width=width,
        force_terminal=is_terminal,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
