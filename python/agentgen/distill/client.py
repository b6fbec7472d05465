"""Calls of an OpenAI-compatible server's chat completions, repeated while the server is busy or away."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import aiohttp

from agentgen.distill.limiter import Limiter
from agentgen.errors import AgentgenError
from agentgen.replay.urls import PATHS, base_url, page, secrets, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentgen.distill.settings import Endpoint

Message = dict[str, str]

MAX_BODY_BYTES = 16 << 20
MAX_MESSAGE = 300  # characters of a server's message
CONNECT_S = 10.0
BUSY = {429, 503, 529}  # the server asks for fewer calls
AGAIN = {408, 409, 500, 502, 504} | BUSY
MOST_TRIES = 6
MOST_BUSY_TRIES = 30
MOST_GIVEN_UP = 3  # calls in a row, until the server counts as away
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
LONGEST_RETRY_AFTER_S = 600.0
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, BUSY_STATUS = 200, 401, 403, 404, 429


class RefusedError(AgentgenError):
    """The server refuses a call and would refuse it again, or did so too often.

    Attributes:
        status: The HTTP status; 0 if there was no response.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(": ".join(part for part in (f"HTTP {status}" if status else "", message) if part))
        self.status = status


class UnavailableError(AgentgenError):
    """The server does not answer, or refuses every call: no further one is worth a try."""


@dataclass(frozen=True)
class Reply:
    """An answer of a model.

    Attributes:
        content: Its text.
        is_cut: Whether it ended at a limit of tokens.
        prompt_tokens: Tokens of the prompt, as the server counts them.
        cached_tokens: Those found in a cache.
        completion_tokens: Tokens of the answer.
        duration_ms: From sending the request to the last byte.
    """

    content: str
    is_cut: bool
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    duration_ms: float


class ChatClient:
    """A model on a server.

    Attributes:
        endpoint: Where and which.
        retries: Requests that were repeated.
    """

    def __init__(self, endpoint: Endpoint, *, concurrency: int, timeout_s: float, fields: dict[str, Any]) -> None:
        self.endpoint = endpoint
        self.retries = 0
        self._limiter = Limiter(concurrency)
        self._fields = fields
        self._url = page(base_url(endpoint.url), PATHS["chat"])
        self._has_answered = False
        self._given_up = 0  # calls since the last answer
        key = endpoint.api_key()
        self._secrets = sorted({*secrets(endpoint.url), *([key] if key else [])}, key=len, reverse=True)
        self._session = session(endpoint, timeout_s)

    @property
    def in_flight(self) -> int:
        """Calls in flight."""
        return self._limiter.in_flight

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def ask(self, messages: Sequence[Message], response_format: dict[str, Any] | None) -> Reply:
        """Send one request until it is answered.

        Raises:
            RefusedError: The server will not answer this request.
            UnavailableError: It answers none.
        """
        body: dict[str, Any] = {"model": self.endpoint.model, "messages": list(messages)}
        if response_format is not None:
            body["response_format"] = response_format
        body |= self._fields
        data = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
        tries = busy = 0
        while True:
            async with self._limiter.slot() as began_s:
                outcome = await self._send(data)
                if isinstance(outcome, Reply):
                    self._has_answered, self._given_up = True, 0
                    self._limiter.succeeded()
                    return outcome
                status, message, after_s = outcome
                self._check(status, message)
                is_busy = status in BUSY
                tries, busy = tries + (not is_busy), busy + is_busy
                if tries >= MOST_TRIES or busy >= MOST_BUSY_TRIES:
                    self._give_up(status, f"{message} ({tries + busy} tries)")
                wait_s = _wait_s(tries + busy, after_s)
                if is_busy:
                    self._limiter.refused(began_s, wait_s)
            self.retries += 1
            await asyncio.sleep(wait_s)

    def _give_up(self, status: int, message: str) -> NoReturn:
        """Fail a call that was repeated often enough; the run, too, if nothing is answered any more."""
        self._given_up += 1
        error = RefusedError(status, message)
        if self._given_up >= MOST_GIVEN_UP or not self._has_answered:
            raise UnavailableError(f"{shown(self.endpoint.url)}: {error}")
        raise error

    def _check(self, status: int, message: str) -> None:
        """Raise for a status that another request cannot change."""
        place = shown(self.endpoint.url)
        if status in {UNAUTHORIZED, FORBIDDEN}:
            name = self.endpoint.api_key_env
            raise UnavailableError(f"{place}: HTTP {status}: {message} (the API key is that of {name})")
        if status == NOT_FOUND and not self._has_answered:
            raise UnavailableError(
                f"{place}: HTTP {status}: {message}; expected a server of chat completions that has "
                f"the model {self.endpoint.model!r}"
            )
        if status == BUSY_STATUS and "insufficient_quota" in message:
            raise UnavailableError(f"{place}: HTTP {status}: {message}")
        if status and status not in AGAIN:
            raise RefusedError(status, message)

    async def _send(self, data: bytes) -> Reply | tuple[int, str, float | None]:
        """One request: the answer, or status (0 without one), message and seconds to wait."""
        started = monotonic()
        try:
            headers = {"Content-Type": "application/json"}
            async with self._session.post(self._url, data=data, headers=headers, allow_redirects=False) as response:
                body = await _read(response)
                if response.status != OK:
                    after_s = _retry_after_s(response.headers.get("Retry-After"))
                    return response.status, self._message(body, response), after_s
        except TimeoutError:
            return 0, "no answer within the time limit", None
        except (aiohttp.ClientError, OSError) as error:
            return 0, self._line(_reason(error)), None
        try:
            return _reply(body, 1000 * (monotonic() - started))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return 0, "the response is no chat completion", None

    def _message(self, body: bytes, response: aiohttp.ClientResponse) -> str:
        """What the server says in a response without an answer."""
        if target := response.headers.get("Location"):
            return self._line(f"a redirect to {target}")
        text = body.decode("utf-8", "replace")
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
            error = found.get("error", found) if isinstance(found, dict) else found
            if isinstance(error, dict):
                parts = [str(error[name]) for name in ("message", "detail", "code") if error.get(name)]
                text = " ".join(parts) or text
            elif isinstance(error, str):
                text = error
        return self._line(text)

    def _line(self, text: str) -> str:
        """A server's text as one short line without our keys."""
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        words = " ".join(text.split())
        return words if len(words) <= MAX_MESSAGE else f"{words[: MAX_MESSAGE - 1]}…"


