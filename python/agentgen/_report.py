"""What validation found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from agentgen.analysis.tables import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

SAID_BY = {"option": "as the option says", "inferred": "inferred from the rows"}


@dataclass(frozen=True)
class Finding:
    """One broken rule at one place.

    Attributes:
        severity: `error`, or `warning`: worth knowing, but the trace may be used.
        file: The file, as it was named.
        line: From 1 (of a Parquet file: the row); 0 for the file as a whole.
        rule: The rule's name (`docs/validation.md` explains it).
        found: What the trace has.
        expected: What the rule asks for.
    """

    severity: Literal["error", "warning"]
    file: str
    line: int
    rule: str
    found: str
    expected: str

    @property
    def place(self) -> str:
        """File and line; the file alone for what is wrong with all of it."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        """One line, as compilers write it."""
        return f"{self.place}: {self.severity}[{self.rule}]: found {self.found}; expected {self.expected}"


@dataclass(frozen=True)
class Report:
    """The result of a validation.

    Attributes:
        ok: There are no errors.
        format: `hashed` rows, or `messages` in text, which have neither layout nor block size.
        layout: How the rows were read: `incremental` or `cumulative`.
        layout_from: How that is known: `manifest`, `metadata`, `option`, `inferred`, or `assumed` without a row.
        block_size: Tokens a block.
        block_size_from: How that is known, likewise.
        files: The data files, in the order in which they were read.
        rows: Rows read, faulty ones included.
        sessions: Sessions; rows that name none count as one each.
        bytes: Size of the files.
        errors: How many errors there are, also those not in `findings`.
        warnings: How many warnings there are, likewise.
        findings: The first findings, by file and line.
    """

    ok: bool
    format: Literal["hashed", "messages"]
    layout: str | None
    layout_from: str | None
    block_size: int | None
    block_size_from: str | None
    files: tuple[str, ...]
    rows: int
    sessions: int
    bytes: int
    errors: int
    warnings: int
    findings: tuple[Finding, ...]

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that the compiled core wrote."""
        stated = json.loads(text)
        findings = tuple(Finding(**finding) for finding in stated.pop("findings"))
        return cls(**{**stated, "files": tuple(stated["files"])}, findings=findings)

    def __str__(self) -> str:
        """How it was read, the findings, and the verdict."""
        return "\n".join(self.lines("max_errors"))

    def lines(self, option: str) -> Iterator[str]:
        """The report for a person; `option` shows more findings."""
        if self.layout_from is None or self.block_size_from is None:
            yield "multi-turn messages"
        elif self.layout_from == "assumed":
            yield "layout assumed (no row could be read)"
        else:
            layout_from, size_from = (
                SAID_BY.get(said, f"from the {said}") for said in (self.layout_from, self.block_size_from)
            )
            yield f"layout {self.layout} ({layout_from}), block size {self.block_size} ({size_from})"
        yield from map(str, self.findings)
        hidden = self.errors + self.warnings - len(self.findings)
        if hidden:
            yield f"... and {hidden:,} more ({option} shows more)"
        verdict = "ok" if self.ok else counted(self.errors, "error")
        if self.warnings:
            verdict += f", {counted(self.warnings, 'warning')}"
        yield f"{verdict}: {counted(self.rows, 'row')} in {counted(self.sessions, 'session')}"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)
