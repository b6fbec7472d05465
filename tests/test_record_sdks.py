"""The SDKs of OpenAI and Anthropic run unchanged through a recorder against the embedded server."""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import agentgen
import polars as pl
import pytest
from conftest import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 16
SYSTEM = " ".join(f"rule{n}" for n in range(40))
TOOL: dict[str, Any] = {"type": "object", "properties": {"path": {"type": "string"}}}


def needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        missing(f"{module} is not installed: pip install --group dev")


@contextmanager
def recording(directory: Path) -> Iterator[agentgen.Recorder]:
    at_once: dict[str, Any] = {"prefill_tokens_per_second": 0, "decode_tokens_per_second": 0, "block_size": BLOCK}
    with agentgen.serve(**at_once) as server, agentgen.record(server.url, directory, block_size=BLOCK) as recorder:
        yield recorder


def calls_of(directory: Path) -> pl.DataFrame:
    assert agentgen.validate(directory).ok
    return pl.read_parquet(directory / "calls.parquet").sort("sent_ms")


def cached(directory: Path) -> list[int]:
    """Tokens of full blocks that an earlier prompt of the run begins with, call by call."""
    rows = pl.read_parquet(directory / "dataset.parquet")
    known: set[int] = set()
    found = []
    for ids, length in zip(rows["hash_ids"], rows["context_length"], strict=True):
        full = list(ids[: length // BLOCK])
        found.append(sum(block in known for block in full) * BLOCK)
        known.update(full)
    return found


def test_an_agent_with_the_sdk_of_openai(tmp_path: Path) -> None:
    needs("openai")
    import openai  # noqa: PLC0415

    tools: Any = [{"type": "function", "function": {"name": "Read", "parameters": TOOL}}]
    with (
        recording(tmp_path / "run") as recorder,
        openai.OpenAI(base_url=f"{recorder.url}/v1", api_key="sk-x", default_headers={"x-session-id": "s"}) as client,
    ):
        messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "read the file"}]
        answer = client.chat.completions.create(
            model="agentgen", messages=messages, tools=tools, tool_choice="required", max_tokens=8
        )
        message = answer.choices[0].message
        assert message.tool_calls
        messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "its text"}]
        stream = client.chat.completions.create(
            model="agentgen",
            messages=messages,
            tools=tools,
            tool_choice="none",
            max_tokens=6,
            stream=True,
            stream_options={"include_usage": True},
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert len(text.split()) == 6
        assert client.models.list().data[0].id == "agentgen"
    calls = calls_of(tmp_path / "run")
    assert calls["trigger"].to_list() == ["human", "tool"]
    assert calls["output_tokens"].to_list() == [8, 6]
    assert calls["prompt_tokens"].to_list() == [43, 43 + 8 + 2]
    assert [tool["name"] for tool in calls["tools"][0]] == ["Read"]
    assert calls["session_id"].n_unique() == 1
    assert calls["first_output_ms"].null_count() == 0
    assert (calls["end_ms"] >= calls["first_output_ms"]).all()
    assert recorder.stats()["other_requests"] == 1


def test_responses_and_completions_with_the_sdk_of_openai(tmp_path: Path) -> None:
    needs("openai")
    import openai  # noqa: PLC0415

    with (
        recording(tmp_path / "run") as recorder,
        openai.OpenAI(base_url=f"{recorder.url}/v1", api_key="sk-x") as client,
    ):
        first = client.responses.create(model="agentgen", instructions=SYSTEM, input="begin", max_output_tokens=5)
        items: Any = [
            {"role": "user", "content": "begin"},
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "go on"},
        ]
        stream = client.responses.create(
            model="agentgen", instructions=SYSTEM, input=items, max_output_tokens=7, stream=True
        )
        last = list(stream)[-1]
        assert last.type == "response.incomplete"  # an output of the embedded server is as long as it may be
        assert last.response.usage is not None
        assert last.response.usage.output_tokens == 7
        prompt = " ".join(f"word{n}" for n in range(20))
        text = client.completions.create(model="agentgen", prompt=prompt, max_tokens=4).choices[0].text
        client.completions.create(model="agentgen", prompt=f"{prompt}{text} and more", max_tokens=4)
    calls = calls_of(tmp_path / "run")
    assert calls["prompt_tokens"].to_list() == [41, 41 + 5 + 2, 20, 20 + 4 + 2]
    assert calls["turn_index"].to_list() == [0, 1, 0, 1]
    assert calls["session_id"].n_unique() == 2


