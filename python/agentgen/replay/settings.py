"""The options of a replay, from flags and from a settings file: one set of names, rules and defaults."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agentgen._native import MAX_BODY_BYTES, MAX_TOKENS
from agentgen._suggest import did_you_mean
from agentgen.config.load import parse
from agentgen.errors import ConfigError, ReplayError
from agentgen.replay import urls, values
from agentgen.replay.route import Access, shown_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

MAX_WORKERS = 256
MAX_SLOTS = 1_000_000
MAX_RATE = 1e6
MAX_COUNT = 2**53
MIN_ANSWER_BYTES = 1024
ENVIRONMENT = re.compile(r"[A-Z_][A-Z0-9_]*")
MAX_SHOWN = 60  # characters of a value in a message
FLAGS = {"stream": "--no-stream", "from_": "--from"}  # all other flags have the name of their setting
# What is expected, by the error types of pydantic.
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
    """The options of `agentgen replay`; a file uses the names of the flags with `_` for `-`. Times are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_by_name=True)

    url: Annotated[
        tuple[Annotated[str, AfterValidator(urls.server_url)], ...],
        BeforeValidator(values.one_or_more),
        AfterValidator(urls.distinct),
    ] = ()
    """URLs of the servers, with or without the endpoint; none for the embedded server."""
    model: str | None = None
    """Model name in requests; by default the server's only model."""
    endpoint: Literal["chat", "completions", "responses", "messages"] = "chat"
    """API path of requests."""
    stream: bool = True
    """Stream responses as server-sent events."""
    header: Annotated[
        dict[HeaderName, Annotated[str, AfterValidator(values.header_value)]], AfterValidator(values.distinct_headers)
    ] = {}
    """Headers of every request."""
    session_header: Annotated[
        tuple[HeaderName, ...], BeforeValidator(values.one_or_more), AfterValidator(values.distinct_headers)
    ] = ("X-Session-ID",)
    """Names of the headers that hold the session's key."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable with the API key."""
    proxy: Annotated[str, AfterValidator(values.proxy)] = "none"
    """HTTP proxy: its URL, `env` for that of the environment's variables, or `none`."""
    ca_file: str | None = None
    """File with the certificates of accepted authorities; by default the system's."""
    insecure: bool = False
    """Accept any certificate."""
    skip_checks: bool = False
    """Ask the servers neither for their models nor for what requests they accept."""

    history: Literal["live", "recorded"] | None = None
    """Earlier answers in prompts: those of the server, or recorded ones (for hash ids, text of the recorded length)."""
    prompt_mode: Literal["text", "token-ids"] = "text"
    """Prompts as words or as token ids."""
    tokenizer: str | None = None
    """The model's `tokenizer.json`, to find words of one token each."""
    salt: str | None = None
    """Replays with the same salt send the same text; random by default."""
    request_json: Annotated[dict[str, Any], BeforeValidator(values.request_fields)] = {}
    """Fields to add to every request or replace; `null` drops one."""
    reasoning: Literal["drop", "keep", "in-tool-turns"] | None = None
    """Reasoning of earlier answers in prompts; by default what the server's kind reads."""
    max_tokens_field: Literal["auto", "max_tokens", "max_completion_tokens", "both", "none"] = "auto"
    """Field that limits the tokens of an answer; `auto` takes one that the servers accept."""
    trace_block_size: Annotated[int, BeforeValidator(values.whole(1, MAX_TOKENS))] | None = None
    """Tokens per hash id, if the trace does not state it."""

    concurrency: Annotated[int, BeforeValidator(values.whole(1, MAX_SLOTS))] | None = None
    """Open sessions of a closed loop."""
    session_rate: Annotated[float, BeforeValidator(values.number(MAX_RATE, above_0=True))] | None = None
    """Random arrivals: sessions per second on average."""
    seed: Count = 42
    """Seed of the random arrivals."""
    ramp_up: Seconds | None = None
    """Time over which the first sessions of a closed loop start, one after the other."""
    from_: Annotated[Seconds | None, Field(alias="from")] = None
    """First arrival to play, after the trace's earliest one."""
    until: PositiveSeconds | None = None
    """Arrivals from this time on are not played."""
    sample: Annotated[float, BeforeValidator(values.share)] | None = None
    """Share of the sessions to play, each with all that are linked to it."""
    too_long: Literal["refuse", "skip-session", "truncate-session"] = "refuse"
    """What becomes of sessions with a request that is longer than the servers take."""
    duration: PositiveSeconds | None = None
    """Time after which no request is issued."""
    max_sessions: Annotated[int, BeforeValidator(values.whole(1, MAX_COUNT))] | None = None
    """Largest number of sessions to play."""
    warmup_sessions: Count = 0
    """Sessions of the warm-up, which has its own salt."""
    time_scale: Annotated[float, BeforeValidator(values.number(MAX_RATE, above_0=False))] = 1.0
    """Factor of the trace's arrivals, recorded times and delays."""
    max_delay: Seconds | None = None
    """Longest delay after scaling."""
    workers: Annotated[int, BeforeValidator(values.whole(1, MAX_WORKERS))] = 1
    """Number of processes."""

    connect_timeout: PositiveSeconds | None = 10.0
    """Time limit of one connection attempt."""
    first_token_timeout: PositiveSeconds | None = None
    """Time limit of a request's first token."""
    timeout: PositiveSeconds | None = 3600.0
    """Time limit of a whole request."""
    max_answer: Annotated[int, BeforeValidator(values.size(MIN_ANSWER_BYTES, MAX_COUNT))] = MAX_BODY_BYTES
    """Largest body of a response, bytes."""
    retries: Annotated[int, BeforeValidator(values.whole(0, 100))] = 0
    """How often a request is sent again after HTTP 429 or 5xx, or without a connection."""
    grace: Seconds = 30.0
    """Time for requests in flight to finish when the run stops."""

    slo: Annotated[dict[str, float], BeforeValidator(values.limits)] | None = None
    """Time limits of requests that count for goodput."""

    @property
    def servers(self) -> tuple[str, ...]:
        """Base URLs of the servers, without an endpoint."""
        return tuple(map(urls.base_url, self.url))

    @property
    def access(self) -> Access:
        """How the servers are reached."""
        return Access(self.proxy, self.ca_file, self.insecure)

    def effective_history(self, kind: str) -> Literal["live", "recorded"]:
        """`history`, or its default for a kind of trace.

        Prompts of token ids cannot hold the server's answers, which are text. The embedded server knows no tools, so a
        recorded conversation cannot go on from its answers.
        """
        is_recorded = self.prompt_mode == "token-ids" or (kind == "messages" and not self.url)
        return self.history or ("recorded" if is_recorded else "live")

    def to_json(self) -> dict[str, Any]:
        """The settings in `summary.json`: without values that may be secrets."""
        hidden = {"header": sorted(self.header), "proxy": shown_proxy(self.proxy), "url": [*map(urls.shown, self.url)]}
        return {**self.model_dump(mode="json", by_alias=True), **hidden}

    def api_key(self) -> str | None:
        """The API key from the environment; None if it is not set."""
        return os.environ.get(self.api_key_env) or None


