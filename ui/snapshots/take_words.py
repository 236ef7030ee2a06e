"""What each way to take a snapshot means for one VM now, in a sentence; and how things are afterwards."""

from __future__ import annotations

from app.api import VM, VMOperation, VMPowerState
from app.client import ObjectCache
from ui.base.dialogs import Consequence
from ui.base.sizes_and_dates import duration, size
from ui.models.chain import CHAIN_LIMIT, CHAIN_WARNING, Chains, free_space
from ui.snapshots import words
from ui.snapshots.figures import figures_of
from ui.snapshots.readiness import Readiness, depth_words, space_words
from ui.snapshots.ways import DISKS, FLUSHED, Way

_DISKS = {
    VMPowerState.Running: "No pause. The guest recovers as after a power cut.",
    VMPowerState.Paused: "The memory is not kept. The guest recovers as after a power cut.",
    VMPowerState.Suspended: "The suspended memory is not kept. The guest recovers as after a power cut.",
    VMPowerState.Halted: "The VM is off, so its disks are at rest.",
}


def describe(cache: ObjectCache, vm: VM, way: Way, ready: Readiness | None) -> str:
    """What taking a snapshot this way means for the guest."""
    if way is DISKS:
        return _DISKS[vm.power_state]
    if way is FLUSHED:
        last = _last(cache, vm, "freeze")
        moment = f"about {duration(last / 1000)}, as last time" if last >= 0 else "a moment"
        return f"The guest's agent flushes its files and holds them for {moment}."
    return _of_memory(cache, vm, ready)


def _of_memory(cache: ObjectCache, vm: VM, ready: Readiness | None) -> str:
    method = ready.method if ready is not None else ""
    much = size(ready.memory) if ready is not None and ready.memory > 0 else ""
    if vm.power_state is VMPowerState.Suspended:
        return f"Its memory is kept as well{f': {much}' if much else ''}. No guest runs meanwhile."
    if vm.power_state is VMPowerState.Paused:
        return f"Its memory is kept as well{f': up to {much}' if much else ''}. The guest stays paused."
    if method == "stop":
        return f"The guest stands still while {much or 'its memory'} {'are' if much else 'is'} written."
    if method == "background":
        last = _last(cache, vm, "stall", with_memory=True)
        if last >= 0:
            pause = f"about {duration(last / 1000)}, as last time"
            return f"Paused for {pause}; then {f'up to {much}' if much else 'its memory'} is written."
        return f"Paused for milliseconds; {f'up to {much}' if much else 'its memory'} is written as it runs on."
    return "The guest can go on exactly from here."


def _last(cache: ObjectCache, vm: VM, what: str, *, with_memory: bool = False) -> float:
    """The newest measure of this kind among the VM's snapshots, in milliseconds; -1 without any."""
    records = [record for ref in vm.snapshots if (record := cache.get(VM, ref)) is not None]
    records.sort(key=lambda record: record.snapshot_time, reverse=True)
    measured = (
        float(getattr(figures_of(record), what))
        for record in records
        if not with_memory or (words.has_memory(record) and figures_of(record).method == "background")
    )
    return next((value for value in measured if value >= 0), -1)


def afterwards(cache: ObjectCache, vm: str, ready: Readiness | None) -> list[Consequence]:
    """How things are after a snapshot: space and chains, from the engine's answer or else from the records."""
    if ready is None:
        said = outlook(cache, vm)
        return [("sr-local", said)] if said else []
    found: list[Consequence] = [("sr-local", said)] if (said := space_words(ready)) else []
    if depth := depth_words(ready):
        found.append(("merge", depth))
    return found


def outlook(cache: ObjectCache, vm: str) -> str:
    """How things are afterwards, by the records: ``412 GiB free, chain depth 5 of 30 after this``."""
    record = cache.get(VM, vm)
    if record is None:
        return ""
    depth = Chains(cache).of(record).depth
    parts = []
    room = free_space(cache, record)
    if room is not None:
        parts.append(f"{size(room[1])} free on {room[0]}" if room[0] else f"{size(room[1])} free")
    if depth:
        parts.append(f"chain depth {depth + 1} of {CHAIN_LIMIT}")
    warning = " Old snapshots should go soon." if depth + 1 >= CHAIN_WARNING else ""
    return f"After this: {', '.join(parts)}.{warning}" if parts else "It has no disks; only its settings are kept."


def asked_of(vm: VM) -> tuple[VMOperation, ...]:
    """What to ask the engine about: the ways that it offers for this VM."""
    offered = (VMOperation.snapshot, VMOperation.snapshot_with_quiesce, VMOperation.checkpoint)
    return tuple(operation for operation in offered if operation in vm.allowed_operations)
