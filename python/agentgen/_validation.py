"""The result of a validation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from agentgen._html import preformatted
from agentgen.text.format import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

# How layout and block size of a trace are known; other origins are the name of a place ("manifest").
ORIGINS = {"option": "from the option", "inferred": "inferred from the rows"}


@dataclass(frozen=True)
class Finding:
    """One violation of a rule at one place.

    Attributes:
        severity: `error`, or `warning`, with which the trace can still be used.
        file: The file, as it was named.
        line: From 1 (of a Parquet file: the row); 0 for the file as a whole.
        field: The field of the row concerned, if it is a single one.
        rule: The rule's name (`docs/validation.md` explains it).
        found: What the trace has.
        expected: What the rule requires.
        help: What to do about it, if there is advice.
    """

    severity: Literal["error", "warning"]
    file: str
    line: int
    field: str | None
    rule: str
    found: str
    expected: str
    help: str | None

    @property
    def place(self) -> str:
        """`file:line`; only the file for a violation by the file as a whole."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        """One line in the format of compilers."""
        help_text = f" ({self.help})" if self.help else ""
        return f"{self.place}: {self.severity}[{self.rule}]: found {self.found}; expected {self.expected}{help_text}"


@dataclass(frozen=True, repr=False)
class ValidationReport:
    """The result of a validation.

    Attributes:
        schema_version: Version of the JSON form.
        ok: There are no errors.
        format: `block-hash`, or `messages` (text), which has neither layout nor block size.
        layout: How the rows were read: `incremental` or `cumulative`.
        layout_from: How the layout is known: `manifest`, `metadata`, `option`, `inferred`, or `assumed` without a row.
        block_size: Block size of the trace, tokens.
        block_size_from: How the block size is known, likewise.
        files: The data files, in the order in which they were read.
        rows: Rows read, including those with errors.
        sessions: Sessions; each row without a session id counts as one.
        bytes: Size of the files.
        errors: Number of errors, including those not in `findings`.
        warnings: Number of warnings, including those not in `findings`.
        findings: The first findings, by file and line.
    """

    schema_version: int
    ok: bool
    format: Literal["block-hash", "messages"]
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
    def from_json(cls, text: str) -> ValidationReport:
        """The report from the JSON of the core."""
        data = json.loads(text)
        findings = tuple(Finding(**finding) for finding in data.pop("findings"))
        return cls(**{**data, "files": tuple(data["files"])}, findings=findings)

    def __repr__(self) -> str:
        """Counts; the findings are in `findings`."""
        counts = ", ".join(f"{name}={getattr(self, name)}" for name in ("rows", "sessions", "errors", "warnings"))
        return f"ValidationReport(ok={self.ok}, {counts})"

    def _repr_html_(self) -> str:
        """The report for notebooks."""
        return preformatted(str(self))

    def to_polars(self) -> pl.DataFrame:
        """A row per finding."""
        try:
            import polars as pl  # noqa: PLC0415  an extra
        except ImportError as error:
            raise ImportError("to_polars needs polars: pip install 'agentgen-traces[polars]'") from error
        names = [field.name for field in fields(Finding)]
        schema = {name: pl.Int64 if name == "line" else pl.String for name in names}
        return pl.DataFrame(
            [[getattr(finding, name) for name in names] for finding in self.findings], schema, orient="row"
        )

    def __str__(self) -> str:
        """Layout and block size, the findings, and the verdict."""
        return "\n".join(self.lines("max_errors"))

    def lines(self, option: str) -> Iterator[str]:
        """The report as text; `option` is the name of the option that shows more findings."""
        if self.layout_from is None or self.block_size_from is None:
            yield "multi-turn messages"
        elif self.layout_from == "assumed":
            yield "layout unknown (no row could be read)"
        else:
            layout_from, size_from = (
                ORIGINS.get(origin, f"from the {origin}") for origin in (self.layout_from, self.block_size_from)
            )
            yield f"layout {self.layout} ({layout_from}), trace block size {self.block_size} ({size_from})"
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