def session(endpoint: Endpoint, timeout_s: float) -> aiohttp.ClientSession:
    """Connections to a server: through the proxy of the environment, unless the server is on this machine."""
    headers = {"Authorization": f"Bearer {key}"} if (key := endpoint.api_key()) else {}
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S),
        headers=headers,
        trust_env=not _is_loopback(urlsplit(endpoint.url).hostname or ""),
        auto_decompress=True,
    )


async def models(endpoint: Endpoint, timeout_s: float) -> list[dict[str, Any]]:
    """The models that a server lists; none where it has no such list.

    Raises:
        UnavailableError: The server does not answer.
    """
    place = shown(endpoint.url)
    try:
        async with (
            session(endpoint, timeout_s) as opened,
            opened.get(page(base_url(endpoint.url), "/models"), allow_redirects=False) as response,
        ):
            body = await _read(response)
            if response.status in {UNAUTHORIZED, FORBIDDEN}:
                name = endpoint.api_key_env
                raise UnavailableError(f"{place}: HTTP {response.status} (the API key is that of {name})")
            found = json.loads(body)["data"] if response.status == OK else []
    except TimeoutError:
        raise UnavailableError(f"{place}: found no server (no answer within {timeout_s:.0f} s)") from None
    except (aiohttp.ClientError, OSError) as error:
        raise UnavailableError(f"{place}: found no server ({_reason(error)})") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("id"), str)]


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """A body, up to a limit."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise aiohttp.ClientPayloadError(f"a body of more than {MAX_BODY_BYTES:,} bytes")
    return bytes(body)


def _reply(body: bytes, duration_ms: float) -> Reply:
    data = json.loads(body)
    choice = data["choices"][0]
    content = choice["message"].get("content")
    if isinstance(content, list):  # parts, as some servers answer
        content = "".join(part.get("text") or "" for part in content)
    usage = data.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    return Reply(
        content=content if isinstance(content, str) else "",
        is_cut=choice.get("finish_reason") == "length",
        prompt_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_count(details.get("cached_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        duration_ms=round(duration_ms, 3),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0


def _wait_s(tries: int, after_s: float | None) -> float:
    """How long to wait before another try: as the server says, else twice as long each time, and not in step."""
    if after_s is not None:
        return min(after_s, LONGEST_RETRY_AFTER_S)
    longest: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (tries - 1))
    return longest * random.uniform(0.5, 1)  # noqa: S311  no secret


def _retry_after_s(value: str | None) -> float | None:
    """Seconds or a date, as HTTP has them."""
    if value is None:
        return None
    with suppress(ValueError):
        seconds = float(value)
        return max(0.0, seconds) if seconds < float("inf") else None
    with suppress(ValueError, TypeError, OverflowError):
        then = parsedate_to_datetime(value)
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        return max(0.0, (then - datetime.now(UTC)).total_seconds())
    return None


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
