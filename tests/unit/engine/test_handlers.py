"""Streams through the handlers, by every transport that reaches our own engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.api import ConnectionLost, Failure, Task, TaskStatus
from app.api.streams import Chunk
from app.client import Session
from app.client.unix_transport import UnixTransport
from app.config import load
from app.engine import handlers
from app.engine.local import EngineThread, LocalTransport
from app.hypervisor.simulated import SimulatedDriver
from app.ops.context import Context
from app.ops.outlet import Outlet
from app.server.local import LocalServer

PIECE = b"frozen" * 1000


class Handled:
    """Handlers that note what they were given."""

    def __init__(self) -> None:
        self.received = b""
        self.ended = asyncio.Event()
        self.queries: list[Mapping[str, str]] = []

    async def export(self, _context: Context, query: Mapping[str, str], outlet: Outlet) -> None:
        self.queries.append(query)
        count = int(query["count"])
        if count < 0:
            raise Failure("VM_BAD_POWER_STATE", "vm", "halted", "running")
        try:
            outlet.begin("application/octet-stream", "export.xva")
            await outlet.pour(self._pieces(count, broken="broken" in query))
        finally:
            self.ended.set()

    def _pieces(self, count: int, *, broken: bool) -> Iterator[bytes]:
        for _ in range(count):
            yield PIECE
        if broken:
            raise Failure("SR_BACKEND_FAILURE_46", "", "gone", "")

    async def take(
        self, _context: Context, query: Mapping[str, str], body: AsyncIterator[Chunk], length: int | None
    ) -> list[str]:
        self.queries.append(query)
        async for chunk in body:
            self.received += chunk
        if self.received == b"bad":
            raise Failure("IMPORT_ERROR_PREMATURE_EOF")
        return [f"OpaqueRef:{length}"]


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Handled:
    made = Handled()
    monkeypatch.setitem(handlers.GETS, "/export", made.export)
    monkeypatch.setitem(handlers.PUTS, "/import", made.take)
    return made


@asynccontextmanager
async def sessions(data_dir: Path) -> AsyncIterator[list[Session]]:
    """A session in the process and one over the socket, of the same engine."""
    config = load(data_dir)
    thread = EngineThread(config, SimulatedDriver())
    await thread.open()
    server = LocalServer(thread.engine, config.engine_socket)
    try:
        await thread.run(server.open())
        opened = [await Session.open(LocalTransport(thread)), await Session.open(UnixTransport(config.engine_socket))]
        yield opened
        for session in opened:
            await session.close()
    finally:
        await thread.run(server.close())
        await thread.close()


async def _given(content: bytes) -> AsyncIterator[Chunk]:
    for start in range(0, len(content), 2):
        yield content[start : start + 2]


async def _outcome(session: Session, task: str) -> Task:
    for _ in range(500):
        record: Task = await session.call("task.get_record", task)
        if record.status is not TaskStatus.pending:
            return record
        await asyncio.sleep(0.01)
    raise AssertionError("the task does not end")


async def test_streams_by_every_transport(data_dir: Path, handled: Handled) -> None:
    async with sessions(data_dir) as opened:
        for session in opened:
            await _whole(session)
            await _refused(session)
            await _broken(session)
            await _left_early(session, handled)
            await _taken(session, handled)
    assert all("session_id" not in query for query in handled.queries)


async def _whole(session: Session) -> None:
    task = await session.task.create("export", "")
    async with session.download("/export/", {"count": "50", "task_id": task}) as download:
        assert (download.content_type, download.file_name) == ("application/octet-stream", "export.xva")
        assert (download.length, download.task) == (None, task)
        assert b"".join([bytes(chunk) async for chunk in download.chunks]) == PIECE * 50
    assert (await _outcome(session, task)).status is TaskStatus.success


async def _refused(session: Session) -> None:
    task = await session.task.create("export", "")
    with pytest.raises(Failure, match="VM_BAD_POWER_STATE"):
        async with session.download("/export", {"count": "-1", "task_id": task}):
            pass
    assert (await _outcome(session, task)).error_info == ("VM_BAD_POWER_STATE", "vm", "halted", "running")
    never = await session.task.create("export", "")
    await session.task.cancel(never)
    assert (await _outcome(session, never)).status is TaskStatus.cancelled
    for gone in ("OpaqueRef:none", never):
        with pytest.raises(Failure, match="HANDLE_INVALID"):
            async with session.download("/export", {"count": "1", "task_id": gone}):
                pass


async def _broken(session: Session) -> None:
    task = await session.task.create("export", "")
    with pytest.raises((Failure, ConnectionLost)):
        async with session.download("/export", {"count": "3", "broken": "yes", "task_id": task}) as download:
            async for _ in download.chunks:
                pass
    assert (await _outcome(session, task)).error_info[0] == "SR_BACKEND_FAILURE_46"


async def _left_early(session: Session, handled: Handled) -> None:
    handled.ended.clear()
    task = await session.task.create("export", "")
    async with session.download("/export", {"count": "1000000", "task_id": task}) as download:
        await anext(download.chunks)
    assert (await _outcome(session, task)).status is TaskStatus.cancelled
    assert handled.ended.is_set()


async def _taken(session: Session, handled: Handled) -> None:
    handled.received = b""
    task = await session.task.create("import", "")
    await session.upload("/import", {"task_id": task}, _given(b"content"), 7)
    assert handled.received == b"content"
    expected = "<value><array><data><value>OpaqueRef:7</value></data></array></value>"
    assert (await _outcome(session, task)).result == expected
    handled.received = b""
    with pytest.raises(Failure, match="IMPORT_ERROR_PREMATURE_EOF"):
        await session.upload("/import", {}, _given(b"bad"))
