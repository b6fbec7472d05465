"""The embedded server as a public function: started by `serve`, stopped at the end of a `with` block."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Self

from agentgen import _native
from agentgen._native import DECODE_TOKENS_PER_SECOND, MAX_TOKENS, PREFILL_TOKENS_PER_SECOND
from agentgen.analysis.figures import MAX_BYTES, check_rate
from agentgen.analysis.model import KV_DTYPES, kv_size
from agentgen.settings import MAX_SEED, check_integer, check_size

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from types import TracebackType

    from agentgen.units import Count, Rate, Size

MAX_PORT = 65535
MAX_TOOL_CALLS = 100
MAX_SERVER_THREADS = 64
MAX_PERCENT = 100
MAX_CONNECTIONS = 1_000_000
DEFAULT_CONNECTIONS = 10_000
DEFAULT_BODY = "64MiB"
FAULT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)% *(.+)")


class Server:
    """A running server; `stop`, or the end of a `with` block, closes all connections and ends its threads.

    Attributes:
        url: `http://host:port`, without an API path.
    """

    def __init__(self, native: _native.Server) -> None:
        self._native = native
        self.url: str = native.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Server(url={self.url!r})"

    def stats(self) -> dict[str, int]:
        """Counts until now: requests by outcome, tokens queried, cached and generated, blocks in use."""
        counted: dict[str, int] = json.loads(self._native.stats())
        return counted

    def stop(self) -> None:
        """Stop the server; again: nothing."""
        self._native.stop()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    model: str | os.PathLike[str] | None = None,
    kv_bytes_per_token: Size | None = None,
    kv_dtype: str | None = None,
    capacity_bytes: Size | None = None,
    capacity_blocks: Count | None = None,
    capacity_tokens: Count | None = None,
    block_size: Count = 16,
    prefill_tokens_per_second: Rate = PREFILL_TOKENS_PER_SECOND,
    decode_tokens_per_second: Rate = DECODE_TOKENS_PER_SECOND,
    max_model_len: Count | None = None,
    max_body: Size = DEFAULT_BODY,
    max_connections: Count = DEFAULT_CONNECTIONS,
    events: str = "token",
    tool_calls: int = 0,
    faults: Sequence[str] = (),
    seed: int = 0,
    debug: bool = False,
    threads: int | None = None,
) -> Server:
    """Start a server with an OpenAI-compatible API that models time and prefix cache (`docs/serve.md`).

    Args:
        host: Host name or address to listen on.
        port: Port; 0 for any free port.
        model: Model name (default: `agentgen`); with `capacity_bytes`, a name of `models` or the path of a
            `config.json`.
        kv_bytes_per_token: KV bytes per token, for `capacity_bytes`; instead of `model`.
        kv_dtype: Data type of the model's KV, for `capacity_bytes`: `bf16` (default) or `fp8`.
        capacity_bytes: KV memory (default: no limit).
        capacity_blocks: The same in blocks.
        capacity_tokens: The same in tokens, rounded down to blocks.
        block_size: Tokens of a KV block.
        prefill_tokens_per_second: Prefill rate; 0 for no delay.
        decode_tokens_per_second: Decode rate of one request; 0 for no delay.
        max_model_len: Largest number of tokens in prompt and output together.
        max_body: Largest body of a request; larger ones get 413.
        max_connections: Largest number of open connections; more get 503.
        events: `token` (write every event separately) or `coalesced` (all due events at once).
        tool_calls: Number of tool calls in the response to a request with tools.
        faults: Faults and the share of requests they are injected into, such as `5% status=503`.
        seed: Seed that selects the requests with faults.
        debug: Keep requests and show them at `/debug/requests`.
        threads: Worker threads (default: one per core, at most 4).

    Raises:
        ModelError: The model is unknown, or its `config.json` does not state its KV size.
        OSError: The port is in use, or the host cannot be listened on.
        TypeError: Two capacities, or `capacity_bytes` without the KV size of a token.
        ValueError: An argument is out of range.

    Examples:
        >>> with agentgen.serve(capacity_tokens="1M") as server:
        ...     server.url.startswith("http://127.0.0.1:")
        True
    """
    blocks = check_integer("block_size", block_size, 1, MAX_TOKENS)
    options: dict[str, Any] = {
        "host": host,
        "port": check_integer("port", port, 0, MAX_PORT),
        "model": "agentgen" if model is None else str(model),
        "block_tokens": blocks,
        "capacity_blocks": _capacity_blocks(
            {"capacity_bytes": capacity_bytes, "capacity_blocks": capacity_blocks, "capacity_tokens": capacity_tokens},
            blocks,
            model,
            kv_bytes_per_token,
            kv_dtype,
        ),
        "prefill_tokens_per_second": check_rate("prefill_tokens_per_second", prefill_tokens_per_second, zero=True),
        "decode_tokens_per_second": check_rate("decode_tokens_per_second", decode_tokens_per_second, zero=True),
        "max_body_bytes": check_size("max_body", max_body, MAX_BYTES),
        "max_connections": check_integer("max_connections", max_connections, 1, MAX_CONNECTIONS),
        "events": events,
        "tool_calls": check_integer("tool_calls", tool_calls, 0, MAX_TOOL_CALLS),
        "faults": [_fault(text) for text in faults],
        "seed": check_integer("seed", seed, 0, MAX_SEED),
        "debug": bool(debug),
    }
    if max_model_len is not None:
        options["max_model_len"] = check_integer("max_model_len", max_model_len, 1, MAX_TOKENS)
    if threads is not None:
        options["threads"] = check_integer("threads", threads, 1, MAX_SERVER_THREADS)
    return Server(_native.Server(json.dumps(options)))


def parse_fault(text: str) -> dict[str, Any] | None:
    """`5% NAME` as probability and fault; None if it is malformed."""
    match = FAULT.fullmatch(text)
    if match is None or float(match[1]) > MAX_PERCENT:
        return None
    return {"fault": match[2], "probability": float(match[1]) / MAX_PERCENT}


def _fault(text: str) -> dict[str, Any]:
    fault = parse_fault(str(text))
    if fault is None:
        raise ValueError(f"faults: found {text!r}, expected a share and a fault, such as '5% drop-mid-event=2'")
    return fault


def _capacity_blocks(
    stated: dict[str, Any],
    block_size: int,
    model: str | os.PathLike[str] | None,
    kv_bytes_per_token: Size | None,
    kv_dtype: str | None,
) -> int | None:
    given = {name: size for name, size in stated.items() if size is not None}
    if len(given) > 1:
        raise TypeError(f"{' and '.join(given)}: found both, expected one of them")
    name, size = next(iter(given.items()), ("", None))
    if name != "capacity_bytes":
        for argument, value in (("kv_bytes_per_token", kv_bytes_per_token), ("kv_dtype", kv_dtype)):
            if value is not None:
                raise TypeError(f"{argument}: found {value!r}, expected nothing without capacity_bytes")
        if not given:
            return None
        count = check_integer(name, size, 1 if name == "capacity_blocks" else block_size, MAX_BYTES)
        return count if name == "capacity_blocks" else count // block_size
    if model is None and kv_bytes_per_token is None:
        raise TypeError("capacity_bytes: found no KV size, expected model or kv_bytes_per_token")
    kv = kv_size(None if kv_bytes_per_token is not None else model, kv_bytes_per_token, kv_dtype or KV_DTYPES[0])
    return _native.capacity_blocks(check_size(name, size, MAX_BYTES), kv["kv_bytes_per_token"], block_size)
