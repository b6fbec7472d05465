"""`plan`: memory for a hit rate, replicas, models, and sizes as people write them."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agentgen
import click
import jsonschema
import pytest
from agentgen.cli._quantities import ByteSize, Share
from conftest import ROOT, needs, one_line_only, shared

if TYPE_CHECKING:
    from conftest import Invoke, Run

MOONCAKE = "mooncake/conversation_trace.jsonl"


def rounded_up_gb(size: int) -> float:
    """As printed for what is needed at least, so that the printed size is enough."""
    return math.ceil(size / 10**8) / 10


def test_a_plan_is_the_curve_read_backwards(small_run: Path) -> None:
    plan = agentgen.plan(small_run, target_hit_rate=0.8, kv_bytes_per_token=1_000)
    (trace,) = agentgen.analyze(small_run).to_dict()["traces"]
    curve = trace["reuse"]["capacity_curve"]
    below = [point for point in curve if point["capacity_tokens"] < plan.capacity_tokens]
    above = [point for point in curve if point["capacity_tokens"] >= plan.capacity_tokens]
    assert below[-1]["hit_rate"] < 0.8 <= above[0]["hit_rate"]
    assert plan.to_dict()["capacity"]["hit_rate"] == pytest.approx(0.8, abs=0.001)
    assert plan.capacity_bytes == 1_000 * plan.capacity_tokens
    assert plan.limit_hit_rate == trace["reuse"]["linked"]["block_references"]
    assert (plan.target_hit_rate, plan.replicas) == (0.8, None)
    assert plan.to_dict()["timeline"] == trace["timeline"]


def test_more_sessions_or_a_higher_rate_take_more(small_run: Path) -> None:
    def tokens(rate: float, sessions: int) -> int:
        return agentgen.plan(
            small_run, target_hit_rate=rate, kv_bytes_per_token=1, concurrency=sessions
        ).capacity_tokens

    assert tokens(0.7, 2) < tokens(0.7, 20) < tokens(0.85, 20)


def test_replicas_share_the_sessions(small_run: Path) -> None:
    def plan(size: int) -> dict[str, Any]:
        return agentgen.plan(
            small_run, target_hit_rate=0.8, kv_bytes_per_token=1_000, concurrency=16, replica_bytes=size
        ).to_dict()

    need = plan(10**15)
    assert need["replicas"] == {
        "replica_bytes": 10**15,
        "replicas": 1,
        "concurrency_each": 16,
        "each": need["capacity"],
    }
    half = plan(need["capacity"]["capacity_bytes"] // 2)["replicas"]
    assert half["replicas"] > 1
    assert half["concurrency_each"] == -(-16 // half["replicas"])
    assert half["each"]["capacity_bytes"] <= half["replica_bytes"]
    with pytest.raises(agentgen.PlanError, match=r"replica memory: found 1\.0 kB, expected at least \d{6}\.0 kB, "):
        plan(1_000)


def test_replicas_have_the_rate_together(tmp_path: Path) -> None:
    """Each replica's rows as a separate trace: together they have the planned hit rate."""
    config: dict[str, Any] = {
        "block_size": 64,
        "max_prompt_tokens": 20_000,
        "cache": {"layer1_tokens": 2_000, "layer2": {"mean": 2_000, "sigma": 0.5, "max": 4_000}},
        "new_tokens_per_turn": {"mean": 800, "sigma": 0.4, "max": 2_000, "bias": 1},
        "generation_length": {"mean": 200, "sigma": 0.3, "max": 400},
        "restart_initial_probability": 0.5,
    }
    agentgen.write_run(tmp_path / "run", config, sessions=120)
    plan = agentgen.plan(
        tmp_path / "run", target_hit_rate=0.8, kv_bytes_per_token=1, concurrency=24, replica_bytes=60_000
    ).to_dict()["replicas"]
    count, capacity = plan["replicas"], plan["each"]["capacity_tokens"]
    assert count > 2
    rows = [json.loads(line) for line in (tmp_path / "run" / "dataset.jsonl").read_text().splitlines()]
    homes: dict[str, int] = {}
    for row in rows:
        parent = row.get("parent_session_id")
        homes.setdefault(row["session_id"], homes[parent] if parent else len(homes) % count)
    hits = blocks = 0
    context: dict[str, int] = {}
    for replica in range(count):
        mine = [row for row in rows if homes[row["session_id"]] == replica]
        part = tmp_path / f"{replica}.jsonl"
        part.write_text("".join(json.dumps(row) + "\n" for row in mine))
        arguments: dict[str, Any] = {
            "trace_layout": "incremental",
            "trace_block_size": 64,
            "concurrency": plan["concurrency_each"],
        }
        curve = agentgen.analyze(part, **arguments).to_dict()["traces"][0]["reuse"]["capacity_curve"]
        own = 0
        for row in mine:
            before = context.get(row["session_id"], 0)
            own += -(-(before + row["input_length"]) // 64)
            context[row["session_id"]] = before + row["input_length"] + row["output_length"]
        blocks += own
        hits += own * max(point["hit_rate"] for point in curve if point["capacity_tokens"] <= capacity)
    # The points of the curve are 0.1 % apart.
    assert hits / blocks == pytest.approx(plan["each"]["hit_rate"], abs=0.0015)
    assert plan["each"]["hit_rate"] >= 0.8


def test_models_have_bytes_and_sources() -> None:
    models = agentgen.models()
    assert models["llama-3.1-8b"]["kv_bytes_per_token"] == 32 * 2 * 8 * 128 * 2
    assert models["gpt-oss-20b"]["kv_bytes_per_session"] > 0
    assert list(models) == sorted(models)
    assert all(model["source"].startswith("https://") for model in models.values())
    half = agentgen.models("fp8")
    assert all(2 * half[name]["kv_bytes_per_token"] == models[name]["kv_bytes_per_token"] for name in models)


def test_a_model_by_name_and_by_its_file(small_run: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    fields = {"model_type": "qwen3", "num_hidden_layers": 36, "num_key_value_heads": 8, "head_dim": 128}
    config.write_text(json.dumps(fields))
    plans = [
        agentgen.plan(small_run, target_hit_rate=0.5, **which)
        for which in (
            {"model": "Qwen3-8B"},
            {"model": config},
            {"model": str(tmp_path)},
            {"kv_bytes_per_token": 36 * 2 * 8 * 128 * 2},
        )
    ]
    assert [plan.to_dict()["model"] for plan in plans] == ["Qwen3-8B", str(config), str(tmp_path), None]
    assert [plan.to_dict()["kv_dtype"] for plan in plans] == ["bf16", "bf16", "bf16", None]
    unnamed = [{**plan.to_dict(), "model": None, "kv_dtype": None} for plan in plans]
    assert all(plan == unnamed[0] for plan in unnamed)
    fp8 = agentgen.plan(small_run, target_hit_rate=0.5, model="qwen3-8b", kv_dtype="fp8")
    assert 2 * fp8.capacity_bytes == plans[0].capacity_bytes


def test_bad_models(small_run: Path, tmp_path: Path) -> None:
    def refused(model: object, message: str) -> None:
        which: Any = model
        with pytest.raises(agentgen.ModelError, match=message):
            agentgen.plan(small_run, target_hit_rate=0.5, model=which)

    refused(
        "zzz",
        r"^model: found 'zzz', expected a name \(agentgen models lists them\), a config.json or its directory "
        r"\(or give kv_bytes_per_token\)$",
    )
    refused(Path("llama-3.1-8b"), r"^model: found 'llama-3.1-8b', expected a name")
    refused(tmp_path, rf"^model: found no config.json in '{tmp_path}', expected .* \(or give kv_bytes_per_token\)$")
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "llama"}')
    refused(config, rf"^{config}: num_hidden_layers: missing; expected .* \(or give kv_bytes_per_token\)$")
    refused(tmp_path, rf"^{config}: num_hidden_layers: missing")
    config.write_bytes(b"\xff\xfe")
    refused(config, rf"^{config}: .*not JSON")


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("lama-3.1-8b", "llama-3.1-8b"),
        ("Mistral-8x7B", "mixtral-8x7b"),
        ("Qwen/Qwen3-8B", "qwen3-8b"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("google/gemma-3-27b-it/", "gemma-3-27b"),
        ("llama-3-8b", None),
        ("llama-3.1-7b", None),
        ("meta-llama/Llama-3.2-3B-Instruct", None),
        ("qwen3-14b", None),
        ("qwen3-vl-8b", None),
        ("zai-org/GLM-4.5-Air", None),
        ("deepseek-v1", None),
        ("deepseek-v3.2", None),
        ("qwen3", None),
    ],
)
def test_no_other_model_is_suggested(wanted: str, meant: str | None, small_run: Path) -> None:
    with pytest.raises(agentgen.ModelError) as refused:
        agentgen.plan(small_run, target_hit_rate=0.5, model=wanted)
    hint = f"; did you mean {meant}?" if meant else ""
    assert f"expected a name (agentgen models lists them{hint}), a config.json" in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "kv_bytes_per_token, model: found neither, expected one of them"),
        ({"kv_bytes_per_token": 1, "model": "x"}, TypeError, "kv_bytes_per_token, model: found both"),
        ({"kv_bytes_per_token": 0}, ValueError, "kv_bytes_per_token: found 0, expected a whole number from 1"),
        ({"target_hit_rate": 0}, ValueError, "target_hit_rate: found 0, expected a number above 0, at most 1"),
        ({"target_hit_rate": 1.01}, ValueError, "target_hit_rate: found 1.01, expected a number above 0, at most 1"),
        ({"target_hit_rate": float("nan")}, ValueError, "target_hit_rate: found nan, expected a number above 0"),
        ({"concurrency": 0}, ValueError, "concurrency: found 0, expected a whole number from 1"),
        ({"replica_bytes": 0}, ValueError, "replica_bytes: found 0, expected a whole number from 1"),
        ({"block_size": 0}, ValueError, "block_size: found 0, expected a whole number from 1"),
        ({"model": "qwen3-8b", "kv_dtype": "int4"}, ValueError, "kv_dtype: found 'int4', expected one of bf16, fp8"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str, small_run: Path) -> None:
    given: dict[str, Any] = {"target_hit_rate": 0.5, **arguments}
    if not arguments.keys() & {"kv_bytes_per_token", "model"} and arguments:
        given["kv_bytes_per_token"] = 1
    with pytest.raises(error, match=f"^{message}"):
        agentgen.plan(small_run, **given)


