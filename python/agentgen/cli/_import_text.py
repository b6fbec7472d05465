"""The text of an import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.settings import MANIFEST
from agentgen.text.format import counted, file_size
from agentgen.text.layout import BLANK, Facts, Table, line, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agentgen._import import ImportedRun

SHOWN_PROBLEMS = 20


def print_import(run: ImportedRun, pages: Sequence[Path]) -> None:
    """Print the files of the run, what it holds, what could not be used, and all names that it has."""
    rows = [(file["name"], [file_size(file["bytes"])]) for file in run.manifest["files"]]
    rows.append((MANIFEST, [""]))
    rows += [(page.name, [file_size(page.stat().st_size)]) for page in pages]
    show(line(str(run.directory)), Table("", [""], rows), BLANK, Facts(_facts(run)))
    if run.problems:
        shown = [line(f"  {problem}") for problem in run.problems[:SHOWN_PROBLEMS]]
        hidden = len(run.problems) - len(shown)
        shown += [line(f"  ... and {hidden:,} more")] if hidden else []
        show(BLANK, line(f"{counted(len(run.problems), 'part')} of the sources could not be used:"), *shown)
    names = [(kind, _listed(run.names[kind])) for kind in ("tools", "agents", "models") if run.names[kind]]
    if names:
        show(BLANK, line("All names in the run:"), Facts(names))


def _facts(run: ImportedRun) -> Iterator[tuple[str, list[str]]]:
    summary, about = run.summary, run.manifest["import"]
    formats = dict.fromkeys(source["format"] for source in about["sources"])
    yield "sources", [f"{counted(len(about['sources']), 'file')}:", *_listed(formats)]
    if about["files_of_unknown_format"]:
        yield "", [f"{counted(about['files_of_unknown_format'], 'file')} of no known format left out"]
    yield (
        "sessions",
        [
            f"{counted(summary['root_sessions'], 'root session')},",
            f"{counted(summary['subagents']['sessions'], 'sub-agent')},",
            f"{counted(sum(kind['count'] for kind in summary['breaks'].values()), 'break')}",
        ],
    )
    if summary["breaks"]:
        yield (
            "breaks",
            _listed(f"{kind['count']:,} {name}{_inferred(kind)}" for name, kind in summary["breaks"].items()),
        )
    yield "calls", [f"{summary['calls']:,},", f"for {counted(summary['human_turns'], 'human turn')}"]
    yield (
        "tokens",
        [f"{summary['prompt_tokens']:,} in prompts,", f"{summary['output_tokens']:,} in outputs"],
    )
    identity = dict.fromkeys(name for source in about["sources"] for name in source["identity"])
    yield "identity", [*_listed(identity), f"(blocks of {summary['block_size']} tokens)"]
    if estimates := list(_estimates(summary)):
        yield "estimated", _listed(estimates)
    if about["left_out"] or summary["calls_without_prompt_length"]:
        left_out = dict(about["left_out"])
        if summary["calls_without_prompt_length"]:
            left_out["calls without a prompt length"] = summary["calls_without_prompt_length"]
        yield "left out", _listed(f"{count:,} {reason}" for reason, count in left_out.items())


def _inferred(kind: dict[str, Any]) -> str:
    return f" ({kind['inferred']:,} inferred)" if kind["inferred"] else ""


def _estimates(summary: dict[str, Any]) -> Iterator[str]:
    delays = summary["delays"]
    for count, noun, what in (
        (summary["prompts_estimated"], "prompt length", "from text or blocks"),
        (summary["outputs_estimated"], "output length", "from text"),
        (summary["outputs_unknown"], "output", "of unknown length (1 token)"),
        (delays["unknown_delays"], "delay", "unknown (0 ms)"),
        (delays["delays_with_service"], "delay", "with the time of the answer before"),
        (delays["negative_delays"], "delay", "below 0 (0 ms)"),
        (delays["unknown_arrivals"], "arrival", "unknown (0 ms)"),
    ):
        if count:
            yield f"{counted(count, noun)} {what}"


def _listed(names: Any) -> list[str]:
    """Clauses with commas between them."""
    listed = list(names)
    return [f"{name}," for name in listed[:-1]] + listed[-1:]
