"""Batches in other libraries: polars, pyarrow, DuckDB, and none of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from agentgen import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")

CONFIG = "aiperf-1k-200k"


def rows() -> agentgen.Batches:
    return agentgen.generate(CONFIG, sessions=40, seed=7)


def test_polars_takes_batches_and_streams() -> None:
    frame = pl.DataFrame(rows())
    assert frame.equals(pl.concat([pl.DataFrame(batch) for batch in rows()]))
    assert frame.schema == pl.Schema(rows())
    assert frame["session_id"].null_count() == 0
    assert frame.filter(turn_index=0)["delay_ms"].null_count() == frame["session_id"].n_unique()


def test_sums_of_lengths_do_not_wrap(tmp_path: Path) -> None:
    agentgen.write_run(tmp_path / "run", CONFIG, sessions=40, seed=7)
    lengths = ("input_length", "context_length", "output_length")
    for source in (rows(), agentgen.read(tmp_path / "run"), agentgen.read(tmp_path / "run" / "dataset.jsonl")):
        schema = pl.Schema(source)
        assert [schema[name] for name in lengths] == [pl.Int64] * 3
        total = agentgen.scan(source).select(pl.col("context_length").sum() * 10**6).collect().item()
        assert total == sum(pa.table(source)["context_length"].to_pylist()) * 10**6 > 2**33


def test_pyarrow_takes_batches_and_streams() -> None:
    table = pa.table(rows())
    table.validate(full=True)
    assert table.num_rows == sum(map(len, rows()))
    assert table.schema == pa.schema(rows())
    for batch in rows():
        pa.record_batch(batch).validate(full=True)
    assert b"agentgen" in table.schema.metadata


def test_duckdb_takes_streams() -> None:
    batches = rows()
    counted = duckdb.sql("select count(*), sum(input_length), max(len(hash_ids)) from batches").fetchall()
    frame = pl.DataFrame(rows())
    assert counted == [(frame.height, frame["input_length"].sum(), frame["hash_ids"].list.len().max())]
    assert list(batches)


def test_every_reader_of_parquet_sees_the_same_rows(small_run: Path) -> None:
    file = str(small_run / "dataset.parquet")
    frame = pl.DataFrame(rows())
    as_text = pl.col("end_reason").cast(pl.String)
    assert pl.read_parquet(file).with_columns(as_text).equals(frame.with_columns(as_text))
    parquet = pytest.importorskip("pyarrow.parquet")
    assert pl.DataFrame(parquet.read_table(file)).with_columns(as_text).equals(frame.with_columns(as_text))
    assert duckdb.read_parquet(file).sum("context_length").fetchall() == [(frame["context_length"].sum(),)]


def test_jsonl_parquet_and_batches_are_the_same_rows(small_run: Path) -> None:
    frame = pl.DataFrame(rows())
    for name in ("dataset.jsonl", "dataset.parquet"):
        assert pl.DataFrame(agentgen.read(small_run / name)).equals(frame), name
    assert pl.DataFrame(agentgen.read(small_run)).equals(frame)


class TestScan:
    def test_a_query_makes_only_the_columns_it_uses(self) -> None:
        requested: list[Sequence[str] | None] = []
        made = rows()

        def open_stream(columns: Sequence[str] | None) -> _native.BatchStream:
            requested.append(columns)
            return _native.generate(_native.preset(CONFIG), seed=7, sessions=40, columns=columns)

        lazy = agentgen.scan(agentgen.Batches(open_stream, None, {}))
        requested.clear()
        query = lazy.filter(pl.col("turn_index") == 0).select(pl.col("output_length").sum())
        found = query.collect().item()
        assert [set(columns or ()) for columns in requested] == [{"turn_index", "output_length"}]
        frame = pl.DataFrame(made)
        assert found == frame.filter(turn_index=0)["output_length"].sum()

    @pytest.mark.parametrize("engine", ["in-memory", "streaming"])
    def test_queries_give_what_they_give_on_a_frame(self, engine: str) -> None:
        queries: list[Callable[[Any], Any]] = [
            lambda frame: frame,
            lambda frame: frame.select(pl.len()),
            lambda frame: frame.head(3),
            lambda frame: frame.filter(pl.col("turn_index") > 2).head(5),
            lambda frame: frame.head(50).filter(pl.col("turn_index") > 2),
            lambda frame: frame.select("output_length", "session_id").tail(4),
            lambda frame: frame.filter(pl.col("end_reason").is_not_null()).select("hash_ids"),
            lambda frame: frame.group_by("session_id", maintain_order=True).agg(pl.col("input_length").sum()),
            lambda frame: frame.slice(10, 7).select("context_length"),
            lambda frame: frame.filter(pl.lit(value=False)),
        ]
        whole = pl.DataFrame(rows()).lazy()
        for number, query in enumerate(queries):
            scanned = query(agentgen.scan(CONFIG, sessions=40, seed=7)).collect(engine=engine)
            assert scanned.equals(query(whole).collect()), number

    def test_paths_are_read_and_names_are_generated(self, small_run: Path) -> None:
        frame = pl.DataFrame(rows())
        sources: list[Any] = [
            *(small_run, str(small_run), small_run / "dataset.jsonl", [small_run / "dataset.parquet"]),
            *(small_run / "manifest.json", rows(), agentgen.read(small_run)),
        ]
        for source in sources:
            assert agentgen.scan(source).collect().equals(frame), source

    @pytest.mark.parametrize(
        ("source", "argument"),
        [
            ("trace", {"sessions": 5}),
            ("trace", {"max_isl": 5}),
            ("default", {"trace_block_size": 5}),
            ("rows", {"seed": 5}),
        ],
    )
    def test_arguments_that_do_not_apply(self, source: str, argument: dict[str, int], small_run: Path) -> None:
        sources = {"trace": small_run, "default": "default", "rows": rows()}
        with pytest.raises(TypeError, match=rf"{next(iter(argument))}: found 5, expected nothing"):
            agentgen.scan(sources[source], **argument)  # type: ignore[arg-type]

    def test_unknown_names_get_a_hint(self) -> None:
        with pytest.raises(FileNotFoundError, match="did you mean default"):
            agentgen.scan("defualt")


WITHOUT = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"pyarrow", "numpy", "polars", "pandas", "duckdb"}:
            raise ImportError(name)

sys.meta_path.insert(0, Block())
import agentgen

directory = sys.argv[1]
rows = sum(len(batch) for batch in agentgen.generate(sessions=20))
assert agentgen.write_run(directory, sessions=20)["written"]["turns"] == rows
assert sum(map(len, agentgen.read(directory))) == rows
assert agentgen.validate(directory).ok
try:
    agentgen.scan(sessions=1)
except ImportError as error:
    assert "pip install 'agentgen-traces[polars]'" in str(error)
else:
    raise AssertionError
print("ok")
"""


def test_no_arrow_library_is_needed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_stream_that_another_thread_closes_says_so() -> None:
    """Neither a KeyboardInterrupt, which nobody caused, nor rows that pass for all of them."""
    ends: list[BaseException] = []
    for _ in range(5):
        stream = agentgen.generate(CONFIG, sessions=1_000_000)._open()  # noqa: SLF001
        begun = threading.Event()

        def consume(stream: Any = stream, begun: threading.Event = begun) -> None:
            try:
                for _ in stream:
                    begun.set()
            except BaseException as error:  # noqa: BLE001
                ends.append(error)

        thread = threading.Thread(target=consume)
        thread.start()
        begun.wait()
        stream.close()
        thread.join()
    assert ends
    assert {(type(end), str(end)) for end in ends} == {(RuntimeError, "this stream was closed by another thread")}