def test_sessions_of_a_trace_with_its_own_times(invoke: Invoke, tmp_path: Path) -> None:
    config: dict[str, Any] = {"arrival": {"poisson": {"rate": 2}}}
    agentgen.write_run(tmp_path / "run", config, sessions=20)
    command = ("plan", tmp_path / "run", "--kv-bytes-per-token", 1, "--target-hit-rate", 0.5)
    assert "  timeline  sessions at their arrivals; " in invoke(*command).stdout
    given = [*command, "--concurrency", 50]
    result, analyzed = (invoke(*arguments, code=2) for arguments in (given, ("analyze", given[1], "--concurrency", 50)))
    assert result.stderr == analyzed.stderr
    assert "--concurrency: found 50, expected none: the trace has arrivals, which say how many" in result.stderr


def test_mooncake() -> None:
    trace = shared(MOONCAKE)
    plan = agentgen.plan(trace, target_hit_rate=0.285, kv_bytes_per_token=1)
    assert plan.capacity_tokens == pytest.approx(10e6, rel=0.02)
    with pytest.raises(agentgen.PlanError, match=r"found 0\.9, expected at most 0\.3664"):
        agentgen.plan(trace, target_hit_rate=0.9, kv_bytes_per_token=1)


def test_replicas_of_a_trace_without_sessions() -> None:
    trace = shared(MOONCAKE)
    with pytest.raises(agentgen.PlanError, match="names no sessions"):
        agentgen.plan(trace, target_hit_rate=0.3, kv_bytes_per_token=1, replica_bytes=10**9)


