"""The data card: `README.md` of a data set, as the Hugging Face hub and `datasets` read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentgen.distill import dataset
from agentgen.distill.judge import CRITERIA
from agentgen.text.format import counted, number

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "README.md"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
COLUMNS = f"""\
| column | |
|---|---|
| `trace_id` … `final_assistant_message` | the session as it was recorded, without secrets |
| `trace_digest` | its digest: goal, repository, kind of task, steps, outcome, training value, notes |
| `sft_record` | instruction, response, skill tags and difficulty, written from the digest |
| `sft_quality_judge_result` | the judge's score (0 to 4) and reason for each criterion |
| `sft_instruction`, `sft_response`, `sft_skill_tags` | from `sft_record` |
| {", ".join(f"`{name}_score`" for name in CRITERIA)} | the five scores |
| `trace_training_value` | `high`, `medium` or `low`, from the digest |
| `recommended_for_sft` | all scores at least {{min_score}} and training value `high` |
| `duplicate_of` | the trace whose record this one nearly repeats (Jaccard similarity of their words from 0.8) |
| `masked_secrets`, `cut_characters` | secrets masked in the session; characters that the prompt left out |
| `failed_column`, `failure` | the column without a value, and why |
"""


def text(said: dict[str, Any]) -> str:
    """The card of a run, from its summary."""
    return "\n".join(_lines(said)) + "\n"


def _lines(said: dict[str, Any]) -> Iterator[str]:
    rows, settings, secrets = said["rows"], said["settings"], said["secrets"]
    yield from _front_matter(said)
    yield f"# {_plain(said['dataset_name'])}"
    yield ""
    yield (
        f"{counted(rows['in_dataset'], 'recorded session')} of coding agents, distilled into records for fine-tuning "
        f"by {said['program']} on {said['created'][:10]}."
    )
    yield ""
    yield f"- Digests and records: {_plain(settings['model']['model'])}. Scores: {_plain(settings['judge']['model'])}."
    yield (
        f"- {rows['distilled']:,} rows are distilled, {rows['failed']:,} failed (they are in `{dataset.DATASET}` with "
        f"the reason). {rows['recommended']:,} are recommended, {rows['near_duplicates']:,} nearly repeat another."
    )
    yield (
        f"- {secrets['masked']:,} secrets in {counted(secrets['rows'], 'session')} were masked before anything was "
        f"sent ({secrets['detector']}, and patterns for passwords and tokens). Names, paths and other personal data "
        "were not."
    )
    cut = said["cut"]
    yield (
        f"- Each digest was written from the first four and the last four messages of its session; in "
        f"{counted(cut['rows'], 'session')} {number(cut['characters'])} characters of them were left out."
    )
    yield ""
    yield "## Files"
    yield ""
    yield f'- `{dataset.DATASET}`: all rows, all columns (`load_dataset("parquet", data_files="{dataset.DATASET}")`).'
    for name, count in said["records"].items():
        yield f"- `{name}`: {counted(count, 'recommended record')} as chat messages, without near-duplicates."
    if settings["test_share"] is not None:
        yield "- Train and test share no root session."
    yield ""
    yield "## Columns"
    yield ""
    yield COLUMNS.format(min_score=settings["min_score"]).rstrip()
    yield ""
    yield "## Before you use it"
    yield ""
    yield "- Instructions, responses and scores were written by models; nobody has checked them."
    yield "- The licence of the data is that of the sessions and of the models' terms: state it here."
    yield "- Sessions may hold names, paths and code of other people."


def _front_matter(said: dict[str, Any]) -> Iterator[str]:
    size = next((name for most, name in SIZES if said["rows"]["in_dataset"] < most), "n>1M")
    yield "---"
    yield f"pretty_name: {json.dumps(said['dataset_name'])}"
    yield "task_categories: [text-generation]"
    yield "tags: [coding-agents, distillation, synthetic]"
    yield f"size_categories: [{json.dumps(size)}]"
    yield "configs:"
    yield "- config_name: sft"
    yield "  data_files:"
    for name in said["records"]:
        part = next((part for part, file in dataset.PARTS.items() if file == name), "train")
        yield f"  - {{split: {part}, path: {name}}}"
    # One format a card: the hub's library reads all configurations with the same reader.
    yield "---"
    yield ""


def _plain(text_: str) -> str:
    """A name as one line of Markdown without markup."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|" else letter for letter in " ".join(text_.split()))
