"""An engine with simulated guests behind its unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.client import Session
from app.client.unix_transport import UnixTransport
from app.config import load
from app.hypervisor.simulated import SimulatedDriver
from app.server import accounts
from app.server.local import LocalServer
from tests.support.engine import Bench, open_bench
from tests.support.wire import Wire, serving


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real hash takes long on purpose."""
    monkeypatch.setattr(accounts, "COST", 16)


@pytest.fixture
async def bench(data_dir: Path) -> AsyncIterator[Bench]:
    async with open_bench(data_dir, SimulatedDriver()) as opened:
        yield opened


@pytest.fixture
async def socket(bench: Bench, data_dir: Path) -> AsyncIterator[Path]:
    """Where the engine answers."""
    path = load(data_dir).engine_socket
    server = LocalServer(bench.engine, path)
    await server.open()
    yield path
    await server.close()
    assert not path.exists()


@pytest.fixture
async def remote(socket: Path) -> AsyncIterator[Session]:
    """A session over the socket."""
    session = await Session.open(UnixTransport(socket), originator="tests")
    yield session
    await session.close()


@pytest.fixture
async def wire(bench: Bench, data_dir: Path) -> AsyncIterator[Wire]:
    """The engine behind HTTPS."""
    async with serving(bench.engine, data_dir) as wire:
        yield wire
