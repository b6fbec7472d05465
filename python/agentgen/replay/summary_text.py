"""A replay for a person: tables of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgen.analysis.tables import NONE, counted, duration, fold, percent, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Stated = dict[str, Any]

LABEL = 12
STATISTICS = {"mean": "mean", "p50": "p50", "p90": "p90", "p99": "p99", "max": "max"}  # summary.json has more
LATENCIES = {
    "times of requests that succeeded, ms": {
        "ttft_ms": "first token",
        "ttfa_ms": "first token, not reasoning",
        "tpot_ms": "per output token after it",
        "gap_ms": "gap between reads",
        "e2e_ms": "end to end",
        "intended_ttft_ms": "first token, since intended",
        "intended_e2e_ms": "end to end, since intended",
    },
    "how late all requests were sent, ms": {
        "lag_ms": "since planned",
        "intended_lag_ms": "since intended",
    },
}
RATES = {
    "requests_per_second": "requests/s",
    "prompt_tokens_per_second": "prompt tokens/s",
    "input_tokens_per_second": "new input tokens/s",
    "output_tokens_per_second": "output tokens/s",
    "good_requests_per_second": "requests/s within targets",
}
BOOKS = ("succeeded", "failed", "cancelled", "skipped", "never_issued")
TURNS = (0, 1, 2, 5, 10, 20, 32, 64, 128, 256, 512)
SOURCES = {
    "usage": "as each answer says",
    "metrics": "as the server's metrics say, before and after",
    "none": "the server does not tell",
}


def lines(summary: Stated) -> Iterator[str]:
    """All tables of a summary."""
    run = summary["run"]
    yield from _what_it_is(summary)
    for part in (*(_latencies(run, title) for title in LATENCIES), _throughput(run), _turns(run)):
        shown = list(part)
        if shown:
            yield ""
            yield from shown
    yield ""
    yield from said("cache", _cache(run["cache"]))
    yield from said("lengths", _lengths(run["lengths"]))
    yield from said("client", _client(summary["client"]))
    for kind in ("warnings", "errors"):
        for message in summary[kind]:
            yield from fold(message.split(" "), first=f"{kind.removesuffix('s')}: ", rest="  ")


def figure(value: float | None) -> str:
    """Three digits that mean something: `12,035`, `15.6`, `0.312`."""
    if value is None:
        return NONE
    size = abs(value)
    if size >= 100:  # noqa: PLR2004  three digits
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3  # noqa: PLR2004  three digits
    return f"{value:.{digits}f}"


def said(label: str, clauses: Iterable[str]) -> Iterator[str]:
    """A label, and clauses beside it."""
    return fold(clauses, first=f"{label:<{LABEL}}", rest=" " * LABEL)


def _what_it_is(summary: Stated) -> Iterator[str]:
    settings, run = summary["settings"] or {}, summary["run"]
    if path := (summary["trace"] or {}).get("path"):
        yield from said("trace", [path])
    if urls := settings.get("url"):
        yield from said("server", [*(f"{url}," for url in urls[:-1]), urls[-1]])
    yield from said("requests", _books(run))
    if summary["warmup"]:
        yield from said("warm-up", _books(summary["warmup"]))
    sessions = run["sessions"]
    spans = [f"{counted(sessions['opened'], 'session')} opened,", f"{sessions['completed']:,} completed"]
    if sessions["duration_ms"]:
        spans[-1] += ";"
        spans.append(f"median {duration(sessions['duration_ms']['p50'])} each,")
        spans.append(f"{figure(sessions['completed_per_second'])} a second")
    yield from said("sessions", spans)


def _books(phase: Stated) -> Iterator[str]:
    books = phase["books"]
    yield f"{books['planned']:,} planned:"
    kinds = [f"{books[kind]:,} {kind.replace('_', ' ')}" for kind in BOOKS if books[kind] or kind == "succeeded"]
    yield from (f"{kind}," for kind in kinds[:-1])
    failures = {name: count for name, count in phase["outcomes"].items() if name not in {"ok", "cancelled"}}
    yield kinds[-1] + (";" if failures or phase["retries"] else "")
    told = [f"{count:,} {name}" for name, count in failures.items()]
    told += [f"{count:,} of status {status}" for status, count in phase["http_errors"].items()]
    if phase["retries"]:
        told.append(f"{counted(phase['retried_requests'], 'request')} sent again")
    yield from (f"{clause}," for clause in told[:-1])
    yield from told[-1:]


def _latencies(run: Stated, title: str) -> Iterator[str]:
    rows = [
        (words, [f"{told['count']:,}", *(figure(told[name]) for name in STATISTICS)])
        for key, words in LATENCIES[title].items()
        if (told := run["latency"][key])
    ]
    if rows:
        yield from table(title, ["count", *STATISTICS.values()], rows)


def _throughput(run: Stated) -> Iterator[str]:
    windows = {name: run[name] for name in ("full", "steady") if run[name]}
    if not windows:
        return

    def row(words: str, cells: list[str]) -> tuple[str, list[str]]:
        return words, cells

    rows = [
        row("length", [duration(window["duration_ms"]) for window in windows.values()]),
        row("requests in", [f"{window['requests_in']:,}" for window in windows.values()]),
        row("requests out", [f"{window['requests_out']:,}" for window in windows.values()]),
    ]
    rows += [
        row(words, [figure(window[key]) for window in windows.values()])
        for key, words in RATES.items()
        if any(window[key] is not None for window in windows.values())
    ]
    yield from table("throughput by window", list(windows), rows)
    if run["steady_missing"]:
        yield f"  no steady window: {run['steady_missing']}"
    if goodput := run["goodput"]:
        kept = {name.removesuffix("_ms"): limit for name, limit in goodput["slo"].items() if limit is not None}
        targets = ", ".join(f"{name} <= {figure(limit)} ms" for name, limit in kept.items())
        yield f"  within {targets}: {percent(goodput['share'])} of requests"


def _turns(run: Stated) -> Iterator[str]:
    told = run["by_turn"]
    if len(told) < 2:  # noqa: PLR2004  nothing to compare
        return
    rows = []
    for turn in told:
        if turn["first_turn"] in TURNS:
            first, last = turn["first_turn"], turn["last_turn"]
            ttft, e2e = turn["ttft_ms"] or {}, turn["e2e_ms"] or {}
            cells = [
                f"{turn['requests']:,}",
                *(figure(of.get(name)) for of in (ttft, e2e) for name in ("p50", "p99")),
                *(percent(turn[key] and turn[key]["hit_rate"]) for key in ("reported", "predicted")),
            ]
            rows.append((f"{first}" if first == last else f"{first} to {last}", cells))
    headings = ["requests", "ttft p50", "p99", "e2e p50", "p99", "cached", "predicted"]
    yield from table("by turn, ms; cached share of prompts", headings, rows)


def _cache(cache: Stated) -> Iterator[str]:
    found, predicted = cache["reported"] or cache["server"], cache["predicted"]
    source = SOURCES[cache["cache_source"]]
    yield f"{percent(found['hit_rate'])} of prompt tokens found, {source};" if found else f"{source};"
    if not predicted:
        yield "not predicted: it takes a trace of hash ids"
        return
    yield f"predicted {percent(predicted['hit_rate'])} from requests complete before each"
    if found and found["hit_rate"] is not None and found["hit_rate"] > (predicted["hit_rate"] or 0):
        yield "(requests that overlap find more)"
    if cache["reported"]:
        yield f"({counted(predicted['requests'], 'request')} with both, {cache['differing']:,} of them another number)"


def _lengths(lengths: Stated) -> Iterator[str]:
    for name in ("prompt", "output"):
        told = lengths[name]
        end = ";" if name == "prompt" else ""
        if not told["requests"]:
            yield f"{name}s not told by the server{end}"
        else:
            share = told["reported_tokens"] / told["planned_tokens"] if told["planned_tokens"] else None
            yield f"{name}s {percent(share)} of the planned tokens,"
            yield f"another length in {told['differing']:,} of {counted(told['requests'], 'request')}{end}"


def _client(client: Stated) -> Iterator[str]:
    lag = client["lag_p99_ms"]
    if lag is None:
        yield "its lag is not known"
        return
    if client["share_of_ttft"] is None:
        yield f"own lag p99 {figure(lag)} ms"
        return
    yield f"own lag p99 {figure(lag)} ms,"
    verdict = "more" if client["client_limited"] else "not more"
    yield f"{percent(client['share_of_ttft'])} of the median first token"
    yield f"({verdict} than {percent(client['limit'])}{': CLIENT-LIMITED' if client['client_limited'] else ''})"
