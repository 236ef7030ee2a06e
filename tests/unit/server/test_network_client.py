"""Our own client over HTTPS, in both languages: what the engine holds arrives as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.api import NULL, VM, Failure, Ref, VMCalls, classes
from app.api.wire import plain
from app.client import ObjectCache, Session, Watcher, wait_for
from app.client.address import Address
from app.client.dialects import Dialect, XmlRpc
from app.client.http_transport import HttpTransport
from app.client.trust import KnownServers, Trust
from tests.support.engine import Bench
from tests.support.wire import PASSWORD, USER, Wire


@pytest.fixture(params=["JSON-RPC", "XML-RPC"])
def dialect(request: pytest.FixtureRequest) -> Dialect | None:
    """The language that is spoken; None: the one that the client prefers, JSON-RPC."""
    return XmlRpc() if request.param == "XML-RPC" else None


@pytest.fixture
async def remote(wire: Wire, dialect: Dialect | None, tmp_path: Path) -> AsyncIterator[Session]:
    trust = Trust(KnownServers(tmp_path / "known_servers.json"))
    transport = HttpTransport(Address.parse(wire.url), trust, dialect)
    session = await Session.open(transport, USER, PASSWORD, "tests")
    yield session
    await session.close()


async def test_every_record_and_field_arrives_as_it_is(bench: Bench, remote: Session) -> None:
    vm = await bench.sample_vm("with 'quotes', ünïcode 快照 & <tags>", disks=2, nic=True)
    await bench.session.VM.snapshot(vm, "first")
    await bench.session.VM.start(vm)
    await bench.session.VMSS.create({"name_label": "nightly", "type": "snapshot", "frequency": "weekly"})
    kinds = set()
    for name, declared in classes().items():
        # The location of a console begins with this server's address.
        if name in ("event", "task", "session", "console"):
            continue
        here = await bench.session.get_all_records(declared.record)
        there = await remote.get_all_records(declared.record)
        # Dates have whole seconds on the wire.
        assert plain(there) == plain(here) and all(type(record) is declared.record for record in there.values()), name
        for ref in list(here)[:1]:
            for field in declared.fields:
                kind = (field.container, field.value.scalar, bool(getattr(here[ref], field.name)))
                if kind not in kinds:
                    method = f"{name}.get_{field.name}"
                    assert plain(await remote.call(method, ref)) == plain(getattr(here[ref], field.name)), method
                    kinds.add(kind)
    assert len(kinds) > 15


async def test_the_feed_keeps_a_cache_in_step(bench: Bench, remote: Session) -> None:
    cache = ObjectCache()
    watcher = Watcher(remote, cache)
    watcher.start()
    await watcher.filled()
    template = await remote.by_name(VM, "Sample guest")
    vm: Ref[VM] = Ref(await wait_for(remote, cache, await remote.start(VMCalls.clone, template, "made from afar")))
    assert plain(cache.get(VM, vm)) == plain(bench.vm(vm))
    await remote.set(VM, vm, tags=frozenset({"b", "a"}), name_label="renamed")
    with pytest.raises(Failure) as caught:
        await wait_for(remote, cache, await remote.start(VMCalls.resume, vm))
    assert caught.value.description() == ["VM_BAD_POWER_STATE", vm, "suspended", "halted"]
    record = cache.get(VM, vm)
    assert record is not None and record.name_label == "renamed" and record.tags == {"a", "b"}
    await remote.VM.uninstall(vm)
    while cache.get(VM, vm) is not None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await watcher.close()


async def test_values_of_every_kind_go_both_ways(bench: Bench, remote: Session) -> None:
    vm = await bench.sample_vm()
    snapshot = await remote.VM.snapshot(vm, "kept", ())
    await remote.VM.lock_snapshot(snapshot, "audit", "me", datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC))
    assert "2031-02-03" in bench.vm(snapshot).other_config["stillframe.lock"]
    await remote.call("VM.add_to_other_config", vm, "key", "<value>\r\n")
    await remote.VM.set_memory_limits(vm, 16 << 20, 64 << 20, 32 << 20, 64 << 20)
    found = bench.vm(vm)
    assert (found.memory_dynamic_min, found.other_config["key"]) == (32 << 20, "<value>\r\n")
    vmss = await remote.VMSS.create(
        {"name_label": "n", "type": "snapshot", "frequency": "daily", "retained_snapshots": 3, "enabled": False}
    )
    record = await remote.call("VMSS.get_record", vmss)
    assert (record.retained_snapshots, record.enabled) == (3, False)
    assert (await remote.host.get_servertime(bench.engine.context.host)).tzinfo is not None
    assert "VM.snapshot" in await remote.call("system.listMethods")


async def test_errors_come_with_their_parameters(remote: Session) -> None:
    for method, params, expected in (
        ("VM.start", (NULL, False, False), ["HANDLE_INVALID", "VM", NULL]),
        ("VM.levitate", (NULL,), ["MESSAGE_METHOD_UNKNOWN", "VM.levitate"]),
        ("VM.clone", (), ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.clone", "2", "0"]),
        ("event.from", (["*"], "nonsense", 0.0), ["EVENT_FROM_TOKEN_PARSE_FAILURE", "nonsense"]),
    ):
        with pytest.raises(Failure) as caught:
            await remote.call(method, *params)
        assert caught.value.description() == expected


async def test_an_expired_session_and_a_wrong_password(bench: Bench, remote: Session, wire: Wire) -> None:
    for ref in list(bench.store.of_class("session")):
        if ref != bench.session.ref:
            bench.engine.dispatcher._sessions.logout(ref)
    assert await asyncio.gather(*(remote.by_name(VM, "Sample guest") for _ in range(3)))
    stranger = HttpTransport(Address.parse(wire.url), Trust(None, authorities=wire.trust()))
    with pytest.raises(Failure, match="SESSION_AUTHENTICATION_FAILED"):
        await stranger.login(USER, "guess", "tests")
    await stranger.close()
