"""Run the simulation engine of AIPerf on a data set and print one line of JSON; needs the environment of AIPerf."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from aiperf.dataset.agentic_code_gen.reporting.simulation import load_sessions
from aiperf.dataset.agentic_code_gen.reporting.simulation_engine import SimulationConfig, simulate


def main() -> None:
    """Load, simulate, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("settings", help="fields of SimulationConfig as JSON")
    arguments = parser.parse_args()
    start = time.perf_counter()
    sessions = load_sessions(arguments.dataset)
    loaded = time.perf_counter()
    result = simulate(sessions, SimulationConfig(**json.loads(arguments.settings)))
    done = time.perf_counter()
    figures = {
        "turns": result.turn_count,
        "load_seconds": loaded - start,
        "seconds": done - loaded,
        "hit_rate": result.cache_hit_rate,
        "ttft_ms": result.avg_ttft,
        "duration_s": result.max_time / 1_000,
        "evicted_blocks": result.total_evicted_blocks,
        "peak_gb": max(point.kv_cache_gb for point in result.time_series),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
