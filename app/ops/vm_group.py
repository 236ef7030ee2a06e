"""VM.snapshot_group and VM.revert_group: several VMs at as close to one instant as QEMU allows, all or none.

Order: all VMs claimed, the space and the chains of each looked at; one journal entry for all, all overlays written and
synced; one switch of all guests; one store transaction for all snapshots, journal end. If it stops in between, the
snapshots are completed when every guest had switched. If only some had, there is no snapshot: those VMs go on with
their overlays on hidden base copies, the others as they were, and nothing that a guest wrote is lost either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from app import crash_points
from app.api import VM, Failure, Ref, VMCalls, VMOperation, VMPowerState
from app.api.failure import invalid_value
from app.api.types import new_uuid
from app.ops.base_copies import keep_base_copies
from app.ops.context import Context, Operations, no_space
from app.ops.disks import disks
from app.ops.locking import Claim, operation
from app.ops.quiesce import crash_consistent
from app.ops.readiness import readiness
from app.ops.records import check_name
from app.ops.screenshots import keep_screenshot
from app.ops.task import current
from app.ops.translate import failures
from app.ops.vm_revert import revert
from app.ops.vm_snapshot import (
    WITH_GUEST,
    has_switched,
    new_plan,
    prepare,
    record,
    refresh,
    start_freezing,
    start_picture,
    switches,
    tell,
    undo,
)
from app.storage.journal import Entry

GROUP: Final = "vm_group"
GROUP_KEY: Final = "stillframe.group"
"""In a snapshot's other_config: the uuid of the group it was taken with."""
SPREAD_KEY: Final = "stillframe.group-spread-ms"
"""The time between the first and the last instant of the group, at most; missing if nobody could measure it."""

Plan = dict[str, Any]


class VMGroupOps(Operations, VMCalls):
    """Groups of snapshots."""

    async def snapshot_group(self, vms: Sequence[Ref[VM]], new_name: str) -> Sequence[Ref[VM]]:
        for vm in vms:
            self.store.get(VM, vm)
        if not vms or len(set(vms)) != len(vms):
            raise invalid_value("vms", ", ".join(vms))
        check_name(new_name)
        async with _holding(self.context, [(vm, VMOperation.snapshot) for vm in vms], vms):
            return await take_group(self.context, vms, new_name)

    async def revert_group(self, snapshots: Sequence[Ref[VM]]) -> None:
        vms = [_vm_of(self.context, snapshot) for snapshot in snapshots]
        groups = {self.store.get(VM, snapshot).other_config.get(GROUP_KEY, "") for snapshot in snapshots}
        if len(groups) != 1 or "" in groups or len(set(vms)) != len(vms):
            raise invalid_value("snapshots", ", ".join(snapshots))
        claims = [(snapshot, VMOperation.revert) for snapshot in snapshots]
        claims += [(vm, VMOperation.reverting) for vm in vms]
        async with _holding(self.context, claims, vms):
            await revert_group(self.context, dict(zip(snapshots, vms, strict=True)))


