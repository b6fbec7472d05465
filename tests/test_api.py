"""The Python functions: arguments, errors, and rows that come again."""

from __future__ import annotations

import doctest
import importlib
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from agentgen import _native
from agentgen.config import load_config
from agentgen.settings import Settings
from conftest import manifest_of, needs

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = [
    *("session_id", "turn_index", "group_id", "input_length", "context_length", "output_length"),
    *("delay_ms", "timestamp_ms", "hash_ids", "is_restart", "parent_session_id", "end_reason"),
]


def test_batches_have_the_columns_of_the_table() -> None:
    batches = agentgen.generate(sessions=50)
    rows = 0
    for batch in batches:
        assert batch.column_names == COLUMNS
        assert len(batch) == batch.num_rows > 0
        rows += len(batch)
    assert rows == sum(len(batch) for batch in batches) > 50


def test_selected_columns_come_in_the_tables_order() -> None:
    batches = agentgen.generate(sessions=5, columns=["output_length", "session_id"])
    assert next(iter(batches)).column_names == ["session_id", "output_length"]
    assert next(iter(batches.select(["hash_ids"]))).column_names == ["hash_ids"]


def test_batches_say_what_they_are() -> None:
    batches = agentgen.generate("aiperf-1k-200k", sessions=5, seed=3)
    assert list(batches.columns) == COLUMNS
    narrow = batches.select(["output_length", "session_id"])
    assert narrow.columns == ("session_id", "output_length")
    assert repr(narrow) == (
        "Batches(config='aiperf-1k-200k', sessions=5, seed=3, layout='incremental', shard=(0, 1), "
        "columns=('session_id', 'output_length'))"
    )
    with pytest.raises(TypeError, match="expected a list of names"):
        batches.select("session_id")


def test_presets_are_configurations() -> None:
    presets = agentgen.presets()
    assert next(iter(presets)) == "default"
    for name, config in presets.items():
        assert load_config(config).config == load_config(name).config


