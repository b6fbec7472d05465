"""Fakes of the compiled classes that a worker uses: sessions of equal shape, an answer parser, records as JSON.

The trace is a JSON file with `sessions`, `turns`, `words` (new words per turn), `output`, and optionally `delay_ms` and
`defect` (session and turn of a request that raises an internal error).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentgen.replay.records import RequestRecord, SessionRecord


class ReplayRequest:
    stream = True

    def __init__(self, body: bytes, turn: int, context: int, new: int, output: int) -> None:
        self.body = body
        self.turn = turn
        self.context_tokens = context
        self.input_tokens = new
        self.output_tokens = output


class ReplaySession:
    def __init__(self, number: int, trace: dict[str, Any], options: dict[str, Any]) -> None:
        self.number = number
        self.key = f"s{number}"
        self.turns = trace["turns"]
        self.start_ms = 0.0
        self.parent: int | None = None
        self._trace = trace
        self._options = options
        self._turn = 0
        self._messages: list[dict[str, str]] = []

    def at_ms(self) -> float | None:
        return None

    def delay_ms(self) -> float:
        return float(self._trace.get("delay_ms", 0)) if self._turn else 0.0

    def request(self) -> ReplayRequest:
        words, output = self._trace["words"], self._trace["output"]
        if [self.number, self._turn] == self._trace.get("defect"):
            raise RuntimeError("a defect")
        text = " ".join(f"{self._options.get('salt', '')}{self.number}.{self._turn}.{word}" for word in range(words))
        self._messages.append({"role": "user", "content": text})
        body = {
            "model": "m",
            "stream": True,
            "max_completion_tokens": output,
            "messages": self._messages,
            **self._options.get("request", {}),
        }
        context = (self._turn + 1) * words + self._turn * output
        request = ReplayRequest(json.dumps(body).encode(), self._turn, context, words, output)
        self._turn += 1
        return request

    def answered(self, answer: Answer) -> None:
        self._messages.append({"role": "assistant", "content": answer.text})

    def over(self) -> None:
        pass


class ReplaySource:
    has_bundles = False

    def __init__(self, path: str, options: str, worker: int = 0, workers: int = 1) -> None:
        self._trace = json.loads(Path(path).read_text(encoding="utf-8"))
        self._options = json.loads(options)
        self._numbers = iter(range(worker, self._trace["sessions"], workers))

    def next(self) -> ReplaySession | None:
        number = next(self._numbers, None)
        return None if number is None else ReplaySession(number, self._trace, self._options)


class Secrets:
    """Removes nothing."""

    def __init__(self, values: list[str]) -> None:
        self.line = str


class Answer:
    """Parses event streams of complete `data:` lines."""

    def __init__(
        self, endpoint: str = "chat", stream: bool = True, *, max_bytes: int = 0, secrets: Secrets | None = None
    ) -> None:
        self._buffer = b""
        self._ended = False
        self.failure: str | None = None
        self.message = ""
        self.first_token_ns: int | None = None
        self.text = ""

    def feed(self, data: bytes, stamp_ns: int) -> bool:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if "error" in event:
                    self.failure, self.message = "server_error", event["error"]["message"]
                for choice in event.get("choices", []):
                    if choice["delta"].get("content"):
                        self.first_token_ns = self.first_token_ns or stamp_ns
                        self.text += choice["delta"]["content"]
            elif line.startswith(b"data: [DONE]"):
                self._ended = True
        return True

    def end(self, end: str, stamp_ns: int) -> None:
        if not (self._ended and end != "lost") and self.failure is None:
            self.failure = "stream_truncated"


class Recorder:
    def __init__(self, path: str, worker: int) -> None:
        self._file = Path(path).open("w", encoding="utf-8", buffering=1)

    def request(self, record: RequestRecord, answer: Answer | None) -> None:
        message = record.get("message") or (answer.message if answer else "")
        self._file.write(json.dumps({**record, "message": message}) + "\n")

    def session(self, record: SessionRecord) -> None:
        self._file.write(json.dumps(record) + "\n")

    def loop_lag(self, late_ns: int) -> None:
        pass

    def close(self) -> None:
        self._file.close()
