"""`dataset.parquet`, all rows with all columns, and the files for fine-tuning."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.distill import digest, judge, sft
from agentgen.distill.judge import CRITERIA
from agentgen.distill.rating import TEST, TRAIN, part_of
from agentgen.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

    import polars as pl
    from pydantic import BaseModel

    from agentgen.distill.pipeline import Row
    from agentgen.distill.rating import Rating
    from agentgen.distill.sources import Rows

DATASET = "dataset.parquet"
PAGE = "report.html"
SFT = "sft.jsonl"
PARTS = {TRAIN: "sft-train.jsonl", TEST: "sft-test.jsonl"}
ROW_GROUP_BYTES = 8 << 20  # about, before compression
MOST_ROWS = 4_096  # of a row group


def write_dataset(
    directory: Path, source: Rows, rows: Sequence[Row], rated: Sequence[Rating], test_share: float | None
) -> None:
    """Write the rows of the sources with what was made of them.

    Raises:
        RunError: The sources are not those that were distilled.
        OSError: A file cannot be written.
    """
    import polars as pl  # noqa: PLC0415  an extra

    made = _made_schema(is_split=test_share is not None)

    def frames() -> Iterator[pl.DataFrame]:
        at = 0
        for frame, plain, _ in source.frames():
            ids = [row.session.trace_id for row in rows[at : at + len(plain)]]
            if ids != frame["trace_id"].to_list():
                raise RunError(f"row {at}: the sources changed since they were read; --resume reads them again")
            columns = [_columns(rows[at + index], rated[at + index], test_share) for index in range(len(plain))]
            at += len(plain)
            yield frame.hstack(pl.DataFrame(columns, schema=made, orient="row"))
        if at != len(rows):
            raise RunError(f"found {at:,} rows, expected {len(rows):,}: the sources changed; --resume reads them again")

    with _replaced(directory / DATASET) as file:
        _write_parquet(frames(), file)


def _write_parquet(frames: Iterator[pl.DataFrame], file: IO[bytes]) -> None:
    """Frames as row groups, one group in memory at a time."""
    from polars.io.plugins import register_io_source  # noqa: PLC0415  an extra

    first = next(frames)
    rows = max(1, min(MOST_ROWS, ROW_GROUP_BYTES * first.height // max(1, int(first.estimated_size()))))

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del with_columns, predicate, n_rows, batch_size  # a sink wants all
        yield first
        yield from frames

    register_io_source(source, schema=first.schema).sink_parquet(file, compression="zstd", row_group_size=rows)


def write_records(
    directory: Path, rows: Sequence[Row], rated: Sequence[Rating], test_share: float | None
) -> dict[str, int]:
    """Write the recommended records as messages; returns the number of lines by file."""
    lines: dict[str, list[str]] = {SFT: []} if test_share is None else {name: [] for name in PARTS.values()}
    for row, rating in zip(rows, rated, strict=True):
        if rating.is_kept:
            name = SFT if test_share is None else PARTS[part_of(row.session.root, test_share)]
            lines[name].append(_line(record(row)))
    for name, kept in lines.items():
        _native.write_file(directory / name, "".join(f"{line}\n" for line in kept).encode())
    for name in {SFT, *PARTS.values()} - lines.keys():  # of an earlier run with or without parts
        (directory / name).unlink(missing_ok=True)
    return {name: len(kept) for name, kept in lines.items()}


def _line(record_: dict[str, Any]) -> str:
    """A line of JSON; other ends of lines than ours are written as escapes, since some readers break there."""
    text = json.dumps(record_, ensure_ascii=False)
    return text.translate({0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"})


def record(row: Row) -> dict[str, Any]:
    """A record as chat messages, with where it comes from."""
    made = row.record
    if made is None:  # rows that are kept have one
        raise AssertionError
    return {
        "messages": [
            {"role": "user", "content": made.instruction},
            {"role": "assistant", "content": made.response},
        ],
        "skill_tags": made.skill_tags,
        "difficulty": made.difficulty,
        "trace_id": row.session.trace_id,
        "root_session_id": row.session.root,
    }


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name when it is complete."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            Path(file.name).chmod(0o666 & ~umask)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _columns(row: Row, rating: Rating, test_share: float | None) -> list[Any]:
    """The values of `_made_schema`, in its order."""
    scores = row.judgement.scores() if row.judgement else {}
    found = [
        row.digest and row.digest.model_dump(),
        row.record and row.record.model_dump(),
        row.judgement and row.judgement.model_dump(),
        row.record and row.record.instruction,
        row.record and row.record.response,
        row.record and row.record.skill_tags,
        *(scores.get(name) for name in CRITERIA),
        row.digest and row.digest.training_value,
        rating.is_recommended,
        rating.duplicate_of,
        row.session.masked.secrets,
        row.session.cut_characters,
        row.failed_column,
        row.failure,
    ]
    if test_share is not None:
        found.append(part_of(row.session.root, test_share))
    return found


def _made_schema(*, is_split: bool) -> dict[str, Any]:
    """The columns after those of the source, always in this order."""
    import polars as pl  # noqa: PLC0415  an extra

    texts = pl.List(pl.String)
    verdict = pl.Struct({"reasoning": pl.String, "score": pl.Int64})

    def struct(shape: type[BaseModel], list_name: str) -> pl.Struct:
        return pl.Struct({name: texts if name == list_name else pl.String for name in shape.model_fields})

    columns: dict[str, Any] = {
        digest.NAME: struct(digest.Digest, "notable_actions"),
        sft.NAME: struct(sft.SftRecord, "skill_tags"),
        judge.NAME: pl.Struct(dict.fromkeys(CRITERIA, verdict)),
        "sft_instruction": pl.String,
        "sft_response": pl.String,
        "sft_skill_tags": texts,
        **{f"{name}_score": pl.Int64 for name in CRITERIA},
        "trace_training_value": pl.String,
        "recommended_for_sft": pl.Boolean,
        "duplicate_of": pl.String,
        "masked_secrets": pl.Int64,
        "cut_characters": pl.Int64,
        "failed_column": pl.String,
        "failure": pl.String,
    }
    return columns | ({"split": pl.String} if is_split else {})
