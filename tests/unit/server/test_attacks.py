"""What strangers try on a server: bombs, floods, slowness, smuggling, injection. Each ends with an answer or a closed
connection, never with a traceback, and the server goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app import log
from app.api import VM
from app.config import load
from app.server import site, tcp
from app.server.desk import LARGE_BODIES
from tests.support.engine import Bench
from tests.support.wire import PASSWORD, USER, Reply, Wire, serving

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
async def plain(bench: Bench, data_dir: Path) -> AsyncIterator[Wire]:
    """A server without TLS, which has little patience."""
    async with serving(bench.engine, data_dir, tls=False, idle_seconds=0.2) as wire:
        yield wire


async def answers(wire: Wire, request: bytes) -> Reply | None:
    """The answer, or None if the connection was closed without one."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        return await asyncio.wait_for(wire.send(request), 30)
    return None


async def still_answers(wire: Wire) -> None:
    body = b"<methodCall><methodName>system.listMethods</methodName></methodCall>"
    reply = await wire.post(body)
    assert reply.status == 200 and b"VM.snapshot" in reply.body


GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    b"\0" * 100 + b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"G\xc3\xa9T / HTTP/1.1\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(1000)) + b"\r\n",
    b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
    b"GET / HTTP/1.1\r\n: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%zz%00%0d%0aX:%20y?%ff=%0d%0a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT\x20 HTTP/1.1\r\n\r\n",
    b"CONNECT /console?ref=%0d%0aX:y HTTP/1.1\r\nAuthorization: Basic !!!\r\nCookie: \x00=;;;\r\n\r\n",
    b"CONNECT [::1 HTTP/1.1\r\n\r\n",
    HEAD + b"Content-Length: -5\r\n\r\n",
    HEAD + b"Content-Length: 5x\r\n\r\nabcde",
    HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
    HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    HEAD + b"Content-Length: 3\r\n\r\n\xff\xfe\xfd",
)


async def test_garbage(plain: Wire) -> None:
    for request in GARBAGE:
        reply = await answers(plain, request)
        if reply is not None:
            assert reply.status in (400, 401, 403, 404, 500), request[:60]
            assert b"Traceback" not in reply.body and b"site-packages" not in reply.body, request[:60]
            assert "x" not in reply.headers, request[:60]
    await still_answers(plain)


async def test_bombs(plain: Wire) -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 20))
    for body in (
        f'<!DOCTYPE x [<!ENTITY a0 "ha">{laughs}]><methodCall><methodName>&a19;</methodName></methodCall>',
        '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><methodCall><methodName>&f;</methodName></methodCall>',
        "<a>" * 200_000,
    ):
        reply = await plain.post(body.encode())
        assert reply.status == 500 and b"root:" not in reply.body and len(reply.body) < 1000
    reply = await plain.post(b"[" * 200_000, "/jsonrpc")
    assert reply.status == 500 and b"Traceback" not in reply.body
    await still_answers(plain)


async def test_floods(plain: Wire) -> None:
    reply = await answers(plain, HEAD + b"Content-Length: 99999999999\r\n\r\n")
    assert reply is None or reply.status == 413
    reply = await answers(
        plain, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + b"a" * 0x100000 + b"\r\n") * 17
    )
    assert reply is None or reply.status in (400, 413, 500)
    await still_answers(plain)


