"""The ways to take a snapshot, and why one of them cannot be had now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from app.api import VM, Ref, Task, VMCalls, VMGuestMetrics, VMOperation, VMPowerState
from app.client import ObjectCache, Session
from ui.base.settings import Settings
from ui.snapshots.rules import why_no_snapshot

_LAST: Final = "snapshots/way"
_OFF: Final = {
    VMPowerState.Halted: "off",
    VMPowerState.Paused: "paused",
    VMPowerState.Suspended: "suspended",
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to take a snapshot, offered where the engine allows its operation."""

    operation: VMOperation
    icon: str
    title: str
    start: Callable[[Session, Ref[VM], str], Awaitable[Ref[Task]]]


DISKS: Final = Way(
    VMOperation.snapshot,
    "snapshot",
    "Disks only",
    lambda session, vm, name: session.start(VMCalls.snapshot, vm, name),
)
FLUSHED: Final = Way(
    VMOperation.snapshot_with_quiesce,
    "snapshot-quiesced",
    "Disks, files flushed",
    lambda session, vm, name: session.start(VMCalls.snapshot_with_quiesce, vm, name),
)
MEMORY: Final = Way(
    VMOperation.checkpoint,
    "snapshot-memory",
    "Disks and memory",
    lambda session, vm, name: session.start(VMCalls.checkpoint, vm, name),
)
WAYS: Final = (DISKS, FLUSHED, MEMORY)


def why_no_way(cache: ObjectCache, vm: str, way: Way) -> str:
    """Why this VM cannot be snapshotted in this way now; "" when it can."""
    record = cache.get(VM, vm)
    if record is not None and way.operation in record.allowed_operations:
        return ""
    reason = why_no_snapshot(cache, vm)
    if reason or record is None:
        return reason
    blocked = record.blocked_operations.get(way.operation)
    if blocked is not None:
        return f"It is blocked: {blocked}." if blocked else "It is blocked."
    if way is FLUSHED:
        return _why_not_flushed(cache, record)
    if way is MEMORY and record.power_state is VMPowerState.Halted:
        return "Only a running, paused or suspended VM has memory."
    return "The engine does not offer this now."


def _why_not_flushed(cache: ObjectCache, vm: VM) -> str:
    if vm.power_state is not VMPowerState.Running:
        return f"The VM is {_OFF[vm.power_state]}: nothing in it can flush its files."
    guest = cache.get(VMGuestMetrics, vm.guest_metrics)
    if guest is None or not guest.live:
        return "No guest agent answers in this VM."
    return "The guest's agent does not offer this."


def last_way(settings: Settings, vm: VM) -> Way:
    """The way this VM was last snapshotted in; for one that never was, the way last chosen for any."""
    wanted = settings.get(f"{_LAST}/{vm.uuid}", "") or settings.get(f"{_LAST}/any", "")
    return next((way for way in WAYS if way.operation.value == wanted), DISKS)


def remember_way(settings: Settings, vm: VM, way: Way) -> None:
    """Propose this way the next time."""
    for key in (vm.uuid, "any"):
        settings.put(f"{_LAST}/{key}", way.operation.value)
