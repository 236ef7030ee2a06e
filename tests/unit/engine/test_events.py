"""event.from: waiting, tokens, subscriptions; and event.inject."""

from __future__ import annotations

import asyncio

import pytest

from app.api import VM, EventBatch, EventOperation, Failure, Ref, VMCalls
from app.store import feed
from tests.support.engine import Bench


async def ask(bench: Bench, token: str = "", timeout: float = 0.0, wanted: str = "*") -> EventBatch:
    return await bench.session.event.from_([wanted], token, timeout)


async def test_everything_comes_first_as_added(bench: Bench) -> None:
    vm = await bench.sample_vm()
    batch = await ask(bench)
    added = {event.ref: event.snapshot for event in batch.events if event.operation is EventOperation.add}
    assert added[vm] == bench.vm(vm)
    for cls in ("VM", "VDI", "SR", "host", "pool"):
        assert set(bench.store.of_class(cls)) <= set(added)
        assert batch.valid_ref_counts[cls.lower()] == len(bench.store.of_class(cls))
    assert (await ask(bench, batch.token)).events == ()


async def test_a_change_ends_the_wait(bench: Bench) -> None:
    vm = await bench.sample_vm()
    token = (await ask(bench)).token
    waiting = asyncio.ensure_future(ask(bench, token, 60.0, "vm"))
    await asyncio.sleep(0)
    await bench.session.set(VM, vm, name_label="renamed")
    batch = await asyncio.wait_for(waiting, 20)
    (event,) = batch.events
    assert (event.cls, event.operation, event.ref) == ("VM", EventOperation.mod, vm)
    assert event.snapshot == bench.vm(vm)
    assert event.timestamp == "0.0"
    assert int(event.id) > 0


async def test_nothing_new_is_an_empty_answer(bench: Bench) -> None:
    token = (await ask(bench)).token
    batch = await ask(bench, token, 0.05, "vm")
    assert batch.events == ()
    assert batch.token >= token
    assert (await ask(bench, token, -5.0)).events == ()


async def test_changes_that_are_not_wanted_do_not_end_the_wait(bench: Bench) -> None:
    vm = await bench.sample_vm()
    token = (await ask(bench)).token
    waiting = asyncio.ensure_future(ask(bench, token, 60.0, "sr"))
    await bench.session.set(VM, vm, name_label="renamed")
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await bench.session.call("SR.set_name_label", bench.sr(), "renamed")
    assert [event.ref for event in (await asyncio.wait_for(waiting, 20)).events] == [bench.sr()]


async def test_one_object_alone(bench: Bench) -> None:
    vm = await bench.sample_vm()
    other = await bench.session.VM.clone(vm, "other")
    token = (await ask(bench)).token
    await bench.session.set(VM, other, name_label="renamed")
    await bench.session.set(VM, vm, name_label="renamed")
    assert [event.ref for event in (await ask(bench, token, 0.0, f"vm/{other}")).events] == [other]


async def test_deletions_have_no_record(bench: Bench) -> None:
    vm = await bench.sample_vm()
    token = (await ask(bench)).token
    await bench.run(VMCalls.uninstall, vm, False)
    events = {event.ref: event for event in (await ask(bench, token)).events}
    assert (events[vm].operation, events[vm].snapshot) == (EventOperation.delete, None)
    assert vm not in {event.ref for event in (await ask(bench)).events if event.operation is EventOperation.add}


async def test_one_snapshot_is_one_batch(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2, nic=True)
    token = (await ask(bench)).token
    snap = Ref[VM](await bench.run(VMCalls.snapshot, vm, "snap"))
    batch = await ask(bench, token)
    kinds = sorted((e.cls, e.operation.value) for e in batch.events if e.cls not in ("task", "SR"))
    assert kinds == sorted(
        [("VM", "add"), ("VM", "mod"), ("VM_metrics", "add"), ("message", "add"), ("VIF", "add"), ("network", "mod")]
        + [("VBD", "add")] * 2
        + [("VDI", "add")] * 2
        + [("VDI", "mod")] * 2
    )
    records = {event.ref: event.snapshot for event in batch.events}
    assert records[snap] == bench.vm(snap)
    assert records[vm] == bench.vm(vm)