def load_settings(
    file: Path | None, flags: Mapping[str, Any], *, place: Callable[[str], str] | None = None
) -> ReplaySettings:
    """Combine the settings of a file, if there is one, and of flags, which take precedence.

    `place` names a setting in messages (default: the flag, or the file and its key).

    Raises:
        ReplayError: An unknown name, an invalid value, or values that exclude each other.
        OSError: The file cannot be read.
    """
    stated: dict[str, Any] = {}
    if file is not None:
        try:
            stated = parse(file)
        except ConfigError as error:  # the file holds options, not a configuration
            raise ReplayError(str(error)) from None
    in_file = {str(name) for name in stated} - set(flags)
    stated |= flags

    if place is None:

        def place(name: str) -> str:
            return f"{file}: {name}" if name in in_file else FLAGS.get(name, f"--{name.replace('_', '-')}")

    try:
        settings = ReplaySettings.model_validate(stated)
    except ValidationError as error:
        found = ((place(str(one["loc"][0])), _broken(one)) for one in error.errors())
        raise ReplayError("; ".join(f"{where}: {rule}" for where, rule in found)) from None
    problem = next(_contradictions(settings), None)
    if problem is not None:
        names, text = problem
        raise ReplayError(f"{', '.join(map(place, names))}: {text}")
    return settings


