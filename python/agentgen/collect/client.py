"""Chat completions of an OpenAI-compatible server: requests, retries, and what servers do differently."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from agentgen.errors import AgentgenError
from agentgen.replay.urls import PATHS, base_url, page, shown
from agentgen.text.format import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

TOO_MANY, TIMEOUT = 429, 408
FIRST_ERROR, FIRST_SERVER_ERROR = 400, 500
TRIES = 6
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
MAX_MESSAGE = 300  # characters of a server's message that are shown
# Fields that not every server takes: what is sent instead of one that is refused by its name; None for nothing.
REPLACED = {"max_tokens": "max_completion_tokens", "tool_choice": None, "seed": None, "response_format": None}


class RequestFailedError(AgentgenError):
    """A request has no answer after all tries."""


class RequestRefusedError(AgentgenError):
    """The server refuses a request, and would refuse it again.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class ToolCall:
    """A tool call of an answer, as the server sent it; with an id of ours if it has none."""

    name: str
    arguments: Any
    id: str


@dataclass(frozen=True)
class Answer:
    """An answer of the model.

    Attributes:
        content: Its text.
        reasoning: Reasoning that the server keeps apart from it.
        tool_calls: Its tool calls.
        message: What the next request repeats.
        finish_reason: Why it ends.
        request_id: The id of the completion.
        input_tokens, output_tokens, cached_tokens: What the server counted, if it says.
        start_ns, end_ns: Begin of the request that was answered and end of its answer, on the monotonic clock.
    """

    content: str | None
    reasoning: str | None
    tool_calls: tuple[ToolCall, ...]
    message: dict[str, Any]
    finish_reason: str | None
    request_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    start_ns: int
    end_ns: int


@dataclass
class ChatClient:
    """A client of one server and model; `async with`.

    Attributes:
        url: URL of the server, with or without the endpoint.
        model: Name of the model.
        api_key: Sent as a bearer token.
        timeout_s: Of one request.
        refused: Fields that the server has refused, which are not sent again.
    """

    url: str
    model: str
    api_key: str | None
    timeout_s: float
    refused: set[str] = field(default_factory=set)
    retries: int = 0
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open connections."""
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self.timeout_s),
            connector=aiohttp.TCPConnector(limit=0),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close connections."""
        assert self._session  # noqa: S101  in `async with`
        await self._session.close()

    async def models(self) -> list[dict[str, Any]]:
        """The models of the server; empty if it does not say.

        Raises:
            RequestFailedError: It cannot be reached.
        """
        assert self._session  # noqa: S101  in `async with`
        try:
            async with self._session.get(page(base_url(self.url), "/models")) as response:
                listed = (await response.json(content_type=None)).get("data")
        except aiohttp.ClientConnectionError as error:
            raise RequestFailedError(f"{shown(self.url)}: {error}") from error
        except (aiohttp.ClientError, TimeoutError, ValueError, AttributeError):
            return []
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []

    async def complete(self, messages: list[dict[str, Any]], fields: Mapping[str, Any], tries: int = TRIES) -> Answer:
        """The model's answer.

        Raises:
            RequestRefusedError: A status of 400 to 499 that trying again does not change.
            RequestFailedError: Not one chat completion after all tries.
        """
        wait_s = FIRST_WAIT_S
        failed = 0
        while True:
            start_ns = time.monotonic_ns()
            body = {"model": self.model, "messages": messages, **self._accepted(fields)}
            status, text, retry_after = await self._post(body)
            if status is not None and status < FIRST_ERROR:
                if (answer := parsed(text, start_ns, time.monotonic_ns())) is not None:
                    return answer
                problem = f"expected a chat completion, found {_message(text)!r}"
            elif status is None:
                problem = text
            else:
                problem = f"HTTP {status}: {_message(text)}"
                if status < FIRST_SERVER_ERROR and status not in {TOO_MANY, TIMEOUT}:
                    name = _refused_field(text, body)
                    if name is None:
                        raise RequestRefusedError(f"{shown(self.url)}: {problem}", status)
                    self.refused.add(name)  # so this ends: each field is refused once
                    continue
            failed += 1
            if failed == tries:
                raise RequestFailedError(f"{shown(self.url)}: {problem} (tried {counted(tries, 'time')})")
            self.retries += 1
            jitter = random.uniform(0.5, 1.0)  # noqa: S311  spreads retries
            await asyncio.sleep(min(LONGEST_WAIT_S, wait_s * jitter if retry_after is None else retry_after))
            wait_s *= 2

    def _accepted(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        accepted = {}
        for name, value in fields.items():
            sent = REPLACED[name] if name in self.refused else name
            if sent is not None:
                accepted[sent] = value
        return accepted

    async def _post(self, body: dict[str, Any]) -> tuple[int | None, str, float | None]:
        """Status, text and the wait that the server asks for; no status and the reason if there is no answer."""
        assert self._session  # noqa: S101  in `async with`
        try:
            async with self._session.post(page(base_url(self.url), PATHS["chat"]), json=body) as response:
                return response.status, await response.text(), _retry_after(response.headers.get("Retry-After"))
        except TimeoutError:
            return None, f"no answer within {self.timeout_s:g} s", None
        except (aiohttp.ClientError, UnicodeDecodeError) as error:
            return None, str(error) or type(error).__name__, None


def _refused_field(text: str, body: Mapping[str, Any]) -> str | None:
    """The field of the request that a refusal names, if another field or none can take its place."""
    message = _message(text)
    return next((name for name in REPLACED if name in body and name in message), None)


def _message(text: str) -> str:
    """The message in an error document, else its text, in one line."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    found = text
    if isinstance(document, dict):
        error = document.get("error", document)
        found = error.get("message", text) if isinstance(error, dict) else str(error)
    return " ".join(str(found).split())[:MAX_MESSAGE] or "no message"


def _retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header, which has seconds or a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def parsed(text: str, start_ns: int, end_ns: int) -> Answer | None:
    """The answer in a chat completion; None if the text is something else."""
    try:
        document = json.loads(text)
        choice = document["choices"][0]
        message = choice["message"]
        content = _text(message.get("content"))
        reasoning = _text(message.get("reasoning_content") or message.get("reasoning"))
        calls = tuple(_call(call) for call in message.get("tool_calls") or ())
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    repeated: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        repeated["tool_calls"] = [_repeated(call) for call in calls]
    return Answer(
        content=content,
        reasoning=reasoning,
        tool_calls=calls,
        message=repeated,
        finish_reason=choice.get("finish_reason"),
        request_id=document.get("id"),
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else None,
        start_ns=start_ns,
        end_ns=end_ns,
    )


def _text(value: Any) -> str | None:
    """A text, or the texts of a list of parts; None if it is empty."""
    if isinstance(value, list):
        value = "".join(part.get("text", "") for part in value if isinstance(part, dict))
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value or None


def _call(call: Any) -> ToolCall:
    function = call["function"]
    return ToolCall(str(function["name"]), function.get("arguments"), str(call.get("id") or f"call_{uuid.uuid4().hex}"))


def _repeated(call: ToolCall) -> dict[str, Any]:
    """The call as the next request has it: with an id, and with arguments that are JSON in a text."""
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments or {})
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        arguments = "{}"  # servers refuse a history with arguments that are no JSON
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
