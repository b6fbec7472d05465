"""Prepares a replay: reads the trace, starts the embedded server if no other is named, and checks that all fits."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentgen import _native
from agentgen.errors import ReplayError
from agentgen.replay import preflight, urls, values
from agentgen.replay.route import Access, environment_proxy, proxy_secrets
from agentgen.replay.server_info import ServerInfo
from agentgen.replay.tokenizer_words import single_token_words
from agentgen.replay.trace_validity import trace_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentgen.replay.preflight import ReplaySpec
    from agentgen.replay.settings import ReplaySettings

# For a trace that does not state a block size; vLLM's default.
DEFAULT_BLOCK_TOKENS = 16
# The embedded server serves this client only.
UNLIMITED = {"max_body_bytes": 2**40, "max_connections": 2**20}
ANTHROPIC_HEADERS = {"anthropic-version": "2023-06-01"}
PUBLIC_HEADERS = {"User-Agent": f"agentgen/{_native.__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class PreparedReplay:
    """A replay that has passed its checks.

    Attributes:
        trace: Path of the trace.
        spec: What the replay will do.
        urls: Base URLs of the servers.
        access: How they are reached.
        headers: Headers of every request, API key included.
        secrets: The values of `headers` that nothing may store or show.
        servers: Asks the servers.
        embedded: The server is the embedded one.
        words: Words of one token each in the server's tokenizer; None for built-in English words.
        prompt_lengths: How exact the prompts' lengths are, for `summary.json`.
    """

    trace: Path
    spec: ReplaySpec
    urls: tuple[str, ...]
    access: Access
    headers: Mapping[str, str]
    secrets: tuple[str, ...]
    servers: ServerInfo
    embedded: bool
    words: Sequence[str] | None = None
    prompt_lengths: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def prepare(trace: Path, settings: ReplaySettings) -> Iterator[PreparedReplay]:
    """Read the trace, start the embedded server if no other is named, and check that all fits.

    Raises:
        TraceError: The trace cannot be read.
        ReplayError: Server, model, trace and settings do not fit together.
    """

    def describe(selection: Mapping[str, Any]) -> dict[str, Any]:
        stated = json.dumps(selection)
        found = _native.describe_replay(trace, trace_block_size=settings.trace_block_size, selection=stated)
        described: dict[str, Any] = json.loads(found)
        return described

    described = describe(preflight.selection_of(settings))
    headers = _headers(settings)
    secrets = tuple(headers[name] for name in headers if name not in {**PUBLIC_HEADERS, **ANTHROPIC_HEADERS})
    server = None
    if not settings.url:
        block_tokens = described["block_tokens"] or DEFAULT_BLOCK_TOKENS
        server = _native.Server(json.dumps({"block_tokens": block_tokens, **UNLIMITED}))
    try:
        bases, access = settings.servers, settings.access
        if server is not None:
            bases, access = (f"{server.url}/v1",), Access()
        proxies = _proxies(bases, access)
        secrets += tuple(value for url in bases for value in urls.secrets(url))
        secrets += tuple(value for proxy in proxies for value in proxy_secrets(proxy))
        servers = ServerInfo(bases, headers, secrets, access)
        spec = preflight.check(described, describe, settings, [*map(urls.shown, bases)], servers)
        words, prompt_lengths = _words(settings, described["kind"])
        warnings = [*_connection_warnings(bases, access), *spec.warnings]
        if described["kind"] == "block-hash":  # the reader of messages refuses invalid ones itself
            warnings += trace_warnings(trace, settings.trace_block_size)
        spec = replace(spec, warnings=warnings)
        is_embedded = server is not None
        yield PreparedReplay(trace, spec, bases, access, headers, secrets, servers, is_embedded, words, prompt_lengths)
    finally:
        if server is not None:
            server.stop()


def _proxies(bases: Sequence[str], access: Access) -> list[str]:
    """The URLs of the proxies in use."""
    try:
        found = [proxy for url in bases if (proxy := access.proxy_of(url)) is not None]
        return [values.proxy(proxy) for proxy in found]
    except ValueError:
        problem = "found a proxy of another kind in the environment, expected an HTTP proxy such as http://proxy:3128"
        raise ReplayError(f"--proxy: {problem}") from None


def _connection_warnings(bases: Sequence[str], access: Access) -> list[str]:
    """What is unusual about the way to the servers."""
    warnings = []
    if access.insecure:
        warnings.append("certificates are not checked (--insecure)")
    if any(environment_proxy(url) and not access.proxy_of(url) for url in bases):
        warnings.append("the environment names a proxy, which is not used (--proxy env uses it)")
    return warnings


def _words(settings: ReplaySettings, kind: str) -> tuple[Sequence[str] | None, dict[str, Any]]:
    """Words of one token each, and how exact the prompts' lengths are."""
    if kind == "messages":  # lengths of text are estimates
        return None, {"tokens": "approximate"}
    if settings.tokenizer is None:
        exact = not settings.url or settings.prompt_mode == "token-ids"
        return None, {"tokens": "exact" if exact else "approximate"}
    found = single_token_words(Path(settings.tokenizer))
    return found.words, {
        "tokens": "exact" if found.exact_share == 1 else "approximate",
        "exact_share": found.exact_share,
        "largest_difference_tokens": found.largest_difference,
    }


def _headers(settings: ReplaySettings) -> dict[str, str]:
    given = {name.lower() for name in settings.header}
    headers = {**PUBLIC_HEADERS, **settings.header}
    key = settings.api_key() if settings.url else None
    is_anthropic = settings.endpoint == "messages"
    if is_anthropic and "anthropic-version" not in given:
        headers |= ANTHROPIC_HEADERS
    if key and not given & {"authorization", "x-api-key"}:
        headers |= {"x-api-key": key} if is_anthropic else {"Authorization": f"Bearer {key}"}
    return headers
