"""Streams, pictures and consoles for other machines: who may have them, and how XenServer's clients ask."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.api import NULL, VM, Console, Failure, SessionRecord, Task, TaskStatus
from app.engine import handlers
from tests.support.engine import Bench
from tests.support.wire import PASSWORD, USER, Reply, Wire, aside, read_reply

BASIC = "Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
WRONG = "Authorization: Basic " + base64.b64encode(f"{USER}:wrong".encode()).decode()


def ask(method: str, target: str, *headers: str, body: bytes = b"", version: str = "1.1") -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/{version}", "Host: x", *headers, "", "")).encode() + body


async def task_ended(bench: Bench, ref: str) -> Task:
    while (task := bench.store.get(Task, ref)).status is TaskStatus.pending:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return task


@pytest.fixture
async def session(bench: Bench) -> str:
    return bench.engine.dispatcher.login("root", "tests")


STRANGERS = (
    ("GET", "/", 403, ""),
    ("GET", "/nosuch", 403, ""),
    ("GET", "/../../etc/passwd", 403, ""),
    ("GET", "/%2e%2e/%2e%2e/etc/passwd", 403, ""),
    ("PUT", "/nosuch", 403, ""),
    ("HEAD", "/", 501, ""),
    ("DELETE", "/", 501, ""),
    ("OPTIONS", "/jsonrpc", 200, ""),
    ("GET", "/export?uuid=x", 401, "get_export"),
    ("GET", "/export?uuid=x&session_id=OpaqueRef:x", 401, "get_export"),
    ("GET", "/export_metadata/?all=true", 401, "get_export_metadata"),
    ("GET", "/blob?ref=x", 401, "get_blob"),
    ("GET", "/screenshot?ref=x", 401, "get_screenshot"),
    ("GET", "/rrd_updates", 401, "get_rrd_updates"),
    ("GET", "/console?uuid=x", 401, "get_console"),
    ("PUT", "/import", 401, "put_import"),
    ("CONNECT", "/console?ref=x", 401, "connect_console"),
    ("CONNECT", "/elsewhere", 404, ""),
    ("CONNECT", "example.org:443", 404, ""),
)


async def test_strangers(wire: Wire) -> None:
    for (method, target, status, realm), headers in itertools.product(STRANGERS, ((), (WRONG,))):
        reply = await wire.send(ask(method, target, *headers))
        assert reply.status == status, (method, target)
        assert reply.headers.get("www-authenticate", "") == (f'Basic realm="{realm}"' if realm else "")
        assert b"Traceback" not in reply.body and "aiohttp" not in reply.headers.get("server", "")


async def test_what_is_not_here_is_not_found(wire: Wire, session: str) -> None:
    for path in ("/rrd_updates", "/vm_rrd", "/host_rrd", "/services", "/vncsnapshot", "/console"):
        assert (await wire.send(ask("GET", f"{path}?session_id={session}"))).status == 404


async def test_exports(bench: Bench, wire: Wire, session: str) -> None:
    vm = await bench.sample_vm()
    replies = [
        await wire.send(ask("GET", f"/export_metadata?ref={vm}&session_id={session}")),
        await wire.send(ask("GET", f"/export_metadata/?uuid={bench.vm(vm).uuid}", f"Cookie: session_id={session}")),
        await wire.send(ask("GET", f"/export_metadata?ref={vm}", BASIC)),
        # As XenCenter asks: no length, the end of the connection ends it.
        await wire.send(ask("GET", f"/export?ref={vm}&session_id={session}", version="1.0")),
    ]
    for reply in replies:
        assert (reply.status, reply.headers["content-type"]) == (200, "application/octet-stream")
        assert reply.headers["connection"] == "close" and "attachment" in reply.headers["content-disposition"]
        assert bench.store.get(Task, reply.headers["task-id"]).status is TaskStatus.success
        with tarfile.open(fileobj=io.BytesIO(reply.body)) as archive:
            assert archive.getnames()[0] == "ova.xml"
    assert all("transfer-encoding" not in reply.headers for reply in replies)
    assert set(bench.store.all(SessionRecord)) == {bench.session.ref, session}


async def test_an_export_that_is_refused(bench: Bench, wire: Wire, session: str) -> None:
    task = await bench.session.task.create("mine", "")
    reply = await wire.send(ask("GET", f"/export?ref=OpaqueRef:x&session_id={session}&task_id={task}"))
    assert (reply.status, b"HANDLE_INVALID: [ VM; OpaqueRef:x ]" in reply.body) == (500, True)
    assert (await task_ended(bench, task)).error_info == ("HANDLE_INVALID", "VM", "OpaqueRef:x")
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    reply = await wire.send(ask("GET", f"/export?ref={vm}&session_id={session}"))
    assert reply.status == 500 and b"VM_BAD_POWER_STATE: [ " in reply.body
    reply = await wire.send(ask("GET", f"/export?ref={vm}&session_id={session}&task_id=OpaqueRef:x"))
    assert reply.status == 500 and b"HANDLE_INVALID: [ task; OpaqueRef:x ]" in reply.body


async def test_pictures(bench: Bench, wire: Wire, session: str) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    console = next(iter(bench.store.all(Console)))
    reply = await wire.send(ask("GET", f"/screenshot?ref={console}&session_id={session}"))
    assert (reply.status, reply.headers["content-type"], reply.body[1:4]) == (200, "image/png", b"PNG")
    assert (await wire.send(ask("GET", f"/blob?ref={NULL}&session_id={session}"))).status == 500


# Imports, with a handler that takes anything


async def taken(_: Any, query: Mapping[str, str], body: AsyncIterator[bytes], length: int | None) -> list[str]:
    if query.get("sr_id") == "iso":
        raise Failure("SR_OPERATION_NOT_SUPPORTED", "iso")
    content = b"".join([bytes(chunk) async for chunk in body])
    if content == b"bad":
        raise Failure("IMPORT_ERROR_PREMATURE_EOF")
    return [f"{len(content)} of {length}"]


async def early(_: Any, _query: Mapping[str, str], body: AsyncIterator[bytes], _length: int | None) -> list[str]:
    """Takes a client that leaves for the end."""
    content = b""
    try:
        async for chunk in body:
            content += chunk
    except Exception as error:
        return [f"{len(content)}, then {type(error).__name__}"]
    return ["whole"]


@pytest.fixture(autouse=True)
def _imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(handlers.PUTS, "/import", taken)
    monkeypatch.setitem(handlers.PUTS, "/import_raw_vdi", early)


async def test_success_is_told_before_the_body_is_sent(bench: Bench, wire: Wire, session: str) -> None:
    reader, writer = await wire.connect()
    task = await bench.session.task.create("mine", "")
    writer.write(ask("PUT", f"/import/?session_id={session}&task_id={task}", "Content-Length: 6"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and f"task-id: {task}".encode() in head.lower().replace(
        b"opaqueref", b"OpaqueRef"
    )
    assert bench.store.get(Task, task).status is TaskStatus.pending
    writer.write(b"abcdef")
    await reader.read()
    writer.close()
    done = await task_ended(bench, task)
    assert done.result == "<value><array><data><value>6 of 6</value></data></array></value>"


async def test_an_empty_probe(bench: Bench, wire: Wire, session: str) -> None:
    reply = await wire.send(ask("PUT", f"/import?session_id={session}", "Content-Length: 0", version="1.0"))
    assert reply.status == 200
    assert (await task_ended(bench, reply.headers["task-id"])).name_label == "import"


async def test_imports_that_are_refused(bench: Bench, wire: Wire, session: str) -> None:
    for query, header, status, error in (
        ("sr_id=iso", "Content-Length: 3", 400, "SR_OPERATION_NOT_SUPPORTED"),
        ("", "Transfer-Encoding: chunked", 403, "IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"),
    ):
        task = await bench.session.task.create("mine", "")
        reply = await wire.send(ask("PUT", f"/import?session_id={session}&task_id={task}&{query}", header))
        assert reply.status == status and error.encode() in reply.body
        assert (await task_ended(bench, task)).error_info[0] == error


async def test_an_import_that_fails_on_the_way(bench: Bench, wire: Wire, session: str) -> None:
    task = await bench.session.task.create("mine", "")
    reader, writer = await wire.connect()
    writer.write(ask("PUT", f"/import?session_id={session}&task_id={task}", "Content-Length: 3", body=b"bad"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    # No end of the answer: the connection breaks off.
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    assert (await task_ended(bench, task)).error_info == ("IMPORT_ERROR_PREMATURE_EOF",)


async def test_a_client_that_leaves_early(bench: Bench, wire: Wire, session: str) -> None:
    """Some announce a body without end, send what they have and go."""
    task = await bench.session.task.create("mine", "")
    _, writer = await wire.connect()
    target = f"/import_raw_vdi?session_id={session}&task_id={task}"
    writer.write(ask("PUT", target, f"Content-Length: {1 << 50}", body=b"x" * 1000))
    await writer.drain()
    writer.close()
    assert "1000, then ConnectionLost" in (await task_ended(bench, task)).result


# Consoles


@pytest.fixture
async def console(bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A console that greets and echoes."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RFB 003.008\n")
        while piece := await reader.read(1000):
            writer.write(piece.upper())
        writer.close()

    await bench.session.VM.start(await bench.sample_vm())
    path = data_dir / "run" / "echo.sock"
    server = await asyncio.start_unix_server(echo, path)
    monkeypatch.setattr(bench.engine, "console_socket", lambda _console: path)
    yield next(r for r, c in bench.store.all(Console).items() if c.protocol == "rfb")
    server.close()


async def test_a_console_is_tunnelled(bench: Bench, wire: Wire, session: str, console: str) -> None:
    vm = bench.store.get(Console, console).VM
    for target, headers in (
        (f"/console?ref={console}&session_id={session}", ()),
        (f"/console?uuid={bench.store.get(Console, console).uuid}", (f"Cookie: session_id={session}",)),
        (f"/console?ref={vm}", (BASIC,)),
        (f"/console?uuid={bench.store.get(VM, vm).uuid}&session_id={session}", ()),
    ):
        reader, writer = await wire.connect()
        writer.write(ask("CONNECT", target, *headers, version="1.0") + b"first ")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.write(b"second")
        assert await reader.readexactly(24) == b"RFB 003.008\nFIRST SECOND"
        writer.close()


async def test_where_a_console_is_found(bench: Bench, wire: Wire, console: str) -> None:
    """At the address that the client has used; on the private socket it is a path."""
    session = await wire.session()
    api, expected = session.xenapi, f"{wire.url}/console?ref={console}"
    assert await aside(api.console.get_location, console) == expected
    assert (await aside(api.console.get_record, console))["location"] == expected
    assert (await aside(api.console.get_all_records))[console]["location"] == expected
    batch = await aside(getattr(api.event, "from"), ["console"], "", 5.0)
    assert expected in {event["snapshot"]["location"] for event in batch["events"]}
    assert bench.store.get(Console, console).location == f"/console?ref={console}"


async def test_a_console_that_is_not_there(wire: Wire, session: str, console: str) -> None:
    for target in (f"/console?ref={NULL}", "/console?uuid=", "/console"):
        separator = "&" if "?" in target else "?"
        reply = await wire.send(ask("CONNECT", f"{target}{separator}session_id={session}"))
        assert reply.status == 404


async def test_tunnels_end_with_the_server(bench: Bench, wire: Wire, session: str, console: str) -> None:
    reader, writer = await wire.connect()
    writer.write(ask("CONNECT", f"/console?ref={console}&session_id={session}"))
    await reader.readuntil(b"RFB 003.008\n")
    await wire.server.close()
    assert await reader.read() == b""
    writer.close()


async def test_the_reply_is_read_as_a_client_would(wire: Wire) -> None:
    reader, writer = await wire.connect()
    writer.write(ask("OPTIONS", "/") + ask("OPTIONS", "/"))
    replies: list[Reply] = [await read_reply(reader) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 200]
    writer.close()
