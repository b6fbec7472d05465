"""Times, sizes and counts with units mean the same everywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import agentgen
import pytest
from agentgen.replay.settings import load_settings
from agentgen.units import parse_count, parse_rate, parse_size, parse_time_s

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("10k", 10_000), ("10K", 10_000), ("2M", 2_000_000), ("1.5k", 1_500), (".5k", 500), ("64Ki", 65_536)),
        *(("1_000", 1_000), ("7 k", 7_000), ("3G", 3 * 10**9)),
        *((text, None) for text in ("", "k", "1.0005k", "1.5", "5m", "-1", "1e3", "1__0", "10kB", "9" * 41)),
    ],
)
def test_counts(text: str, value: int | None) -> None:
    assert parse_count(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("300GB", 3 * 10**11), ("300G", 3 * 10**11), ("300gb", 3 * 10**11), ("1.5 TB", 15 * 10**11)),
        *(("64GiB", 64 * 2**30), ("64Gi", 64 * 2**30), ("1.0001kB", 1_000), ("500B", 500)),
        # Of GPUs: number, memory, share in use, weights.
        *(("8x80GB", 64 * 10**10), ("8x80GB*0.9-140GB", 436 * 10**9), ("2 x 80GB * 90% - 14GB", 13 * 10**10)),
        *((text, None) for text in ("", "5000", "GB", "5 blocks", "8x", "80GB-100GB", "80GB*2GB", "1e3GB", "80GB*x")),
    ],
)
def test_sizes(text: str, value: int | None) -> None:
    assert parse_size(text) == value


def test_sizes_without_a_unit() -> None:
    assert parse_size("131072", unit_needed=False) == parse_size("128KiB", unit_needed=False) == 131_072


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("30", 30.0), ("500ms", 0.5), ("250us", 250e-6), ("5m", 300.0), ("5 min", 300.0), ("1.5h", 5400.0)),
        *(("2d", 172_800.0), (".5s", 0.5), ("1e3", 1000.0)),
        *((text, None) for text in ("", "s", "5M", "-1s", "1e400", "nan", "5 m 3 s")),
    ],
)
def test_times(text: str, value: float | None) -> None:
    assert parse_time_s(text) == value


def test_times_that_need_a_unit() -> None:
    assert parse_time_s("30", unit_needed=True) is None
    assert parse_time_s("30s", unit_needed=True) == 30.0


@pytest.mark.parametrize(
    ("text", "value"), [("20k", 20_000.0), ("0.5", 0.5), ("1e4", 10_000.0), ("x", None), ("inf", None), ("5s", None)]
)
def test_rates(text: str, value: float | None) -> None:
    assert parse_rate(text) == value


def test_the_api_takes_what_options_take(small_run: Path, invoke: Invoke) -> None:
    def simulated(**arguments: Any) -> dict[str, Any]:
        return agentgen.simulate(small_run, **arguments).to_dict()

    numbers = simulated(
        capacity_tokens=100_000, kv_bytes_per_token=128 * 1024, ttl_ms=90_000, decode_tokens_per_second=1_000
    )
    texts = simulated(capacity_tokens="100k", kv_bytes_per_token="128KiB", ttl_ms="1.5m", decode_tokens_per_second="1k")
    options = ("--capacity", "100ktokens", "--kv-bytes-per-token", "128KiB", "--ttl", "1.5m", "--decode-rate", "1k")
    assert numbers == texts == json.loads(invoke("simulate", small_run, *options, "--json").stdout)
    assert numbers["points"][0]["capacity_tokens"] == 100_000 // 512 * 512
    gpus = simulated(capacity_bytes="2x1GB*0.9-1GB", kv_bytes_per_token="1kB")
    assert gpus == simulated(capacity_bytes=800_000_000, kv_bytes_per_token=1_000)
    planned = agentgen.plan(small_run, target_hit_rate="80%", kv_bytes_per_token="1kB", replica_bytes="1GB")
    assert planned == agentgen.plan(small_run, target_hit_rate=0.8, kv_bytes_per_token=1_000, replica_bytes=10**9)
    assert len(next(iter(agentgen.generate(sessions="0.01k", max_isl="100k")))) > 10


def test_settings_of_a_replay(tmp_path: Path) -> None:
    file = tmp_path / "replay.yaml"
    file.write_text("concurrency: 1k\ntime_scale: '0.5'\nduration: 5m\n", encoding="utf-8")
    settings = load_settings(file, {"max_sessions": "2M"})
    assert (settings.concurrency, settings.time_scale, settings.duration) == (1_000, 0.5, 300.0)
    assert settings.max_sessions == 2_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"capacity_bytes": "80"}, None),
        ({"capacity_bytes": "much"}, "capacity_bytes: found 'much', expected a whole number from 1"),
        ({"capacity_tokens": "511"}, "capacity: found 511 tokens, expected at least 512, one block"),
        ({"capacity_tokens": 10**6, "ttl_ms": "90"}, "ttl_ms: found '90', expected a number of ms from 0, or a time"),
        ({"capacity_tokens": "1.5"}, "capacity_tokens: found '1.5', expected a whole number from 1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str | None, small_run: Path) -> None:
    with pytest.raises(ValueError, match=message):
        agentgen.simulate(small_run, kv_bytes_per_token=1, **arguments)


def test_a_capacity_below_one_block(invoke: Invoke) -> None:
    result = invoke("serve", "--capacity", "15tokens", code=2)
    assert "--capacity: found 15tokens, expected at least 16, one block." in result.stderr
