"""The engine over its unix socket: the same answers, the same errors, and nothing for strangers."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from app.api import EPOCH, NULL, SR, VM, ConnectionLost, Console, Failure, Message, Ref, VMCalls, classes
from app.api.wire import plain
from app.client import ObjectCache, Session, Watcher, wait_for
from app.client.unix_transport import UnixTransport
from app.server.local import LocalServer
from tests.support.engine import Bench

T = TypeVar("T")


async def post(socket: Path, body: bytes | str) -> tuple[int, str, bytes]:
    """Status, content type and content of the answer."""
    connector = aiohttp.UnixConnector(path=str(socket))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.post("http://engine/jsonrpc", data=BytesIO(body.encode() if isinstance(body, str) else body)) as response,
    ):
        return response.status, response.headers["Content-Type"], await response.read()


async def found(what: Callable[[], T]) -> T:
    """Wait until there is something."""
    while not (answer := what()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return answer


def named(cache: ObjectCache, name: str) -> VM | None:
    return next((record for record in cache.all(VM).values() if record.name_label == name), None)


def request(method: str, *params: Any, version: str | None = "2.0") -> str:
    found = {"method": method, "params": params, "id": 7}
    return json.dumps({**found, "jsonrpc": version} if version else found)


def test_the_socket_is_private(socket: Path) -> None:
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


async def test_every_record_arrives_as_it_is(bench: Bench, remote: Session) -> None:
    vm = await bench.sample_vm("with 'quotes', ünïcode 快照 & <tags>", disks=2, nic=True)
    await bench.session.VM.snapshot(vm, "first")
    await bench.session.VM.start(vm)
    await bench.session.VMSS.create({"name_label": "nightly", "type": "snapshot", "frequency": "weekly"})
    compared = 0
    for name, declared in classes().items():
        if name in ("event", "task", "session"):
            continue
        here = await bench.session.get_all_records(declared.record)
        there = await remote.get_all_records(declared.record)
        # Dates have whole seconds on the wire.
        assert plain(there) == plain(here) and all(type(record) is declared.record for record in there.values()), name
        for ref in list(here)[:3]:
            for field in declared.fields:
                method = f"{name}.get_{field.name}"
                value = await remote.call(method, ref)
                assert plain(value) == plain(await bench.session.call(method, ref)), method
                assert type(value) in (type(field.default), type(getattr(here[ref], field.name))) or value, method
                compared += 1
    assert compared > 300


async def test_the_feed_keeps_a_cache_in_step(bench: Bench, remote: Session) -> None:
    cache = ObjectCache()
    watcher = Watcher(remote, cache)
    watcher.start()
    await watcher.filled()
    template = await remote.by_name(VM, "Sample guest")
    vm: Ref[VM] = Ref(await wait_for(remote, cache, await remote.start(VMCalls.clone, template, "made from afar")))
    assert plain(cache.get(VM, vm)) == plain(bench.vm(vm))
    await remote.set(VM, vm, tags=frozenset({"b", "a"}), name_label="renamed")
    record = await found(lambda: named(cache, "renamed"))
    assert record is not None and record.tags == frozenset({"a", "b"})
    with pytest.raises(Failure) as caught:
        await wait_for(remote, cache, await remote.start(VMCalls.resume, vm))
    assert caught.value.code == "VM_BAD_POWER_STATE"
    await remote.VM.uninstall(vm)
    await found(lambda: cache.get(VM, vm) is None)
    await watcher.close()


async def test_values_of_every_kind_go_both_ways(bench: Bench, remote: Session) -> None:
    vm = await bench.sample_vm()
    snapshot = await remote.VM.snapshot(vm, "kept")
    until = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    await remote.VM.lock_snapshot(snapshot, "audit", "me", until)
    assert "2031-02-03" in bench.vm(snapshot).other_config["stillframe.lock"]
    await remote.VM.unlock_snapshot(snapshot)
    await remote.call("VM.add_to_other_config", vm, "key", "value")
    await remote.call("VM.remove_from_other_config", vm, "key")
    await remote.call("VM.add_tags", vm, "tag")
    await remote.VM.set_memory_limits(vm, 16 << 20, 64 << 20, 32 << 20, 64 << 20)
    assert bench.vm(vm).memory_dynamic_min == 32 << 20 and bench.vm(vm).tags == frozenset({"tag"})
    assert plain(await remote.get_record(SR, bench.sr())) == plain(bench.store.get(SR, bench.sr()))
    message = next(iter(bench.store.all(Message)))
    assert (await remote.get_record(Message, message)).timestamp > EPOCH


async def test_errors_come_with_their_parameters(remote: Session) -> None:
    with pytest.raises(Failure) as caught:
        await remote.VM.start(NULL)
    assert caught.value.description() == ["HANDLE_INVALID", "VM", NULL]
    with pytest.raises(Failure, match="MESSAGE_METHOD_UNKNOWN"):
        await remote.call("VM.levitate", NULL)
    with pytest.raises(Failure, match="FIELD_TYPE_ERROR"):
        await remote.call("VM.set_name_label", NULL, 5)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"method": 5}', b"\xff\xfe", b"[" * 100_000, b'{"id": 1, "params": []}'],
)
async def test_what_is_no_request_is_refused(socket: Path, body: bytes) -> None:
    status, _, content = await post(socket, body)
    assert status == 500 and b"Traceback" not in content


async def test_a_body_that_is_too_large_is_refused(socket: Path) -> None:
    status, _, _ = await post(socket, b" " * (17 << 20))
    assert status == 413


async def test_both_versions_answer_in_their_own_form(socket: Path) -> None:
    status, content_type, content = await post(socket, request("session.login_with_password", "", ""))
    reply = json.loads(content)
    assert (status, content_type, reply["id"]) == (200, "application/json", 7)
    session = reply["result"]
    first = json.loads((await post(socket, request("VM.get_uuid", session, "x", version=None)))[2])
    assert first == {"result": None, "error": ["HANDLE_INVALID", "VM", "x"], "id": 7}
    second = json.loads((await post(socket, request("VM.get_uuid", session, "x")))[2])
    assert second["error"] == {"code": 1, "message": "HANDLE_INVALID", "data": ["VM", "x"]}
    third = json.loads((await post(socket, request("VM.get_all", session, version=None)))[2])
    assert third["error"] is None and isinstance(third["result"], list)


@pytest.mark.parametrize("session", ["", "OpaqueRef:none", None, 5])
async def test_nothing_is_told_without_a_session(socket: Path, session: object) -> None:
    reply = json.loads((await post(socket, request("VM.get_all_records", session)))[2])
    assert reply["error"]["message"] == "SESSION_INVALID"


async def test_too_few_parameters(socket: Path) -> None:
    reply = json.loads((await post(socket, request("VM.get_all")))[2])
    assert reply["error"]["message"] == "MESSAGE_PARAMETER_COUNT_MISMATCH"
    reply = json.loads((await post(socket, request("session.login_with_password", "only me")))[2])
    assert reply["error"]["data"] == ["session.login_with_password", "2", "1"]


async def test_pictures_and_consoles(bench: Bench, remote: Session) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    console = next(iter(bench.store.all(Console)))
    assert await remote.screenshot(console) == await bench.session.screenshot(console)
    for wrong in (remote.read_blob, remote.screenshot, remote.open_console):
        with pytest.raises(Failure, match="HANDLE_INVALID"):
            await wrong(NULL)


async def test_a_new_engine_is_met_with_a_new_session(bench: Bench, remote: Session) -> None:
    await remote.get_all_records(VM)
    for session in list(bench.store.of_class("session")):
        bench.engine.dispatcher._sessions.logout(session)
    assert set(await remote.get_all_records(VM)) == set(bench.store.all(VM))


async def test_an_engine_that_is_gone_is_told(bench: Bench, data_dir: Path) -> None:
    path = data_dir / "run" / "other.sock"
    server = LocalServer(bench.engine, path)
    await server.open()
    session = await Session.open(UnixTransport(path))
    await server.close()
    with pytest.raises(ConnectionLost):
        await session.get_all_records(VM)
    with pytest.raises(ConnectionLost):
        await session.read_blob(NULL)
    with pytest.raises(ConnectionLost):
        await session.close()


async def test_a_socket_left_by_a_kill_is_replaced(bench: Bench, socket: Path) -> None:
    left = socket.with_name("left.sock")
    left.write_bytes(b"")
    server = LocalServer(bench.engine, left)
    await server.open()
    session = await Session.open(UnixTransport(left))
    assert await session.by_name(VM, "Sample guest")
    await session.close()
    await server.close()
