"""A stand-in model server: answers by the schema that a request asks for, and does what a test tells it to."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Object = dict[str, Any]

SCHEMA = re.compile(r"<response_schema>\n(.*?)\n</response_schema>", re.DOTALL)


@dataclass
class Call:
    """A request for a completion.

    Attributes:
        number: How many came before it.
        body: Its body.
        headers: Its headers.
        column: The column that it asks for; None if it names no schema.
        user: The text of the user's messages.
    """

    number: int
    body: Object
    headers: dict[str, str]
    column: str | None
    user: str

    @property
    def has_format(self) -> bool:
        """Whether it asks for structured output."""
        return "response_format" in self.body


@dataclass
class Reply:
    """What the server answers: a text, or a status with an error."""

    content: str | None = ""
    finish_reason: str = "stop"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None  # a whole body


def good(column: str | None, user: str) -> Object:
    """An object of the shape of a column that depends on the prompt alone."""
    name = hashlib.sha256(user.encode()).hexdigest()[:8]
    if column == "trace_digest":
        texts = ("user_goal", "repository_context", "task_type", "useful_outcome", "quality_notes")
        found: Object = {text: f"{text} {name}" for text in texts}
        return found | {"notable_actions": [f"step {name}"], "training_value": "high"}
    if column == "sft_record":
        words = " ".join(f"{name}{number}" for number in range(9))
        return {"instruction": f"do {words}", "response": f"done {words}", "skill_tags": ["a"], "difficulty": "easy"}
    criteria = ("groundedness", "standalone_task", "response_quality", "faithfulness", "training_utility")
    return {criterion: {"reasoning": f"because {name}", "score": 4} for criterion in criteria}


def answered(call: Call) -> Reply:
    """The answer of a server with structured output."""
    return Reply(json.dumps(good(call.column, call.user)) if call.column else "I do not know.")


class FakeModel:
    """The server, its calls, and what it answers next."""

    def __init__(self, respond: Callable[[Call], Reply] = answered, models: list[Object] | None = None) -> None:
        self.calls: list[Call] = []
        self.respond = respond
        self.models = [{"id": "fake"}] if models is None else models
        self.most_in_flight = 0
        self._in_flight = 0
        self._lock = threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self._send(200, {}, json.dumps({"object": "list", "data": model.models}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply = model.take(body, dict(self.headers))
                if reply.raw is not None:
                    self._send(reply.status, reply.headers, reply.raw)
                elif reply.status != 200:
                    error = {"error": {"message": reply.content}}
                    self._send(reply.status, reply.headers, json.dumps(error).encode())
                else:
                    message = {"role": "assistant", "content": reply.content}
                    choice = {"index": 0, "finish_reason": reply.finish_reason, "message": message}
                    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
                    self._send(200, reply.headers, json.dumps({"choices": [choice], "usage": usage}).encode())

            def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                pass  # clients that a test kills

        self._server = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, body: Object, headers: dict[str, str]) -> Reply:
        """Answer a call."""
        user = "".join(message["content"] for message in body["messages"] if message["role"] == "user")
        schema = body["response_format"]["json_schema"]["schema"] if "response_format" in body else None
        if schema is None and (found := SCHEMA.search(user)):
            schema = json.loads(found[1])
        with self._lock:
            call = Call(len(self.calls), body, headers, _column(schema), user)
            self.calls.append(call)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            return self.respond(call)
        finally:
            with self._lock:
                self._in_flight -= 1

    def asked(self, column: str) -> list[Call]:
        """The calls for a column."""
        return [call for call in self.calls if call.column == column]

    @contextmanager
    def running(self) -> Iterator[FakeModel]:
        """Serve in a thread."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def _column(schema: Object | None) -> str | None:
    if schema is None:
        return None
    names = schema["properties"]
    return (
        "trace_digest"
        if "user_goal" in names
        else "sft_record"
        if "instruction" in names
        else "sft_quality_judge_result"
    )
