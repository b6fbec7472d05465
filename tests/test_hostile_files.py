"""Files that are damaged, planted or of another run: one clear line, and nothing of others is touched."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from conftest import manifest_of

if TYPE_CHECKING:
    from conftest import Invoke, Run

ROW = '{"session_id":"%s","input_length":1,"output_length":1,"hash_ids":[%d],%s}\n'
LAYOUT = ("--trace-layout", "incremental", "--trace-block-size", 1)


def readers(trace: Path, target: Path, *stated: object) -> list[tuple[object, ...]]:
    """Every command that reads the rows of a trace."""
    size = ("--trace-block-size", 1) if stated else ()
    return [
        ("analyze", trace, *stated),
        ("simulate", trace, "--capacity", "1000blocks", *stated),
        ("plan", trace, "--target-hit-rate", 0.1, "--kv-bytes-per-token", 1, *stated),
        ("convert", trace, target / "new.jsonl", "--layout", "cumulative", *stated),
        ("report", trace, "--output", target, *stated),
        ("replay", trace, "--dry-run", "--model", "m", *size),
    ]


def row_count(trace: Path, **stated: Any) -> int:
    """How many rows a trace has."""
    return sum(batch.num_rows for batch in agentgen.read(trace, **stated))


@pytest.fixture
def changed(small_run: Path, tmp_path: Path) -> Path:
    """A run whose Parquet file has the size of the manifest, and other rows."""
    shutil.copytree(small_run, tmp_path / "run")
    data = tmp_path / "run" / "dataset.parquet"
    content = data.read_bytes()
    data.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    return tmp_path / "run"


def test_rows_that_are_not_the_manifests_are_refused_by_every_command(changed: Path, invoke: Invoke) -> None:
    for trace in (changed, changed / "dataset.parquet"):
        for command in readers(trace, changed.parent / "out"):
            result = invoke(*command, code=2)
            assert "dataset.parquet: digest: found SHA-256 " in result.stderr, command
            assert "as manifest.json says (it is not the file of this run: " in result.stderr
        assert "digest" in invoke("validate", trace, code=1).stdout
    assert not (changed.parent / "out" / "new.jsonl").exists()


def test_a_file_of_an_older_run_is_not_read(small_run: Path, tmp_path: Path, invoke: Invoke) -> None:
    agentgen.write_run(tmp_path / "run", sessions=5, formats=["jsonl"])
    shutil.copy(small_run / "dataset.parquet", tmp_path / "run")
    rows = manifest_of(tmp_path / "run")["written"]["turns"]
    assert row_count(tmp_path / "run") == rows
    invoke("convert", tmp_path / "run", tmp_path / "new.jsonl")
    assert (tmp_path / "new.jsonl").read_bytes() == (tmp_path / "run" / "dataset.jsonl").read_bytes()


TIMES = [
    ('"timestamp":0', '"timestamp":1e305'),
    ('"timestamp":0', '"delay":1e305'),
    ('"timestamp":0', '"delay":1e14'),
    ('"timestamp":0', '"delay":4398046511104.1'),
    ('"timestamp":4398046511104', '"delay":1'),
]


@pytest.mark.parametrize("times", TIMES)
def test_times_that_no_clock_holds_are_refused_alike(times: tuple[str, str], tmp_path: Path, invoke: Invoke) -> None:
    trace = tmp_path / "t.jsonl"
    trace.write_text("".join(ROW % ("a", number, time) for number, time in enumerate(times)), encoding="utf-8")
    expected = "expected a number of milliseconds from 0 to 2^42"
    (tmp_path / "out").mkdir()
    assert "error[range]: found " in invoke("validate", trace, *LAYOUT, code=1).stdout
    for command in readers(trace, tmp_path / "out", *LAYOUT):
        if command[0] == "convert" and "4398046511104" in times[0]:
            continue  # each time is in range; no clock runs
        assert expected in invoke(*command, code=2).stderr, command


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_planted_links_are_not_followed(small_run: Path, tmp_path: Path, invoke: Invoke) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    pages = ["report.html", "cache_explorer.html", "simulation.html"]
    for name in ("o.jsonl.partial", *(f".{page}.part" for page in pages), *pages):
        (tmp_path / name).symlink_to(victim)
    invoke("convert", small_run, tmp_path / "o.jsonl")
    invoke("report", small_run, "--output", tmp_path)
    assert victim.read_text(encoding="utf-8") == "precious"
    assert (tmp_path / "o.jsonl").read_bytes() == (small_run / "dataset.jsonl").read_bytes()
    assert not any((tmp_path / page).is_symlink() for page in pages)


def test_a_target_may_have_the_longest_name(small_run: Path, tmp_path: Path, invoke: Invoke) -> None:
    target = tmp_path / ("n" * 249 + ".jsonl")
    invoke("convert", small_run, target)
    assert target.read_bytes() == (small_run / "dataset.jsonl").read_bytes()
    result = invoke("convert", small_run, tmp_path / ("n" * 250 + ".jsonl"), code=1)
    assert result.stderr.endswith(f": {os.strerror(36)}\n" if sys.platform == "linux" else "\n")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such devices there")
def test_a_manifest_names_files_beside_it(tmp_path: Path, invoke: Invoke) -> None:
    run = tmp_path / "run"
    agentgen.write_run(run, sessions=3)
    manifest = manifest_of(run)
    manifest["files"].append({"name": "/dev/zero", "bytes": 0, "sha256": "0" * 64})
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    expected = 'manifest.json: files: found a file "/dev/zero", expected the name of a file beside it'
    for command in [("validate", run), *readers(run, tmp_path)]:
        assert expected in invoke(*command, code=2).stderr, command


def test_a_line_over_the_limit_is_a_finding(tmp_path: Path, invoke: Invoke) -> None:
    trace = tmp_path / "t.jsonl.gz"
    with gzip.open(trace, "wt", compresslevel=1) as file:
        file.write(ROW % ("a", 0, '"timestamp":0'))
        for _ in range(65):
            file.write(" " * (1 << 20))
        file.write("\n" + ROW % ("b", 1, '"timestamp":0'))
    found = f"line-length: found a line of {65 << 20} bytes, expected at most {64 << 20}"
    result = json.loads(invoke("validate", trace, *LAYOUT, "--json", code=1).stdout)
    assert (result["rows"], [finding["rule"] for finding in result["findings"]]) == (3, ["line-length"])
    assert f"{trace}:2: {found}" in invoke("analyze", trace, *LAYOUT, code=2).stderr


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
def test_parquet_of_every_usual_codec_is_read(codec: str, small_run: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(small_run / "dataset.parquet")
    parquet.write_table(table, tmp_path / "t.parquet", compression=codec)
    assert row_count(tmp_path / "t.parquet") == table.num_rows


@pytest.mark.parametrize("values", [[[True]], [["1"]], [[1.0]]])
def test_ids_are_integers(values: Any, small_run: Path, tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    row = parquet.read_table(small_run / "dataset.parquet").slice(0, 1)
    index = row.schema.get_field_index("hash_ids")
    parquet.write_table(row.set_column(index, "hash_ids", pa.array(values)), tmp_path / "t.parquet")
    with pytest.raises(agentgen.TraceError, match=r"type: found hash_ids of .*, expected"):
        row_count(tmp_path / "t.parquet", trace_layout="incremental", trace_block_size=512)


def test_damaged_parquet_says_so_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """At these bytes of a footer the decoder panics."""
    monkeypatch.setenv("RUST_BACKTRACE", "1")
    for name in ("arrow_schema_1_byte", "arrow_schema_type43", "byte_stream_split_1_byte"):
        case = Path(__file__).parent / "damaged" / f"{name}.parquet"
        for command in ("validate", "analyze"):
            done = run(command, case, code=2)
            assert done.stderr.startswith(f"agentgen: error: {case}: parquet: found "), done.stderr
            assert len(done.stderr.splitlines()) == 1


def test_numbers_that_are_none_are_not_shown(small_run: Path, tmp_path: Path, invoke: Invoke) -> None:
    """Python reads NaN and overflows to infinity where JSON has neither."""
    for value in ("NaN", "1e999"):
        run = tmp_path / value
        shutil.copytree(small_run, run)
        quality = (run / "quality.json").read_text(encoding="utf-8")
        (run / "quality.json").write_text(quality.replace('"metrics"', f'"x": {value}, "metrics"', 1), encoding="utf-8")
        manifest = manifest_of(run)
        manifest["files"] = [file for file in manifest["files"] if file["name"] != "quality.json"]
        (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        invoke("report", run)
