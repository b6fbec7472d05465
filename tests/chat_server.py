"""A chat completions server whose answers are scripted, for agents."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # The body of a request and how many its task had before; the answer's message, a whole document, or an `HttpError`.
    Script = Callable[[dict[str, Any], int], Any]


@dataclass
class HttpError:
    """An answer that is no completion; status 0 closes the connection."""

    status: int
    body: Any = field(default_factory=lambda: {"error": {"message": "no"}})
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class ChatServer:
    """A running server: its URL, and what it has received."""

    script: Script
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    models: Any = field(default_factory=lambda: {"object": "list", "data": [{"id": "m", "max_model_len": 4096}]})
    lock: Any = field(default_factory=threading.Lock)

    def prompts(self) -> list[str]:
        """The task of each request."""
        return [body["messages"][1]["content"] for body in self.bodies]

    def answer(self, body: dict[str, Any]) -> Any:
        prompt = body["messages"][1]["content"]
        with self.lock:
            before = self.prompts().count(prompt)
            self.bodies.append(body)
        return self.script(body, before)


def message(content: str | None = None, **more: Any) -> dict[str, Any]:
    """The message of an answer."""
    return {"role": "assistant", "content": content, **more}


def call(name: str, arguments: Any, identity: str | None = "c1") -> dict[str, Any]:
    """An answer with a tool call; arguments other than a text are sent as JSON."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    entry = {"type": "function", "function": {"name": name, "arguments": text}}
    return message(tool_calls=[{**entry, "id": identity} if identity else entry])


def bash(command: str) -> dict[str, Any]:
    return call("bash", {"command": command})


def final(answer: str = "done") -> dict[str, Any]:
    return call("final_answer", {"answer": answer})


def completion(answer: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    prompt = sum(len(str(one["content"]).split()) for one in body["messages"])
    usage = {"prompt_tokens": prompt, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": prompt // 2}}
    choice = {"index": 0, "message": answer, "finish_reason": "tool_calls" if answer.get("tool_calls") else "stop"}
    return {"id": f"chatcmpl-{id(answer)}", "object": "chat.completion", "choices": [choice], "usage": usage}


@contextmanager
def chat_server(script: Script) -> Iterator[ChatServer]:
    """Run a server until the block ends."""
    state = ChatServer(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def send(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.send(200, state.models)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.headers.append(dict(self.headers))
            answer = state.answer(body)
            if not isinstance(answer, HttpError):
                self.send(200, answer if "choices" in answer else completion(answer, body))
            elif answer.status:
                self.send(answer.status, answer.body, answer.headers)
            else:
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that has gone is no error."""

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