def test_lists_are_no_strings(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="formats: found 'jsonl', expected a list"):
        agentgen.write_run(tmp_path / "a", sessions=1, formats="jsonl")
    with pytest.raises(TypeError, match=r"runs: found .*, expected a list"):
        agentgen.merge(str(small_run), tmp_path / "a")
    with pytest.raises(ValueError, match="compression: found zstd"):
        agentgen.write_run(tmp_path / "a", sessions=1, formats=["parquet"], compression="zstd")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unasked(small_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.parquet"
    target.write_text("mine")
    with pytest.raises(agentgen.RunError, match="give force=True"):
        agentgen.convert(small_run, target)
    assert target.read_text() == "mine"
    agentgen.convert(small_run, target, force=True)
    with pytest.raises(agentgen.RunError, match="give force=True"):
        agentgen.write_run(tmp_path, sessions=1, seed=0)


def test_a_stream_left_early_can_be_started_again() -> None:
    batches = agentgen.generate(sessions=100_000, columns=["turn_index"])
    first = len(next(iter(batches)))
    assert len(next(iter(batches))) == first


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"config": {"block_size": 0}}, agentgen.ConfigError, "block_size: found 0, expected at least 1"),
        ({"config": {"turns": {"mean": 1}}}, agentgen.ConfigError, "turns.min: found nothing"),
        ({"config": "defualt"}, FileNotFoundError, "did you mean default"),
        ({"max_isl": 32000}, agentgen.ConfigError, "default: max_prompt_tokens: found 32000"),
        ({"sessions": 0}, ValueError, "sessions: found 0, expected a whole number from 1"),
        ({"sessions": 1.5}, TypeError, "sessions: found 1.5, expected a whole number"),
        ({"sessions": True}, TypeError, "sessions: found True, expected a whole number"),
        ({"seed": -1}, ValueError, "seed: found -1"),
        ({"seed": 2**64}, ValueError, "seed: found 18446744073709551616"),
        ({"layout": "flat"}, ValueError, "layout: found 'flat', expected one of incremental, cumulative"),
        ({"shard": (2, 2)}, ValueError, "shard index: found 2, expected a whole number from 0 to 1"),
        ({"threads": 0}, ValueError, "threads: found 0"),
        ({"shard": "0/4"}, TypeError, "shard: found '0/4', expected (index, count), such as (0, 4)"),
        ({"columns": ["input_len"]}, ValueError, "columns: found 'input_len', expected some of session_id, "),
        ({"columns": ["input_len"]}, ValueError, "(did you mean input_length?)"),
        ({"columns": "input_length"}, TypeError, "columns: found 'input_length', expected a list of names"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        agentgen.generate(**arguments)
    assert message in str(caught.value)


def test_errors_have_their_documented_bases() -> None:
    assert issubclass(agentgen.ConfigError, (agentgen.AgentgenError, ValueError))
    assert issubclass(agentgen.TraceError, (agentgen.AgentgenError, ValueError))
    with pytest.raises(agentgen.ConfigError) as caught:
        _native.resolve('{"block_size": 1}', sessions=1, seed=0)
    assert caught.value.source is None


def test_a_run_is_made_again_from_its_manifest(small_run: Path, tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "again", small_run / "manifest.json")
    first, again = manifest_of(small_run), manifest_of(tmp_path / "again")
    assert {**first, "created": ""} == {**again, "created": ""}
    jsonl = "dataset.jsonl"
    assert (small_run / jsonl).read_bytes() == (tmp_path / "again" / jsonl).read_bytes()


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_shards_one_after_the_other_are_the_whole(shards: int, small_run: Path, tmp_path: Path) -> None:
    whole = b""
    for index in range(shards):
        directory = tmp_path / str(index)
        agentgen.write_run(directory, small_run, shard=(index, shards), formats=["jsonl"], threads=2)
        whole += (directory / "dataset.jsonl").read_bytes()
    assert whole == (small_run / "dataset.jsonl").read_bytes()


def test_compressed_jsonl_is_the_same_rows(small_run: Path, tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "z", small_run, compression="zstd", formats=["jsonl"])
    assert manifest_of(tmp_path / "z")["files"][0]["name"] == "dataset.jsonl.zst"
    plain, packed = (agentgen.read(run, columns=["output_length"]) for run in (small_run, tmp_path / "z"))
    assert sum(map(len, plain)) == sum(map(len, packed))


def test_a_trace_says_what_it_is(small_run: Path) -> None:
    trace = agentgen.read(small_run)
    assert (trace.layout, trace.layout_from) == ("incremental", "manifest")
    assert (trace.block_size, trace.block_size_from) == (512, "manifest")
    assert trace.origin is not None
    assert trace.origin["seed"] == 7
    assert repr(trace).startswith("Trace(layout='incremental', block_size=512, files=[")
    assert list(trace.columns) == COLUMNS


def test_what_is_not_a_trace(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("no rows here\n")
    with pytest.raises(agentgen.TraceError):
        agentgen.read(tmp_path / "a.jsonl")
    with pytest.raises(FileNotFoundError):
        agentgen.read(tmp_path / "b.jsonl")
    with pytest.raises(ValueError, match="expected at least one file"):
        agentgen.read([])


def test_progress_is_told_and_may_refuse(tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    agentgen.write_run(tmp_path / "a", sessions=500, progress=lambda done, total: reported.append((done, total)))
    assert reported[-1] == (500, 500)

    class EnoughError(Exception):
        pass

    def refuse(_done: int, _total: int) -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        agentgen.write_run(tmp_path / "b", sessions=500_000, formats=["parquet"], progress=refuse)
    assert not (tmp_path / "b" / "manifest.json").exists()


@needs("polars")
@pytest.mark.parametrize("name", ["_api", "_scan"])
def test_examples_in_the_documentation(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(f"agentgen.{name}")
    finder = doctest.DocTestFinder()
    runner = doctest.DocTestRunner()
    for number, example in enumerate(finder.find(module, extraglobs={"agentgen": agentgen})):
        example.globs["directory"] = tmp_path / str(number)
        runner.run(example)
    assert runner.tries > 0
    assert runner.failures == 0


def test_every_public_name_is_documented() -> None:
    for name in agentgen.__all__:
        assert hasattr(agentgen, name)
        if name != "__version__":
            assert getattr(agentgen, name).__doc__


class Index:
    """A whole number of another library."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def test_any_integer_type_will_do(tmp_path: Path) -> None:
    number: Any = Index
    manifest = agentgen.write_run(
        tmp_path / "a", sessions=number(9), seed=number(3), shard=(number(0), number(2)), threads=number(1)
    )
    assert (manifest["sessions"], manifest["seed"], manifest["shard"]) == (9, 3, {"index": 0, "count": 2})


def test_one_run_is_no_list_of_runs(tmp_path: Path) -> None:
    for one in ("inc", tmp_path):
        path: Any = one
        with pytest.raises(TypeError, match=r"^runs: found '.*', expected a list of run directories$"):
            agentgen.merge(path, tmp_path / "whole")


def test_the_largest_number_of_sessions_is_the_cores() -> None:
    with pytest.raises(agentgen.ConfigError, match=r"^sessions: found .*, expected 1 to 140737488355328$"):
        _native.resolve(_native.preset("default"), sessions=2**47 + 1, seed=0)
    assert Settings(sessions=2**47).sessions == 2**47
    with pytest.raises(ValueError, match="expected a whole number from 1 to 140737488355328"):
        Settings(sessions=2**47 + 1, seed=0)
