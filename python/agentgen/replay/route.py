"""The way to a server: its address, TLS, and a proxy if one is used."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from agentgen.errors import ReplayError
from agentgen.replay.urls import PORTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

    from agentgen.replay.http import Connection

MAX_HEAD_BYTES = 64 * 1024  # of a proxy's answer
NOT_TRUSTED = "--ca-file or SSL_CERT_FILE names its authority, --insecure accepts any certificate"


@dataclass(frozen=True)
class Access:
    """How servers are reached.

    Attributes:
        proxy: `none`, `env` for that of the environment's variables, or the URL of a proxy.
        ca_file: File with the certificates of accepted authorities; None for the system's.
        insecure: Accept any certificate.
    """

    proxy: str = "none"
    ca_file: str | None = None
    insecure: bool = False

    def proxy_of(self, url: str) -> str | None:
        """The URL of the proxy to a server; None without one."""
        if self.proxy != "env":
            return None if self.proxy == "none" else self.proxy
        return environment_proxy(url)

    def tls(self) -> ssl.SSLContext:
        """A new TLS context.

        Raises:
            ReplayError: The file with certificates cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            found = f"found {self.ca_file}, which cannot be read ({error.strerror or error})"
            raise ReplayError(f"--ca-file: {found}, expected certificates in PEM") from None
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def environment_proxy(url: str) -> str | None:
    """The URL of the proxy that the environment's variables name for a server."""
    parts = urlsplit(url)
    proxies = getproxies_environment()
    if proxy_bypass(parts.netloc):
        return None
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found if found is None or "://" in found else f"http://{found}"


def why_not(error: OSError | UnicodeError) -> str:
    """Why a connection could not be opened."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message} ({NOT_TRUSTED})"
    return str(error)


class Route:
    """The way to a URL.

    Attributes:
        host: Host name or address of the server.
        port: Port of the server.
        netloc: Value of the header `Host`.
        target: The request's target: path and query, or the whole URL for a proxy of plain HTTP.
        headers: Headers for a proxy of plain HTTP.
    """

    def __init__(self, url: str, access: Access) -> None:
        parts = urlsplit(url)
        is_secure = parts.scheme == "https"
        proxy = access.proxy_of(url)
        self.host = parts.hostname or ""
        self.port = parts.port or PORTS[parts.scheme]
        self.netloc = parts.netloc
        self.target = parts.path + (f"?{parts.query}" if parts.query else "")
        self.headers: dict[str, str] = {}
        self._ssl = access.tls() if is_secure else None
        self._proxy = urlsplit(proxy) if proxy else None
        if self._proxy is not None and not is_secure:
            self.target = url
            self.headers = _authorization(self._proxy)

    async def connect(self, factory: Callable[[], Connection]) -> Connection:
        """Open a connection.

        Raises:
            OSError: It cannot be opened.
            UnicodeError: The host name is invalid.
        """
        loop = asyncio.get_running_loop()
        if self._proxy is None:
            _, connection = await loop.create_connection(factory, self.host, self.port, ssl=self._ssl)
        elif self._ssl is None:
            _, connection = await loop.create_connection(factory, self._proxy.hostname or "", self._proxy.port or 80)
        else:
            connection = await self._tunnel(factory(), self._proxy, self._ssl)
        return connection

    async def _tunnel(self, connection: Connection, proxy: SplitResult, tls: ssl.SSLContext) -> Connection:
        """Connect to the server through the proxy, and begin TLS with the server."""
        loop = asyncio.get_running_loop()
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"CONNECT {host}:{self.port} HTTP/1.1", f"Host: {host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in _authorization(proxy).items()]
        transport, tunnel = await loop.create_connection(_Tunnel, proxy.hostname or "", proxy.port or 80)
        try:
            transport.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            _check_tunnel(await tunnel.head)
            secure = await loop.start_tls(transport, connection, tls, server_hostname=self.host)
        except BaseException:
            transport.abort()
            raise
        connection.connection_made(cast("asyncio.BaseTransport", secure))
        return connection


class _Tunnel(asyncio.Protocol):
    """Receives a proxy's answer to CONNECT."""

    def __init__(self) -> None:
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        if b"\r\n\r\n" in self._received or len(self._received) > MAX_HEAD_BYTES:
            self._end()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self.head.done():
            self.head.set_result(self._received)


def _check_tunnel(head: bytes) -> None:
    """Raise an OSError if the proxy has not connected to the server."""
    version, _, status = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    if not version.startswith("HTTP/"):
        raise ConnectionError("the proxy gave no HTTP answer")
    if not status.startswith("200"):
        raise ConnectionError(f"the proxy answered {status}, expected 200")


def _credentials(proxy: SplitResult) -> str | None:
    """Name and password, as a header value has them."""
    if proxy.username is None:
        return None
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return base64.b64encode(pair.encode()).decode()


def _authorization(proxy: SplitResult) -> dict[str, str]:
    found = _credentials(proxy)
    return {"Proxy-Authorization": f"Basic {found}"} if found else {}


def proxy_secrets(proxy: str) -> list[str]:
    """What nothing may store or show of the URL of a proxy."""
    parts = urlsplit(proxy)
    found = [parts.password, unquote(parts.password or ""), _credentials(parts)]
    return [value for value in found if value]


def shown_proxy(proxy: str) -> str:
    """The URL of a proxy without name and password."""
    scheme, mark, rest = proxy.rpartition("://")
    return scheme + mark + rest.rpartition("@")[2]
