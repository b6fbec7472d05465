"""`agentgen export`: files, results, and what other formats keep of a trace's reuse."""

from __future__ import annotations

import csv
import gzip
import json
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import agentgen
import formats_page
import polars as pl
import pytest
from conftest import command, shared

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke, Run

LINKED: dict[str, Any] = {"config": "weka-claude-code", "sessions": 30, "seed": 5}
RESTARTS: dict[str, Any] = {
    "config": {"restart_initial_probability": 1.0, "arrival": {"poisson": {"rate": 2.0}}},
    "sessions": 30,
}


@pytest.fixture(scope="module", params=["linked", "restarts"])
def trace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp(request.param) / "run"
    agentgen.write_run(directory, **(LINKED if request.param == "linked" else RESTARTS), formats=("jsonl",))
    return directory


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def found(path: Path, block_size: int) -> Any:
    """Hit rates of an infinite cache with blocks of this size, by each of their definitions."""
    (trace,) = agentgen.analyze(path, block_size=block_size).to_dict()["traces"]
    return pytest.approx(trace["reuse"]["linked"], abs=1e-12)


def test_the_page_of_formats_states_what_the_program_knows() -> None:
    page = formats_page.PAGE.read_text(encoding="utf-8")
    assert page == formats_page.updated(page), "python tests/formats_page.py --update rewrites it"


def test_the_result_is_printed_and_beside_the_file(trace: Path, tmp_path: Path, invoke: Invoke) -> None:
    target = tmp_path / "trace.jsonl.gz"
    shown = invoke("export", trace, "--to", "mooncake", "-o", target).stdout
    result = json.loads((tmp_path / "trace.export.json").read_text(encoding="utf-8"))
    assert f"{result['requests']:,} requests" in shown
    assert [loss["part"].replace("_", " ") in shown for loss in result["losses"]]
    assert len(gzip.decompress(target.read_bytes()).splitlines()) == result["requests"]
    again = json.loads(invoke("export", trace, "--to", "mooncake", "-o", target, "--force", "--json").stdout)
    assert again == result
    assert result["losses"]
    refused = invoke("export", trace, "--to", "mooncake", "-o", target, code=1)
    assert "--force" in refused.stderr


def test_standard_output_gets_the_rows_alone(trace: Path, tmp_path: Path, run: Run) -> None:
    agentgen.export(trace, tmp_path / "trace.jsonl", to="timed_trace")
    printed = run("export", trace, "--to", "timed_trace", "-o", "-")
    assert printed.stdout == (tmp_path / "trace.jsonl").read_text(encoding="utf-8")
    assert "timed trace of vLLM" in printed.stderr


def test_a_reader_that_has_enough_is_no_error(trace: Path) -> None:
    shell = shlex.join([*command("export", str(trace), "--to", "mooncake", "-o", "-"), "--threads", "1"])
    done = subprocess.run(f"{shell} | head -c 1000 | wc -c", shell=True, check=True, capture_output=True, text=True)  # noqa: S602
    assert (done.stdout.strip(), done.stderr) == ("1000", "")


BAD: list[tuple[tuple[str, ...], int, str]] = [
    (("--to", "nothing", "-o", "x"), 2, "found 'nothing', expected one of mooncake, mooncake-delta,"),
    (("--to", "sharegpt", "-o", "x"), 2, "--to: found the format sharegpt, expected one without text, or --text"),
    (("--to", "mooncake", "-o", "x", "--text"), 2, "--text: found mooncake, expected a format with text: dag_jsonl"),
    (("--to", "mooncake", "-o", "x", "--tokenizer", "y"), 2, "--tokenizer needs --text"),
    (("--to", "weka", "-o", "-"), 2, "--output: found standard output for weka, which is a directory"),
    (("--to", "csv", "-o", "x", "--trace-block-size", "7"), 2, "--trace-block-size: found 7, expected"),
    (("--to", "csv", "-o", "x", "--strict"), 2, "expected one that csv holds exactly"),
    (("--to", "csv", "-o", "x", "--source-block-size", "7"), 2, "--source-block-size: found 7, expected"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), BAD)
def test_messages(
    arguments: tuple[str, ...], code: int, message: str, trace: Path, invoke: Invoke, tmp_path: Path
) -> None:
    at = [str(tmp_path / "x") if argument == "x" else argument for argument in arguments]
    assert message in invoke("export", trace, *at, code=code).stderr
    assert not list(tmp_path.iterdir())


