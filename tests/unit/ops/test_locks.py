"""Locks on snapshots: what they forbid, when they end, and that other clients' blocks are left alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api import EPOCH, VM, Failure, Message, Ref, VDICalls, VMCalls, VMOperation, VMPowerState
from app.hypervisor.simulated import SimulatedDriver
from app.ops.locks import LOCK_KEY, Lock, is_locked, lock_of, locked_fields, unlocked_fields, why_locked
from app.ops.vm_lock import lift_expired
from tests.engine.vm.guests import assert_tidy, disks_of
from tests.support.engine import Bench, open_bench

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def failure_of(work: Awaitable[Any]) -> Failure:
    with pytest.raises(Failure) as caught:
        await work
    return caught.value


async def snapshots(bench: Bench, count: int = 1) -> tuple[Ref[VM], list[Ref[VM]]]:
    vm = await bench.sample_vm()
    return vm, [await bench.session.VM.snapshot(vm, f"snap {number}") for number in range(count)]


def lock(bench: Bench, snap: Ref[VM], reason: str = "for the audit", until: datetime = EPOCH) -> Awaitable[None]:
    return bench.session.VM.lock_snapshot(snap, reason, "Ada", until)


async def block(bench: Bench, snap: Ref[VM], reason: str) -> None:
    """What another client does to keep a snapshot."""
    await bench.session.call("VM.add_to_blocked_operations", snap, "destroy", reason)


def set_clock(bench: Bench, now: datetime) -> None:
    bench.engine.context.now = lambda: now


# What is locked


ENDS = st.one_of(st.just(""), st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat))
BLOCKS = st.dictionaries(
    st.sampled_from([VMOperation.destroy.value, VMOperation.revert.value]), st.sampled_from(["a", "b", ""])
)


@given(blocks=BLOCKS, reason=st.sampled_from(["a", "b", "c"]), until=ENDS, now=st.datetimes(timezones=st.just(UTC)))
def test_a_lock_binds_until_its_end_and_leaves_other_blocks(
    blocks: dict[str, str], reason: str, until: str, now: datetime
) -> None:
    before = VM(is_a_snapshot=True, blocked_operations=blocks, other_config={"a": "b"})
    made = Lock(reason=reason, owner="", until=until, since=now.isoformat())
    locked = VM(is_a_snapshot=True, **{"other_config": {}, **locked_fields(before, made)})  # type: ignore[arg-type]
    assert lock_of(locked) == made
    ended = bool(until) and datetime.fromisoformat(until) <= now
    foreign = blocks.get(VMOperation.destroy)
    assert is_locked(locked, now) == (not ended or (foreign is not None and foreign != reason))
    assert VMOperation.destroy in locked.blocked_operations
    after = unlocked_fields(locked)
    assert after["other_config"] == {"a": "b"}
    if foreign != reason:
        assert after["blocked_operations"] == blocks


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"reason":"x"}', '{"reason":"x","owner":"","until":"soon","since":""}']
)
def test_damaged_text_is_no_lock_and_no_trouble(text: str) -> None:
    assert lock_of(VM(is_a_snapshot=True, other_config={LOCK_KEY: text})) is None


def test_a_lock_whose_block_another_client_took_away_still_binds() -> None:
    text = Lock(reason="x", owner="", until="", since="").pack()
    assert why_locked(VM(is_a_snapshot=True, other_config={LOCK_KEY: text}), NOW) == "x"


# Locking


async def test_a_locked_snapshot_cannot_be_deleted_until_it_is_unlocked(bench: Bench) -> None:
    vm, (snap,) = await snapshots(bench)
    await lock(bench, snap)
    record = bench.vm(snap)
    assert VMOperation.destroy not in record.allowed_operations
    assert record.blocked_operations == {VMOperation.destroy: "for the audit"}
    (vdi,) = disks_of(bench, snap).values()
    refused: list[tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]] = [
        (VMCalls.destroy, (snap,)), (VMCalls.uninstall, (snap, False)), (VDICalls.destroy, (vdi,)),
    ]  # fmt: skip
    for message, args in refused:
        failure = await failure_of(bench.run(message, *args))
        assert failure.description() == ["OPERATION_BLOCKED", snap, "for the audit"]
    assert bench.vm(snap) == record
    await bench.session.VM.unlock_snapshot(snap)
    assert LOCK_KEY not in bench.vm(snap).other_config
    assert VMOperation.destroy in bench.vm(snap).allowed_operations
    told = [m for m in bench.store.all(Message).values() if m.name in ("SNAPSHOT_LOCKED", "SNAPSHOT_UNLOCKED")]
    assert [(m.name, m.priority, m.obj_uuid) for m in sorted(told, key=lambda m: m.timestamp)] == [
        ("SNAPSHOT_LOCKED", 5, bench.vm(vm).uuid), ("SNAPSHOT_UNLOCKED", 5, bench.vm(vm).uuid),
    ]  # fmt: skip
    assert "by Ada: for the audit" in min(told, key=lambda m: m.timestamp).body
    await bench.run(VMCalls.uninstall, snap, False)
    assert_tidy(bench)


async def test_revert_and_clone_of_a_locked_snapshot_do_not_take_the_lock_along(bench: Bench) -> None:
    vm, (snap,) = await snapshots(bench)
    await lock(bench, snap)
    await bench.run(VMCalls.revert, snap)
    clone = await bench.session.VM.clone(snap, "clone")
    for other in (vm, clone, await bench.session.VM.snapshot(vm, "later")):
        assert LOCK_KEY not in bench.vm(other).other_config
        assert VMOperation.destroy not in bench.vm(other).blocked_operations
    assert lock_of(bench.vm(snap)) is not None


async def test_a_vm_with_a_locked_snapshot_is_deleted_whole_or_not_at_all(bench: Bench) -> None:
    vm, snaps = await snapshots(bench, 3)
    await bench.session.VM.start(vm)
    await lock(bench, snaps[0], "audit")
    await block(bench, snaps[2], "another client")
    before = dict(bench.store.all(VM))
    failure = await failure_of(bench.run(VMCalls.uninstall, vm, True))
    assert failure.code == "OPERATION_BLOCKED" and failure.params[0] == vm
    assert all(word in failure.params[1] for word in ("2 of", "snap 0", "audit", "snap 2", "another client"))
    assert bench.store.all(VM) == before
    await bench.run(VMCalls.uninstall, vm, False)
    assert set(snaps) <= set(bench.store.all(VM))
    assert_tidy(bench)


async def test_a_second_lock_replaces_the_first(bench: Bench) -> None:
    _, (snap,) = await snapshots(bench)
    await lock(bench, snap, "one", datetime.now(UTC) + HOUR)
    await lock(bench, snap, "two")
    found = lock_of(bench.vm(snap))
    assert found is not None and (found.reason, found.owner, found.until) == ("two", "Ada", "")
    assert bench.vm(snap).blocked_operations == {VMOperation.destroy: "two"}


async def test_what_cannot_be_locked_is_refused_with_the_reason(bench: Bench) -> None:
    vm, (snap,) = await snapshots(bench)
    for work, expected in (
        (lock(bench, vm), ["OPERATION_NOT_ALLOWED", "Only a snapshot can be locked"]),
        (bench.session.VM.unlock_snapshot(vm), ["OPERATION_NOT_ALLOWED", "Only a snapshot can be locked"]),
        (lock(bench, snap, "  "), ["INVALID_VALUE", "reason", "  "]),
        (lock(bench, snap, "x" * 501), ["INVALID_VALUE", "reason", "x" * 80]),
        (lock(bench, snap, "a\0b"), ["INVALID_VALUE", "reason", "a\0b"]),
        (bench.session.VM.lock_snapshot(snap, "x", "y" * 201, EPOCH), ["INVALID_VALUE", "owner", "y" * 80]),
        (lock(bench, snap, until=NOW - HOUR), ["INVALID_VALUE", "until", (NOW - HOUR).isoformat()]),
    ):
        assert (await failure_of(work)).description() == expected
    await bench.session.VM.unlock_snapshot(snap)
    await block(bench, snap, "theirs")
    assert (await failure_of(bench.session.VM.unlock_snapshot(snap))).code == "OPERATION_NOT_ALLOWED"
    await lock(bench, snap)
    await bench.session.VM.unlock_snapshot(snap)
    assert bench.vm(snap).blocked_operations == {VMOperation.destroy: "theirs"}


async def test_a_snapshot_on_its_way_out_cannot_be_locked(bench: Bench) -> None:
    _, (snap,) = await snapshots(bench)
    bench.store.publish(VM, snap, current_operations={"OpaqueRef:task": VMOperation.destroy})
    failure = await failure_of(lock(bench, snap))
    assert failure.description() == ["OTHER_OPERATION_IN_PROGRESS", "VM", snap, "destroy", "OpaqueRef:task"]
    bench.store.publish(VM, snap, current_operations={})


# The end of a lock


async def test_a_lock_whose_time_is_over_no_longer_binds(bench: Bench) -> None:
    vm, (one, two) = await snapshots(bench, 2)
    set_clock(bench, NOW)
    await lock(bench, one, until=NOW + HOUR)
    await lock(bench, two, until=NOW + HOUR)
    lift_expired(bench.engine.context)
    assert (await failure_of(bench.session.VM.destroy(one))).code == "OPERATION_BLOCKED"
    set_clock(bench, NOW + HOUR)
    await bench.run(VMCalls.uninstall, one, False)
    assert lock_of(bench.vm(two)) is not None
    lift_expired(bench.engine.context)
    assert (lock_of(bench.vm(two)), bench.vm(two).blocked_operations) == (None, {})
    assert VMOperation.destroy in bench.vm(two).allowed_operations
    bodies = [m.body for m in bench.store.all(Message).values() if m.name == "SNAPSHOT_UNLOCKED"]
    assert len(bodies) == 2 and all("time is over" in body for body in bodies)
    assert bench.vm(vm).power_state is VMPowerState.Halted


async def test_locks_survive_a_restart_and_end_with_it_if_their_time_is_over(data_dir: Path) -> None:
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        _, (one, two) = await snapshots(bench, 2)
        await lock(bench, one)
        set_clock(bench, NOW)
        await lock(bench, two, until=NOW + HOUR)
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        assert (await failure_of(bench.session.VM.destroy(one))).code == "OPERATION_BLOCKED"
        await bench.session.VM.destroy(two)
