"""What servers say before and after a replay: their models, and the counters of their prefix caches.

A value that cannot be used is a missing value: nothing that a server says here ends a run.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from agentgen import _native
from agentgen._native import MAX_TOKENS
from agentgen.errors import ReplayError
from agentgen.replay import urls
from agentgen.replay.fetch import Page, fetch
from agentgen.replay.route import environment_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.samples import Sample

    from agentgen.replay.route import Access

CHECKS_S = 10.0  # for all requests before the start, and again for all after the end
OK = 200
REDIRECTS = {301, 302, 303, 307, 308}
UNAUTHORIZED = {401, 403}
MAX_NAME_CHARS = 256
MAX_NAMES_SHOWN = 10
MAX_LINE_CHARS = 4096  # of a metric; the parser's time is quadratic in it
# (tokens looked up, tokens found) in the prefix caches of engines, newest names first.
CACHE_COUNTERS = (
    ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total"),
    ("vllm:gpu_prefix_cache_queries_total", "vllm:gpu_prefix_cache_hits_total"),
    ("sglang:prompt_tokens_total", "sglang:cached_tokens_total"),
)
CACHE_CONFIG = "vllm:cache_config_info"
METRICS = (CACHE_CONFIG, *(name for pair in CACHE_COUNTERS for name in pair))


@dataclass(frozen=True)
class CacheState:
    """A server's prefix cache, as its metrics state it.

    Attributes:
        block_tokens: Tokens of a block.
        counters: Tokens looked up (`queries`) and found (`hits`) since the server started.
    """

    block_tokens: int | None = None
    counters: Mapping[str, float] | None = None


class ServerInfo:
    """Asks the servers of a replay.

    Attributes:
        owners: Owners of the models that the servers list.
    """

    def __init__(
        self, bases: Sequence[str], headers: Mapping[str, str], secrets: Sequence[str], access: Access
    ) -> None:
        self._bases = bases
        self._headers = headers
        self._access = access
        self.shown = _native.Secrets(list(secrets)).line
        self._left_s = CHECKS_S
        self.owners: set[str] = set()

    def models(self, *, needed: bool) -> list[dict[str, int | None] | str]:
        """The models of each server, each with the length limit of a request in tokens; None if it states none.

        Unless they are `needed`, why a server gives no list is returned in its place.

        Raises:
            ReplayError: A server cannot be reached, or answers with no OpenAI model list, which is needed.
        """
        pages = [urls.page(base, "/models") for base in self._bases]
        found: list[dict[str, int | None] | str] = []
        for url, page in zip(pages, self._get(pages), strict=True):
            where = urls.shown(url)
            self._check_reached(where, url, page)
            try:
                found.append(self._models(where, page))
            except ReplayError as error:
                if needed:
                    raise
                found.append(str(error))
        return found

    def caches(self, *, ended: bool = False) -> list[CacheState]:
        """The prefix cache of each server, before the replay or when it has `ended`."""
        if ended:
            self._left_s = CHECKS_S
        pages = self._get([urls.metrics(base) for base in self._bases])
        return [cache_state(page.body if page.status == OK else b"") for page in pages]

    def names(self, models: Mapping[str, Any]) -> str:
        """Names of models for a message."""
        shown = [self.shown(name) for name in list(models)[:MAX_NAMES_SHOWN]]
        more = len(models) - len(shown)
        return ", ".join([*shown, *([f"{more:,} more"] if more else [])]) or "none"

    def post(self, path: str, body: bytes) -> list[Page]:
        """What each server answers to a request, before the replay."""
        return self._get([urls.page(base, path) for base in self._bases], body)

    def _get(self, pages: Sequence[str], body: bytes | None = None) -> list[Page]:
        start_s = time.monotonic()
        found = fetch(pages, self._headers, self._left_s, self._access, body)
        self._left_s = max(0.0, self._left_s - (time.monotonic() - start_s))
        return found

    def _check_reached(self, where: str, url: str, page: Page) -> None:
        if page.is_untrusted:
            raise ReplayError(f"{where}: {page.problem}")
        if page.problem:
            hint = ""
            if not self._access.proxy_of(url) and environment_proxy(url):
                hint = "; a proxy of the environment is not used (--proxy env uses it)"
            raise ReplayError(
                f"{where}: found no server ({self.shown(page.problem)}), expected an OpenAI-compatible one{hint}"
            )
        if page.status in REDIRECTS:
            target = self.shown(page.location) or "another URL"
            problem = f"found a redirect to {target}, expected a list of models (give that URL instead)"
            raise ReplayError(f"{where}: {problem}")

    def _models(self, where: str, page: Page) -> dict[str, int | None]:
        if page.status != OK:
            hint = " (--api-key-env names the environment variable with the key)" if page.status in UNAUTHORIZED else ""
            raise ReplayError(f"{where}: found HTTP {page.status}, expected a list of models{hint}")
        try:
            listed = json.loads(page.body)["data"]
            self.owners |= {str(one.get("owned_by")) for one in listed if isinstance(one, dict)}
            return {one["id"]: _limit(one) for one in listed if isinstance(one, dict) and _is_name(one.get("id"))}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ReplayError(f"{where}: not an OpenAI model list") from None


def _is_name(value: Any) -> bool:
    """Whether the value can be sent as the name of a model. A text with lone surrogates cannot."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_NAME_CHARS


def _limit(model: Mapping[str, Any]) -> int | None:
    """`max_model_len` of vLLM and SGLang, or the context size of llama.cpp."""
    meta = model.get("meta")
    stated = model.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    return stated if type(stated) is int and stated > 0 else None


def cache_state(metrics: bytes) -> CacheState:
    """Block size and counters in a page of Prometheus metrics."""
    sums: dict[str, float] = {}
    block_tokens = None
    for sample in _samples(metrics):
        if sample.name == CACHE_CONFIG:
            block_tokens = block_tokens or _tokens(sample.labels.get("block_size", ""))
        else:
            sums[sample.name] = sums.get(sample.name, 0.0) + (sample.value if sample.value >= 0 else math.nan)
    for queries, hits in CACHE_COUNTERS:
        if math.isfinite(sums.get(queries, math.nan)) and math.isfinite(sums.get(hits, math.nan)):
            return CacheState(block_tokens, {"queries": sums[queries], "hits": sums[hits]})
    return CacheState(block_tokens)


def _samples(metrics: bytes) -> Iterator[Sample]:
    """The samples of `METRICS`. Each line is parsed alone, so that one that is malformed affects no other."""
    for line in metrics.decode("utf-8", "replace").split("\n"):
        if not line.startswith(METRICS) or len(line) > MAX_LINE_CHARS:
            continue
        try:
            found = [sample for family in text_string_to_metric_families(line) for sample in family.samples]
        except Exception:  # noqa: BLE001, S112  what the parser raises is not documented
            continue
        yield from (sample for sample in found if sample.name in METRICS)


def _tokens(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_TOKENS))
    return int(text) if is_number and 0 < int(text) <= MAX_TOKENS else None