def test_open_sessions_take_memory_of_their_own(small_run: Path) -> None:
    tokens_only, windows = (
        agentgen.plan(small_run, target_hit_rate=0.8, concurrency=16, replica_bytes=10**12, **which).to_dict()
        for which in ({"kv_bytes_per_token": 24_576}, {"model": "gpt-oss-20b"})
    )
    assert (tokens_only["session_bytes"], windows["session_bytes"]) == (0, 16 * 3_145_728)
    assert windows["capacity"]["capacity_tokens"] == tokens_only["capacity"]["capacity_tokens"]
    for of_tokens, point in zip(
        (tokens_only["capacity"], *tokens_only["points"], tokens_only["replicas"]["each"]),
        (windows["capacity"], *windows["points"], windows["replicas"]["each"]),
        strict=True,
    ):
        assert point["capacity_bytes"] == of_tokens["capacity_bytes"] + 16 * 3_145_728
    for share, point in zip((0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1), windows["points"], strict=True):
        assert share * windows["limit_hit_rate"] <= point["hit_rate"] <= share * windows["limit_hit_rate"] + 0.01


def test_tables(invoke: Invoke, small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small_run.parent)
    command = ("plan", "run", "--model", "gpt-oss-20b", "--target-hit-rate", "80%", "--replica-memory", "80GB")
    text = invoke(*command, "--concurrency", 16).stdout
    plan = agentgen.plan("run", model="gpt-oss-20b", target_hit_rate=0.8, replica_bytes=80 * 10**9, concurrency=16)
    assert text == f"{plan}\n"
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "  cache     LRU, blocks of 512 tokens; outputs stay cached" in lines
    assert "  KV bytes  24,576 per token (bf16), 3,145,728 per open session" in lines
    assert "            42 sessions fill 16 slots twice;" in lines
    assert "99.9 and 100 % of what an infinite cache finds; GB = 10^9 bytes" in " ".join(text.split())
    total, of_sessions = rounded_up_gb(plan.capacity_bytes), 16 * 3_145_728 / 1e9
    assert (
        f"80.0 % needs one cache of {total:,.1f} GB: {plan.capacity_bytes / 1e9 - of_sessions:.1f} for "
        f"{plan.capacity_tokens:,} tokens, "
        f"{of_sessions:#.3g} for 16 open sessions"
    ) in " ".join(text.split())
    assert sum("<- target" in line for line in lines) == 1
    assert f"1 replica of 80.0 GB reaches it, 16 open sessions; it needs {total:.1f} GB" in lines
    assert "not included: queues and the memory of running requests (agentgen simulate" in lines


