"""URLs of servers: what `--url` accepts, the URLs of a server's pages, and how URLs are shown."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

# Paths of the endpoints below a base URL.
PATHS = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "responses": "/responses",
    "messages": "/messages",
}
PORTS = {"http": 80, "https": 443}
SHOWN_PARAMETERS = {"api-version"}  # values of other query parameters may be keys


def server_url(value: str) -> str:
    """Normalise the URL of a server: `/v1` if it has no path; an endpoint at its end is kept."""
    problem = "expected a URL such as http://127.0.0.1:8000 or https://host/v1"
    try:
        parts = urlsplit(value)
    except ValueError:  # an invalid IPv6 address
        raise ValueError(problem) from None
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise ValueError("expected a port from 1 to 65535")
    is_plain = value.isascii() and value.isprintable() and " " not in value
    if not is_plain or parts.scheme not in PORTS or not parts.hostname or parts.fragment:
        raise ValueError(problem)
    if "@" in parts.netloc:
        raise ValueError("expected no user or password in the URL: --api-key-env names the variable with the API key")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in {None, PORTS[parts.scheme]} else f":{parts.port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/') or '/v1'}{query}"


def distinct(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Reject repeated servers: sessions and caches are counted per server."""
    if len({base_url(url) for url in urls}) < len(urls):
        raise ValueError("expected each server once")
    return urls


def endpoint_of(url: str) -> str | None:
    """The endpoint that a URL ends with."""
    path = urlsplit(url).path
    return next((name for name, end in PATHS.items() if path.endswith(end)), None)


def base_url(url: str) -> str:
    """A URL without the endpoint that it ends with."""
    name = endpoint_of(url)
    path, mark, query = url.partition("?")
    return path.removesuffix(PATHS[name] if name else "") + mark + query


def page(url: str, path: str) -> str:
    """The URL of a page below a base URL, with the base URL's query."""
    base, mark, query = url.partition("?")
    return base + path + mark + query


def metrics(url: str) -> str:
    """The URL of a server's metrics, which are not part of the API."""
    base, mark, query = url.partition("?")
    return page(base.removesuffix("/v1") + mark + query, "/metrics")


def secrets(url: str) -> list[str]:
    """Values of a URL's query that nothing may store or show, as they stand there and decoded."""
    query = urlsplit(url).query
    raw = (part.partition("=")[::2] for part in query.split("&"))
    return [value for name, value in [*raw, *parse_qsl(query)] if value and name not in SHOWN_PARAMETERS]


def shown(url: str) -> str:
    """A URL for messages and results."""
    base, mark, query = url.partition("?")
    parts = (part.partition("=") for part in query.split("&"))
    values = (
        name + equals + (value if name in SHOWN_PARAMETERS or not value else "[redacted]")
        for name, equals, value in parts
    )
    return base + mark + "&".join(values)
