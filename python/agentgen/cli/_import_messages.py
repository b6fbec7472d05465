"""`agentgen import --messages`: recorded sessions with their text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from agentgen import _native
from agentgen._import import ImportProblem
from agentgen._rollouts import WrittenRollouts, selection, write_rollouts
from agentgen.cli._errors import reading
from agentgen.errors import AgentgenError
from agentgen.run import check_target
from agentgen.text.format import counted, file_size
from agentgen.text.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agentgen._native import RolloutSelection

SHOWN_CHARACTERS = 200  # of a text in a preview
SHOWN_PROBLEMS = 20

# Options of a run directory.
OF_RUNS = ("output", "name", "block_size", "keep", "hide", "pages")


@dataclass(frozen=True)
class MessageOptions:
    """The options of messages.

    Attributes:
        target: The file to write, if any.
        preview: Rows to print, if any.
        partition_index: Which part of the files.
        num_partitions: Of how many.
        shuffle: Whether the files are read in a random order.
        seed: Of that order.
        limit: At most so many rows.
    """

    target: Path | None
    preview: int | None
    partition_index: int | None
    num_partitions: int | None
    shuffle: bool
    seed: int | None
    limit: int | None

    @property
    def is_given(self) -> bool:
        """Whether messages are asked for."""
        return self.target is not None or self.preview is not None


def check_options(context: click.Context, options: MessageOptions) -> None:
    """Refuse options that do not go together."""
    given = {name for name in context.params if _is_given(context, name)}
    if not options.is_given:
        for name in ("partition_index", "num_partitions", "shuffle", "seed", "limit"):
            if name in given:
                raise click.UsageError(f"{_option(name)} needs --messages or --preview.", context)
        return
    for name in OF_RUNS:
        if name in given:
            raise click.UsageError(f"{_option(name)} is of a run directory, and --messages writes none.", context)
    if (options.partition_index is None) != (options.num_partitions is None):
        raise click.UsageError("--partition-index and --num-partitions need each other.", context)
    if options.seed is not None and not options.shuffle:
        raise click.UsageError("--seed needs --shuffle.", context)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _option(name: str) -> str:
    return "--no-pages" if name == "pages" else f"--{name.replace('_', '-')}"


def import_messages(
    sources: Sequence[str],
    options: MessageOptions,
    *,
    format_name: str,
    strict: bool,
    threads: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Write or print the messages."""
    index, count = options.partition_index, options.num_partitions
    partition = None if index is None or count is None else (index, count)
    if partition and partition[0] >= partition[1]:
        found = f"found {partition[0]}, expected less than --num-partitions, {partition[1]}."
        raise click.BadParameter(found, param_hint="--partition-index")
    chosen = selection(
        sources,
        format=format_name,
        partition=partition,
        seed=(options.seed or 0) if options.shuffle else None,
        limit=options.limit if options.preview is None else min(options.preview, options.limit or options.preview),
        threads=threads,
    )
    if options.preview is not None:
        _preview(chosen, as_json=as_json)
        return
    target = options.target
    if target is None:  # the caller has checked
        raise AssertionError
    check_target(str(target), list(sources), force=force, option="--force")
    with reading(), progress("importing", shown=not as_json) as update:
        written = write_rollouts(chosen, target, strict=strict, progress=update)
    if as_json:
        click.echo(json.dumps({**asdict(written), "file": str(target)}, indent=2))
        return
    _print_written(target, written)


def _print_written(target: Path, written: WrittenRollouts) -> None:
    from agentgen.text.layout import BLANK, Facts, line, show  # noqa: PLC0415  rich is slow to import

    facts = [
        ("sources", [counted(written.files, "file")]),
        ("rows", [f"{counted(written.rows, 'session')},", f"{counted(written.messages, 'message')},"]),
        ("", [counted(written.tool_calls, "tool call")]),
    ]
    if written.files_of_other_formats:
        facts.append(("left out", [f"{counted(written.files_of_other_formats, 'file')} of other formats"]))
    facts += [("left out", [f"{count:,} {reason}"]) for reason, count in written.left_out.items()]
    show(line(f"{target}: {file_size(written.bytes)}"), BLANK, Facts(facts))
    _print_problems(written.problems)
    show(BLANK, line("The file holds the texts, paths and names of the sessions."))


def _print_problems(problems: Sequence[ImportProblem]) -> None:
    from agentgen.text.layout import BLANK, line, show  # noqa: PLC0415  rich is slow to import

    if not problems:
        return
    shown = [line(f"  {problem}") for problem in problems[:SHOWN_PROBLEMS]]
    hidden = len(problems) - len(shown)
    shown += [line(f"  ... and {hidden:,} more")] if hidden else []
    show(BLANK, line(f"{counted(len(problems), 'part')} of the sources could not be used:"), *shown)


def _preview(chosen: RolloutSelection, *, as_json: bool) -> None:
    try:
        import polars as pl  # noqa: PLC0415  an extra
    except ImportError as error:
        raise AgentgenError("--preview needs polars: pip install 'agentgen-traces[polars]'") from error
    with reading():
        batches, problems = _native.open_rollouts(chosen)
        rows = [row for batch in batches for row in pl.DataFrame(batch).to_dicts()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from agentgen.text.layout import BLANK, line, show  # noqa: PLC0415  rich is slow to import

    for number, row in enumerate(rows):
        show(*([BLANK] if number else []), *(line(text) for text in _lines(row)))
    _print_problems([ImportProblem(**problem) for problem in json.loads(problems.take())])


def _lines(row: dict[str, Any]) -> Iterator[str]:
    yield f"{row['source_path']}: {row['source_kind']} {row['trace_id']}"
    yield f"  {row['started_at']} to {row['ended_at']}, {counted(row['message_count'], 'message')}"
    for message in row["messages"]:
        for text in _texts(message):
            yield f"  {message['role']:<10} {_clipped(text)}"


def _texts(message: dict[str, Any]) -> Iterator[str]:
    if message["reasoning_content"]:
        yield f"(reasoning) {message['reasoning_content']}"
    for block in message["content"]:
        if block["text"] != "":
            yield block["text"] or f"({block['type']})"
    for call in message["tool_calls"] or ():
        yield f"{call['function']['name']}({call['function']['arguments']})"


def _clipped(text: str) -> str:
    flat = " ".join(text[: 4 * SHOWN_CHARACTERS].split())
    return flat if len(flat) <= SHOWN_CHARACTERS else f"{flat[: SHOWN_CHARACTERS - 3]}..."