async def test_what_is_no_token_or_subscription(bench: Bench) -> None:
    with pytest.raises(Failure) as caught:
        await ask(bench, "nonsense")
    assert caught.value.description() == ["EVENT_FROM_TOKEN_PARSE_FAILURE", "nonsense"]
    assert (await ask(bench, "", 0.0, "nosuch")).events == ()
    assert (await bench.session.event.from_([], "", 0.0)).events == ()
    with pytest.raises(Failure) as caught:
        await bench.session.call("event.from", "vm", "", 0.0)
    assert caught.value.code == "EVENT_SUBSCRIPTION_PARSE_FAILURE"


async def test_a_synthetic_change(bench: Bench) -> None:
    vm = await bench.sample_vm()
    token = (await ask(bench)).token
    waiting = asyncio.ensure_future(ask(bench, token, 60.0))
    await asyncio.sleep(0)
    after = await bench.session.event.inject("VM", vm)
    assert [event.ref for event in (await asyncio.wait_for(waiting, 20)).events] == [vm]
    assert (await ask(bench, after)).events == ()
    for cls, ref in (("vm", vm), ("VM", "OpaqueRef:nothing"), ("Nothing", vm)):
        with pytest.raises(Failure) as caught:
            await bench.session.event.inject(cls, ref)
        assert caught.value.description() == ["HANDLE_INVALID", cls, ref]


async def test_many_may_wait(bench: Bench) -> None:
    vm = await bench.sample_vm()
    token = (await ask(bench)).token
    waiting = [asyncio.ensure_future(ask(bench, token, 60.0, "vm")) for _ in range(20)]
    waiting[0].cancel()
    await asyncio.sleep(0)
    await bench.session.set(VM, vm, name_label="renamed")
    for answer in waiting[1:]:
        assert [event.ref for event in (await asyncio.wait_for(answer, 20)).events] == [vm]


# The older way


async def test_events_one_after_the_other(bench: Bench) -> None:
    vm = await bench.sample_vm()
    event = bench.session.event
    with pytest.raises(Failure) as caught:
        await event.next()
    assert caught.value.description() == ["SESSION_NOT_REGISTERED", bench.session.ref]
    await event.register(["VM"])
    before = await event.get_current_id()
    waiting = asyncio.ensure_future(event.next())
    await asyncio.sleep(0)
    await bench.session.call("SR.set_name_label", bench.sr(), "renamed")
    await bench.session.set(VM, vm, name_label="renamed")
    (heard,) = await asyncio.wait_for(waiting, 20)
    assert (heard.ref, heard.operation, heard.snapshot) == (vm, EventOperation.mod, bench.vm(vm))
    assert int(heard.id) > before
    await bench.session.set(VM, vm, name_label="again")
    assert [e.ref for e in await event.next()] == [vm]
    await event.unregister(["vm"])
    with pytest.raises(Failure, match="SESSION_NOT_REGISTERED"):
        await event.next()


async def test_lost_events_are_told_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.session.event.register(["*"])
    monkeypatch.setattr(feed, "_TOMBSTONES_KEPT", 1)
    for _ in range(3):
        await bench.session.call("VM.destroy", await bench.session.VM.clone(await bench.sample_vm(), "short-lived"))
    with pytest.raises(Failure, match="EVENTS_LOST"):
        await bench.session.event.next()
    monkeypatch.setattr(feed, "_TOMBSTONES_KEPT", 1000)
    vm = await bench.sample_vm()
    assert vm in {event.ref for event in await bench.session.event.next()}


async def test_who_has_logged_out_hears_no_more(bench: Bench) -> None:
    other = bench.engine.dispatcher.login("somebody", "else")
    token = (await ask(bench)).token
    waiting = asyncio.ensure_future(bench.engine.dispatcher.call(other, "event.from", [["vm"], token, 60.0]))
    await asyncio.sleep(0)
    bench.engine.dispatcher.logout(other)
    with pytest.raises(Failure) as caught:
        await asyncio.wait_for(waiting, 20)
    assert caught.value.description() == ["SESSION_INVALID", other]


async def test_sessions_are_nobodys_business(bench: Bench) -> None:
    bench.engine.dispatcher.login("somebody", "else")
    assert {event.cls for event in (await ask(bench)).events} >= {"VM", "role", "SM", "host_cpu"}
    assert not [event for event in (await ask(bench)).events if event.cls == "session"]
    for method in ("session.get_all", "session.get_all_records"):
        with pytest.raises(Failure, match="MESSAGE_METHOD_UNKNOWN"):
            await bench.session.call(method)
