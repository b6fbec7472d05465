"""Every format that can be imported, on a sample of it: what is found, and that nothing of its text is in the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import agentgen
import polars as pl
import pytest
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke

# Every text, path, branch, name and id of them has the canary in it.
SAMPLES = ROOT / "docs" / "examples" / "import"
CANARY = "zebrafish"

# Root sessions, sub-agents and calls of each sample.
FOUND = {
    "claude-code.jsonl": (1, 0, 2),
    "codex.jsonl": (1, 0, 2),
    "pi.jsonl": (1, 0, 2),
    "atif.json": (1, 0, 2),
    "hermes.json": (1, 0, 2),
    "swe-agent.traj": (1, 0, 2),
    "mini-swe-agent.traj.json": (1, 0, 2),
    "weka.json": (1, 1, 3),
    "mooncake.jsonl": (2, 0, 2),
    "mooncake-delta.jsonl": (2, 0, 3),
    "bailian.jsonl": (1, 0, 2),
    "agentic_mooncake.jsonl": (1, 1, 3),
    "dynamo.jsonl": (1, 0, 2),
    "lengths.jsonl": (2, 0, 3),
    "azure.csv": (2, 0, 2),
    "burstgpt.csv": (1, 0, 2),
    "tracelab.jsonl": (1, 0, 2),
    "agenttrace.json": (1, 0, 2),
    "mlperf.jsonl": (1, 0, 2),
    "mlperf-snapshots.jsonl": (1, 0, 2),
    "sharegpt.json": (1, 0, 2),
    "openai.jsonl": (1, 0, 2),
    "otel.json": (1, 0, 2),
    "record.jsonl": (1, 0, 2),
}


def format_of(sample: str) -> str:
    return sample.split(".", maxsplit=1)[0]


def test_every_format_has_a_sample() -> None:
    assert {format_of(sample) for sample in FOUND} == set(agentgen.import_formats())
    assert set(FOUND) == {path.name for path in SAMPLES.iterdir()}


@pytest.mark.parametrize("sample", FOUND)
def test_a_sample_becomes_a_valid_run_without_a_word_of_it(sample: str, tmp_path: Path, invoke: Invoke) -> None:
    name = format_of(sample)
    # Its rows look like those of another format.
    named = ["--format", name] if name == "mooncake-delta" else []
    source = tmp_path / f"{CANARY}-logs" / sample
    source.parent.mkdir()
    text = (SAMPLES / sample).read_bytes()
    assert CANARY.encode() in text
    source.write_bytes(text)
    outcome = invoke("import", str(source), "--output", str(tmp_path), "--name", "run", *named)
    assert f"1 file: {name}" in outcome.output
    assert CANARY not in outcome.output
    run = tmp_path / "run"
    files = [path for path in run.rglob("*") if path.is_file()]
    assert {"dataset.jsonl", "calls.parquet", "manifest.json", "quality.json", "report.html"} <= {f.name for f in files}
    for file in files:
        assert CANARY.encode() not in file.read_bytes().lower(), file.name
    for table in ("dataset.parquet", "calls.parquet"):
        assert CANARY not in str(pl.read_parquet(run / table).to_dicts()).lower(), table
    rows = pl.read_parquet(run / "dataset.parquet")
    roots = rows.filter(pl.col("turn_index") == 0)["link"]
    assert (roots.null_count(), roots.eq("subagent").sum(), rows.height) == FOUND[sample]
    assert agentgen.validate(run).findings == ()


@pytest.mark.parametrize("sample", FOUND)
def test_a_damaged_sample_names_nothing_of_it(sample: str, tmp_path: Path) -> None:
    """Messages quote no text of a line, whatever is wrong with it."""
    text = (SAMPLES / sample).read_text(encoding="utf-8")
    path = tmp_path / sample
    for damage in (text.replace(":", ": [", 1), text.replace(f'"{CANARY}', f'["{CANARY}'), text.replace("1", '"x')):
        path.write_text(f"{damage}\n{damage}", encoding="utf-8")
        try:
            result = agentgen.import_sessions(path, tmp_path / "run", format=format_of(sample), force=True)
        except agentgen.TraceError as error:
            assert CANARY not in str(error)  # noqa: PT017  most damages leave something to import
        else:
            assert CANARY not in "".join(problem.reason for problem in result.problems)