def test_an_agent_with_the_sdk_of_anthropic(tmp_path: Path) -> None:
    needs("anthropic")
    import anthropic  # noqa: PLC0415

    tools: Any = [{"name": "Task", "input_schema": TOOL}]
    user = {"user_id": "user_0_account__session_1"}
    explorer = " ".join(f"hint{n}" for n in range(32))
    with recording(tmp_path / "run") as recorder, anthropic.Anthropic(base_url=recorder.url, api_key="sk-x") as client:
        messages: list[Any] = [{"role": "user", "content": "find the bug"}]
        system: Any = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]
        options: dict[str, Any] = {"model": "agentgen", "metadata": user, "max_tokens": 8}
        answer = client.messages.create(
            messages=messages, system=system, tools=tools, tool_choice={"type": "any"}, **options
        )
        call = answer.content[0]
        assert call.type == "tool_use"
        with client.messages.stream(messages=messages, system=explorer, **options) as stream:
            report = stream.get_final_text()
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": report}
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
        with client.messages.stream(messages=messages, system=system, tools=tools, **options) as stream:
            final = stream.get_final_message()
    calls = calls_of(tmp_path / "run")
    assert calls["agent"].to_list() == ["main", "agent-1", "main"]
    assert calls["trigger"].to_list() == ["human", "human", "tool"]
    rows = pl.read_parquet(tmp_path / "run" / "dataset.parquet")
    assert rows.filter(pl.col("link") == "subagent").select("parent_turn", "join_turn").rows() == [(0, 1)]
    usage = final.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    assert calls["cached_tokens"][2] == read > 0
    assert calls["cache_written_tokens"][2] == written
    assert calls["prompt_tokens"][2] == read + written + usage.input_tokens


def test_what_the_server_found_is_what_the_run_shares(tmp_path: Path) -> None:
    needs("openai")
    import openai  # noqa: PLC0415

    with recording(tmp_path / "run") as recorder, openai.OpenAI(base_url=f"{recorder.url}/v1", api_key="x") as client:
        for task in range(5):
            messages: list[Any] = [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"task{task} " * 30},
            ]
            for turn in range(3):
                client.chat.completions.create(model="agentgen", messages=messages, max_tokens=1)
                messages += [{"role": "assistant", "content": "done"}, {"role": "user", "content": f"more{turn} " * 25}]
    found = pl.read_parquet(tmp_path / "run" / "calls.parquet")["cached_tokens"].to_list()
    assert found == cached(tmp_path / "run")
    assert sum(found) > 500


@pytest.mark.parametrize("cut", ["drop-mid-event=2", "status=503", "tool-calls=1"])
def test_errors_of_the_server_reach_the_sdk(cut: str, tmp_path: Path) -> None:
    needs("openai")
    import openai  # noqa: PLC0415

    with recording(tmp_path / "run") as recorder:
        client = openai.OpenAI(base_url=f"{recorder.url}/v1", api_key="sk-x", max_retries=0)
        with client:
            client.chat.completions.create(model="agentgen", messages=[{"role": "user", "content": "ok"}], max_tokens=2)
            create: Any = client.chat.completions.create
            asked = {
                "model": "agentgen",
                "messages": [{"role": "user", "content": "x"}],
                "max_tokens": 8,
                "stream": True,
            }
            headers = {"x-agentgen-fault": cut}
            if cut == "tool-calls=1":
                assert list(create(**asked, extra_headers=headers))
            else:
                with pytest.raises((openai.APIConnectionError, openai.APIStatusError)):
                    list(create(**asked, extra_headers=headers))
    stats = recorder.stats()
    assert (stats["calls"], stats["failed"]) == (2, 0 if cut == "tool-calls=1" else 1)