@asynccontextmanager
async def _holding(context: Context, claims: Sequence[Claim], vms: Sequence[str]) -> AsyncIterator[None]:
    """All of them claimed, and their disks ours alone; in the order of the refs, so that two groups never wait for
    each other."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(operation(context, *sorted(claims)))
        for vm in sorted(vms):
            await stack.enter_async_context(context.alone_with(vm))
        yield


async def take_group(context: Context, vms: Sequence[Ref[VM]], name: str) -> list[Ref[VM]]:
    """Take the snapshots; the caller holds the VMs. :raise Failure: there is none, and all VMs go on as they were."""
    await _require_ready(context, vms)
    group = new_uuid()
    members = [_plan(context, vm, name, group) for vm in vms]
    facts: Plan = {"vms": list(vms), "members": members}
    entry = await prepare(context, facts, GROUP)
    try:
        await _switch(context, members)
        freezing = [start_freezing(context, member) for member in members if member["with_guest"]]
        commit(context, members)
        crash_points.reach("vm_group.committed")
        freezing += [start_freezing(context, member) for member in members if not member["with_guest"]]
        await asyncio.gather(*freezing)
        entry.end()
    except BaseException:
        # What each QEMU did is asked, not assumed.
        await context.settle(vms[0], entry)
        if not _is_recorded(context, members):
            raise
    snapshots = [Ref[VM](member["snapshot"]) for member in members]
    for vm, snapshot in zip(vms, snapshots, strict=True):
        picture = start_picture(context, vm)
        if picture is not None:
            keep_screenshot(context, snapshot, picture)
    return snapshots


async def _require_ready(context: Context, vms: Sequence[Ref[VM]]) -> None:
    """:raise Failure: it is not safe for one of them, or there is not enough space for all."""
    needed, free = 0, []
    for vm in vms:
        found = await readiness(context, vm, VMOperation.snapshot, claimed=True)
        found.require()
        needed += found.space.needed
        free += [found.space.free] if found.space.free >= 0 else []
    if free and needed > min(free):
        raise no_space(f"{needed >> 20} MiB are needed for all and {min(free) >> 20} MiB are free.")


def _plan(context: Context, vm: Ref[VM], name: str, group: str) -> Plan:
    """What a recovery needs to know of one VM, as JSON."""
    state = context.store.get(VM, vm).power_state
    consistency = crash_consistent() if state in WITH_GUEST else {}
    return {
        **new_plan(context, name, disks(context.store, vm), frozenset()),
        "vm": vm,
        "with_guest": state in WITH_GUEST,
        "running": state is VMPowerState.Running,
        "figures": {**consistency, GROUP_KEY: group},
    }


async def _switch(context: Context, members: Sequence[Plan]) -> None:
    current().progress(0.3)
    current().point_of_no_return()
    uuids = {member["vm"]: context.store.get(VM, member["vm"]).uuid for member in members}
    wanted = {uuids[m["vm"]]: switches(context, m) for m in members if m["with_guest"] and m["disks"]}
    spread = 0.0
    if wanted:
        with failures(members[0]["vm"]):
            facts = await context.driver.switch_together(wanted)
        spread = facts.spread
        for member in members:
            member["stall"] = facts.stalls.get(uuids[member["vm"]], 0.0)
    for member in members:
        member["figures"][SPREAD_KEY] = f"{spread * 1000:.1f}"
    crash_points.reach("vm_group.switched")
    current().progress(0.7)


def commit(context: Context, members: Sequence[Mapping[str, Any]]) -> None:
    """Record the snapshots, all in one transaction. Does nothing if that was done already."""
    if _is_recorded(context, members):
        return
    with context.store.transaction() as tx:
        for member in members:
            tell(context, tx, member)
            record(context, tx, member)
    for member in members:
        refresh(context, member)


def _is_recorded(context: Context, members: Sequence[Mapping[str, Any]]) -> bool:
    return any(context.store.find(VM, member["snapshot"]) is not None for member in members)


async def recover(context: Context, entry: Entry) -> None:
    """Complete or undo a group that was interrupted. Safe to repeat. :raise Failure: a QEMU does not answer."""
    if entry.ended:
        return  # each of its VMs asks, and what the first saw to may be long past
    members: list[Plan] = list(entry.facts["members"])  # type: ignore[arg-type]
    # All of them, also if one does not answer.
    outcomes = await asyncio.gather(*(_let_run(context, member) for member in members), return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
    if _is_recorded(context, members) or await _all_switched(context, members):
        commit(context, members)
        await asyncio.gather(*(start_freezing(context, member) for member in members))
    else:
        for member in members:
            await _go_on_without(context, member)
    entry.end()


async def _let_run(context: Context, member: Mapping[str, Any]) -> None:
    """A guest that was stopped for the switch goes on. One that stands still for a reason of its own does not."""
    vm = context.store.find(VM, member["vm"])
    if vm is None or not member["running"] or vm.power_state is not VMPowerState.Running:
        return
    if context.driver.state(vm.uuid) == "paused":
        with failures(member["vm"]):
            await context.driver.unpause(vm.uuid)


async def _all_switched(context: Context, members: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every guest of the group uses its overlays. Of one that has died nobody can say when it switched."""
    guests = [member for member in members if member["with_guest"] and member["disks"]]
    for member in guests:
        vm = context.store.find(VM, member["vm"])
        if vm is None or context.driver.state(vm.uuid) == "absent" or not await has_switched(context, vm, member):
            return False
    return bool(guests)


async def _go_on_without(context: Context, member: Mapping[str, Any]) -> None:
    """The VM keeps what its guest wrote, and there is no snapshot."""
    vm = context.store.find(VM, member["vm"])
    if vm is not None and member["with_guest"] and await has_switched(context, vm, member):
        keep_base_copies(context, member)
        crash_points.reach("vm_group.base_copies_kept")
        await start_freezing(context, member)
    else:
        undo(context, member)
        crash_points.reach("vm_group.undone")


def _vm_of(context: Context, snapshot: Ref[VM]) -> Ref[VM]:
    record = context.store.get(VM, snapshot)
    if not record.is_a_snapshot or context.store.find(VM, record.snapshot_of) is None:
        raise invalid_value("snapshots", snapshot)
    return record.snapshot_of


async def revert_group(context: Context, vms: Mapping[Ref[VM], Ref[VM]]) -> None:
    """Revert each VM to its snapshot; the caller holds all. Nothing is changed before all is prepared for every one.

    :raise Failure: VM_REVERT_FAILED[snapshot, VM, sentence about all that failed]; those are as they were. What kept
        one of them from being prepared, as it is: then none was reverted.
    """
    ready = asyncio.Barrier(len(vms))
    outcomes = await asyncio.gather(
        *(_revert(context, snapshot, vm, ready) for snapshot, vm in vms.items()), return_exceptions=True
    )
    failed = {refs: outcome for refs, outcome in zip(vms.items(), outcomes, strict=True) if outcome is not None}
    # Those that only gave up because another could not be prepared have nothing to tell.
    told = {refs: outcome for refs, outcome in failed.items() if not isinstance(outcome, asyncio.BrokenBarrierError)}
    for outcome in told.values():
        if not isinstance(outcome, Failure) or outcome.code == "TASK_CANCELLED" or len(told) < len(failed) == len(vms):
            raise outcome
    if told:
        raise Failure("VM_REVERT_FAILED", *next(iter(told)), _sentence(context, told, len(vms)))


async def _revert(context: Context, snapshot: Ref[VM], vm: Ref[VM], ready: asyncio.Barrier) -> None:
    async def all_are_prepared() -> None:
        await ready.wait()

    try:
        await revert(context, snapshot, vm, when_prepared=all_are_prepared)
    except BaseException:
        await ready.abort()
        raise


def _sentence(context: Context, told: Mapping[tuple[Ref[VM], Ref[VM]], BaseException], count: int) -> str:
    reasons = (f"“{context.store.get(VM, vm).name_label}”: {failure}" for (_, vm), failure in told.items())
    return f"{len(told)} of {count} VMs were not reverted. {'; '.join(reasons)}"
