"""The rows of a run, several at a time, in the order of the sources."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentgen.distill import digest, judge, sft
from agentgen.distill.digest import Digest
from agentgen.distill.judge import Judgement
from agentgen.distill.sft import SftRecord
from agentgen.distill.structured import Column, ColumnError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentgen.distill.sources import Session
    from agentgen.distill.structured import StructuredModel

DIGEST = Column(digest.NAME, Digest, digest.INSTRUCTIONS)
SFT = Column(sft.NAME, SftRecord, sft.INSTRUCTIONS)
JUDGE = Column(judge.NAME, Judgement, judge.INSTRUCTIONS)
COLUMNS: tuple[Column[Digest] | Column[SftRecord] | Column[Judgement], ...] = (DIGEST, SFT, JUDGE)
EMPTY = "the session has no message"


@dataclass(frozen=True)
class Row:
    """A session and what was made of it.

    Attributes:
        session: The session, without its prompt.
        digest: Its digest.
        record: The record for fine-tuning.
        judgement: The scores of the record.
        failed_column: The first column without a value, if there is one.
        failure: Why it has none.
    """

    session: Session
    digest: Digest | None = None
    record: SftRecord | None = None
    judgement: Judgement | None = None
    failed_column: str | None = None
    failure: str | None = None

    @property
    def is_distilled(self) -> bool:
        """Whether all columns have values."""
        return self.judgement is not None


async def distilled(
    sessions: Iterator[Session],
    writer: StructuredModel,
    judge_model: StructuredModel,
    *,
    at_once: int,
    stopping: asyncio.Event,
    done: Callable[[int], None],
) -> list[Row | None]:
    """Fill the columns of all sessions, `at_once` at a time.

    Once `stopping` is set no further call begins; those in flight are waited for, and rows that need more are None.

    Raises:
        UnavailableError: A server answers no call.
        TraceError: The sources cannot be read.
        OSError: A file cannot be read or written.
    """
    rows: list[Row | None] = []
    reading = asyncio.Lock()
    loop, reader = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    finished = 0

    async def work() -> None:
        nonlocal finished
        while not stopping.is_set():
            async with reading:
                session = await loop.run_in_executor(reader, next, sessions, None)
                if session is None:
                    return
                rows.append(None)
            try:
                rows[session.index] = await _row(session, writer, judge_model)
            except StoppedError:
                return
            finished += 1
            done(finished)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
    finally:
        reader.shutdown(wait=False)
    return rows


async def _row(session: Session, writer: StructuredModel, judge_model: StructuredModel) -> Row:
    """The columns of one session; the first that fails leaves the others without a value."""
    row = Row(replace(session, prompt=""))
    if session.is_empty:
        return replace(row, failed_column="messages", failure=EMPTY)
    try:
        found = await writer.fill(DIGEST, session.prompt, session.key)
        row = replace(row, digest=found)
        record = await writer.fill(SFT, sft.prompt(found), session.key)
        row = replace(row, record=record)
        judgement = await judge_model.fill(JUDGE, judge.prompt(found, record), session.key)
        return replace(row, judgement=judgement)
    except ColumnError as error:
        return replace(row, failed_column=error.column, failure=error.reason)