def _contradictory_load(settings: ReplaySettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Settings of the load that exclude each other."""
    if settings.concurrency is not None and settings.session_rate is not None:
        yield ("concurrency", "session_rate"), "found both, expected one: a closed loop or random arrivals"
    if settings.until is not None and settings.until <= (settings.from_ or 0.0):
        yield ("from_", "until"), "found a window of time without an arrival, expected --until after --from"
    if settings.ramp_up is not None and settings.session_rate is not None:
        yield ("ramp_up", "session_rate"), "found both, expected one: arrivals have times of their own"


def _contradictions(settings: ReplaySettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Settings that exclude each other, with what was found and expected."""
    yield from _contradictory_load(settings)
    for name in settings.header:
        if name.lower() in {other.lower() for other in settings.session_header}:
            held = f"found {name}, which holds the session's key, expected another name (see --session-header)"
            yield ("header",), held
    for url in settings.url:
        if (named := urls.endpoint_of(url)) not in {None, settings.endpoint}:
            yield ("url",), f"found {urls.shown(url)}, expected --endpoint {named} or the URL of another endpoint"
    if settings.insecure and settings.ca_file is not None:
        yield ("insecure", "ca_file"), "found both, expected one of them"
    if settings.skip_checks and settings.url and settings.model is None:
        yield ("skip_checks",), "found no --model, expected the model's name: the servers are not asked for it"
    if (problem := _bad_key(settings)) is not None:
        yield ("api_key_env",), problem


def _broken(error: Any) -> str:
    """What was found, unless it may be a secret, and what was expected."""
    name, *within = (str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"no such option{did_you_mean(name, ReplaySettings.model_fields)}"
    rule = error["msg"].removeprefix("Value error, ")
    if error["type"] in EXPECTED:
        rule = f"expected {EXPECTED[error['type']].format(**error.get('ctx', {}))}"
    if name == "header":
        if "[key]" in within:  # a misplaced colon may have put the value into the name
            return f"found a name that is not shown, {rule}" if " " in within[0] else f"found {within[0]!r}, {rule}"
        return f"found a value of {within[0]} that is not shown, {rule}" if within else rule
    if name == "request_json":
        return f"found a value that is not shown, {rule}"
    if name in {"url", "proxy"} and set("@?") & set(str(error["input"])):
        return f"found a URL that is not shown, {rule}"
    found = json.dumps(error["input"], default=str, ensure_ascii=False)
    return f"found {found if len(found) <= MAX_SHOWN else found[: MAX_SHOWN - 3] + '...'}, {rule}"


def _bad_key(settings: ReplaySettings) -> str | None:
    """What is wrong with the API key; if its variable was named, it has to be set."""
    name, key = settings.api_key_env, settings.api_key()
    if key is None and "api_key_env" in settings.model_fields_set:
        shown = name if ENVIRONMENT.fullmatch(name) else "a name that is not shown"  # it may be the key itself
        return f"found {shown}, which is not set or empty, expected the environment variable that holds the key"
    if key is not None and settings.url and not values.is_header_value(key):
        return f"found a line break or other characters in {name} (not shown), expected a key of printable ASCII"
    return None
