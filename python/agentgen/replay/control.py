"""What is asked of a server before and after a run: its models, its counters."""

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
    """Another address gets neither the key nor the requests that are measured."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: a redirect is an answer as it stands."""


# As the requests go that are measured.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects())
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^}]*\})? ([0-9.eE+-]+|NaN|[+-]Inf)", re.MULTILINE)
BLOCK_SIZE = re.compile(r'^vllm:cache_config_info\{(?:[^}]*,)?block_size="([1-9][0-9]*)"', re.MULTILINE)
# (tokens looked up, tokens found): what engines count of their prefix caches, newest names first.
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
    """The server's models, and the longest request that each takes, tokens, where the server tells.

    Raises:
        ReplayError: It does not answer, or not as an OpenAI-compatible server does.
    """
    where = f"{url}/models"
    try:
        listed = json.loads(_get(where, headers))["data"]
        return {str(one["id"]): _limit(one) for one in listed}
    except HTTPError as error:
        error.close()
        if error.code in REDIRECTS:
            target = error.headers.get("Location", "another address")
            problem = f"found a redirect to {target}, expected a list of models; name that address"
            raise ReplayError(f"{where}: {problem}") from None
        hint = "; the key comes from the environment (--api-key-env)" if error.code in {401, 403} else ""
        raise ReplayError(f"{where}: found HTTP {error.code}, expected a list of models{hint}") from None
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ReplayError(f"{where}: found no server ({reason}), expected one that answers") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReplayError(f"{where}: found something else, expected a list of models as OpenAI has it") from None


def _limit(model: Mapping[str, Any]) -> int | None:
    """Of vLLM and SGLang `max_model_len`; of llama.cpp the context of a slot."""
    stated = model.get("max_model_len") or (model.get("meta") or {}).get("n_ctx")
    return stated if isinstance(stated, int) and stated > 0 else None


def _metrics(url: str, headers: Mapping[str, str]) -> str | None:
    """The server's Prometheus page; None if it has none."""
    try:
        return _get(url.removesuffix("/v1") + "/metrics", headers).decode("utf-8", "replace")
    except (OSError, ValueError, HTTPException):
        return None


def cache_block_tokens(url: str, headers: Mapping[str, str]) -> int | None:
    """Tokens of a block of the server's prefix cache; None if it does not tell."""
    found = BLOCK_SIZE.search(_metrics(url, headers) or "")
    return int(found[1]) if found else None


def cache_counters(url: str, headers: Mapping[str, str]) -> dict[str, float] | None:
    """Tokens that the server's prefix cache was asked for and had, since it started; None if it does not tell."""
    page = _metrics(url, headers)
    if page is None:
        return None
    samples: dict[str, float] = {}
    for name, value in SAMPLE.findall(page):
        samples[name] = samples.get(name, 0.0) + float(value)
    for asked, had in CACHE_COUNTERS:
        if asked in samples and had in samples:
            return {"queries": samples[asked], "hits": samples[had]}
    return None
