"""Options of `agentgen replay` from flags and a settings file, and the errors about invalid ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from agentgen.errors import ReplayError
from agentgen.replay.settings import ReplaySettings, load_settings
from pydantic import ValidationError
from replay_server import serving
from small_traces import BLOCK, summary_of, write_trace

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Invoke, Run


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write_trace(tmp_path / "trace.jsonl", 12, 3)


def test_settings_are_frozen_and_reject_unknown_names() -> None:
    with pytest.raises(ValidationError):
        ReplaySettings().workers = 2  # type: ignore[misc]
    with pytest.raises(ReplayError, match=r"concurency: no such option \(did you mean concurrency\?\)"):
        load_settings(None, {"concurency": 3})


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"url": "ftp://host"}, '--url: found "ftp://host", expected a URL such as'),
        (
            {"url": "http://host/v1/completions"},
            "--url: found http://host/v1/completions, expected --endpoint completions",
        ),
        ({"url": ["http://host", "http://host/v1/chat/completions"]}, "expected each server once"),
        ({"url": "http://[bad"}, "expected a URL such as"),
        ({"url": "http://host/a b"}, "expected a URL such as"),
        ({"url": "http://user:pass@host"}, "found a URL that is not shown, expected no user or password"),
        ({"url": "http://host/v1?key=secret#a"}, "found a URL that is not shown, expected a URL such as"),
        ({"proxy": "socks5://host"}, '--proxy: found "socks5://host", expected env, none or the URL of an HTTP proxy'),
        ({"proxy": "http://me:secret@host/x"}, "--proxy: found a URL that is not shown, expected env, none or"),
        ({"insecure": True, "ca_file": "a.pem"}, "--insecure, --ca-file: found both, expected one of them"),
        ({"url": "http://host", "skip_checks": True}, "--skip-checks: found no --model, expected the model's name"),
        ({"max_tokens_field": "tokens"}, "--max-tokens-field: found \"tokens\", expected 'auto', 'max_tokens', "),
        ({"url": ["http://host", "http://host/v1"]}, '--url: found ["http://host", "http://host/v1"], expected each'),
        ({"header": {"x-session-id": "1"}}, "--header: found x-session-id, which holds the session's key"),
        ({"session_header": "X Session"}, '--session-header: found "X Session", expected a header name'),
        ({"session_header": "X-A\r\nX-B"}, "expected a header name"),
        ({"session_header": "Content-Length"}, "expected a header that the client does not set itself"),
        (
            {"header": {"X-A": "1\r\nX-B: 2"}},
            "--header: found a value of X-A that is not shown, expected printable ASCII",
        ),
        ({"url": ["http://HOST", "http://host:80/v1"]}, "expected each server once"),
        ({"header": {"A": "1", "a": "2"}}, "--header: expected each header once"),
        ({"session_header": ["X-S", "x-s"]}, '--session-header: found ["X-S", "x-s"], expected each header once'),
        ({"concurrency": "1__0"}, '--concurrency: found "1__0", expected a whole number'),
        ({"header": {"X A": "1"}}, "--header: found a name that is not shown, expected a header name"),
        ({"timeout": "soon"}, '--timeout: found "soon", expected a time such as 500ms, 30s, 5m or 1h, up to a year'),
        ({"timeout": 0}, "--timeout: found 0, expected a time above 0, such as"),
        ({"max_delay": "-1"}, '--max-delay: found "-1", expected a time such as'),
        ({"slo": "tft=1s"}, '--slo: found "tft=1s", expected limits such as ttft=500ms,tpot=50ms; names are'),
        ({"request_json": '{"model": "x"}'}, "found the field 'model', which comes from --model"),
        ({"request_json": '{"input": "x"}'}, "found the field 'input', which comes from the trace"),
        ({"request_json": "[]"}, "--request-json: found a value that is not shown, expected a JSON object"),
        ({"request_json": "[" * 10_000}, "expected a JSON object of request fields"),
        ({"concurrency": 4, "session_rate": 1.0}, "--concurrency, --session-rate: found both, expected one"),
        ({"concurrency": 0}, "--concurrency: found 0, expected a whole number from 1 to 1000000"),
        ({"concurrency": 4.0}, "--concurrency: found 4.0, expected a whole number from 1 to 1000000"),
        ({"session_rate": 0}, "--session-rate: found 0, expected a number above 0, up to 1000000"),
        ({"time_scale": float("nan")}, "--time-scale: found NaN, expected a number from 0, up to 1000000"),
        ({"stream": "maybe"}, '--no-stream: found "maybe", expected true or false'),
        ({"history": "none"}, "--history: found \"none\", expected 'live' or 'recorded'"),
        ({"model": 3}, "--model: found 3, expected a text"),
        ({"salt": "x" * 50, "model": ["y" * 100]}, "y..., expected a text"),
    ],
)
def test_invalid_settings(stated: dict[str, Any], expected: str) -> None:
    with pytest.raises(ReplayError, match=re.escape(expected)) as raised:
        load_settings(None, stated)
    assert "Input should" not in str(raised.value)
    assert "pass@" not in str(raised.value)


@pytest.mark.parametrize(
    ("option", "found", "expected"),
    [
        ("--max-delay", "soon", 'found "soon", expected a time such as 500ms, 30s, 5m or 1h, up to a year'),
        ("--concurrency", "many", 'found "many", expected a whole number from 1 to 1000000'),
        ("--workers", "300", "found 300, expected a whole number from 1 to 256"),
        ("--session-rate", "-1", "found -1, expected a number above 0, up to 1000000"),
    ],
)
def test_errors_name_the_option_as_it_was_typed(
    option: str, found: str, expected: str, trace: Path, invoke: Invoke
) -> None:
    assert invoke("replay", trace, option, found, code=2).stderr == f"agentgen: error: {option}: {expected}\n"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--json", "--quiet"), "--json and --quiet: found both, expected one of them."),
        (("--json", "--dry-run"), "--json and --dry-run: found both, expected one of them."),
        (("--header", "X-A: 1", "--header", "X-A: 2"), "found 'X-A' twice, expected each header once."),
    ],
)
def test_options_that_contradict_each_other(more: tuple[str, ...], expected: str, trace: Path, invoke: Invoke) -> None:
    assert expected in invoke("replay", trace, *more, code=2).stderr


@pytest.mark.parametrize(("option", "value"), [("--trace-block-size", "16"), ("--tokenizer", "tokenizer.json")])
def test_options_that_messages_do_not_allow(option: str, value: str, invoke: Invoke, tmp_path: Path) -> None:
    messages = tmp_path / "messages.jsonl"
    messages.write_text('{"conversation_id": "a", "turn": 1, "role": "user", "content": "hello"}\n')
    stderr = invoke("replay", messages, option, value, code=2).stderr
    assert stderr.startswith("agentgen: error: ")
    assert f"{option}: found {value}, expected none: the trace holds messages" in stderr


def test_a_header_without_its_colon_is_not_shown(trace: Path, invoke: Invoke) -> None:
    stderr = invoke("replay", trace, "--header", "Authorization Bearer sk-secret", code=2).stderr
    assert "found a value without a colon" in stderr
    assert "secret" not in stderr


def test_errors_of_a_settings_file_name_the_file_and_the_key(trace: Path, invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "replay.yaml"

    def error(text: str, *more: object) -> str:
        file.write_text(text, encoding="utf-8")
        lines = invoke("replay", trace, "--config", file, *more, code=2).stderr.splitlines()
        assert len(lines) == 1
        return lines[0].removeprefix("agentgen: error: ").replace(str(file), "FILE")

    rule = 'found "soon", expected a time such as 500ms, 30s, 5m or 1h, up to a year'
    assert error("max_delay: soon\n") == f"FILE: max_delay: {rule}"
    assert error("max_delay: soon\n", "--grace", "later").startswith("FILE: max_delay: found")
    assert '; --grace: found "later", expected' in error("max_delay: soon\n", "--grace", "later")
    assert error("max-delay: 5s\n") == "FILE: max-delay: no such option (did you mean max_delay?)"
    assert error("concurrency: 3\n", "--session-rate", 2).startswith("FILE: concurrency, --session-rate: found both")
    assert error("api_key_env: NOT_THERE\n").startswith("FILE: api_key_env: found NOT_THERE, which is not set")
    assert error("1: 2\n") == "FILE: 1: found 1, expected the name of an option"
    assert error("- 1\n") == "FILE: found list, expected an object of fields"


@pytest.mark.parametrize("name", ["nofile", "nofile.yaml"])
def test_a_missing_settings_file(name: str, trace: Path, invoke: Invoke) -> None:
    stderr = invoke("replay", trace, "--config", name, code=2).stderr
    assert stderr == f"agentgen: error: {name}: No such file or directory\n"


def test_a_named_api_key_variable_must_be_set(trace: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    for value in (None, ""):
        if value is not None:
            monkeypatch.setenv("MY_KEY", value)
        stderr = invoke("replay", trace, "--api-key-env", "MY_KEY", code=2).stderr
        assert stderr.startswith("agentgen: error: --api-key-env: found MY_KEY, which is not set or empty, expected")
    stderr = invoke("replay", trace, "--api-key-env", "sk-secret", code=2).stderr
    assert "found a name that is not shown, which is not set" in stderr


@pytest.mark.parametrize("key", ["sk-secret\n", "sk-\tsecret", "sk-sécret"])
def test_an_api_key_that_is_invalid_in_a_header_is_not_shown(
    key: str, trace: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    result = invoke("replay", trace, "--url", "http://127.0.0.1:9", code=2)
    assert "found a line break or other characters in OPENAI_API_KEY (not shown), expected a key" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "cret" not in result.output
    assert load_settings(None, {}).api_key() == key, "the embedded server needs none"


@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_flags_take_precedence_over_a_settings_file(suffix: str, trace: Path, run: Run, tmp_path: Path) -> None:
    with serving() as server:
        texts = {
            "yaml": f"url: {server.url}\nconcurrency: 3\nretries: 2\ntimeout: 5m\nslo: {{ttft: 500ms, tpot: 0.05}}\n",
            "toml": f'url = "{server.url}"\nconcurrency = 3\nretries = 2\ntimeout = 300\nslo = "ttft=0.5,tpot=0.05"\n',
        }
        file = tmp_path / f"replay.{suffix}"
        file.write_text(texts[suffix], encoding="utf-8")
        more = ("--retries", 1, "--trace-block-size", BLOCK, "--output", tmp_path, "--name", "o")
        run("replay", trace, "--config", file, *more)
        assert server.most_running <= 3
    settings = summary_of(tmp_path / "o")["settings"]
    assert (settings["concurrency"], settings["retries"], settings["timeout"]) == (3, 1, 300)
    assert settings["slo"] == {"ttft": 0.5, "tpot": 0.05}
