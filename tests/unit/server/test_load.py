"""A short form of the load test: tests/bench has the long one, with 200 clients."""

from __future__ import annotations

from pathlib import Path

from app.api import Task, TaskStatus
from app.client import Session
from app.client.address import Address
from app.client.dialects import XmlRpc
from app.client.http_transport import HttpTransport
from app.client.trust import KnownServers, Trust
from tests.support import load
from tests.support.engine import Bench
from tests.support.wire import PASSWORD, USER, Wire

CLIENTS = 20


async def test_many_clients_at_once_lose_nothing_and_leave_nothing(bench: Bench, wire: Wire, tmp_path: Path) -> None:
    trust = Trust(KnownServers(tmp_path / "known_servers.json"))
    vms = [await bench.sample_vm(f"of the load {number}") for number in range(2)]

    async def open_session(number: int) -> Session:
        transport = HttpTransport(Address.parse(wire.url), trust, XmlRpc() if number % 5 == 0 else None)
        return await Session.open(transport, USER, PASSWORD, f"client {number}")

    report = await load.run(open_session, CLIENTS, 1.5, vms, pause=0.2)
    assert report.differences == []
    assert set(report.refused) <= {"OTHER_OPERATION_IN_PROGRESS"}
    assert report.seconds["snapshot"] and report.deltas > CLIENTS
    assert list(bench.store.of_class("session")) == [bench.session.ref]
    assert all(task.status is TaskStatus.success for task in bench.store.all(Task).values())
    assert len(bench.store.all(Task)) <= len(report.seconds["snapshot"]), "only what was started as a task is kept"
