"""What is fuzzed: each target feeds one input to the code that the commands use.

A target may raise the errors that the package documents. Anything else, a wrong result, a hang, or memory that grows
without bound is a finding.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import agentgen
from agentgen import _native
from agentgen._rollouts import selection
from agentgen.collect.actions import actions_of
from agentgen.collect.client import parsed as chat_completion
from agentgen.collect.journal import Journal as CollectJournal
from agentgen.collect.tasks import load_tasks
from agentgen.config import load_config
from agentgen.distill.answers import AnswerError, parsed
from agentgen.distill.client import Reply
from agentgen.distill.digest import Digest
from agentgen.distill.journal import Journal
from agentgen.distill.judge import CRITERIA, Judgement
from agentgen.distill.sft import SftRecord
from agentgen.replay.http import Connection

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from agentgen.replay.protocols import Response

    Check = Callable[[bytes, random.Random], None]

CORPUS = Path(__file__).parent / "corpus"
SAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "import"
ROWS = 8
HALF = 0.5


class Opener(Protocol):
    """Prepares a target: gives the check of one input, and inputs to begin with besides those of the corpus."""

    def __call__(self, directory: Path) -> contextlib.AbstractContextManager[tuple[Check, list[bytes]]]: ...


def _small_run(directory: Path, *formats: str) -> Path:
    run = directory / "run"
    agentgen.write_run(run, "aiperf-1k-200k", sessions=3, seed=5, formats=formats)
    return run


def _inspect(path: Path) -> None:
    """Validate a trace; one that is valid must be usable."""
    try:
        report = agentgen.validate(path, max_errors=ROWS)
    except (agentgen.AgentgenError, OSError):
        return
    if report.ok and report.format == "block-hash":
        with contextlib.suppress(agentgen.UsageError):  # the trace needs an argument
            assert str(agentgen.analyze(path))


def _file(suffix: str, directory: Path) -> Check:
    path = directory / f"input{suffix}"

    def check(data: bytes, _: random.Random) -> None:
        path.write_bytes(data)
        _inspect(path)

    return check


@contextlib.contextmanager
def rows(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Rows of block-hash traces, as JSON lines."""
    written = (_small_run(directory, "jsonl") / "dataset.jsonl").read_bytes()
    yield _file(".jsonl", directory), [written, b"\n".join(written.splitlines()[:ROWS])]


