"""The summary of a replay as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen._native import PREFILL_TOKENS_PER_SECOND
from agentgen.replay.units import MS_PER_S
from agentgen.text.format import NONE, counted, duration, percent
from agentgen.text.layout import BLANK, Facts, Table, paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    Stated = dict[str, Any]

BUSY = 0.95  # of the time: a queue that hardly ever empties
STATISTICS = ("mean", "p50", "p90", "p99", "max")  # summary.json has more
LATENCIES = {
    "latency of successful requests, ms": {
        "ttft_ms": "first token (TTFT)",
        "ttfa_ms": "first non-reasoning token",
        "tpot_ms": "per further output token (TPOT)",
        "gap_ms": "gap between reads",
        "e2e_ms": "end to end (E2E)",
        "intended_ttft_ms": "first token, from intended time",
        "intended_e2e_ms": "end to end, from intended time",
    },
    "lag of all requests sent, ms": {
        "lag_ms": "from scheduled time",
        "intended_lag_ms": "from intended time",
    },
}
RATES = {
    "requests_per_second": "requests/s",
    "prompt_tokens_per_second": "prompt tokens/s",
    "input_tokens_per_second": "new input tokens/s",
    "output_tokens_per_second": "output tokens/s",
    "good_requests_per_second": "requests/s within targets",
}
LIMITS = ("duration", "max_sessions")  # settings that leave sessions of the trace out
ENDS = ("succeeded", "failed", "cancelled", "skipped", "never_issued")
TURNS = (0, 1, 2, 5, 10, 20, 32, 64, 128, 256, 512)
SOURCES = {
    "usage": "as reported in responses",
    "metrics": "from the server's metrics before and after",
    "none": "not reported by the server",
}


def pieces(summary: Stated) -> Iterator[RenderableType]:
    """Everything that `agentgen replay` prints after a run."""
    run = summary["run"]
    if said := _overload(summary):
        yield paragraph(said, rest="  ")
    yield Facts(_overview(summary), indent=0)
    for table in (*(_latencies(run, title) for title in LATENCIES), _throughput(run), _turns(run)):
        if table is not None:
            yield BLANK
            yield table
    yield BLANK
    facts = (
        ("cache", _cache(run["cache"])),
        ("lengths", _lengths(run["lengths"])),
        ("client", _client(summary["client"])),
    )
    yield Facts(facts, indent=0)
    for kind in ("warnings", "errors"):
        for message in summary[kind]:
            yield paragraph(message, first=f"{kind.removesuffix('s')}: ", rest="  ")


def _overload(summary: Stated) -> str:
    """What a reader has to know before any time: that requests wait for each other. Only one server's rate is known."""
    run = summary["run"]
    reported, duration_ms = run["cache"]["reported"], run["full"] and run["full"]["duration_ms"]
    if not ((summary["settings"] or {}).get("embedded_server") and reported and duration_ms):
        return ""
    computed = reported["prompt_tokens"] - reported["cached_tokens"]
    busy = MS_PER_S * computed / PREFILL_TOKENS_PER_SECOND / duration_ms
    if busy < BUSY:
        return ""
    return (
        f"overload: prefill was busy {percent(min(busy, 1.0))} of the time: requests waited for each other, and "
        "waiting times grow with every session at once"
    )


def figure(value: float | None) -> str:
    """A number with three significant digits: `12,035`, `15.6`, `0.312`."""
    if value is None:
        return NONE
    size = abs(value)
    if size >= 100:  # noqa: PLR2004  three digits
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3  # noqa: PLR2004  three digits
    return f"{value:.{digits}f}"


def _overview(summary: Stated) -> Iterator[tuple[str, Iterator[str]]]:
    settings, run = summary["settings"] or {}, summary["run"]
    if path := (summary["trace"] or {}).get("path"):
        yield "trace", iter([path])
    if urls := settings.get("url"):
        yield "server", iter([*(f"{url}," for url in urls[:-1]), urls[-1]])
    yield "requests", _requests(run)
    if summary["warmup"]:
        yield "warm-up", _requests(summary["warmup"])
    yield "sessions", _sessions(run["sessions"])
    never = ((summary["trace"] or {}).get("sessions") or 0) - run["sessions"]["opened"]
    limits = [f"--{name.replace('_', '-')}" for name in LIMITS if settings.get(name) is not None]
    if never > 0 and (limits or summary["incomplete"]):
        why = " and ".join(limits) or "the run was stopped"
        yield "", iter([f"{counted(never, 'session')} of the trace never opened", f"({why})"])


def _requests(phase: Stated) -> Iterator[str]:
    counts = phase["counters"]
    yield f"{counts['planned']:,} planned in the sessions opened:"
    ends = [f"{counts[end]:,} {end.replace('_', ' ')}" for end in ENDS if counts[end] or end == "succeeded"]
    yield from (f"{end}," for end in ends[:-1])
    details = [f"{count:,} {name}" for name, count in phase["outcomes"].items() if name not in {"ok", "cancelled"}]
    details += [f"{count:,} with HTTP {status}" for status, count in phase["http_errors"].items()]
    if phase["retries"]:
        details.append(f"{counted(phase['retried_requests'], 'request')} retried")
    yield ends[-1] + (";" if details else "")
    yield from (f"{detail}," for detail in details[:-1])
    yield from details[-1:]


