"""Our own client's exports, imports, blobs and consoles over HTTPS."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.api import NULL, VM, Blob, Console, Failure, Ref, Task, TaskStatus
from app.api.streams import Chunk
from app.client import Session
from app.client.address import Address
from app.client.http_transport import HttpTransport
from app.client.trust import KnownServers, Trust
from tests.support.engine import Bench
from tests.support.wire import PASSWORD, USER, Wire


@pytest.fixture
async def remote(wire: Wire, tmp_path: Path) -> AsyncIterator[Session]:
    transport = HttpTransport(Address.parse(wire.url), Trust(KnownServers(tmp_path / "known_servers.json")))
    session = await Session.open(transport, USER, PASSWORD, "tests")
    yield session
    await session.close()


async def exported(remote: Session, path: str, **query: str) -> bytes:
    found = bytearray()
    async with remote._transport.download(remote.ref, path, query) as download:
        async for chunk in download.chunks:
            found += chunk
        assert download.length in (None, len(found))
    return bytes(found)


async def pieces(content: bytes, size: int = 60_000) -> AsyncIterator[Chunk]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def test_a_vm_goes_out_and_comes_back(bench: Bench, remote: Session) -> None:
    vm = await bench.sample_vm("travels")
    archive = await exported(remote, "/export", ref=vm)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getnames()[0] == "ova.xml"
    task = Ref[Task](await remote.task.create("import", ""))
    for length in (len(archive), None):
        await remote._transport.upload(remote.ref, "/import", {"task_id": task}, pieces(archive), length)
        record = await remote.get_record(Task, task)
        assert record.status is TaskStatus.success and "OpaqueRef:" in record.result
        await remote.task.destroy(task)
        task = Ref[Task](await remote.task.create("import", ""))
    assert [record.name_label for record in bench.store.all(VM).values()].count("travels") == 3


async def test_what_is_refused_is_told_in_words(bench: Bench, remote: Session) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    with pytest.raises(Failure, match="VM_BAD_POWER_STATE"):
        await exported(remote, "/export", ref=vm)
    task = await remote.task.create("export", "")
    with pytest.raises(Failure, match="VM_BAD_POWER_STATE"):
        await exported(remote, "/export", ref=vm, task_id=task)
    with pytest.raises(Failure, match="HANDLE_INVALID"):
        await exported(remote, "/export", ref="OpaqueRef:none")
    before = set(bench.store.all(VM))
    for garbage in (b"not a tar at all" * 1000, b""):
        with pytest.raises(Failure, match="IMPORT_ERROR"):
            await remote._transport.upload(remote.ref, "/import", {}, pieces(garbage), len(garbage))
    assert set(bench.store.all(VM)) == before
    assert not [task for task in bench.store.all(Task).values() if task.status is TaskStatus.pending]


async def test_an_import_that_is_cancelled_leaves_nothing(bench: Bench, remote: Session) -> None:
    archive = await exported(remote, "/export", ref=await bench.sample_vm())
    before = set(bench.store.all(VM))
    begun = asyncio.Event()

    async def slow() -> AsyncIterator[Chunk]:
        yield archive[: len(archive) // 2]
        begun.set()
        await asyncio.sleep(3600)

    uploading = asyncio.ensure_future(remote._transport.upload(remote.ref, "/import", {}, slow(), len(archive)))
    await begun.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    while any(task.status is TaskStatus.pending for task in bench.store.all(Task).values()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert set(bench.store.all(VM)) == before


async def test_pictures_and_consoles(bench: Bench, remote: Session, tmp_path: Path) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    snapshot = await bench.session.VM.snapshot(vm, "with a picture")
    blob = next(iter(bench.vm(snapshot).blobs.values()))
    assert await remote.read_blob(Ref[Blob](blob)) == await bench.session.read_blob(Ref[Blob](blob))
    console = next(iter(bench.store.all(Console)))
    assert await remote.screenshot(console) == await bench.session.screenshot(console)
    for wrong in (remote.read_blob, remote.screenshot, remote.open_console):
        with pytest.raises(Failure, match="HANDLE_INVALID"):
            await wrong(NULL)


async def test_a_console(bench: Bench, remote: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.session.VM.start(await bench.sample_vm())
    console = next(iter(bench.store.all(Console)))

    async def screen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RFB 003.008\n" + (await reader.readexactly(12)).upper())
        await writer.drain()
        writer.close()

    socket = bench.engine.context.screenshots.parent / "run" / "screen"
    server = await asyncio.start_unix_server(screen, socket)
    monkeypatch.setattr(bench.engine, "console_socket", lambda _console: socket)
    reader, writer = await remote.open_console(console)
    writer.write(b"rfb 003.008\n")
    assert await reader.read() == b"RFB 003.008\nRFB 003.008\n"
    writer.close()
    server.close()
