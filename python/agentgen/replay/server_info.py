"""Requests to a server before and after a replay: its models, and its prefix-cache counters."""

from __future__ import annotations

import json
import re
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError

from agentgen.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 10.0
REDIRECTS = {301, 302, 303, 307, 308}


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects: another URL gets neither the API key nor the measured requests."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: return the redirect itself as the response."""


# Without a proxy, like the measured requests.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects())
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^}]*\})? ([0-9.eE+-]+|NaN|[+-]Inf)", re.MULTILINE)
BLOCK_SIZE = re.compile(r'^vllm:cache_config_info\{(?:[^}]*,)?block_size="([1-9][0-9]*)"', re.MULTILINE)
# (tokens looked up, tokens found) in the prefix caches of engines, newest names first.
CACHE_COUNTERS = (
    ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total"),
    ("vllm:gpu_prefix_cache_queries_total", "vllm:gpu_prefix_cache_hits_total"),
    ("sglang:prompt_tokens_total", "sglang:cached_tokens_total"),
)


def _get(url: str, headers: Mapping[str, str]) -> bytes:
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310  http or https: the settings say so
    with DIRECT.open(request, timeout=TIMEOUT_S) as response:
        body: bytes = response.read()
    return body


def models(url: str, headers: Mapping[str, str]) -> dict[str, int | None]:
    """The server's models, each with the length limit of a request in tokens; None where the server states none.

    Raises:
        ReplayError: The server does not answer, or its answer is not an OpenAI model list.
    """
    where = f"{url}/models"
    try:
        listed = json.loads(_get(where, headers))["data"]
        return {str(one["id"]): _limit(one) for one in listed}
    except HTTPError as error:
        error.close()
        if error.code in REDIRECTS:
            target = error.headers.get("Location", "another URL")
            problem = f"found a redirect to {target}, expected a list of models (give that URL instead)"
            raise ReplayError(f"{where}: {problem}") from None
        hint = " (--api-key-env names the environment variable with the key)" if error.code in {401, 403} else ""
        raise ReplayError(f"{where}: found HTTP {error.code}, expected a list of models{hint}") from None
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ReplayError(f"{where}: found no server ({reason}), expected an OpenAI-compatible one") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReplayError(f"{where}: not an OpenAI model list") from None


def _limit(model: Mapping[str, Any]) -> int | None:
    """`max_model_len` of vLLM and SGLang, or the context size of llama.cpp."""
    stated = model.get("max_model_len") or (model.get("meta") or {}).get("n_ctx")
    return stated if isinstance(stated, int) and stated > 0 else None


def _metrics(url: str, headers: Mapping[str, str]) -> str | None:
    """The server's Prometheus metrics; None if it has none."""
    try:
        return _get(url.removesuffix("/v1") + "/metrics", headers).decode("utf-8", "replace")
    except (OSError, ValueError, HTTPException):
        return None


def cache_block_tokens(url: str, headers: Mapping[str, str]) -> int | None:
    """Block size of the server's prefix cache, tokens; None if its metrics do not state it."""
    found = BLOCK_SIZE.search(_metrics(url, headers) or "")
    return int(found[1]) if found else None


def cache_counters(url: str, headers: Mapping[str, str]) -> dict[str, float] | None:
    """Tokens looked up and found in the server's prefix cache since it started; None if not in its metrics."""
    metrics = _metrics(url, headers)
    if metrics is None:
        return None
    samples: dict[str, float] = {}
    for name, value in SAMPLE.findall(metrics):
        samples[name] = samples.get(name, 0.0) + float(value)
    for queries, hits in CACHE_COUNTERS:
        if queries in samples and hits in samples:
            return {"queries": samples[queries], "hits": samples[hits]}
    return None