@contextlib.contextmanager
def messages(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Rows of recorded messages."""
    yield _file(".jsonl", directory), []


@contextlib.contextmanager
def parquet(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Parquet files."""
    yield _file(".parquet", directory), [(_small_run(directory, "parquet") / "dataset.parquet").read_bytes()]


@contextlib.contextmanager
def manifests(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Manifests of runs."""
    run = _small_run(directory, "jsonl")
    manifest = run / "manifest.json"

    def check(data: bytes, _: random.Random) -> None:
        manifest.write_bytes(data)
        _inspect(run)
        with contextlib.suppress(agentgen.AgentgenError, OSError):
            load_config(manifest)

    yield check, [manifest.read_bytes()]


@contextlib.contextmanager
def configurations(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Configuration files in YAML and JSON."""
    paths = [directory / "input.yaml", directory / "input.json"]

    def check(data: bytes, rng: random.Random) -> None:
        path = rng.choice(paths)
        path.write_bytes(data)
        with contextlib.suppress(agentgen.AgentgenError, OSError):
            loaded = load_config(path)
            loaded.resolve(loaded.settings)

    yield check, [_native.preset(name).encode() for name in _native.preset_names()]


def _split(data: bytes, rng: random.Random) -> list[bytes]:
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _answer(parts: list[bytes], endpoint: str, ending: str, *, stream: bool) -> tuple[Any, ...]:
    answer = _native.Answer(endpoint, stream)
    for stamp, part in enumerate(parts):
        answer.feed(part, stamp)
    answer.end(ending, len(parts))
    json.loads(answer.tool_calls)
    tokens = answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens
    content = answer.text, answer.reasoning, answer.tool_calls, answer.finish_reason
    return answer.failure, answer.message, *content, *tokens, answer.output_events, answer.malformed_events


@contextlib.contextmanager
def answers(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Bodies of answers, streamed and not: however the reads are cut, the answer is the same."""

    def check(data: bytes, rng: random.Random) -> None:
        endpoint, stream = rng.choice(("chat", "completions", "responses", "messages")), rng.random() < 0.8
        ending = rng.choice(("complete", "complete", "closed", "lost", "refused"))
        whole = _answer([data], endpoint, ending, stream=stream)
        assert whole == _answer(_split(data, rng), endpoint, ending, stream=stream)

    assert directory.is_dir()
    yield check, []


@dataclass
class _Transport:
    """What a connection needs of a transport."""

    closed: bool = False

    def set_write_buffer_limits(self, high: int) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def writelines(self, parts: Any) -> None: ...
    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    close = abort


@dataclass
class _Handler:
    """Counts the ends of a request: there must be exactly one."""

    body: bytearray = field(default_factory=bytearray)
    ends: list[Any] = field(default_factory=list)

    def sent(self, stamp_ns: int) -> None: ...
    def data(self, data: bytes, stamp_ns: int) -> bool:
        assert stamp_ns
        assert not self.ends
        self.body += data
        return False

    def finished(self, response: Response, stamp_ns: int) -> None:
        assert stamp_ns
        assert response.retry_after_s is None or (math.isfinite(response.retry_after_s) and response.retry_after_s >= 0)
        self.ends.append(response.status)

    def lost(self, outcome: str, status: int, message: str, stamp_ns: int) -> None:
        assert stamp_ns
        assert message
        self.ends.append((outcome, status))


def _received(parts: list[bytes]) -> tuple[bytes, Any]:
    handler, connection, transport = _Handler(), Connection(), _Transport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    connection.send(b"POST / HTTP/1.1\r\nContent-Length: ", b"", handler)
    for part in parts:
        if not transport.closed and part:
            connection.data_received(part)
    if not transport.closed:
        connection.eof_received()
    connection.connection_lost(None)
    assert len(handler.ends) == 1, handler.ends
    return bytes(handler.body), handler.ends[0]


@contextlib.contextmanager
def responses(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """HTTP responses: each ends its request once, and cutting the reads changes nothing of one that succeeds."""

    def check(data: bytes, rng: random.Random) -> None:
        whole, cut = _received([data]), _received(_split(data, rng))
        if isinstance(whole[1], int) or isinstance(cut[1], int):
            assert whole == cut, (whole, cut)

    assert directory.is_dir()
    yield check, []


@contextlib.contextmanager
def requests(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Bodies of requests to the embedded server: it answers each, and goes on."""
    server = _native.Server(json.dumps({"prefill_tokens_per_second": 0, "decode_tokens_per_second": 0}))

    def check(data: bytes, rng: random.Random) -> None:
        path = rng.choice(("/v1/chat/completions", "/v1/completions"))
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head.encode() + data)
            answer = connection.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 "), answer[:80]
        assert answer[9:10] in b"24" or answer.startswith(b"HTTP/1.1 503"), answer[:80]

    assert directory.is_dir()
    yield check, []
    server.stop()


def _imports(data: bytes, rng: random.Random, directory: Path) -> None:
    path, run = directory / "input", directory / "run"
    path.write_bytes(data)
    form = rng.choice(("auto", "auto", *agentgen.import_formats()))
    with contextlib.suppress(agentgen.AgentgenError, OSError):
        imported = agentgen.import_sessions(path, run, format=form, force=True)
        assert agentgen.validate(run, max_errors=ROWS).ok
        assert imported.summary["calls"] > 0
    with contextlib.suppress(agentgen.AgentgenError, OSError):
        chosen = rollout_selection(path, rng.choice(("auto", *_native.rollout_formats())))
        batches, problems = _native.open_rollouts(chosen)
        assert sum(batch.num_rows for batch in batches) >= 0
        json.loads(problems.take())
    with contextlib.suppress(agentgen.AgentgenError, OSError):
        assert str(agentgen.agenttrace(path))
        for name in ("spans", "llm_steps"):
            assert sum(batch.num_rows for batch in _native.agenttrace_frame([str(path)], name)) >= 0


def rollout_selection(path: Path, form: str) -> _native.RolloutSelection:
    """All rollouts of a file."""
    return selection(path, format=form, partition=None, seed=None, limit=None, threads=1)


@contextlib.contextmanager
def imports(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Files of every format that can be imported: what is left of them makes a valid run, messages and figures."""

    def check(data: bytes, rng: random.Random) -> None:
        _imports(data, rng, directory)

    yield check, [path.read_bytes() for path in sorted(SAMPLES.iterdir())]


@contextlib.contextmanager
def model_answers(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Answers of models to the columns of distillation."""

    def check(data: bytes, rng: random.Random) -> None:
        shape = rng.choice((Digest, SftRecord, Judgement))
        with contextlib.suppress(AnswerError):
            found = parsed(data.decode("utf-8" if rng.random() < HALF else "latin-1", "replace"), shape)
            assert shape.model_validate_json(found.model_dump_json()) == found

    del directory
    verdict = {"reasoning": "r", "score": 4}
    record = {"instruction": "i", "response": "```\n{}\n```", "skill_tags": ["a"], "difficulty": "easy"}
    yield check, [json.dumps(dict.fromkeys(CRITERIA, verdict)).encode(), f"```json\n{json.dumps(record)}\n```".encode()]


@contextlib.contextmanager
def journals(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Journals of distillation that are resumed."""
    path = directory / "journal.jsonl"
    asked = {"model": "m"}
    key = ("row", "column", 0)
    reply = Reply("content", is_cut=False, prompt_tokens=1, cached_tokens=0, completion_tokens=1, duration_ms=1.0)

    def check(data: bytes, rng: random.Random) -> None:
        del rng
        path.write_bytes(data)
        with contextlib.suppress(agentgen.RunError):
            journal = Journal(path, asked, resume=True)
            journal.put(key, "m", reply)
            journal.close()
            again = Journal(path, asked, resume=True)
            again.close()
            assert again.get(key) == reply

    first = Journal(path, asked, resume=False)
    first.put(key, "m", reply)
    first.know("server", {"sends_format": True})
    first.close()
    yield check, [path.read_bytes()]


@contextlib.contextmanager
def agent_answers(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Chat completions that an agent gets: each has actions that run or say why not, and can be sent again."""

    def check(data: bytes, rng: random.Random) -> None:
        answer = chat_completion(data.decode(errors="replace"), 0, 1)
        if answer is None:
            return
        json.dumps(answer.message)
        for action in actions_of(answer, rng.choice(("tools", "json"))):
            assert action.problem() or isinstance(action.input, str)

    assert directory.is_dir()
    call = {"id": "c", "type": "function", "function": {"name": "bash", "arguments": '{"command": "ls"}'}}
    content = 'So: ```json\n{"tool": "python", "input": "print(1)"}\n```'
    message = {"role": "assistant", "content": content, "reasoning": "r", "tool_calls": [call]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    yield check, [json.dumps({"id": "x", "choices": [{"message": message}], "usage": usage}).encode()]


@contextlib.contextmanager
def task_files(directory: Path) -> Iterator[tuple[Check, list[bytes]]]:
    """Files of tasks, and rows of a collection that is resumed."""
    tasks, output = directory / "tasks.jsonl", directory / "rows.jsonl"

    def check(data: bytes, _: random.Random) -> None:
        tasks.write_bytes(data)
        output.write_bytes(data)
        with contextlib.suppress(agentgen.AgentgenError):
            assert load_tasks(str(tasks)).tasks
        with contextlib.suppress(agentgen.AgentgenError):
            rows = CollectJournal(output)
            rows.load()
            rows.check({"seed": None, "model": "m"})

    rows = (SAMPLES.parent / "collect.jsonl").read_bytes().splitlines(keepends=True)
    mbpp = {"task_id": 11, "text": "Add.", "test_list": ["assert add(1, 1) == 2"], "code": "x"}
    yield check, [rows[1], json.dumps([{"query": "a", "id": 1}, mbpp]).encode(), json.dumps(mbpp).encode() + b"\n"]


TARGETS: dict[str, Opener] = {
    target.__name__: target
    for target in (
        *(rows, messages, parquet, manifests, configurations, answers, responses, requests, imports),
        *(model_answers, journals, agent_answers, task_files),
    )
}


def corpus(target: str) -> list[bytes]:
    """The inputs of the corpus: small, and each of a form of its own."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]
