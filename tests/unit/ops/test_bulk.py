"""Many snapshots and deletions at once, as a client does them: a task for each, and a result for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.api import EPOCH, VM, Failure, Ref, VMCalls, VMOperation
from tests.engine.vm.guests import assert_tidy
from tests.support.engine import Bench

COUNT = 50


async def many(bench: Bench, count: int = COUNT) -> list[Ref[VM]]:
    return [await bench.sample_vm(f"vm {number}") for number in range(count)]


async def results(works: Sequence[asyncio.Future[str]]) -> list[str | BaseException]:
    return await asyncio.gather(*works, return_exceptions=True)


def snapshot(bench: Bench, vm: Ref[VM], name: str) -> asyncio.Task[str]:
    return asyncio.ensure_future(bench.run(VMCalls.snapshot, vm, name))


def delete(bench: Bench, snap: str) -> asyncio.Task[str]:
    return asyncio.ensure_future(bench.run(VMCalls.uninstall, Ref(snap), False))


async def test_fifty_vms_are_snapshotted_and_cleaned_at_once(bench: Bench) -> None:
    vms = await many(bench)
    for vm in vms[::2]:
        await bench.session.VM.start(vm)
    for number in range(3):
        snaps = await results([snapshot(bench, vm, f"round {number}") for vm in vms])
        assert [bench.vm(str(snap)).snapshot_of for snap in snaps] == vms
    assert all(len(bench.vm(vm).snapshots) == 3 for vm in vms)
    for vm in vms:
        one, two, three = sorted(bench.vm(vm).snapshots, key=lambda ref: bench.vm(ref).name_label)
        assert (bench.vm(two).parent, bench.vm(three).parent, bench.vm(vm).parent) == (one, two, three)
    doomed = [snap for vm in vms for snap in bench.vm(vm).snapshots]
    assert all(result == "" for result in await results([delete(bench, snap) for snap in doomed]))
    assert all(bench.vm(vm).snapshots == frozenset() and not bench.vm(vm).current_operations for vm in vms)
    assert_tidy(bench)


async def test_each_of_many_has_its_own_result(bench: Bench) -> None:
    vms = await many(bench, 12)
    for vm in vms[:3]:
        await bench.session.call("VM.add_to_blocked_operations", vm, "snapshot", "not now")
    snaps = await results([snapshot(bench, vm, "bulk") for vm in vms])
    refused = [snap for snap in snaps if isinstance(snap, Failure)]
    assert [failure.description() for failure in refused] == [["OPERATION_BLOCKED", vm, "not now"] for vm in vms[:3]]
    taken = [Ref[VM](snap) for snap in snaps if isinstance(snap, str)]
    for snap in taken[:4]:
        await bench.session.VM.lock_snapshot(snap, "kept", "", EPOCH)
    outcomes = await results([delete(bench, snap) for snap in taken])
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [True] * 4 + [False] * 5
    assert {ref for ref in taken if bench.store.find(VM, ref) is not None} == set(taken[:4])
    assert_tidy(bench)


async def test_snapshots_and_deletions_of_the_same_vms_do_not_starve_each_other(bench: Bench) -> None:
    """Reverts, snapshots and deletions of few VMs at once: each waits its turn, none is lost, none waits in vain."""
    vms = await many(bench, 5)
    first = {vm: Ref[VM](await snapshot(bench, vm, "first")) for vm in vms}
    works: list[asyncio.Future[str]] = []
    for number in range(6):
        works += [snapshot(bench, vm, f"more {number}") for vm in vms]
        works += [asyncio.ensure_future(bench.run(VMCalls.revert, first[vm])) for vm in vms[:2]]
    outcomes = await results(works)
    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []
    assert all(len(bench.vm(vm).snapshots) == 7 for vm in vms)
    doomed = [snap for vm in vms for snap in bench.vm(vm).snapshots]
    assert not any(isinstance(outcome, BaseException) for outcome in await results([delete(bench, s) for s in doomed]))
    assert_tidy(bench)


async def test_groups_that_overlap_wait_for_each_other(bench: Bench) -> None:
    vms = await many(bench, 6)
    groups = [vms[:4], list(reversed(vms[2:])), vms[::2], [vms[5], vms[0]]]
    works = [asyncio.ensure_future(bench.run(VMCalls.snapshot_group, group, "group")) for group in groups]
    works += [snapshot(bench, vm, "single") for vm in vms]
    assert [outcome for outcome in await results(works) if isinstance(outcome, BaseException)] == []
    for vm in vms:
        assert len(bench.vm(vm).snapshots) == 1 + sum(vm in group for group in groups)
        assert VMOperation.snapshot in bench.vm(vm).allowed_operations
    assert_tidy(bench)