def test_tables_of_much_and_of_little(invoke: Invoke, small_run: Path) -> None:
    command = ("plan", small_run, "--kv-bytes-per-token", 6_000_000, "--target-hit-rate", "0.8")
    text = invoke(*command, "--concurrency", 1, "--no-cached-outputs", "--replica-memory", "0.7TB").stdout
    plan = agentgen.plan(
        small_run, kv_bytes_per_token=6_000_000, target_hit_rate=0.8, concurrency=1, cached_outputs=False
    ).to_dict()
    lines = text.splitlines()
    assert "  timeline  1 open session; prefill 20,000, decode 60 tokens/s" in lines
    assert "  cache     LRU, blocks of 512 tokens; outputs are not cached" in lines
    assert "  KV bytes  6,000,000 per token" in lines
    largest = plan["points"][-1]
    assert largest["capacity_bytes"] > 10**13  # more than 10,000 GB
    start = next(index for index, line in enumerate(lines) if line.endswith("TB = 10^12 bytes"))
    assert lines[start + 1].split() == ["tokens", "TB"]
    assert f" {largest['capacity_tokens']:,}  {math.ceil(largest['capacity_bytes'] / 10**10) / 100:.2f}" in text
    total = f"{rounded_up_gb(plan['capacity']['capacity_bytes']):,.1f} GB"
    assert f"80.0 % needs one cache of {total}: {plan['capacity']['capacity_tokens']:,} tokens" in lines
    assert f"1 replica of 700.0 GB reaches it, 1 open session; it needs {total}" in lines


def test_several_replicas(invoke: Invoke, small_run: Path) -> None:
    one = agentgen.plan(small_run, model="llama-3.1-8b", kv_dtype="fp8", target_hit_rate=0.8, concurrency=16)
    size = one.capacity_bytes // 2
    command = ("plan", small_run, "--model", "llama-3.1-8b", "--kv-dtype", "fp8", "--target-hit-rate", 0.8)
    text = invoke(*command, "--concurrency", 16, "--replica-memory", f"{size}B").stdout
    plan = agentgen.plan(
        small_run, model="llama-3.1-8b", kv_dtype="fp8", target_hit_rate=0.8, concurrency=16, replica_bytes=size
    )
    replicas = plan.to_dict()["replicas"]
    assert "  KV bytes  65,536 per token (fp8)\n" in text
    assert (
        f"{plan.replicas} replicas of {size / 1e9:.1f} GB reach it, {replicas['concurrency_each']} open sessions "
        f"each; each needs {rounded_up_gb(replicas['each']['capacity_bytes']):.1f} GB"
    ) in " ".join(text.split())


def test_json_is_the_only_output(run: Run, small_run: Path) -> None:
    done = run("plan", small_run, "--model", "qwen3-8b", "--target-hit-rate", "0.8", "--json")
    assert done.stderr == ""
    plan = agentgen.plan(small_run, model="qwen3-8b", target_hit_rate=0.8)
    assert json.loads(done.stdout) == plan.to_dict()
    jsonschema.validate(plan.to_dict(), json.loads((ROOT / "schemas" / "plan.schema.json").read_text(encoding="utf-8")))
    assert repr(plan) == (
        f"Plan(trace={str(small_run)!r}, target_hit_rate=0.8, capacity_bytes={plan.capacity_bytes}, replicas=None)"
    )


