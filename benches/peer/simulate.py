"""Compare `agentgen simulate` with the simulation engine of AIPerf; print Markdown tables (`make bench-peer-simulate`).

AIPerf reads few sessions, because its time grows with their square; agentgen reads the same file and a larger one. Both
simulate the same system: concurrency, rates, KV bytes, capacity. docs/simulator.md explains how the models differ.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from process import Run, execute, machine

ROOT = Path(__file__).parents[2]
PRESET = "aiperf-1k-200k"
CONCURRENCY, PREFILL, DECODE, KV_BYTES = 50, 64_000, 200, 35_136
# The first holds every block of the data set, the last fewer blocks than 50 active sessions need.
CAPACITIES_GB = (3_000, 300, 100)


def generate(ours: Path, scratch: Path, sessions: int) -> tuple[Path, dict[str, Any]]:
    """Generate a run of the preset; returns its directory and manifest."""
    options = ["--config", PRESET, "--sessions", str(sessions), "--output", str(scratch), "--name", str(sessions)]
    execute([str(ours), "generate", *options, "--quiet"])
    run = scratch / str(sessions)
    return run, json.loads((run / "manifest.json").read_text())


def ours_at(ours: Path, run: Path, capacity_gb: int) -> tuple[Run, dict[str, Any]]:
    """Run one simulation of agentgen on one thread; returns its figures."""
    system = ["--concurrency", str(CONCURRENCY), "--prefill-rate", str(PREFILL), "--decode-rate", str(DECODE)]
    cache = ["--capacity", f"{capacity_gb}GB", "--kv-bytes-per-token", str(KV_BYTES)]
    measured = execute([str(ours), "simulate", str(run / "dataset.jsonl"), *system, *cache, "--threads", "1", "--json"])
    return measured, json.loads(measured.output)["points"][0]


def theirs_at(python: Path, run: Path, capacity_gb: int, layers: tuple[int, int]) -> tuple[Run, dict[str, Any]]:
    """Run the same simulation of AIPerf."""
    settings = {
        "concurrency": CONCURRENCY,
        "prefill_tps": PREFILL,
        "decode_tps": DECODE,
        "kv_bytes_per_token": KV_BYTES,
        "gpu_kv_capacity_gb": capacity_gb,
        "l1_tokens": layers[0],
        "l1_5_tokens": layers[1],
        "block_size": 512,
    }
    script = Path(__file__).with_name("simulate_aiperf.py")
    measured = execute([str(python), str(script), str(run / "dataset.jsonl"), json.dumps(settings)])
    return measured, json.loads(measured.output.splitlines()[-1])


def speed(name: str, turns: int, run: Run, seconds: float) -> str:
    """A row of the table of speeds."""
    times = f"{run.seconds:.2f} s | {seconds:.2f} s | {turns / seconds:,.0f}"
    return f"| {name} | {turns:,} | {times} | {run.peak_mb:,.0f} MB |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, help="bin directory of an environment with AIPerf")
    parser.add_argument("--peer-sessions", type=int, default=1_000)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--scratch", type=Path, default=ROOT / "target", help="directory for data sets")
    arguments = parser.parse_args()
    ours = Path(os.environ.get("AGENTGEN", Path(sys.executable).with_name("agentgen")))
    python = Path(arguments.peer).absolute() / "python"
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        small, manifest = generate(ours, Path(folder), arguments.peer_sessions)
        cache = manifest["config"]["cache"]
        layers = tuple(-(-cache[f"layer{layer}_tokens"] // 512) * 512 for layer in ("1", "1_5"))
        figures, speeds = [], []
        for capacity in CAPACITIES_GB:
            peer, theirs = theirs_at(python, small, capacity, layers)
            run, point = ours_at(ours, small, capacity)
            turns = point["requests"]["served"]
            hours = [theirs["duration_s"] / 3_600, point["duration_ms"] / 3_600_000]
            rate = point["hit_rates"]["token_weighted"]
            peak = point["occupancy"]["peak_blocks"] * 512 * KV_BYTES / 1e9
            figures.append(
                f"| {capacity:,} GB | {100 * theirs['hit_rate']:.1f} % | {100 * rate:.1f} % "
                f"| {theirs['ttft_ms']:,.0f} | {point['times']['ttft']['mean']:,.0f} | {hours[0]:.2f} | {hours[1]:.2f} "
                f"| {theirs['peak_gb']:,.0f} GB | {peak:,.0f} GB |"
            )
            speeds.append(speed(f"AIPerf, {capacity:,} GB", theirs["turns"], peer, theirs["seconds"]))
            speeds.append(speed(f"agentgen, {capacity:,} GB", turns, run, run.seconds))
        large, _ = generate(ours, Path(folder), arguments.sessions)
        run, point = ours_at(ours, large, CAPACITIES_GB[1])
        name = f"agentgen, {CAPACITIES_GB[1]:,} GB, {arguments.sessions:,} sessions"
        speeds.append(speed(name, point["requests"]["served"], run, run.seconds))
    print(
        f"{machine()}. {arguments.peer_sessions:,} sessions of the preset `{PRESET}`; concurrency {CONCURRENCY}, ",
        end="",
    )
    print(f"prefill {PREFILL:,} and decode {DECODE} tokens/s, {KV_BYTES:,} KV bytes per token.\n")
    print(
        "| capacity | hit rate AIPerf | agentgen | mean TTFT, ms: AIPerf | agentgen | hours AIPerf | agentgen ", end=""
    )
    print("| peak AIPerf | agentgen |\n|---|---|---|---|---|---|---|---|---|")
    print("\n".join(figures))
    print("\n| one thread | turns | command | simulation | turns/s | memory |\n|---|---|---|---|---|---|")
    print("\n".join(speeds))
    print("\nSimulation: for AIPerf the engine alone, for agentgen the whole command.")


if __name__ == "__main__":
    main()
