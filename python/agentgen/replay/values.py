"""Values of a replay's options, from a command line or a file: what each is made of, and what is expected instead."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Headers = TypeVar("Headers", bound="Collection[str]")

UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
MAX_S = 365 * 24 * 3600.0
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # what HTTP allows in a header's name
OURS = {"host", "content-length", "content-type", "transfer-encoding", "connection", "expect", "upgrade", "te"}
PORTS = {"http": 80, "https": 443}
SLO = ("ttft", "tpot", "e2e")
FIELDS_OF_OPTIONS = {
    "model": "--model",
    "stream": "--no-stream",
    "messages": "the trace",
    "prompt": "the trace",
}


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A check for whole numbers of a range."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return check


def number(high: float, *, above_0: bool) -> Callable[[Any], float]:
    """A check for numbers up to `high`, with or without 0."""

    def check(value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and 0 <= value <= high) or (above_0 and not value):
            raise ValueError(f"expected a number {'above 0' if above_0 else 'from 0'}, up to {high:.0f}")
        return float(value)

    return check


def seconds(value: Any) -> float:
    """A time: seconds as a number, or a text with a unit, such as `500ms` or `5m`."""
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)?", value.strip())):
        value = float(match[1]) * UNITS_S[match[2] or "s"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_S:
        raise ValueError("expected a time such as 500ms, 30s, 5m or 1h, up to a year")
    return float(value)


def positive_seconds(value: Any) -> float:
    """A time that is not 0."""
    if not (time_s := seconds(value)):
        raise ValueError("expected a time above 0, such as 500ms, 30s, 5m or 1h")
    return time_s


def one_or_more(value: Any) -> Any:
    """A text as the only one of several."""
    return (value,) if isinstance(value, str) else value


def address(value: str) -> str:
    """A server's address, with the path of its API."""
    problem = "expected an address such as http://127.0.0.1:8000 or https://host/v1"
    try:
        parts = urlsplit(value)
    except ValueError:  # an address of IPv6 that is none
        raise ValueError(problem) from None
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise ValueError("expected a port from 1 to 65535")
    is_plain = value.isascii() and value.isprintable() and " " not in value
    if not is_plain or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(problem)
    if "@" in parts.netloc:
        raise ValueError("expected no user or password in the address: the key comes from the environment")
    path = parts.path.rstrip("/") or "/v1"
    if path.endswith("/completions"):
        raise ValueError("expected the address without the endpoint, such as https://host/v1")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in {None, PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{path}"


def distinct(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Each server once: they share the sessions, and each is known by its own cache."""
    if len(set(addresses)) < len(addresses):
        raise ValueError("expected each server once")
    return addresses


def distinct_headers(names: Headers) -> Headers:
    """Each header once, whatever its letters' case."""
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("expected each header once")
    return names


def header_name(name: str) -> str:
    """A header that is not the client's own business."""
    if not TOKEN.fullmatch(name):
        raise ValueError("expected the name of a header: letters, digits and !#$%&'*+-.^_`|~")
    if name.lower() in OURS:
        raise ValueError("expected a header that is not the client's own business")
    return name


def is_header_value(value: str) -> bool:
    """Whether a text may stand in a header; what is not ASCII means something else to every server."""
    return value.isascii() and value.isprintable()


def header_value(value: str) -> str:
    """What may stand in a header."""
    if not is_header_value(value):
        raise ValueError("expected printable ASCII as a header's value")
    return value


def request_fields(value: Any) -> Any:
    """Fields of every request: an object, or its text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"expected a JSON object of request fields ({error})") from None
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object of request fields")  # noqa: TRY004  pydantic takes ValueErrors
    for name, instead in FIELDS_OF_OPTIONS.items():
        if name in value:
            raise ValueError(f"expected the field {name!r} from {instead}")
    return value


def limits(value: Any) -> Any:
    """Limits of times by name, seconds: an object, or `ttft=500ms,tpot=50ms`."""
    if isinstance(value, str):
        pairs = (part.partition("=") for part in value.split(","))
        value = {name.strip(): limit for name, _, limit in pairs}
    if not isinstance(value, dict) or not value or not set(value) <= set(SLO):
        raise ValueError(f"expected limits such as ttft=500ms,tpot=50ms; the names are {', '.join(SLO)}")
    return {name: seconds(limit) for name, limit in value.items()}