@needs("polars")
def test_points(small_run: Path) -> None:
    pl = importlib.import_module("polars")
    plan = agentgen.plan(small_run, model="qwen3-8b", target_hit_rate=0.8)
    sizes = dict.fromkeys(("capacity_blocks", "capacity_tokens", "capacity_bytes"), pl.UInt64)
    assert dict(plan.points.schema) == {"hit_rate": pl.Float64, **sizes}
    assert plan.points.to_dicts() == plan.to_dict()["points"]
    assert plan.points["hit_rate"].is_sorted()


def test_the_list_of_models(invoke: Invoke) -> None:
    lines = invoke("models").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "KV bytes"
    assert [heading.strip() for heading in lines[1].split("  ")[-3:]] == [
        "per token, bf16",
        "per token, fp8",
        "per open session, bf16",
    ]
    bf16, fp8 = agentgen.models(), agentgen.models("fp8")
    assert [line.split() for line in lines[2:]] == [
        [
            name,
            f"{model['kv_bytes_per_token']:,}",
            f"{fp8[name]['kv_bytes_per_token']:,}",
            f"{model['kv_bytes_per_session']:,}" if model["kv_bytes_per_session"] else "-",
        ]
        for name, model in bf16.items()
    ]
    assert all(2 * fp8[name]["kv_bytes_per_session"] == model["kv_bytes_per_session"] for name, model in bf16.items())


BAD: list[tuple[tuple[str, ...], str]] = [
    ((), "Missing option '--target-hit-rate'"),
    (("--target-hit-rate", "0.5"), "--model and --kv-bytes-per-token: found neither, expected one of them."),
    (("--target-hit-rate", "0.5", "--model", "x", "--kv-bytes-per-token", "1"), "found both, expected one of them."),
    (("--target-hit-rate", "0.5", "--kv-dtype", "fp8", "--kv-bytes-per-token", "1"), "--kv-dtype needs --model"),
    (("--target-hit-rate", "0.5", "--model", "lama-3.1-8b"), "; did you mean llama-3.1-8b?), a config.json"),
    (("--target-hit-rate", "0.5", "--kv-bytes-per-token", "0"), "found '0', expected a size such as 131072 or 128KiB."),
    (("--target-hit-rate", "0", "--model", "x"), "found 0, expected a number above 0, at most 1 (or 100%)."),
    (("--target-hit-rate", "90", "--model", "x"), "found 90, expected a number above 0, at most 1 (or 100%)."),
    (("--target-hit-rate", "101%", "--model", "x"), "found 101%, expected a number above 0, at most 1 (or 100%)."),
    (("--target-hit-rate", "1", "--model", "x", "--replica-memory", "80"), "found '80', expected a size such as 80GB"),
    (("--target-hit-rate", "1", "--model", "x", "--replica-memory", "8XB"), "expected a size such as 80GB or 64GiB."),
    (("--target-hit-rate", "1", "--model", "x", "--concurrency", "0"), "found 0, expected a whole number from 1"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(bad[0]) for bad in BAD])
def test_bad_usage(arguments: tuple[str, ...], message: str, invoke: Invoke, small_run: Path) -> None:
    result = invoke("plan", small_run, *arguments, code=2)
    assert result.stdout == ""
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    one_line_only(result.exit_code, result.stderr)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1B", 1),
        ("500MB", 500_000_000),
        ("80GB", 80_000_000_000),
        ("80 gb", 80_000_000_000),
        ("1.5TB", 1_500_000_000_000),
        ("0.0000000015GB", 1),
        ("64GiB", 64 * 2**30),
        ("1.5KiB", 1_536),
        ("2TiB", 2 * 2**40),
        ("1PB", 10**15),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert ByteSize().convert(text, None, None) == count


@pytest.mark.parametrize(
    "text", ["", "GB", "80", "-1GB", "0GB", "1e3GB", "1.GB", "80GBs", "80 G B", "0.1B", "9PiB" * 9, "16PiB"]
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a size such as 80GB or 64GiB"):
        ByteSize().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "share"), [("0.9", 0.9), (".9", 0.9), ("90%", 0.9), ("90 %", 0.9), ("1", 1), ("99.5%", 0.995), ("100%", 1)]
)
def test_shares(text: str, share: float) -> None:
    assert Share().convert(text, None, None) == pytest.approx(share, abs=1e-15)
