"""The way to a server: proxies, certificates, and connections whose response ends after its answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from agentgen.replay import http
from agentgen.replay.pool import Pool
from agentgen.replay.route import Access
from replay_server import Received, chunked, flooding, serving, tokens
from small_traces import options, summary_of, write_trace
from test_replay_http import Handler, target
from test_replay_http import run as play_now

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from conftest import Invoke, Run


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write_trace(tmp_path / "trace.jsonl", 3, 2)


def test_a_certificate_of_an_unknown_authority(
    certificate: tuple[Path, ssl.SSLContext], trace: Path, invoke: Invoke, run: Run, tmp_path: Path
) -> None:
    file, context = certificate
    with serving(context=context) as server:
        refused = invoke("replay", trace, *options(server.url, tmp_path), code=2)
        assert (
            "/v1/models: the server's certificate is not trusted: self-signed certificate (--ca-file" in refused.stderr
        )
        invoke("replay", trace, *options(server.url, tmp_path, "--ca-file", file, "--dry-run"))
        run("replay", trace, *options(server.url, tmp_path, "--insecure"))
    assert "certificates are not checked (--insecure)" in summary_of(tmp_path / "out")["warnings"]


def test_a_file_of_certificates_that_cannot_be_read(trace: Path, invoke: Invoke, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    result = invoke("replay", trace, *options("https://127.0.0.1:9", tmp_path, "--ca-file", missing), code=2)
    assert str(missing) in result.stderr
    (tmp_path / "odd.pem").write_text("no certificate", encoding="utf-8")
    result = invoke(
        "replay", trace, *options("https://127.0.0.1:9", tmp_path, "--ca-file", tmp_path / "odd.pem"), code=2
    )
    assert "odd.pem" in result.stderr


@pytest.mark.parametrize("by", ["option", "environment"])
def test_plain_http_goes_to_the_proxy_with_the_whole_url(
    by: str, trace: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:  # in the place of a proxy
        proxy = server.url.replace("/v1", "").replace("//", "//me:pass-word@")
        if by == "environment":
            monkeypatch.setenv("http_proxy", proxy)
        given = "env" if by == "environment" else proxy
        run("replay", trace, *options("http://gateway.invalid:81/v1", tmp_path, "--proxy", given))
        assert {received.path for received in server.requests} == {"http://gateway.invalid:81/v1/chat/completions"}
        assert {received.headers["host"] for received in server.requests} == {"gateway.invalid:81"}
        assert {received.headers["proxy-authorization"] for received in server.requests} == {"Basic bWU6cGFzcy13b3Jk"}
    assert "pass-word" not in (tmp_path / "out" / "summary.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("answer", ["200 Connection established", "407 Proxy Authentication Required", ""])
def test_https_goes_through_a_tunnel_of_the_proxy(
    answer: str, certificate: tuple[Path, ssl.SSLContext], trace: Path, run: Run, tmp_path: Path
) -> None:
    file, context = certificate
    asked: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.decode().split("\r\n")[0])
        writer.write(f"HTTP/1.1 {answer}\r\n\r\n".encode() if answer else b"no HTTP\r\n\r\n")
        if not answer.startswith("200"):
            return
        host, port = asked[-1].split(" ")[1].rsplit(":", 1)
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    more = ("--ca-file", file, "--proxy")
    with serving(context=context) as server, flooding(proxy) as url:
        code = 0 if answer.startswith("200") else 2
        result = run("replay", trace, *options(server.url, tmp_path, *more, url.removesuffix("/v1")), code=code)
        netloc = server.url.split("/")[2]
        assert set(asked) == {f"CONNECT {netloc} HTTP/1.1"}
        assert len(server.requests) == (0 if code else 6)
    if code:
        assert f"the proxy {f'answered {answer}' if answer else 'gave no HTTP answer'}" in result.stderr


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


# --- responses that end after their answers -----------------------------------------------------------------------


@pytest.mark.parametrize("ends", [True, False])
def test_the_next_request_uses_the_connection_once_its_response_has_ended(
    *, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "DRAIN_S", 60 if ends else 0.001)

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(tokens(2))
        cut = whole.index(b"[DONE]\n\n") + len(b"[DONE]\n\n")
        writer.write(whole[:cut])
        await writer.drain()
        await asyncio.sleep(0.05 if ends else 60)
        writer.write(whole[cut:])

    async def play() -> None:
        connections = Pool(target(server.url))
        session = connections.open("s")
        handlers = [Handler(answers_end=True) for _ in range(3)]
        for handler in handlers:
            session.send(b"{}", handler)
            await handler.over.wait()
            assert (handler.status, handler.outcome, handler.body) == (200, "", tokens(2))
        session.close()
        await connections.close()

    with serving(answer) as server:
        play_now(play())
        assert server.connections == (1 if ends else 3)


def test_a_request_that_waits_for_the_end_of_a_response_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "DRAIN_S", 60)

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        body = tokens(2)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b" % (len(body), body))
        await asyncio.sleep(60)

    async def play() -> None:
        connections = Pool(target(server.url, access=Access()))
        session = connections.open("s")
        first, second = Handler(answers_end=True), Handler()
        session.send(b"{}", first)
        await first.over.wait()
        session.send(b"{}", second)
        session.cancel()
        await asyncio.sleep(0.05)
        assert (second.over.is_set(), second.sent_ns) == (False, 0)
        session.close()
        await connections.close()

    with serving(answer) as server:
        play_now(play())
        assert len(server.requests) == 1
