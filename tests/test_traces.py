"""Traces that exist: validate and convert, ours and those of others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from conftest import shared

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke, Run


def test_a_sound_trace(invoke: Invoke, small_run: Path) -> None:
    result = invoke("validate", small_run)
    first, last = result.stdout.splitlines()
    assert first == "layout incremental (from the manifest), trace block size 512 (from the manifest)"
    assert last.startswith("ok: ")
    assert result.stderr == ""
    assert f"{agentgen.validate(small_run)}\n" == result.stdout


def test_a_file_without_rows(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    result = invoke("validate", tmp_path / "a.jsonl", code=1)
    assert result.stdout.splitlines()[0] == "layout unknown (no row could be read)"


@pytest.mark.parametrize(
    ("one", "other"), [("dataset.jsonl", "dataset.parquet"), ("", "dataset.parquet"), ("", ""), ("", "../run")]
)
def test_the_same_rows_twice(one: str, other: str, invoke: Invoke, small_run: Path) -> None:
    result = invoke("validate", small_run / one, small_run / other, code=2)
    assert "found the same rows twice, expected one file or the directory" in result.stderr


def test_findings_name_file_line_and_rule(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    lines = (small_run / "dataset.jsonl").read_text().splitlines()
    row = json.loads(lines[2])
    row["hash_ids"].append(123_456)
    lines[2] = json.dumps(row)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("\n".join(lines) + "\n")
    result = invoke("validate", bad, "--trace-block-size", 512, "--trace-layout", "incremental", code=1)
    assert "block size 512 (from the option)" in result.stdout
    assert f"{bad}:3: error[id-count]: found " in result.stdout
    assert "; expected " in result.stdout
    assert " error" in result.stdout.splitlines()[-1]
    report = json.loads(invoke("validate", bad, "--trace-block-size", 512, "--json", code=1).stdout)
    assert report["ok"] is False
    assert report["findings"][0]["line"] == 3
    assert report["findings"][0]["rule"] == "id-count"
    assert agentgen.validate(bad, trace_block_size=512).to_dict()["findings"][0] == report["findings"][0]


def test_one_wrong_row_in_thousands_is_named(invoke: Invoke, tmp_path: Path) -> None:
    """The block size that the other rows fit is inferred."""
    rows = [{"timestamp": n, "input_length": 7 * n, "output_length": 1} for n in range(1, 3001)]
    lines = [{**row, "hash_ids": [*range((row["input_length"] - 1) // 100), 10**6 + at]} for at, row in enumerate(rows)]
    lines[1999]["hash_ids"] = [1, 2, 3]
    bad = tmp_path / "bad.jsonl"
    bad.write_text("".join(f"{json.dumps(row)}\n" for row in lines))
    result = invoke("validate", bad, code=1)
    assert "block size 100 (inferred from the rows)" in result.stdout
    assert f"{bad}:2000: error[id-count]: found " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("1 error: ")
    assert "found turn 0: 3 hash ids for 14000 tokens" in invoke("analyze", bad, code=2).stderr


def test_ids_of_full_blocks_only_are_told_apart(invoke: Invoke, tmp_path: Path) -> None:
    rows = [{"timestamp": n, "input_length": 7 * n, "output_length": 1} for n in range(1, 1001)]
    bad = tmp_path / "full.jsonl"
    bad.write_text("".join(f"{json.dumps({**r, 'hash_ids': list(range(r['input_length'] // 100))})}\n" for r in rows))
    refused = invoke("validate", bad, code=2).stderr
    assert "found rows with an id for each full block only: of 100 tokens, expected an id for each block" in refused


def test_more_findings_than_are_shown(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    text = (small_run / "dataset.jsonl").read_text()
    bad.write_text(text.replace('"output_length":', '"output_length":-'))
    result = invoke(
        "validate", bad, "--trace-block-size", 512, "--trace-layout", "incremental", "--max-errors", 3, code=1
    )
    shown = [line for line in result.stdout.splitlines() if "error[" in line]
    assert len(shown) == 3
    assert "more (--max-errors shows more)" in result.stdout


@pytest.mark.parametrize("content", [b"", b"not a trace\n", b"\x00\x01\x02", b"PAR1PAR1", b"\x28\xb5\x2f\xfd broken"])
def test_what_cannot_be_read_as_a_trace(content: bytes, run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(content)
    code = 1 if agentgen_reads(bad) else 2
    done = run("validate", bad, "--trace-block-size", 512, "--trace-layout", "incremental", code=code)
    assert str(bad) in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def agentgen_reads(path: Path) -> bool:
    """Whether validation can say more about a file than that it is no trace."""
    try:
        agentgen.validate(path, trace_layout="incremental", trace_block_size=512)
    except (agentgen.TraceError, OSError):
        return False
    return True


def test_jsonl_to_parquet_and_back(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    there, back = tmp_path / "a.parquet", tmp_path / "a.jsonl"
    result = invoke("convert", small_run / "dataset.jsonl", there)
    assert result.stdout.startswith(f"{there}: ")
    invoke("convert", there, tmp_path / "a.jsonl.zst")
    invoke("convert", tmp_path / "a.jsonl.zst", back, "--trace-layout", "incremental", "--trace-block-size", 512)
    assert back.read_bytes() == (small_run / "dataset.jsonl").read_bytes()


def test_converted_to_cumulative_is_generated_as_cumulative(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    invoke("convert", small_run, tmp_path / "a.jsonl", "--layout", "cumulative")
    agentgen.write_run(tmp_path / "run", small_run, layout="cumulative", formats=["jsonl"])
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "run" / "dataset.jsonl").read_bytes()


def test_sorted_by_time(invoke: Invoke, tmp_path: Path) -> None:
    config: dict[str, Any] = {"arrival": {"poisson": {"rate": 2}}}
    agentgen.write_run(tmp_path / "run", config, sessions=50, layout="cumulative", formats=["jsonl"])
    invoke("convert", tmp_path / "run", tmp_path / "a.jsonl", "--sort")
    times = [json.loads(line)["timestamp"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    unsorted = [json.loads(line)["timestamp"] for line in (tmp_path / "run" / "dataset.jsonl").read_text().splitlines()]
    assert times == sorted(unsorted) != unsorted


def test_an_existing_target_is_left_alone(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.parquet"
    target.write_text("mine")
    result = invoke("convert", small_run, target, code=1)
    assert "expected none; choose another name or give --force" in result.stderr
    assert target.read_text() == "mine"
    invoke("convert", small_run, target, "--force")
    itself = invoke("convert", target, target, "--force", code=1)
    assert "found the source, expected another file" in itself.stderr
    assert agentgen.validate(target).ok


def test_the_mooncake_conversation_trace(invoke: Invoke) -> None:
    file = shared("mooncake/conversation_trace.jsonl")
    result = invoke("validate", file)
    assert "layout cumulative" in result.stdout
    assert "block size 512" in result.stdout
    assert "12,031 rows" in result.stdout
    assert sum(map(len, agentgen.read(file, columns=["context_length"]))) == 12_031


@pytest.mark.parametrize(("name", "code"), [("default_40s.jsonl", 0), ("restarts_120s.jsonl", 1)])
def test_what_aiperf_writes(name: str, code: int, invoke: Invoke) -> None:
    file = shared(f"aiperf/{name}")
    result = invoke("validate", file, "--trace-block-size", 512, code=code)
    assert ("error[id-size]" in result.stdout) == bool(code)
