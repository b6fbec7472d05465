"""`simulate`: figures, sweeps, tables, files and options."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import agentgen
import click
import jsonschema
import pytest
from agentgen.cli._quantities import CapacitiesType, Capacity, Duration
from agentgen.text.format import duration, time_unit
from conftest import ROOT, needs, one_line_only

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke, Run

KV = 1_000  # bytes per token
AMPLE = 10**12


def only(simulation: agentgen.Simulation) -> dict[str, Any]:
    (point,) = simulation.to_dict()["points"]
    return dict(point)


def at(trace: Path, capacity: int | list[int], **arguments: Any) -> agentgen.Simulation:
    return agentgen.simulate(trace, capacity_bytes=capacity, kv_bytes_per_token=KV, **arguments)


def test_without_a_limit_it_is_what_analyze_finds(small_run: Path) -> None:
    (trace,) = agentgen.analyze(small_run, concurrency=1).to_dict()["traces"]
    point = only(at(small_run, AMPLE, concurrency=1))
    assert point["hit_rates"] == trace["reuse"]["linked"]
    assert point["by_layer"] == trace["reuse"]["by_layer"]
    assert point["blocks"]["resident"] == trace["reuse"]["size"]["distinct_blocks"]
    assert point["sessions"] == trace["sessions"]


def test_what_goes_in_is_what_is_there(small_run: Path) -> None:
    (trace,) = agentgen.analyze(small_run).to_dict()["traces"]
    simulation = at(
        small_run, [100_000_000, 400_000_000], replicas=2, routing="round-robin", ttl_ms=60_000.0, belady_bound=True
    )
    for point in simulation.to_dict()["points"]:
        assert sum(point["requests"].values()) == trace["requests"]
        blocks = point["blocks"]
        assert blocks["added"] == blocks["resident"] + blocks["evicted"] + blocks["expired"]
        assert (
            point["occupancy"]["peak_blocks"] <= point["occupancy"]["capacity_blocks"] == 2 * point["capacity_blocks"]
        )
        assert point["hit_blocks"] <= point["belady_bound"]["hit_blocks"]
        assert sum(part["requests"] for part in point["series"]) == point["requests"]["served"]
        for name in ("added", "refetched", "evicted", "expired"):
            assert sum(layer[name] for layer in point["blocks_by_layer"]) == blocks[name]


def test_the_worked_example_of_the_documentation(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "simulator.md").read_text()
    trace, table = tmp_path / "example.jsonl", tmp_path / "requests.parquet"
    trace.write_text(text.split("```jsonl\n")[1].split("```")[0])
    simulation = agentgen.simulate(
        trace,
        capacity_bytes=32 * KV,
        kv_bytes_per_token=KV,
        concurrency=2,
        prefill_tokens_per_second=1_000,
        decode_tokens_per_second=100,
        trace_layout="incremental",
        trace_block_size=4,
        requests=table,
    )
    point = only(simulation)
    assert point["capacity_blocks"] == 8
    assert point["hit_rates"]["token_weighted"] == 24 / 48
    counts = {"added": 8, "refetched": 0, "evicted": 1, "expired": 0, "resident": 7}
    assert point["blocks"] == counts
    reported = re.findall(r"^\| ([ab]), (\d) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    pq = pytest.importorskip("pyarrow.parquet")
    names = ("turn_index", "sent_ms", "admitted_ms", "prefill_end_ms", "end_ms", "hit_blocks")
    rows = [(row["session_id"], *(row[name] for name in names)) for row in pq.read_table(table).to_pylist()]
    assert rows == [(session, *map(int, values)) for session, *values in reported]


def test_a_sweep_is_each_capacity_alone(small_run: Path) -> None:
    capacities = [400_000_000, 100_000_000, 200_000_000]
    sweep = at(small_run, capacities).to_dict()["points"]
    assert sweep == [only(at(small_run, capacity, threads=1)) for capacity in capacities]
    assert at(small_run, capacities, threads=1).to_dict()["points"] == sweep


def test_less_memory_finds_less_and_waits_longer(small_run: Path) -> None:
    small, large = at(small_run, [250_000_000, AMPLE]).to_dict()["points"]
    assert small["hit_rates"]["token_weighted"] < large["hit_rates"]["token_weighted"]
    assert small["times"]["queueing"]["mean"] > large["times"]["queueing"]["mean"]
    assert small["blocks"]["refetched"] > 0 == large["blocks"]["refetched"]


def test_a_request_that_is_too_long_ends_its_session(small_run: Path, tmp_path: Path) -> None:
    table = tmp_path / "requests.parquet"
    simulation = at(small_run, 60_000_000, requests=table)
    requests = only(simulation)["requests"]
    assert requests["failed"] > 0 < requests["skipped"]
    assert simulation.failed == requests["failed"]
    pq = pytest.importorskip("pyarrow.parquet")
    rows = pq.read_table(table).to_pylist()
    assert len(rows) == requests["served"] + requests["failed"]
    lost = [row for row in rows if row["end_ms"] is None]
    assert len(lost) == requests["failed"]
    assert all(row["context_length"] + row["output_length"] > 60_000 // 512 * 512 for row in lost)
    assert "failed: " in str(simulation)


@needs("polars")
def test_frames(small_run: Path) -> None:
    simulation = at(small_run, [100_000_000, AMPLE], belady_bound=True)
    reported = simulation.to_dict()["points"]
    assert simulation.points["token_weighted"].to_list() == [point["hit_rates"]["token_weighted"] for point in reported]
    assert simulation.points["ttft_p99_ms"].to_list() == [point["times"]["ttft"]["p99"] for point in reported]
    for name in ("series", "by_turn", "blocks_by_layer"):
        frame = getattr(simulation, name)
        assert frame.height == sum(len(point[name]) for point in reported)
        assert frame["capacity_bytes"].unique().sort().to_list() == [100_000_000, AMPLE]
        assert frame.columns[2:] == list(reported[0][name][0])
    assert simulation.hit_rate == reported[0]["hit_rates"]["token_weighted"]
    assert simulation == at(small_run, [100_000_000, AMPLE], belady_bound=True)


def test_json_is_the_only_output(run: Run, small_run: Path) -> None:
    done = run("simulate", small_run, "--capacity", "100MB,1GB", "--kv-bytes-per-token", KV, "--belady-bound", "--json")
    assert done.stderr == ""
    reported = json.loads(done.stdout)
    jsonschema.validate(reported, json.loads((ROOT / "schemas" / "simulation.schema.json").read_text(encoding="utf-8")))
    assert reported == at(small_run, [100_000_000, 10**9], belady_bound=True).to_dict()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--capacity", "300GB", "--model", "llama-3.1-8b"),
        ("--capacity", "20GB,40GB,300GB", "--model", "llama-3.1-8b", "--kv-dtype", "fp8", "--belady-bound"),
        ("--capacity", "9TB", "--model", "deepseek-v3", "--replicas", "3", "--routing", "round-robin", "--ttl", "90"),
        ("--capacity", "60MB", "--kv-bytes-per-token", "1000", "--no-cached-outputs", "--block-size", "16"),
        ("--capacity", "1MB", "--kv-bytes-per-token", "1000", "--belady-bound"),
    ],
)
def test_tables_fit_80_columns(arguments: tuple[str, ...], invoke: Invoke, small_run: Path) -> None:
    result = invoke("simulate", small_run, *arguments, code=1 if "1MB" in arguments else 0)
    lines = result.stdout.splitlines()[1:]
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines), "\n".join(lines)
    assert result.stdout.isascii()


def test_requests_as_a_file(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    table = tmp_path / "requests.parquet"
    command = ("simulate", small_run, "--capacity", "1GB", "--kv-bytes-per-token", "1000", "--parquet", table)
    assert str(table) in invoke(*command).stdout
    first = table.read_bytes()
    invoke(*command)
    assert table.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["requests.parquet"]


def test_each_capacity_has_its_duration(invoke: Invoke, small_run: Path) -> None:
    command = ("simulate", small_run, "--kv-bytes-per-token", KV, "--capacity")
    assert "  duration " in invoke(*command, "250MB").stdout
    sweep = invoke(*command, "250MB,2GB").stdout
    assert "duration" not in sweep.split("by capacity")[0]
    table, note = sweep.split("left the cache)\n")[1].split("\n\n")
    names, *rows = table.splitlines()
    assert " ".join(note.split()).startswith(
        "found includes waiting times and the memory of running requests, unlike the capacity curve of agentgen analyze"
    )
    durations = [point["duration_ms"] / 1000 for point in at(small_run, [250_000_000, 2 * 10**9]).to_dict()["points"]]
    assert durations[0] > durations[1] > 100
    assert [line.split()[-1] for line in (names, *rows)] == ["duration", *(f"{seconds:,.0f}" for seconds in durations)]


def test_without_served_requests_there_are_no_figures(invoke: Invoke, small_run: Path) -> None:
    command = ("simulate", small_run, "--kv-bytes-per-token", KV, "--belady-bound", "--capacity")
    refused = invoke(*command, "1MB", code=1)
    assert refused.stderr == (
        "agentgen: error: found no request that a replica's capacity holds, expected at least one (--capacity)\n"
    )
    alone = refused.stdout
    assert "\nno request was served\n" in alone
    assert "%" not in alone
    assert "duration" not in alone
    sweep = invoke(*command, "1MB,1GB").stdout
    rows = re.findall(r"^  0\.00100 GB(.*)$", sweep, re.MULTILINE)
    assert [row.split() for row in rows] == [["-"] * 6 + ["0"], ["0", "-", "42"]]


def test_an_output_that_cannot_be_written_fails(invoke: Invoke, small_run: Path, tmp_path: Path) -> None:
    table = tmp_path / "missing" / "requests.parquet"
    result = invoke("simulate", small_run, "--capacity", "500blocks", "--parquet", table, code=1)
    assert result.stderr == f"agentgen: error: {table}: No such file or directory\n"
    assert result.stdout == ""


def test_plural_forms(invoke: Invoke, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    rows: list[dict[str, Any]] = [
        {"session_id": "a", "input_length": 9, "output_length": 1, "hash_ids": [0, 1], "timestamp": 0.0},
        {"session_id": "a", "input_length": 8, "output_length": 1, "hash_ids": [2], "delay": 0.0},
    ]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = ("simulate", trace, "--trace-layout", "incremental", "--trace-block-size", 8, "--capacity")
    assert invoke(*command, "1block", code=1).stdout.splitlines()[-2:] == [
        "failed: 1 request that needs more blocks than a replica has;",
        "  1 later turn was never sent",
    ]
    served = invoke(*command, "9blocks").stdout
    assert "9 blocks: 72 tokens" in served
    assert not re.search(r"\b1 (requests|sessions|turns|blocks|tokens|replicas)\b", served)


def test_a_capacity_of_more_tokens_than_can_be_counted(small_run: Path) -> None:
    (point,) = agentgen.simulate(small_run, capacity_blocks=2**53 - 1, block_size=4096).to_dict()["points"]
    assert point["capacity_tokens"] == 2**64 - 1


def test_capacities_in_blocks_need_no_model(run: Run, small_run: Path) -> None:
    blocks = [100, 500]
    reported = agentgen.simulate(small_run, capacity_blocks=blocks).to_dict()
    assert [reported["kv_bytes_per_token"], reported["points"][0]["capacity_bytes"]] == [None, None]
    of_bytes = at(small_run, [512 * KV * each for each in blocks]).to_dict()
    named = agentgen.simulate(small_run, capacity_blocks=blocks, kv_bytes_per_token=KV).to_dict()
    assert named == of_bytes
    for point in (*reported["points"], *of_bytes["points"]):
        del point["capacity_bytes"]
    assert reported["points"] == of_bytes["points"]
    done = run("simulate", small_run, "--capacity", "100blocks,500 blocks", "--json")
    assert json.loads(done.stdout) == agentgen.simulate(small_run, capacity_blocks=blocks).to_dict()
    schema = json.loads((ROOT / "schemas" / "simulation.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(done.stdout), schema)
    text = run("simulate", small_run, "--capacity", "500blocks").stdout
    assert "  500 blocks: 256,000 tokens\n" in text
    assert "KV bytes" not in text


@pytest.mark.parametrize("command", [("simulate", "--capacity", "100blocks"), ("analyze",), ("report",)])
def test_concurrency_of_a_trace_with_its_own_times_is_refused(
    command: tuple[str, ...], invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *options = command
    rows: list[dict[str, Any]] = [
        {"timestamp": 1000 * at, "input_length": 600, "output_length": 1, "hash_ids": [at, at + 1]} for at in range(3)
    ]
    recorded = tmp_path / "recorded.jsonl"
    recorded.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    agentgen.write_run("arrivals", {"arrival": {"poisson": {"rate": 2}}}, sessions=5)
    for trace, why in ((recorded, "recorded times"), ("arrivals", "arrivals")):
        result = invoke(name, trace, *options, "--concurrency", 7, code=2)
        assert result.stderr == (
            f"agentgen: error: {trace}: --concurrency: found 7, expected none: the trace has {why}, which say how many "
            "sessions are open\n"
        )
        invoke(name, trace, *options)


BAD: list[tuple[tuple[str, ...], str]] = [
    ((), "Missing option '--capacity'"),
    (("--capacity", "1GB"), "--model and --kv-bytes-per-token: found neither, expected one of them."),
    (("--capacity", "1GB", "--model", "x", "--kv-bytes-per-token", "1"), "found both, expected one of them."),
    (("--capacity", "1GB", "--kv-dtype", "fp8", "--kv-bytes-per-token", "1"), "--kv-dtype needs --model"),
    (
        ("--capacity", "1GB,", "--kv-bytes-per-token", "1"),
        "found '', expected a size such as 300GB, 5000blocks or 2Mtokens.",
    ),
    (("--capacity", "80", "--kv-bytes-per-token", "1"), "found '80', expected a size such as 300GB"),
    (
        ("--capacity", "1GB", "--kv-bytes-per-token", "1", "--ttl", "-1"),
        "found -1, expected a time such as 500ms, 30s, 5m or 1h.",
    ),
    (("--capacity", "1GB", "--kv-bytes-per-token", "1", "--replicas", "0"), "found 0, expected a whole number from 1"),
    (
        ("--capacity", "1GB,2GB", "--kv-bytes-per-token", "1", "--parquet", "x"),
        "--parquet: found 2 in --capacity, expected one.",
    ),
    (("--capacity", "0blocks"), "found '0blocks', expected a size such as 300GB, 5000blocks or 2Mtokens."),
    (("--capacity", ",".join(["1GB"] * 1001)), "found 1,001 capacities, expected at most 1,000."),
    (("--capacity", "1GB,5blocks"), "found '1GB,5blocks', expected all in bytes, all in blocks or all in tokens."),
    (("--capacity", "5blocks", "--kv-dtype", "fp8"), "--kv-dtype needs --model"),
    (("--capacity", "5blocks", "--model", "x", "--kv-bytes-per-token", "1"), "found both, expected one of them."),
    (("--capacity", "1kB", "--kv-bytes-per-token", "1000"), "--capacity: found 1000 bytes, expected at least 512000"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(bad[0])[:60] for bad in BAD])
def test_bad_usage(arguments: tuple[str, ...], message: str, invoke: Invoke, small_run: Path) -> None:
    result = invoke("simulate", small_run, *arguments, code=2)
    assert result.stdout == ""
    assert message in result.stderr
    one_line_only(result.exit_code, result.stderr)


def test_bad_arguments(small_run: Path) -> None:
    with pytest.raises(TypeError, match="found neither, expected one of them"):
        agentgen.simulate(small_run, capacity_bytes=1)
    with pytest.raises(
        TypeError,
        match="capacity_tokens: found capacity_bytes and capacity_blocks, expected one of them",
    ):
        agentgen.simulate(small_run, capacity_bytes=1, capacity_blocks=1)
    with pytest.raises(
        TypeError, match="capacity_bytes, capacity_blocks, capacity_tokens: found none, expected one of them"
    ):
        agentgen.simulate(small_run)
    with pytest.raises(TypeError, match="unexpected keyword argument 'blocksize'"):
        at(small_run, AMPLE, blocksize=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'threads'"):
        agentgen.plan(small_run, target_hit_rate=0.5, kv_bytes_per_token=1, threads=5)  # type: ignore[call-arg]
    for arguments, message in (
        ({"routing": "random"}, "routing"),
        ({"ttl_ms": -1.0}, "ttl_ms: found -1.0"),
        ({"ttl_ms": float("nan")}, "ttl_ms: found nan"),
        ({"replicas": 0}, "replicas: found 0"),
    ):
        with pytest.raises(ValueError, match=message):
            at(small_run, AMPLE, **arguments)
    with pytest.raises(ValueError, match="found 0 capacities"):
        at(small_run, [])
    with pytest.raises(ValueError, match="requests: found 2 capacities, expected one"):
        at(small_run, [AMPLE, AMPLE], requests="x.parquet")


def test_a_file_that_cannot_be_written(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        at(small_run, AMPLE, requests=tmp_path / "missing" / "requests.parquet")


def test_types() -> None:
    sizes = CapacitiesType().convert("100GB, 1.5TB", None, None)
    assert sizes == [Capacity(10**11, "bytes"), Capacity(15 * 10**11, "bytes")]
    assert CapacitiesType().convert("1block,20 blocks", None, None) == [
        Capacity(1, "blocks"),
        Capacity(20, "blocks"),
    ]
    assert CapacitiesType().convert("2Mtokens,1.5k tokens", None, None) == [
        Capacity(2_000_000, "tokens"),
        Capacity(1_500, "tokens"),
    ]
    assert Duration().convert("0.5", None, None) == 500.0
    assert Duration().convert("5m", None, None) == 300_000.0
    with pytest.raises(click.BadParameter, match="expected a time such as 500ms, 30s, 5m or 1h"):
        Duration().convert("5M", None, None)


def test_overload_is_said_first(small_run: Path) -> None:
    slow = agentgen.simulate(small_run, capacity_tokens="2M", prefill_tokens_per_second=500, concurrency=50)
    load = only(slow)["load"]
    assert load["prefill"] > 1
    said = " ".join(str(slow).splitlines()[1:3])
    times, fit = re.match(
        r"overload: prefill is ([0-9.,]+) times oversubscribed: .* at most ([0-9]+) session", said
    ).groups()  # type: ignore[union-attr]
    assert float(times) == pytest.approx(load["prefill"], rel=0.05)
    assert int(fit) == load["sessions"] < 50
    fewer = agentgen.simulate(
        small_run, capacity_tokens="2M", prefill_tokens_per_second=500, concurrency=load["sessions"]
    )
    assert only(fewer)["load"]["prefill"] <= 1
    fast = agentgen.simulate(small_run, capacity_tokens="2M", prefill_tokens_per_second="1M")
    assert only(fast)["load"]["prefill"] < 1
    assert "overload" not in str(fast)
    both = str(agentgen.simulate(small_run, capacity_tokens=["1M", "2M"], prefill_tokens_per_second=500))
    assert "times oversubscribed at " in " ".join(both.split())


def test_the_largest_concurrency_that_meets_limits(small_run: Path, invoke: Invoke) -> None:
    def ttft(concurrency: int) -> float:
        one = agentgen.simulate(
            small_run, capacity_tokens="1M", prefill_tokens_per_second=2_000, concurrency=concurrency
        )
        return float(only(one)["times"]["ttft"]["p95"])

    options = ("--capacity", "1Mtokens", "--prefill-rate", "2k", "--slo", "ttft:p95=12s")
    found = json.loads(invoke("simulate", small_run, *options, "--json").stdout)["points"][0]["largest_concurrency"]
    assert 1 <= found < 20
    assert ttft(found) <= 12_000 < ttft(found + 1)
    text = invoke("simulate", small_run, *options).stdout
    assert f"ttft p95 <= 12 s: at most {found} session" in text
    impossible = agentgen.simulate(small_run, capacity_tokens="1M", slo="e2e:p50=1ms")
    assert impossible.largest_concurrency == 0
    assert "e2e p50 <= 0.001 s: not met, even by one session at a time" in str(impossible)
    assert agentgen.simulate(small_run, capacity_tokens="1M").largest_concurrency is None


def test_limits_that_cannot_be_searched(small_run: Path, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("simulate", small_run, "--capacity", "1Mtokens", "--slo", "ttft:p96=1s", code=2)
    assert (
        "found 'ttft:p96=1s', expected limits such as ttft:p95=2s,e2e:p99=1m (mean, p50, p75, p95, p99)."
        in result.stderr
    )
    with pytest.raises(ValueError, match="slo: found 'ttft', expected limits such as"):
        agentgen.simulate(small_run, capacity_tokens="1M", slo="ttft")
    agentgen.write_run(tmp_path / "open", {"arrival": {"poisson": {"rate": 2}}}, sessions=5)
    result = invoke("simulate", tmp_path / "open", "--capacity", "1Mtokens", "--slo", "ttft:p95=1s", code=2)
    assert "--slo: found a trace with times of its own, expected" in result.stderr


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (900, "0.9 s"),
        (61_000, "1 min 1 s"),
        (7_260_000, "2 h 1 min"),
        (3_743_848_874, "43 d 7 h"),
        (90_000_000, "25 h"),
    ],
)
def test_durations_are_in_the_units_that_people_read(ms: float, shown: str) -> None:
    assert duration(ms) == shown


def test_times_of_a_table_have_one_unit(small_run: Path) -> None:
    assert time_unit(90_000) == (1, "ms")
    assert time_unit(150_000) == (1_000, "seconds")
    assert time_unit(3_743_848_874) == (3_600_000, "hours")
    slow = str(agentgen.simulate(small_run, capacity_tokens="2M", prefill_tokens_per_second=50))
    assert "seconds from sending a request to" in slow or "hours from sending a request to" in slow


def test_rows_of_requests_replace_no_trace(small_run: Path, tmp_path: Path, invoke: Invoke) -> None:
    command = ("simulate", small_run, "--capacity", "1GB", "--kv-bytes-per-token", KV)
    before = (small_run / "dataset.parquet").read_bytes()
    trace = tmp_path / "trace.parquet"
    trace.write_bytes(before)
    assert "a file of a trace" in invoke(*command, "--parquet", small_run / "dataset.parquet", code=2).stderr
    (tmp_path / "manifest.json").write_text('{"of": "another program"}')
    for _ in range(2):
        invoke(*command, "--parquet", tmp_path / "requests.parquet")
    again = ("simulate", trace, *command[2:], "--parquet", trace)
    assert "a file of a trace" in invoke(*again, code=2).stderr
    assert (small_run / "dataset.parquet").read_bytes() == trace.read_bytes() == before
    assert "expected a regular file" in invoke(*command, "--parquet", "/dev/null", code=2).stderr
