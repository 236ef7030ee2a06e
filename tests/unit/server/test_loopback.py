"""The engine on a port of this machine with a token, as on Windows: the same answers, and nothing without the token."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import aiohttp
import msgspec
import pytest

from app.api import VM, ConnectionLost, Failure
from app.client import Session
from app.client.local_address import HOST, LocalAddress, new_token, place_of, read_address, stands_at, write_address
from app.client.service import is_answering
from app.client.unix_transport import UnixTransport
from app.config import load
from app.server.local import LocalServer
from tests.support.engine import Bench
from tests.unit.cli.recorded import xe


async def status(port: int, **headers: str) -> int:
    body = b'{"jsonrpc": "2.0", "method": "session.login_with_password", "params": ["", ""], "id": 1}'
    url = f"http://{HOST}:{port}/jsonrpc"
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as response:
        return response.status


async def test_it_answers_who_has_the_token(bench: Bench, data_dir: Path) -> None:
    config = load(data_dir)
    path = config.engine_socket
    assert not stands_at(path)
    server = LocalServer(bench.engine, path, loopback=True)
    await server.open()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stands_at(path)
    address = read_address(path)
    assert len(address.token) >= 40 and address.token not in repr(place_of(path).url)
    session = await Session.open(UnixTransport(path), originator="tests")
    vm = await bench.sample_vm("over the port")
    assert (await session.get_record(VM, vm)).name_label == "over the port"
    with pytest.raises(Failure, match="HANDLE_INVALID"):
        await session.read_blob("OpaqueRef:none")  # type: ignore[arg-type]
    for wrong in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {new_token()}"}, {"Authorization": "é"}):
        assert await status(address.port, **wrong) == 401
    assert await status(address.port, **address.headers()) == 200
    assert await is_answering(config)
    await server.close()
    assert not path.exists() and not await is_answering(config)
    with pytest.raises(ConnectionLost):
        await session.get_record(VM, vm)
    again = LocalServer(bench.engine, path, loopback=True)  # another port and another token
    await again.open()
    assert (await session.get_record(VM, vm)).uuid == bench.vm(vm).uuid
    await session.close()
    await again.close()


def test_it_listens_to_this_machine_only(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    write_address(path, LocalAddress(4711, "token"))
    assert place_of(path).url == "http://127.0.0.1:4711"
    assert list(tmp_path.iterdir()) == [path]
    write_address(path, LocalAddress(4712, "other"))
    assert read_address(path).port == 4712


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"port": "x", "token": 1}', b'{"port": 1, "token": "t", "x": 1}', b"\xff"]
)
def test_a_file_that_is_no_address_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "engine.sock"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(OSError, match="no address"):
        read_address(path)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    path.write_bytes(msgspec.json.encode(LocalAddress(1, "token")))
    path.chmod(0o644)
    with pytest.raises(PermissionError):
        read_address(path)


async def test_xe_shows_the_token(bench: Bench, data_dir: Path) -> None:
    server = LocalServer(bench.engine, load(data_dir).engine_socket, loopback=True)
    await server.open()
    await bench.sample_vm("over the port")
    printed = await asyncio.to_thread(xe, "vm-list", "params=name-label", "--minimal", "--data-dir", str(data_dir))
    assert printed == ("over the port\n", "", 0)
    await server.close()
    printed = await asyncio.to_thread(xe, "vm-list", "--data-dir", str(data_dir))
    assert printed.status == 1 and "No Stillframe engine is running" in printed.stderr
