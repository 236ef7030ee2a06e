"""Exports, imports and consoles over HTTP, against a server that behaves as XenServer's handlers were recorded to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.api import NULL, ConnectionLost, Failure
from app.api.streams import Chunk
from app.client import http_streams
from app.client.address import Address
from app.client.http_streams import console_of
from app.client.http_transport import HttpTransport
from app.client.trust import Trust
from tests.support.recordings import response
from tests.support.replay import Request, http

SESSION, TASK, OTHER_TASK = "OpaqueRef:session", "OpaqueRef:made", "OpaqueRef:given"
EARLY = (
    b"HTTP/1.1 200 OK\r\nConnection: close\r\ntask-id:OpaqueRef:made\r\ncontent-type: application/octet-stream\r\n\r\n"
)
EXPORT = (
    b"HTTP/1.0 200 OK\r\nConnection: close\r\ntask-id: OpaqueRef:made\r\n"
    b'Content-Disposition: attachment; filename="a.xva"\r\ncontent-type: application/octet-stream\r\n\r\n'
)
Handler = Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Host:
    """Answers messages about sessions and tasks, and hands every other request to the test's handler."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.calls: list[tuple[str, list[Any]]] = []
        self.requests: list[Request] = []
        self.task: dict[str, Any] = {"status": "pending", "error_info": []}
        self.ended = asyncio.Event()
        self.expired: set[str] = set()
        self.serving: set[asyncio.Future[Any]] = set()
        self.address = Address("127.0.0.1")

    def end(self, status: str, *error: str) -> None:
        """The task ends."""
        self.task = {"status": status, "error_info": list(error)}
        self.ended.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.rstrip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                method, target, _ = first.split(" ")
                if method != "POST":
                    request = Request(method, target, headers, b"")
                    self.requests.append(request)
                    await self._handler(request, reader, writer)
                    break
                call = json.loads(await reader.readexactly(int(headers["content-length"])))
                writer.write(http(json.dumps(await self._answer(call["method"], call["params"])).encode()))
        writer.close()

    async def _answer(self, method: str, params: list[Any]) -> dict[str, Any]:
        self.calls.append((method, params))
        if method != "session.login_with_password" and params[0] in self.expired:
            return {"error": {"code": 1, "message": "SESSION_INVALID", "data": [params[0]]}}
        if method == "event.from":
            if params[2]:
                await self.ended.wait()
            return {"result": {"events": [], "valid_ref_counts": {}, "token": "1,0"}}
        answers = {
            "session.login_with_password": f"OpaqueRef:session{len(self.expired)}",
            "task.create": TASK,
            "task.get_record": self.task,
            "task.get_status": self.task["status"],
            "console.get_location": f"https://127.0.0.1/console?uuid=u&n={len(self.calls)}",
        }
        return {"result": answers.get(method, "")}


@asynccontextmanager
async def hosting(handler: Handler) -> AsyncIterator[tuple[Host, HttpTransport]]:
    host = Host(handler)
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.address = Address("127.0.0.1", server.sockets[0].getsockname()[1], secure=False)
    transport = HttpTransport(host.address, Trust(None))
    await transport.login("root", "xenroot", "tests")
    try:
        yield host, transport
    finally:
        await transport.close()
        server.close()
        host.ended.set()
        await asyncio.wait(host.serving)


async def pieces(*chunks: bytes) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


