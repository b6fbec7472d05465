"""Parsing and checks of a replay's option values, from the command line or a settings file."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from agentgen.units import parse_count, parse_rate, parse_share, parse_size, parse_time_s

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Headers = TypeVar("Headers", bound="Collection[str]")

MAX_S = 365 * 24 * 3600.0
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # an HTTP header name
RESERVED_HEADERS = {
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "expect",
    "upgrade",
    "te",
}
SLO = ("ttft", "tpot", "e2e")
# Request fields that an option or the trace sets.
RESERVED_FIELDS = {
    "model": "--model",
    "stream": "--no-stream",
    "messages": "the trace",
    "input": "the trace",
    "prompt": "the trace",
}


def whole(low: int, high: int) -> Callable[[Any], int]:
    """Check for an integer in a range, or its text: `10k`."""

    def check(value: Any) -> int:
        value = parse_count(value) if isinstance(value, str) else value
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return check


def size(low: int, high: int) -> Callable[[Any], int]:
    """Check for bytes in a range, or their text: `64MiB`."""

    def check(value: Any) -> int:
        value = parse_size(value, unit_needed=False) if isinstance(value, str) else value
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"expected a size such as 64MiB or 1GB, from {low} bytes")
        return value

    return check


def number(high: float, *, above_0: bool) -> Callable[[Any], float]:
    """Check for a number up to `high`, with or without 0."""

    def check(value: Any) -> float:
        value = parse_rate(value) if isinstance(value, str) else value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and 0 <= value <= high) or (above_0 and not value):
            raise ValueError(f"expected a number {'above 0' if above_0 else 'from 0'}, up to {high:.0f}")
        return float(value)

    return check


def share(value: Any) -> float:
    """Parse a share above 0: a fraction, or text such as `10%`."""
    value = parse_share(value) if isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError("expected a share such as 10% or 0.1, above 0")
    return float(value)


def seconds(value: Any) -> float:
    """Parse a time: a number of seconds, or text with a unit such as `500ms` or `5m`."""
    value = parse_time_s(value) if isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_S:
        raise ValueError("expected a time such as 500ms, 30s, 5m or 1h, up to a year")
    return float(value)


def positive_seconds(value: Any) -> float:
    """Parse a time above 0."""
    if not (time_s := seconds(value)):
        raise ValueError("expected a time above 0, such as 500ms, 30s, 5m or 1h")
    return time_s


def one_or_more(value: Any) -> Any:
    """Accept a single text where several are allowed."""
    return (value,) if isinstance(value, str) else value


def proxy(value: str) -> str:
    """Check the URL of an HTTP proxy, or `env` or `none`."""
    if value in {"env", "none"}:
        return value
    try:
        parts = urlsplit(value)
        is_url = parts.port != 0 and parts.scheme == "http" and bool(parts.hostname) and not parts.query
    except ValueError:  # an invalid port or IPv6 address
        is_url = False
    if not is_url or not is_header_value(value) or parts.path not in {"", "/"}:
        raise ValueError("expected env, none or the URL of an HTTP proxy such as http://proxy:3128")
    return value


def distinct_headers(names: Headers) -> Headers:
    """Reject repeated headers; names are case-insensitive."""
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("expected each header once")
    return names


def header_name(name: str) -> str:
    """Check the name of a header that the client does not set itself."""
    if not TOKEN.fullmatch(name):
        raise ValueError("expected a header name: letters, digits and !#$%&'*+-.^_`|~")
    if name.lower() in RESERVED_HEADERS:
        raise ValueError("expected a header that the client does not set itself")
    return name


def is_header_value(value: str) -> bool:
    """Whether a text is valid as a header value; servers decode other characters than ASCII differently."""
    return value.isascii() and value.isprintable()


def header_value(value: str) -> str:
    """Check a header value."""
    if not is_header_value(value):
        raise ValueError("expected printable ASCII as header value")
    return value


def request_fields(value: Any) -> Any:
    """Parse additional request fields: an object, or its JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"expected a JSON object of request fields ({error})") from None
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object of request fields")  # noqa: TRY004  pydantic takes ValueErrors
    for name, instead in RESERVED_FIELDS.items():
        if name in value:
            raise ValueError(f"found the field {name!r}, which comes from {instead}")
    return value


def limits(value: Any) -> Any:
    """Parse time limits by name into seconds: an object, or `ttft=500ms,tpot=50ms`."""
    if isinstance(value, str):
        pairs = (part.partition("=") for part in value.split(","))
        value = {name.strip(): limit for name, _, limit in pairs}
    if not isinstance(value, dict) or not value or not set(value) <= set(SLO):
        raise ValueError(f"expected limits such as ttft=500ms,tpot=50ms; names are {', '.join(SLO)}")
    return {name: seconds(limit) for name, limit in value.items()}