def test_a_directory_is_not_replaced(trace: Path, tmp_path: Path, invoke: Invoke) -> None:
    target = tmp_path / "weka"
    target.mkdir()
    invoke("export", trace, "--to", "weka", "-o", target)
    result = json.loads((tmp_path / "weka.export.json").read_text(encoding="utf-8"))
    assert len(list(target.iterdir())) == result["files"] >= 30
    refused = invoke("export", trace, "--to", "weka", "-o", target, "--force", code=1)
    assert "expected a new name for a directory" in refused.stderr


def test_other_block_sizes_keep_what_is_found_at_both(trace: Path, tmp_path: Path) -> None:
    """512 to 64 to 512 (or 64 to 16 to 64) tokens, through imports of what was written."""
    own = agentgen.read(trace).block_size
    small = own // 8
    agentgen.export(trace, tmp_path / "own.jsonl", to="mooncake")
    agentgen.export(trace, tmp_path / "small.jsonl", to="mooncake", trace_block_size=small)
    for name in ("own", "small"):
        agentgen.import_sessions(tmp_path / f"{name}.jsonl", tmp_path / name)
    agentgen.export(tmp_path / "small", tmp_path / "back.jsonl", to="mooncake", trace_block_size=own)
    agentgen.import_sessions(tmp_path / "back.jsonl", tmp_path / "back")
    assert agentgen.read(tmp_path / "small").block_size == small
    assert found(tmp_path / "small", own).expected == found(tmp_path / "own", own)
    assert found(tmp_path / "back", own).expected == found(tmp_path / "own", own)
    if "linked" in str(trace):  # a restart waits for its parent, which rows without links do not say
        assert found(tmp_path / "own", own).expected == found(trace, own)
        assert found(tmp_path / "small", small).expected == found(trace, small)


@pytest.mark.parametrize("to", ["bailian", "agentic_mooncake", "weka"])
def test_formats_keep_what_an_infinite_cache_finds(to: str, tmp_path: Path) -> None:
    """The public Mooncake trace, and a Weka conversation with sub-agents."""
    for name, source in (("mooncake", "mooncake/conversation_trace.jsonl"), ("weka", "weka/trace_0016.json")):
        if (name, to) == ("mooncake", "weka") or (name, to) == ("mooncake", "agentic_mooncake"):
            continue  # a file a request; and plays share nothing
        agentgen.import_sessions(shared(source), tmp_path / name)
        target = tmp_path / f"{name}-{to}"
        agentgen.export(tmp_path / name, target, to=to)
        again = tmp_path / f"{name}-again"
        agentgen.import_sessions(target, again, format=to)
        size = agentgen.read(again).block_size
        assert found(again, size).expected == found(tmp_path / name, size)


def test_a_trace_without_sessions_keeps_all_ids(tmp_path: Path) -> None:
    source = shared("mooncake/conversation_trace.jsonl")
    exported = agentgen.export(source, tmp_path / "again.jsonl", to="mooncake")
    assert exported.losses == ()
    renamed: dict[int, int] = {}
    for before, after in zip(rows(source), rows(tmp_path / "again.jsonl"), strict=True):
        assert {key: after[key] for key in ("timestamp", "input_length", "output_length")} == {
            key: before[key] for key in ("timestamp", "input_length", "output_length")
        }
        for old, new in zip(before["hash_ids"], after["hash_ids"], strict=True):
            assert renamed.setdefault(old, new) == new
    assert sorted(renamed.values()) == list(range(len(renamed)))


def test_the_table_of_requests_is_the_trace(trace: Path, tmp_path: Path) -> None:
    agentgen.export(trace, tmp_path / "calls.csv", to="csv")
    table = list(csv.DictReader((tmp_path / "calls.csv").read_text(encoding="utf-8").splitlines()))
    frame = pl.concat([pl.DataFrame(batch) for batch in agentgen.read(trace)])
    assert len(table) == frame.height
    for column in ("session_id", "turn_index", "context_length", "input_length", "output_length", "parent_session_id"):
        expected = ["" if value is None else str(value) for value in frame[column].to_list()]
        assert [row[column] for row in table] == expected, column


def test_shards_are_one_trace(tmp_path: Path) -> None:
    shards = [tmp_path / f"shard-{index}" for index in range(2)]
    for index, shard in enumerate(shards):
        agentgen.write_run(shard, **RESTARTS, shard=(index, 2), formats=("parquet",))
    agentgen.write_run(tmp_path / "whole", **RESTARTS, formats=("jsonl",))
    agentgen.merge(shards, tmp_path / "set")
    for source in (tmp_path / "set", shards):
        agentgen.export(source, tmp_path / "set.jsonl", to="mooncake", force=True)
        agentgen.export(tmp_path / "whole", tmp_path / "whole.jsonl", to="mooncake", force=True)
        assert (tmp_path / "set.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
