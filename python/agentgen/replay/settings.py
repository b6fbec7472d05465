"""The options of a replay, from flags and from a file: one set of names, rules and defaults."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from agentgen._suggest import did_you_mean
from agentgen.config.load import parse
from agentgen.errors import ConfigError, ReplayError
from agentgen.replay import values
from agentgen.settings import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_WORKERS = 256
MAX_SLOTS = 1_000_000
MAX_RATE = 1e6
MAX_COUNT = 2**53
ENVIRONMENT = re.compile(r"[A-Z_][A-Z0-9_]*")
SHOWN = 60  # characters of a value in a message
FLAGS = {"stream": "--no-stream"}  # the others have the name of their setting
# What pydantic finds by itself, and what is expected instead.
EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "names with a value each",
    "invalid_key": "the name of an option",
    "literal_error": "{expected}",
    "string_type": "a text",
    "tuple_type": "a list of texts",
}

Seconds = Annotated[float, BeforeValidator(values.seconds)]
PositiveSeconds = Annotated[float, BeforeValidator(values.positive_seconds)]
Count = Annotated[int, BeforeValidator(values.whole(0, MAX_COUNT))]
HeaderName = Annotated[str, AfterValidator(values.header_name)]


class ReplaySettings(BaseModel):
    """The options of `agentgen replay`; a file has the names of the flags with `_` for `-`. Times are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: Annotated[
        tuple[Annotated[str, AfterValidator(values.address)], ...],
        BeforeValidator(values.one_or_more),
        AfterValidator(values.distinct),
    ] = ()
    """Servers; none for the embedded one."""
    model: str | None = None
    """Model to ask for; the server's only one if not stated."""
    endpoint: Literal["chat", "completions"] = "chat"
    """Which of the two APIs."""
    stream: bool = True
    """Answers as streams of events."""
    header: Annotated[
        dict[HeaderName, Annotated[str, AfterValidator(values.header_value)]], AfterValidator(values.distinct_headers)
    ] = {}
    """Headers of every request."""
    session_header: Annotated[
        tuple[HeaderName, ...], BeforeValidator(values.one_or_more), AfterValidator(values.distinct_headers)
    ] = ("X-Session-ID",)
    """Headers that hold the session's key."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key."""

    history: Literal["live", "recorded"] | None = None
    """Whose answers go into the next prompt: the server's, or ones of recorded length."""
    prompt_mode: Literal["text", "token-ids"] = "text"
    """Prompts as words, or as numbers of tokens."""
    tokenizer: str | None = None
    """A `tokenizer.json`, for words of one token each."""
    salt: str | None = None
    """Runs with the same salt send the same text; a new one by default."""
    request_json: Annotated[dict[str, Any], BeforeValidator(values.request_fields)] = {}
    """Fields of every request."""
    trace_block_size: Annotated[int, BeforeValidator(values.whole(1, MAX_TOKENS))] | None = None
    """Block size of a trace that does not say."""

    concurrency: Annotated[int, BeforeValidator(values.whole(1, MAX_SLOTS))] | None = None
    """Open sessions of a closed loop."""
    session_rate: Annotated[float, BeforeValidator(values.number(MAX_RATE, above_0=True))] | None = None
    """Random arrivals, sessions a second."""
    seed: Count = 42
    """Of the random arrivals."""
    duration: PositiveSeconds | None = None
    """No request is issued later."""
    max_sessions: Annotated[int, BeforeValidator(values.whole(1, MAX_COUNT))] | None = None
    """Sessions to play."""
    warmup_sessions: Count = 0
    """Sessions played before, with another salt."""
    delay_scale: Annotated[float, BeforeValidator(values.number(MAX_RATE, above_0=False))] = 1.0
    """Factor of the trace's delays."""
    max_delay: Seconds | None = None
    """No delay is longer."""
    workers: Annotated[int, BeforeValidator(values.whole(1, MAX_WORKERS))] = 1
    """Processes."""

    connect_timeout: PositiveSeconds | None = 10.0
    """For one attempt to connect."""
    first_token_timeout: PositiveSeconds | None = None
    """For the first token of a request."""
    timeout: PositiveSeconds | None = 3600.0
    """For a whole request."""
    retries: Annotated[int, BeforeValidator(values.whole(0, 100))] = 0
    """Of a request refused with 429 or 503 and a Retry-After."""
    grace: Seconds = 30.0
    """For requests in flight when the run is stopped."""

    slo: Annotated[dict[str, float], BeforeValidator(values.limits)] | None = None
    """Limits that count for goodput."""

    def effective(self) -> dict[str, Any]:
        """What a result says of its settings: all but the values of headers, which may be secrets."""
        return {**self.model_dump(mode="json"), "header": sorted(self.header)}

    def api_key(self) -> str | None:
        """The key of the environment, if it holds one."""
        return os.environ.get(self.api_key_env) or None