async def test_an_import_is_taken_in() -> None:
    async def handler(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(EARLY)
        assert await reader.readexactly(int(request.headers["content-length"])) == b"an archive"
        host.end("success")
        await asyncio.sleep(0)

    async with hosting(handler) as (host, transport):
        await transport.upload(
            "OpaqueRef:session0", "/import", {"sr_id": "OpaqueRef:sr"}, pieces(b"an ", b"archive"), 10
        )
        (request,) = host.requests
        assert (request.method, request.target) == ("PUT", "/import?sr_id=OpaqueRef%3Asr&task_id=OpaqueRef%3Amade")
        assert request.headers["cookie"] == "session_id=OpaqueRef:session0"
        named = [method for method, _ in host.calls]
        assert named[1] == "task.create" and named[-1] == "task.destroy"


async def test_an_import_that_failed_is_told_by_its_task() -> None:
    async def handler(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(EARLY)
        await reader.readexactly(int(request.headers["content-length"]))
        writer.write(response("213").partition(b"\r\n\r\n")[2])
        host.end("failure", "IMPORT_ERROR", "what")

    async with hosting(handler) as (host, transport):
        with pytest.raises(Failure) as caught:
            await transport.upload("s", "/import", {"task_id": OTHER_TASK}, pieces(b"x" * 10), 10)
        assert caught.value.description() == ["IMPORT_ERROR", "what"]
        assert ("task.create" not in [m for m, _ in host.calls]) and ("task.destroy" not in [m for m, _ in host.calls])


@pytest.mark.parametrize(
    ("name", "task", "code"),
    [
        ("215", ("failure", "IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"), "IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"),
        ("214", ("failure", "SR_OPERATION_NOT_SUPPORTED"), "SR_OPERATION_NOT_SUPPORTED"),
        ("214", ("pending",), "INTERNAL_ERROR"),
        ("211", ("pending",), "MESSAGE_METHOD_UNKNOWN"),
        ("216", ("pending",), "SESSION_INVALID"),
    ],
)
async def test_an_import_that_is_refused(name: str, task: tuple[str, ...], code: str) -> None:
    async def handler(_request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host.end(*task)
        writer.write(response(name))
        await reader.read()

    async def endless() -> AsyncIterator[Chunk]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    async with hosting(handler) as (host, transport):
        with pytest.raises(Failure) as caught:
            await transport.upload("s", "/import", {}, endless(), 1 << 40)
        assert caught.value.code == code


async def test_an_import_whose_connection_is_closed_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_streams, "PATIENCE_SECONDS", 0.05)

    async def handler(_request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        writer.transport.abort()

    async with hosting(handler) as (_, transport):
        with pytest.raises(ConnectionLost):
            await transport.upload("s", "/import", {}, pieces(*[b"x" * 100_000] * 200), 20_000_000)


async def test_a_server_that_closes_after_the_archives_end_has_taken_it() -> None:
    async def handler(_request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(EARLY)
        await reader.readexactly(5)
        host.end("success")
        writer.transport.abort()

    async with hosting(handler) as (host, transport):
        await transport.upload("s", "/import", {}, pieces(*[b"x" * 100_000] * 200), None)
        assert host.requests[0].headers["content-length"] == str(1 << 50)


async def test_cancelling_an_import_cuts_the_stream_and_cancels_the_task() -> None:
    cut = asyncio.Event()
    begun = asyncio.Event()

    async def handler(_request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(EARLY)
        await reader.readexactly(5)
        begun.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
        cut.set()

    async def slow() -> AsyncIterator[Chunk]:
        yield b"begun"
        await asyncio.sleep(3600)

    async with hosting(handler) as (host, transport):
        uploading = asyncio.ensure_future(transport.upload("s", "/import", {}, slow(), 100))
        await begun.wait()
        uploading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await uploading
        await cut.wait()
        assert ("task.cancel", ["s", TASK]) in host.calls and ("task.destroy", ["s", TASK]) in host.calls


async def test_a_body_that_cannot_be_read_is_its_owners_matter() -> None:
    async def broken() -> AsyncIterator[Chunk]:
        yield b"some"
        raise PermissionError("no such disk")

    async def handler(_request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(EARLY)
        await reader.read()

    async with hosting(handler) as (_, transport):
        with pytest.raises(PermissionError):
            await transport.upload("s", "/import", {}, broken(), 100)


# Downloads


def sending(*chunks: bytes, end: tuple[str, ...] = ("success",), head: bytes = EXPORT, abort: bool = False) -> Any:
    async def handler(_request: Request, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        host[0].end(*end)
        if abort:
            await asyncio.sleep(0.05)
            writer.transport.abort()

    host: list[Host] = []
    return handler, host


async def content(transport: HttpTransport, query: dict[str, str], session: str = "s") -> bytes:
    found = bytearray()
    async with transport.download(session, "/export", query) as download:
        assert (download.content_type, download.file_name) == ("application/octet-stream", "a.xva")
        async for chunk in download.chunks:
            found += chunk
    return bytes(found)


async def test_an_export() -> None:
    handler, known = sending(b"an ", b"archive")
    async with hosting(handler) as (host, transport):
        known.append(host)
        assert await content(transport, {"ref": NULL}) == b"an archive"
        assert host.requests[0].target == "/export?ref=OpaqueRef:NULL"
        assert host.requests[0].headers["cookie"] == "session_id=s"


@pytest.mark.parametrize("length", [b"", b"Content-Length: 5000\r\n"])
@pytest.mark.parametrize("abort", [False, True])
async def test_an_export_that_breaks_off_is_told_by_its_task(length: bytes, abort: bool) -> None:
    head = EXPORT.replace(b"content-type", length + b"content-type")
    handler, known = sending(b"some", end=("failure", "SR_BACKEND_FAILURE_46", "", "gone", ""), head=head, abort=abort)
    async with hosting(handler) as (host, transport):
        known.append(host)
        with pytest.raises(Failure, match="SR_BACKEND_FAILURE_46"):
            await content(transport, {"ref": NULL, "task_id": OTHER_TASK})


async def test_an_export_that_breaks_off_without_a_reason() -> None:
    handler, known = sending(b"some", head=EXPORT.replace(b"content-type", b"Content-Length: 5000\r\ncontent-type"))
    async with hosting(handler) as (host, transport):
        known.append(host)
        with pytest.raises(ConnectionLost):
            await content(transport, {"ref": NULL})


async def test_an_export_that_is_refused() -> None:
    handler, known = sending(response("196"), head=b"", end=("failure", "VM_BAD_POWER_STATE", "v", "halted", "running"))
    async with hosting(handler) as (host, transport):
        known.append(host)
        with pytest.raises(Failure) as caught:
            await content(transport, {"ref": NULL, "task_id": OTHER_TASK})
        assert caught.value.description() == ["VM_BAD_POWER_STATE", "v", "halted", "running"]


async def test_a_refusal_without_a_task_is_read_from_the_page() -> None:
    handler, known = sending(response("196"), head=b"")
    async with hosting(handler) as (host, transport):
        known.append(host)
        with pytest.raises(Failure) as caught:
            await content(transport, {"ref": NULL})
        assert caught.value.code == "VM_BAD_POWER_STATE" and caught.value.params[1:] == ("halted, suspended", "running")


async def test_an_export_of_an_engine_of_ours_is_refused_in_words() -> None:
    handler, known = sending(http(b'["HANDLE_INVALID","VM","x"]', status="422 No"), head=b"")
    async with hosting(handler) as (host, transport):
        known.append(host)
        with pytest.raises(Failure) as caught:
            await content(transport, {"ref": "x"})
        assert caught.value.description() == ["HANDLE_INVALID", "VM", "x"]


async def test_an_expired_session_is_renewed_for_an_export() -> None:
    async def handler(request: Request, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host.end("success")
        expired = request.headers["cookie"].endswith("=old")
        writer.write(response("195") if expired else EXPORT + b"content")

    async with hosting(handler) as (host, transport):
        host.expired.add("old")
        assert await content(transport, {"ref": NULL}, "old") == b"content"
        assert [request.headers["cookie"] for request in host.requests] == [
            "session_id=old", "session_id=OpaqueRef:session1",
        ]  # fmt: skip


async def test_an_export_from_another_host_of_the_pool() -> None:
    handler, known = sending(b"from afar")
    async with hosting(handler) as (other, _):
        known.append(other)

        async def away(_request: Request, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            place = other.address.url("/export?ref=OpaqueRef:NULL&moved=1").encode()
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\ncontent-length: 0\r\n\r\n")
            host.end("success")

        async with hosting(away) as (host, transport):
            assert await content(transport, {"ref": NULL}) == b"from afar"
        assert other.requests[0].target == "/export?ref=OpaqueRef:NULL&moved=1"
        assert other.requests[0].headers["cookie"] == "session_id=s"


async def test_blobs_and_pictures() -> None:
    handler, known = sending(http(b"\x89PNG", "image/png"), head=b"")
    async with hosting(handler) as (host, transport):
        known.append(host)
        assert await transport.read_blob("s", "OpaqueRef:b") == b"\x89PNG"
        assert await transport.screenshot("s", "OpaqueRef:c") == b"\x89PNG"
        assert [request.target for request in host.requests] == ["/blob?ref=OpaqueRef:b", "/screenshot?ref=OpaqueRef:c"]


# Consoles


async def test_a_console_by_connect() -> None:
    async def handler(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.headers["cookie"].endswith("=old"):
            writer.write(response("210"))
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nCache-Control: no-cache, no-store\r\n\r\nRFB 003.008\n"
        )
        writer.write((await reader.readexactly(12)).upper())
        await writer.drain()

    async with hosting(handler) as (host, transport):
        host.expired.add("older")
        reader, writer = await transport.open_console("old", "OpaqueRef:c")
        assert await reader.readline() == b"RFB 003.008\n"
        writer.write(b"rfb 003.008\n")
        assert await reader.readexactly(12) == b"RFB 003.008\n"
        writer.close()
        assert host.requests[-1].method == "CONNECT"
        assert host.requests[-1].target.startswith("/console?uuid=u")


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n"])
async def test_a_console_that_does_not_answer(answer: bytes) -> None:
    async def handler(_request: Request, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with hosting(handler) as (_, transport):
        with pytest.raises(ConnectionLost):
            await transport.open_console("s", "OpaqueRef:c")


def test_where_a_console_is() -> None:
    here = Address("host1", 8443)
    assert console_of(here, "https://host1/console?uuid=u", "r") == (here, "/console?uuid=u")
    assert console_of(here, "https://host2/console?uuid=u", "r") == (Address("host2"), "/console?uuid=u")
    assert console_of(here, "http://host2/console?uuid=u", "r") == (here, "/console?uuid=u")
    assert console_of(here, "/console?ref=OpaqueRef:c", "r") == (here, "/console?ref=OpaqueRef:c")
    assert console_of(here, "", "OpaqueRef:c") == (here, "/console?ref=OpaqueRef:c")
