"""`agentgen export`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentgen._export import STDOUT, check_export_target, export, formats_table, result_path
from agentgen._native import MAX_TOKENS
from agentgen.cli._complete import one_of
from agentgen.cli._options import Whole, threads_option
from agentgen.settings import LAYOUTS
from agentgen.text.format import counted, file_size, printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from agentgen._export import Export


class FormatType(click.ParamType[str]):
    """A name of a format."""

    name = "format"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The formats."""
        return one_of([one["name"] for one in formats_table()], incomplete)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check that there is such a format."""
        names = [one["name"] for one in formats_table()]
        if value not in names:
            self.fail(f"found {value!r}, expected one of {', '.join(names)}.", param, ctx)
        return value


@click.command("export")
@click.argument("sources", nargs=-1, required=True, metavar="RUN...", type=click.Path(exists=True))
@click.option("--to", type=FormatType(), required=True, metavar="FORMAT", help="Format to write (below).")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="PATH",
    help="File (.gz and .zst compress it) or directory to write; - for standard output.",
)
@click.option(
    "--trace-block-size",
    type=Whole(1, MAX_TOKENS),
    metavar="TOKENS",
    help="Tokens per hash id in PATH. [default: as in RUN]",
)
@click.option("--text", is_flag=True, help="Make prompts of words, for formats that hold text.")
@click.option(
    "--tokenizer",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="tokenizer.json; --text then uses words of one token each.",
)
@click.option("--strict", is_flag=True, help="Write nothing if the format does not hold all of RUN.")
@click.option("--source-layout", type=click.Choice(LAYOUTS), help="Layout of RUN, if it does not state it.")
@click.option(
    "--source-block-size",
    type=Whole(1, MAX_TOKENS),
    metavar="TOKENS",
    help="Tokens per hash id of RUN, if it does not state it.",
)
@threads_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def command(
    *,
    sources: tuple[str, ...],
    to: str,
    output: str,
    trace_block_size: int | None,
    text: bool,
    tokenizer: Path | None,
    strict: bool,
    source_layout: str | None,
    source_block_size: int | None,
    threads: int | None,
    as_json: bool,
    force: bool,
) -> None:
    """Write a trace in a format that another program reads.

    RUN is a run directory, a merged set of shards, or a JSONL or Parquet file;
    several are one data set. What the format does not hold is listed, and in
    PATH.export.json.

    \b
    agentic_mooncake, mooncake, mooncake-delta   Dynamo
    mooncake_trace, weka_trace, dag_jsonl,
      multi_turn, bailian                        AIPerf
    timed_trace, custom, sharegpt,
      vllm-multi-turn                            vLLM
    sglang-mooncake, sglang-custom               SGLang
    guidellm, weka_trace                         guidellm
    weka                                         inference-perf
    mlperf, mlperf-snapshots                     MLCommons endpoints
    csv, huggingface                             tables

    agentgen convert writes the JSONL and Parquet of agentgen itself.
    """  # noqa: D301  click reads the mark
    if tokenizer is not None and not text:
        raise click.UsageError("--tokenizer needs --text.")
    if output != STDOUT:
        check_export_target(Path(output), sources, to, force=force, option="--force")
    try:
        exported = export(
            sources,
            output,
            to=to,
            trace_block_size=trace_block_size,
            text=text,
            tokenizer=tokenizer,
            strict=strict,
            source_layout=source_layout,
            source_block_size=source_block_size,
            threads=threads,
            force=force,
        )
    except BrokenPipeError as error:
        if output != STDOUT:
            raise
        # Without a file name: whoever read standard output has enough.
        raise BrokenPipeError(error.errno, error.strerror) from error
    # Standard output may be the export itself.
    stream = sys.stderr if output == STDOUT else sys.stdout
    if as_json:
        click.echo(json.dumps(asdict(exported), indent=2), file=stream)
        return
    _print(exported, output, err=output == STDOUT)


def _print(exported: Export, output: str, *, err: bool) -> None:
    def line(text: str) -> None:
        click.echo(printable(text), err=err)

    totals = f"{counted(exported.requests, 'request')} in {counted(exported.sessions, 'session')}"
    files = f"{counted(exported.files, 'file')}, " if exported.files > 1 else ""
    line(f"{output}: {exported.title}, {totals}, {files}{file_size(exported.bytes)}")
    if exported.block_size is not None:
        option = f": {exported.block_size_option}" if exported.block_size_option else ""
        line(f"blocks of {counted(exported.block_size, 'token')}{option}")
    if not exported.losses:
        line("holds all of the trace")
    for loss in exported.losses:
        held = "lost" if loss.approximated is None else loss.approximated
        line(f"{loss.part.replace('_', ' ')} ({loss.count:,}): {held}")
    if output != STDOUT:
        line(f"written to {result_path(Path(output))}")