def _sessions(sessions: Stated) -> Iterator[str]:
    yield f"{counted(sessions['opened'], 'session')} opened,"
    if not sessions["duration_ms"]:
        yield f"{sessions['completed']:,} completed"
        return
    yield f"{sessions['completed']:,} completed;"
    yield f"median duration {duration(sessions['duration_ms']['p50'])},"
    yield f"{figure(sessions['completed_per_second'])} per second"


def _latencies(run: Stated, title: str) -> Table | None:
    rows = [
        (label, [f"{statistics['count']:,}", *(figure(statistics[name]) for name in STATISTICS)])
        for key, label in LATENCIES[title].items()
        if (statistics := run["latency"][key])
    ]
    return Table(title, ["count", *STATISTICS], rows) if rows else None


def _throughput(run: Stated) -> Table | None:
    windows = {name: run[name] for name in ("full", "steady") if run[name]}
    if not windows:
        return None
    shown = list(windows.values())
    rows = [
        ("length", [duration(window["duration_ms"]) for window in shown]),
        ("requests ended in it", [f"{window['requests_in']:,}" for window in shown]),
        ("requests ended outside", [f"{window['requests_out']:,}" for window in shown]),
    ]
    rows += [
        (label, [figure(window[key]) for window in shown])
        for key, label in RATES.items()
        if any(window[key] is not None for window in shown)
    ]
    notes = [f"no steady window: {run['steady_missing']}"] if run["steady_missing"] else []
    if goodput := run["goodput"]:
        limits = {name.removesuffix("_ms"): limit for name, limit in goodput["slo"].items() if limit is not None}
        targets = ", ".join(f"{name} <= {figure(limit)} ms" for name, limit in limits.items())
        notes.append(f"within {targets}: {percent(goodput['share'])} of requests")
    return Table("throughput by window", list(windows), rows, notes=notes)


def _turns(run: Stated) -> Table | None:
    by_turn = run["by_turn"]
    if len(by_turn) < 2:  # noqa: PLR2004  nothing to compare
        return None
    rows = []
    for turn in by_turn:
        first, last = turn["first_turn"], turn["last_turn"]
        if first in TURNS:
            ttft, e2e = turn["ttft_ms"] or {}, turn["e2e_ms"] or {}
            cells = [
                f"{turn['requests']:,}",
                *(figure(times.get(name)) for times in (ttft, e2e) for name in ("p50", "p99")),
                *(percent(turn[key] and turn[key]["hit_rate"]) for key in ("reported", "predicted")),
            ]
            rows.append((f"{first}" if first == last else f"{first} to {last}", cells))
    headings = ["requests", "ttft p50", "p99", "e2e p50", "p99", "cached", "predicted"]
    return Table("by turn: latency in ms, cached share of prompts", headings, rows)


def _cache(cache: Stated) -> Iterator[str]:
    found, predicted = cache["reported"] or cache["server"], cache["predicted"]
    source = SOURCES[cache["cache_source"]]
    yield f"{percent(found['hit_rate'])} of prompt tokens cached, {source};" if found else f"{source};"
    if not predicted:
        yield "not predicted: needs a block-hash trace"
        return
    yield f"predicted {percent(predicted['hit_rate'])} for an infinite cache of the requests completed before each"
    if found and found["hit_rate"] is not None and found["hit_rate"] > (predicted["hit_rate"] or 0):
        yield "(overlapping requests can find more)"
    if cache["reported"]:
        yield f"({counted(predicted['requests'], 'request')} with both figures, {cache['differing']:,} differ)"


def _lengths(lengths: Stated) -> Iterator[str]:
    for name in ("prompt", "output"):
        length = lengths[name]
        end = ";" if name == "prompt" else ""
        if not length["requests"]:
            yield f"{name}s not reported by the server{end}"
        else:
            planned = length["planned_tokens"]
            yield f"{name}s {percent(length['reported_tokens'] / planned if planned else None)} of the trace's tokens,"
            yield f"{length['differing']:,} of {counted(length['requests'], 'request')} differ{end}"


def _client(client: Stated) -> Iterator[str]:
    lag, share = client["lag_p99_ms"], client["share_of_ttft"]
    if lag is None:
        yield "lag not measured"
    elif share is None:
        yield f"lag p99 {figure(lag)} ms"
    else:
        yield f"lag p99 {figure(lag)} ms,"
        yield f"{percent(share)} of the median time to first token"
        verdict = "CLIENT-LIMITED, since" if client["client_limited"] else "client-limited"
        yield f"({verdict} above {percent(client['limit'])})"