def load_settings(file: Path | None, flags: Mapping[str, Any]) -> ReplaySettings:
    """The settings of a file, if there is one, and of flags, which win.

    Raises:
        ReplayError: A name or value that is none, or values that exclude one another.
        OSError: The file cannot be read.
    """
    stated: dict[str, Any] = {}
    if file is not None:
        try:
            stated = parse(file)
        except ConfigError as error:  # of options, not of a trace
            raise ReplayError(str(error)) from None
    in_file = {str(name) for name in stated} - set(flags)
    stated |= flags

    def place(name: str) -> str:
        """The option as it was typed, or the file and the key in it."""
        return f"{file}: {name}" if name in in_file else FLAGS.get(name, f"--{name.replace('_', '-')}")

    try:
        settings = ReplaySettings.model_validate(stated)
    except ValidationError as error:
        found = ((place(str(one["loc"][0])), _broken(one)) for one in error.errors())
        raise ReplayError("; ".join(f"{where}: {rule}" for where, rule in found)) from None
    if settings.concurrency is not None and settings.session_rate is not None:
        both = f"{place('concurrency')}, {place('session_rate')}"
        raise ReplayError(f"{both}: found both, expected one: a closed loop or random arrivals")
    for name in settings.header:
        if name.lower() in {other.lower() for other in settings.session_header}:
            held = f"found {name}, which holds the session's key, expected another (--session-header renames that)"
            raise ReplayError(f"{place('header')}: {held}")
    if (problem := _bad_key(settings)) is not None:
        raise ReplayError(f"{place('api_key_env')}: {problem}")
    return settings


def _broken(error: Any) -> str:
    """What was found, unless that may be a secret, and what was expected."""
    name, *within = (str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"no such option{did_you_mean(name, ReplaySettings.model_fields)}"
    rule = error["msg"].removeprefix("Value error, ")
    if error["type"] in EXPECTED:
        rule = f"expected {EXPECTED[error['type']].format(**error.get('ctx', {}))}"
    if name == "header":
        if "[key]" in within:  # without a colon in its place it may hold the value
            return f"found a name that is not shown, {rule}" if " " in within[0] else f"found {within[0]!r}, {rule}"
        return f"found a value of {within[0]} that is not shown, {rule}" if within else rule
    if name == "request_json":
        return f"found a value that is not shown, {rule}"
    if name == "url" and set("@?") & set(str(error["input"])):
        return f"found an address that is not shown, {rule}"
    found = json.dumps(error["input"], default=str, ensure_ascii=False)
    return f"found {found if len(found) <= SHOWN else found[: SHOWN - 3] + '...'}, {rule}"


def _bad_key(settings: ReplaySettings) -> str | None:
    """What is wrong with the key of the environment: if its name was stated, it has to be there."""
    name, key = settings.api_key_env, settings.api_key()
    if key is None and "api_key_env" in settings.model_fields_set:
        shown = name if ENVIRONMENT.fullmatch(name) else "a name that is not shown"  # it may be the key itself
        return f"found {shown}, which is not set or empty, expected the environment variable that holds the key"
    if key is not None and settings.url and not values.is_header_value(key):
        return f"found a line break or other characters in {name} (not shown), expected a key of printable ASCII"
    return None