async def test_who_is_too_slow(plain: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing said, half a request line, half a head, and nothing after an answer: the connection is closed."""
    for said in (b"", b"CON", b"CONNECT /console HTTP/1.1\r\n", b"GET / HT", HEAD):
        reader, writer = await plain.connect()
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 30) == b"", said
        writer.close()
    monkeypatch.setattr(site, "BODY_SECONDS", 0.1)
    reply = await answers(plain, HEAD + b"Content-Length: 100\r\n\r\nhalf")
    assert reply is not None and reply.status == 408
    await still_answers(plain)


async def test_too_many_at_once(bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MOST_CONNECTIONS", 2)
    async with serving(bench.engine, data_dir) as wire:
        held = [await wire.connect() for _ in range(2)]
        await asyncio.sleep(0)
        assert await answers(wire, b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n") is None
        for _, writer in held:
            writer.close()
        async with asyncio.timeout(30):
            while await answers(wire, b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n") is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_what_a_client_says_is_never_a_header_or_markup(bench: Bench, wire: Wire) -> None:
    session = bench.engine.dispatcher.login("root", "tests\r\nX: y")
    evil = "%0d%0aX:%20y%0d%0a%0d%0a<script>"
    for path in (f"/export?ref={evil}", f"/export?task_id={evil}", f"/blob?ref={evil}", f"/export?uuid=x&use={evil}"):
        reply = await wire.send(f"GET {path}&session_id={session} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert "x" not in reply.headers and b"<script>" not in reply.body
    vm = await bench.sample_vm()
    await bench.session.set(VM, vm, name_label="<b>&\"'\x0b]]>")
    body = f"<methodCall><methodName>VM.get_name_label</methodName><params><param><value>{session}</value></param>"
    reply = await wire.post(f"{body}<param><value>{vm}</value></param></params></methodCall>".encode())
    assert "<value>&lt;b&gt;&amp;&quot;'�]]&gt;</value>".encode() in reply.body


async def test_no_secret_is_logged(bench: Bench, data_dir: Path, wire: Wire) -> None:
    path = log.setup(load(data_dir), debug=True)
    try:
        session = (await wire.session()).handle
        for password in (PASSWORD, "a wrong password"):
            call = {"method": "session.login_with_password", "params": [USER, password], "id": 1}
            await wire.post(json.dumps(call).encode(), "/jsonrpc")
        for method in ("VM.get_all", "VM.nonsense", "session.change_password", "VM.get_record"):
            await wire.post(json.dumps({"method": method, "params": [session, PASSWORD], "id": 1}).encode(), "/jsonrpc")
        await wire.send(f"GET /export?session_id={session} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        log.get(__name__).warning("a session", of=session)
    finally:
        log.shutdown()
    written = path.read_text()
    assert "a login was refused" in written
    for secret in (PASSWORD, "a wrong password", session):
        assert secret not in written


async def test_a_bug_of_ours_tells_nothing(bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(bench.engine.dispatcher, "methods", broken)
    reply = await wire.post(b"<methodCall><methodName>system.listMethods</methodName></methodCall>")
    assert reply.status == 500 and b"secret" not in reply.body and b"ZeroDivision" not in reply.body


async def test_large_bodies_take_turns(plain: Wire) -> None:
    """Those who hold a place for a large body do not keep small calls out, and lose it."""
    held = []
    for _ in range(LARGE_BODIES):
        _, writer = await plain.connect()
        writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n" + bytes(1000))
        held.append(writer)
    await still_answers(plain)
    waiting = asyncio.ensure_future(plain.post(b" " * 1_000_000))
    await still_answers(plain)
    for writer in held:
        writer.close()
    assert (await asyncio.wait_for(waiting, 30)).status == 500


async def test_who_does_not_take_the_answer(bench: Bench, plain: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "PIECE_SECONDS", 0.1)
    monkeypatch.setattr(bench.engine.dispatcher, "methods", lambda: ["a" * 1_000_000] * 50)
    _, writer = await plain.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    body = b"<methodCall><methodName>system.listMethods</methodName></methodCall>"
    writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    async with asyncio.timeout(30):
        while not _gone(plain):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    writer.transport.abort()


def _gone(wire: Wire) -> bool:
    return bool(wire.server._doors._inside) and all(transport.is_closing() for transport in wire.server._doors._inside)


async def test_streams_that_stand_still_hold_nobody_up(bench: Bench, plain: Wire) -> None:
    """More imports than there are threads in the engine's pool, none of which sends anything."""
    vm = await bench.sample_vm()
    session = bench.engine.dispatcher.login("root", "tests")
    held = []
    for _ in range(40):
        reader, writer = await plain.connect()
        writer.write(
            f"PUT /import?session_id={session} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n".encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        held.append(writer)
    async with asyncio.timeout(30):
        await bench.session.VM.snapshot(vm, "meanwhile")
        await still_answers(plain)
    for writer in held:
        writer.transport.abort()
