"""Results of a replay from Python: records, summaries, the table of requests, comparisons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import agentgen
import jsonschema
import numpy as np
import pytest
from agentgen import TraceError, _native
from agentgen.replay.figures import Summary, compare
from conftest import ROOT
from replayed import MS, answer, chunk, request_record, session_record, write_run

if TYPE_CHECKING:
    from pathlib import Path


pq = pytest.importorskip("pyarrow.parquet")

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9)
SETTINGS = {"url": ["http://127.0.0.1:8000/v1"], "model": "m"}


def summarize(directory: Path, **options: Any) -> Any:
    options = {"concurrency": 1, "settings": SETTINGS, "trace": {"path": "a.jsonl"}, **options}
    return json.loads(_native.summarize(directory, json.dumps(options)))


def test_an_answer_is_parsed_while_it_arrives() -> None:
    parsed = answer(1_000, 500, 3, cached=7)
    assert (parsed.failure, parsed.message, parsed.text, parsed.tool_calls) == (None, "", " w0 w1 w2", "[]")
    assert (parsed.first_token_ns, parsed.last_token_ns, parsed.cached_tokens) == (1_500, 1_500 + 2 * MS, 7)
    with pytest.raises(ValueError, match='endpoint: found "x", expected chat, completions, responses or messages'):
        _native.Answer("x", stream=True)


def test_percentiles_are_those_of_numpy(tmp_path: Path) -> None:
    times = write_run(tmp_path, sessions=331)  # 993 requests: no percentile falls between two
    ttft = summarize(tmp_path)["run"]["latency"]["ttft_ms"]
    for percentile in PERCENTILES:
        expected = np.percentile(times, percentile, method="inverted_cdf")
        assert ttft[f"p{percentile}".replace(".", "_")] == expected, percentile
    assert ttft["mean"] == pytest.approx(np.mean(times))
    assert (ttft["count"], ttft["min"], ttft["max"]) == (len(times), min(times), max(times))


def test_the_table_holds_every_request_and_documents_its_columns(tmp_path: Path) -> None:
    times = write_run(tmp_path)
    summary = summarize(tmp_path)
    table = pq.read_table(tmp_path / "requests.parquet")
    assert table.num_rows == len(times) == summary["run"]["counters"]["succeeded"]
    assert table["ttft_ms"].to_pylist() == times
    first = table.slice(0, 1).to_pylist()[0]
    assert first["first_token_ns"] - first["sent_ns"] == round(times[0] * MS)
    assert (first["gaps"], first["gap_sum_ns"], first["gap_max_ns"]) == (4, 4 * MS, MS)
    documented = (ROOT / "docs" / "replay-metrics.md").read_text(encoding="utf-8")
    for field in table.schema:
        unit, what = (field.metadata[key].decode() for key in (b"unit", b"description"))
        assert f"| `{field.name}` | {unit or '-'} | {what} |" in documented


@pytest.mark.parametrize("name", ["replay", "comparison"])
def test_checked_in_schemas_match_the_compiled_types(name: str) -> None:
    text = (ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
    assert text == _native.schema(name) + "\n"
    jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_summaries_and_comparisons_match_their_schemas(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name)
        summary = summarize(tmp_path / name, slo={"ttft_ms": 20}, incomplete="interrupted")
        jsonschema.validate(summary, json.loads(_native.schema("replay")))
    compared = compare({"A": [tmp_path / "a"], "B": [tmp_path / "b"]}).to_dict()
    jsonschema.validate(compared, json.loads(_native.schema("comparison")))


def test_every_figure_is_documented(tmp_path: Path) -> None:
    """Names of figures in `docs/replay-metrics.md`."""
    write_run(tmp_path)
    documented = (ROOT / "docs" / "replay-metrics.md").read_text(encoding="utf-8")
    run = summarize(tmp_path, slo={"ttft_ms": 20})["run"]
    names = {
        *run,
        *run["latency"],
        *run["counters"],
        *run["full"],
        *run["cache"],
        *run["sessions"],
        *run["over_time"][0],
    }
    missing = sorted(name for name in names if f"`{name}`" not in documented)
    assert not missing


def test_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="found no records, expected a run directory that agentgen replay wrote"):
        _native.summarize(tmp_path, "{}")
    (tmp_path / "records").mkdir()
    with pytest.raises(
        TraceError, match="found no files in records, expected a run directory that agentgen replay wrote"
    ):
        _native.summarize(tmp_path, "{}")
    with pytest.raises(ValueError, match="options: unknown field"):
        _native.summarize(tmp_path, '{"concurency": 1}')
    recorder = _native.Recorder(tmp_path / "records" / "a.jsonl", 0)
    with pytest.raises(ValueError, match="unknown variant `lost`"):
        recorder.session(session_record(0, 1, 0, 0, phase="lost"))
    recorder.close()
    with pytest.raises(ValueError, match="closed"):
        recorder.flush()
    with pytest.raises(FileExistsError):
        _native.Recorder(tmp_path / "records" / "a.jsonl", 0)


def test_the_summary_tables_fit_80_columns(tmp_path: Path) -> None:
    write_run(tmp_path)
    summary = summarize(tmp_path, slo={"ttft_ms": 20.0, "tpot_ms": 50.0}, incomplete="interrupted")
    text = str(Summary(json.dumps(summary)))
    assert max(map(len, text.splitlines())) <= 80
    assert "latency of successful requests, ms" in text
    assert "lag of all requests sent, ms" in text
    for words in ("first token", "steady", "120 succeeded", "requests/s within targets", "incomplete: interrupted"):
        assert words in text
    ended = {**summary, "run": {**summary["run"], "steady": None, "steady_missing": "at most 1 of 8 slots were filled"}}
    assert "no steady window: at most 1 of 8 slots were filled" in str(Summary(json.dumps(ended)))


def test_the_summary_of_a_run_without_answers(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    recorder = _native.Recorder(tmp_path / "records" / "worker-0.jsonl", 0)
    for turn, outcome in enumerate(("connect_error", "http_error")):
        failed = {"outcome": outcome, "status": 503 * turn, "retries": turn, "message": "no"}
        recorder.request(request_record(turn, 0, 1, sent_ns=None, **failed), None)
        recorder.session(session_record(turn, 3, 1, 9, skipped=2))
    recorder.close()
    text = " ".join(str(Summary(json.dumps(summarize(tmp_path)))).split())
    assert "6 planned in the sessions opened: 0 succeeded, 2 failed, 4 skipped; 1 connect_error," in text
    assert "1 with HTTP 503" in text
    assert "not reported by the server; not predicted: needs a block-hash trace" in text


def test_reported_and_predicted_tokens_count_the_same_requests(small_run: Path, tmp_path: Path) -> None:
    """An answer without usage has no reported tokens, so its prediction is left out too."""
    (tmp_path / "records").mkdir()
    recorder = _native.Recorder(tmp_path / "records" / "worker-0.jsonl", 0)
    now = 10**12
    for turn in range(3):
        parsed = answer(now, MS, 2, cached=512) if turn < 2 else silent(now)
        lengths = {"context_tokens": 2048, "input_tokens": 512, "output_tokens": 2}
        recorder.request(request_record(0, turn, now, key="s", **lengths), parsed)
        now += 10 * MS
    recorder.session(session_record(0, 3, 10**12, now, key="s"))
    recorder.close()
    prediction = {"trace": str(small_run), "history": "recorded", "block_tokens": 512}
    summary = summarize(tmp_path, prediction=prediction)
    cache = summary["run"]["cache"]
    assert (cache["reported"]["requests"], cache["predicted"]["requests"]) == (2, 2)
    assert [turn["predicted"] and turn["predicted"]["requests"] for turn in summary["run"]["by_turn"]] == [1, 1, None]
    text = " ".join(str(Summary(json.dumps(summary))).split())
    assert "for an infinite cache of the requests completed before each" in text
    assert "(2 requests with both figures, " in text
    assert "at most" not in text


def silent(sent_ns: int) -> _native.Answer:
    """A stream without usage."""
    parsed = _native.Answer("chat", stream=True)
    parsed.feed(chunk(" w") + b"data: [DONE]\n\n", sent_ns + MS)
    parsed.end("complete", stamp_ns=sent_ns + MS)
    return parsed


def test_predictions_for_one_slot_equal_the_reuse_of_the_trace(small_run: Path, tmp_path: Path) -> None:
    """The prediction from records in file order equals the analysis, which replays nothing."""
    (tmp_path / "records").mkdir()
    recorder = _native.Recorder(tmp_path / "records" / "worker-0.jsonl", 0)
    options = {
        "endpoint": "chat",
        "prompt_mode": "text",
        "history": "recorded",
        "salt": "x",
        "model": "m",
        "stream": True,
        "transcripts": str(tmp_path / "journal"),
        "max_tokens_field": "auto",
        "is_linked": True,
        "request": {},
        "words": None,
        "trace_block_size": None,
    }
    (tmp_path / "transcripts").mkdir()
    source = _native.ReplaySource(small_run, json.dumps(options))
    now = 10**12
    while (session := source.next()) is not None:
        opened = now
        for turn in range(session.turns):
            request = session.request()
            parsed = answer(now, MS, 2)
            lengths = {name: getattr(request, name) for name in ("context_tokens", "input_tokens", "output_tokens")}
            recorder.request(request_record(session.number, turn, now, key=session.key, **lengths), parsed)
            session.answered(parsed)
            now += 10 * MS
        session.over()
        recorder.session(session_record(session.number, session.turns, opened, now, key=session.key))
    recorder.close()
    block_tokens = json.loads(_native.describe_replay(small_run))["block_tokens"]
    prediction = {"trace": str(small_run), "history": "recorded", "block_tokens": block_tokens}
    run = summarize(tmp_path, prediction=prediction)["run"]
    reuse = agentgen.analyze(small_run, cached_outputs=False).to_dict()["traces"][0]["reuse"]
    assert run["cache"]["predicted"]["hit_rate"] == reuse["linked"]["token_weighted"]
    predicted = pq.read_table(tmp_path / "requests.parquet")["predicted_cached_tokens"].to_pylist()
    assert sum(predicted) == run["cache"]["predicted"]["cached_tokens"]
