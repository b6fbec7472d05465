"""Stands in for a model: an OpenAI-compatible server that answers by the JSON Schema of a request, and knows nothing.

    python model.py PORT

returns when the server listens; the server ends after two minutes without a request.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

IDLE_S = 120
HOST = "127.0.0.1"


def value(schema: dict[str, Any], name: str, seed: int) -> Any:
    """Something that fits; another seed may give something else."""
    if "enum" in schema:
        return schema["enum"][seed % 7 // 6 if name == "score" else seed % 2]
    if schema["type"] == "object":
        return {key: value(part, key, seed // 3 + len(key)) for key, part in schema["properties"].items()}
    if schema["type"] == "array":
        return [value(schema["items"], name, seed)]
    return f"{name.replace('_', ' ')} {seed % 10_000}"


class Handler(BaseHTTPRequestHandler):
    """One request after the other."""

    protocol_version = "HTTP/1.1"
    last_s = time.monotonic()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """The list of models."""
        self.answer({"object": "list", "data": [{"id": "stand-in", "object": "model", "max_model_len": 32_768}]})

    def do_POST(self) -> None:
        """A chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = json.dumps(body["messages"])
        seed = int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16)
        content = json.dumps(value(body["response_format"]["json_schema"]["schema"], "answer", seed))
        message = {"role": "assistant", "content": content}
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(content) // 4}
        self.answer({"choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": usage})

    def answer(self, document: dict[str, Any]) -> None:
        """Send JSON."""
        Handler.last_s = time.monotonic()
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def serve(port: int) -> None:
    """Serve until nobody asks any more."""
    server = ThreadingHTTPServer((HOST, port), Handler)
    server.timeout = 1
    while time.monotonic() - Handler.last_s < IDLE_S:
        server.handle_request()


def main() -> None:
    """Start a server, unless one is there."""
    port = int(sys.argv[1])
    if sys.argv[2:] == ["serve"]:
        serve(port)
        return
    for attempt in range(200):
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            if attempt == 0:
                command = [sys.executable, __file__, str(port), "serve"]
                quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                subprocess.Popen(command, start_new_session=True, **quiet)  # noqa: S603  this file
            time.sleep(0.05)
        else:
            return
    sys.exit(f"no server on port {port}")


if __name__ == "__main__":
    main()
