"""The options of a replay, from flags and from a file: one set of names, rules and defaults."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agentgen._suggest import did_you_mean
from agentgen.config.load import parse
from agentgen.errors import ConfigError
from agentgen.settings import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
MAX_S = 365 * 24 * 3600.0
MAX_WORKERS = 256
MAX_SLOTS = 1_000_000
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # what HTTP allows in a header's name
OURS = {"host", "content-length", "content-type", "transfer-encoding", "connection", "expect", "upgrade", "te"}
SLO = ("ttft", "tpot", "e2e")
FIELDS_OF_OPTIONS = {
    "model": "--model",
    "stream": "--no-stream",
    "messages": "the trace",
    "prompt": "the trace",
}


def seconds(value: Any) -> float:
    """A time: seconds as a number, or a text with a unit, such as `500ms` or `5m`."""
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)?", value.strip())
        if match is None:
            raise ValueError("expected a time such as 500ms, 30s, 5m or 1h")
        value = float(match[1]) * UNITS_S[match[2] or "s"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_S:
        raise ValueError("expected a time such as 500ms, 30s, 5m or 1h")
    return float(value)


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _url(value: str) -> str:
    parts = urlsplit(value)
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise ValueError("expected a port from 1 to 65535")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected an address such as http://127.0.0.1:8000 or https://host/v1")
    if parts.username or parts.password:
        raise ValueError("expected no user or password in the address: the key comes from the environment")
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _header_name(name: str) -> str:
    if not TOKEN.fullmatch(name):
        raise ValueError("expected the name of a header: letters, digits and !#$%&'*+-.^_`|~")
    if name.lower() in OURS:
        raise ValueError("expected a header that is not the client's own business")
    return name


def _header_value(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("expected printable ASCII as a header's value")
    return value


def _request(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"expected a JSON object of request fields ({error.msg})") from None
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object of request fields")  # noqa: TRY004  pydantic takes ValueErrors
    for name, instead in FIELDS_OF_OPTIONS.items():
        if name in value:
            raise ValueError(f"{name}: expected it from {instead}")
    return value


def _slo(value: Any) -> Any:
    if isinstance(value, str):
        pairs = (part.partition("=") for part in value.split(","))
        value = {name.strip(): limit for name, _, limit in pairs}
    if not isinstance(value, dict) or not value or not set(value) <= set(SLO):
        raise ValueError(f"expected limits such as ttft=500ms,tpot=50ms; the names are {', '.join(SLO)}")
    return {name: seconds(limit) for name, limit in value.items()}


Seconds = Annotated[float, BeforeValidator(seconds)]
Whole = Annotated[int, Field(strict=True)]
Count = Annotated[Whole, Field(ge=0, le=2**53)]
HeaderName = Annotated[str, AfterValidator(_header_name)]


class ReplaySettings(BaseModel):
    """The options of `agentgen replay`; a file has the names of the flags with `_` for `-`. Times are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: Annotated[tuple[Annotated[str, AfterValidator(_url)], ...], BeforeValidator(_one_or_more)] = ()
    """Servers; none for the embedded one."""
    model: str | None = None
    """Model to ask for; the server's only one if not stated."""
    endpoint: Literal["chat", "completions"] = "chat"
    """Which of the two APIs."""
    stream: bool = True
    """Answers as streams of events."""
    header: dict[HeaderName, Annotated[str, AfterValidator(_header_value)]] = {}
    """Headers of every request."""
    session_header: Annotated[tuple[HeaderName, ...], BeforeValidator(_one_or_more)] = ("X-Session-ID",)
    """Headers that hold the session's key."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key."""

    history: Literal["live", "trace"] | None = None
    """Whose answers go into the next prompt: the server's, or ones of recorded length."""
    prompt_mode: Literal["text", "token-ids"] = "text"
    """Prompts as words, or as numbers of tokens."""
    tokenizer: str | None = None
    """A `tokenizer.json`, for words of one token each."""
    salt: str | None = None
    """Runs with the same salt send the same text; a new one by default."""
    request_json: Annotated[dict[str, Any], BeforeValidator(_request)] = {}
    """Fields of every request."""
    block_size: Annotated[Whole, Field(ge=1, le=MAX_TOKENS)] | None = None
    """Block size of a trace that does not say."""

    concurrency: Annotated[Whole, Field(ge=1, le=MAX_SLOTS)] | None = None
    """Open sessions of a closed loop."""
    session_rate: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Random arrivals, sessions a second."""
    seed: Count = 42
    """Of the random arrivals."""
    duration: Annotated[Seconds, Field(gt=0)] | None = None
    """No request is issued later."""
    max_sessions: Annotated[Count, Field(ge=1)] | None = None
    """Sessions to play."""
    warmup_sessions: Count = 0
    """Sessions played before, with another salt."""
    delay_scale: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Factor of the trace's delays."""
    max_delay: Seconds | None = None
    """No delay is longer."""
    workers: Annotated[Whole, Field(ge=1, le=MAX_WORKERS)] = 1
    """Processes."""

    connect_timeout: Annotated[Seconds, Field(gt=0)] | None = 10.0
    """For one attempt to connect."""
    first_token_timeout: Annotated[Seconds, Field(gt=0)] | None = None
    """For the first token of a request."""
    timeout: Annotated[Seconds, Field(gt=0)] | None = 3600.0
    """For a whole request."""
    retries: Annotated[Whole, Field(ge=0, le=100)] = 0
    """Of a request refused with 429 or 503 and a Retry-After."""
    grace: Seconds = 30.0
    """For requests in flight when the run is stopped."""

    slo: Annotated[dict[str, float], BeforeValidator(_slo)] | None = None
    """Limits that count for goodput."""

    def effective(self) -> dict[str, Any]:
        """What a result says of its settings: all but the values of headers, which may be secrets."""
        return {**self.model_dump(mode="json"), "header": sorted(self.header)}


def load_settings(file: Path | None, flags: Mapping[str, Any]) -> ReplaySettings:
    """The settings of a file, if there is one, and of flags, which win.

    Raises:
        ConfigError: A name or value that is none, one line for each.
        OSError: The file cannot be read.
    """
    stated = parse(file) if file is not None else {}
    stated |= flags
    source = str(file) if file is not None else None
    try:
        settings = ReplaySettings.model_validate(stated)
    except ValidationError as error:
        (path, rule), *more = (_broken(one) for one in error.errors())
        raise ConfigError(path, rule, None if path in flags else source, tuple(more)) from None
    if settings.concurrency is not None and settings.session_rate is not None:
        raise ConfigError("concurrency, session_rate", "found both, expected one: a closed loop or random arrivals")
    return settings


def _broken(error: Any) -> tuple[str, str]:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return path, f"no such option{did_you_mean(path, ReplaySettings.model_fields)}"
    rule = error["msg"].removeprefix("Value error, ")
    rule = rule if rule.startswith(("expected", *FIELDS_OF_OPTIONS)) else f"expected {rule[0].lower()}{rule[1:]}"
    return path, f"found {json.dumps(error['input'], default=str)[:60]}, {rule}"
