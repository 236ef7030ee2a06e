"""What follows from a revert or a deletion, as short lists with icons: for dialogs, and beside a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from app.api import VDI, VM, VMPowerState
from app.client import ObjectCache
from ui.base.dialogs import Consequence
from ui.base.sizes_and_dates import count, date_and_time, duration, size
from ui.models.chain import unmatched_disks
from ui.snapshots import words
from ui.snapshots.figures import figures_of
from ui.snapshots.merging import freed_by

LOST, STAYS, TELLS = "alert-attention", "alert-good", "alert-info"
_ON = (VMPowerState.Running, VMPowerState.Paused)


def of_revert(
    cache: ObjectCache,
    snapshot: str,
    *,
    kept: bool | None = None,
    with_memory: bool = False,
    now: datetime | None = None,
) -> list[Consequence]:
    """What a revert to this snapshot brings about.

    :param kept: whether the current state is kept in a snapshot first; None, where that is not decided yet, gives the
        short form for a narrow column.
    :param with_memory: whether the guest's memory is kept in that snapshot too.
    """
    record = cache.get(VM, snapshot)
    if record is None:
        return []
    short = kept is None
    vm = cache.get(VM, record.snapshot_of)
    if vm is None:
        return _of_making_again(record, short)
    found: list[Consequence] = [_changes(record, kept, now)]
    found += _of_guest(vm, short, kept=bool(kept) and with_memory)
    found += _of_disks(cache, vm, record)
    found.append((TELLS, _afterwards(record, short)))
    if not short:
        found += _how_long(record)
    found.append((STAYS, "All snapshots stay" if len(vm.snapshots) < 2 else "All other snapshots stay"))
    if short:
        found.append((STAYS, "A safety snapshot is taken first"))
    return found


def _of_making_again(snapshot: VM, short: bool) -> list[Consequence]:
    return [
        (STAYS, "Its VM is gone, and is made again" if short else "The VM is made again, as it was at the snapshot"),
        (STAYS, "Nothing is lost: this snapshot stays as it is"),
        (TELLS, _afterwards(snapshot, short)),
    ]


def _changes(snapshot: VM, kept: bool | None, now: datetime | None) -> Consequence:
    if kept is None:
        return LOST, "Changes since then are lost"
    since = date_and_time(snapshot.snapshot_time)
    passed = duration(max(0.0, ((now or datetime.now(UTC)) - snapshot.snapshot_time).total_seconds()))
    if kept:
        return STAYS, f"Changes since {since} ({passed}) leave the VM, and stay in a new snapshot"
    return LOST, f"Changes since {since} ({passed}) are lost: disks, name and settings"


def _of_guest(vm: VM, short: bool, *, kept: bool) -> list[Consequence]:
    if vm.power_state is VMPowerState.Halted:
        return []
    if kept:
        return [(STAYS, "The guest's memory of now stays in the new snapshot too")]
    if vm.power_state is VMPowerState.Suspended:
        return [(LOST, "The suspended memory is dropped")]
    if short:
        return [(LOST, "The guest is cut off")]
    return [(LOST, "The guest is cut off, as by pulling the plug; its memory is lost")]


def _of_disks(cache: ObjectCache, vm: VM, snapshot: VM) -> list[Consequence]:
    extra = unmatched_disks(cache, vm, snapshot)
    if not extra:
        return []
    named = ", ".join(f"“{disk.name_label}”" for disk in extra[:3] if disk.name_label)
    which = f" ({named}{'…' if len(extra) > 3 else ''})" if named else ""
    verb = "is" if len(extra) == 1 else "are"
    return [(TELLS, f"{count(len(extra), 'newer disk')}{which} {verb} detached, but kept")]


def _afterwards(snapshot: VM, short: bool) -> str:
    if words.has_memory(snapshot):
        return (
            "Ends suspended; resume continues its RAM" if short else "Ends suspended; resume continues from its memory"
        )
    if words.ran_then(snapshot):
        return "The guest starts again" if short else "The guest starts again, as after a power cut"
    return "Ends switched off, as it was"


def _how_long(snapshot: VM) -> list[Consequence]:
    """No data is copied, whatever the size; only memory has to be read back."""
    octets = figures_of(snapshot).memory if words.has_memory(snapshot) else -1
    if octets < 0:
        return [("clock", "It takes a moment, whatever the size of the disks")]
    return [("clock", f"It takes a moment; resuming then reads {size(octets)} of memory")]


def of_group_revert(cache: ObjectCache, snapshots: Sequence[str], *, kept: bool) -> list[Consequence]:
    """What reverting several VMs to the snapshots of one group brings about."""
    records = [record for ref in snapshots if (record := cache.get(VM, ref)) is not None]
    vms = [vm for record in records if (vm := cache.get(VM, record.snapshot_of)) is not None]
    running = [vm.name_label for vm in vms if vm.power_state in _ON]
    suspended = [vm.name_label for vm in vms if vm.power_state is VMPowerState.Suspended]
    found: list[Consequence] = [("group", _names([vm.name_label for vm in vms]))]
    if kept:
        found.append((STAYS, "What they hold now stays in a new group of snapshots, taken at one instant"))
    else:
        found.append((LOST, "Changes since then are lost on all of them: disks, names and settings"))
    if running:
        found.append((LOST, f"{_names(running)}: the guest is cut off, as by pulling the plug"))
    if suspended:
        found.append((LOST, f"{_names(suspended)}: the suspended memory is dropped"))
    found.append((TELLS, "Each VM either goes back or stays as it is; you are told which"))
    found.append((STAYS, "All snapshots stay"))
    return found


def _names(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(name or "without a name" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def of_deletion(cache: ObjectCache, snapshots: Sequence[str], *, keep_disks: bool = False) -> list[Consequence]:
    """What deleting these brings about.

    :param keep_disks: whether only the records go.
    """
    records = [record for ref in snapshots if (record := cache.get(VM, ref)) is not None]
    it, states = ("them", "These states are") if len(records) > 1 else ("it", "This state is")
    if keep_disks:
        return _of_records(records, it)
    found: list[Consequence] = [(LOST, f"{states} lost for good; nothing brings {it} back")]
    if any(words.has_memory(record) for record in records):
        found.append((LOST, f"The guest's memory kept with {it} goes too"))
    if any(ref not in snapshots for record in records for ref in record.children):
        found.append((STAYS, f"The VM stays, and so do snapshots that grew from {it}"))
    else:
        found.append((STAYS, "The VM and all other snapshots stay"))
    return found + _of_space(cache, snapshots)


def _of_space(cache: ObjectCache, snapshots: Sequence[str]) -> list[Consequence]:
    freed = freed_by(cache, snapshots)
    found: list[Consequence] = []
    if freed.at_once:
        found.append(("sr-local", f"{size(freed.at_once)} become free at once"))
    if freed.merged:
        found.append(("merge", f"Up to {size(freed.merged)} are merged in the background, and free after that"))
    if freed.kept:
        found.append(("merge", f"{size(freed.kept)} stay for now: several others build on them"))
    return found


def _of_records(records: Sequence[VM], it: str) -> list[Consequence]:
    found: list[Consequence] = [
        (LOST, f"Name, settings and description are lost; the VM cannot go back to {it} any more"),
        (STAYS, "The disks stay in their storage, with all that builds on them"),
        (TELLS, "Nothing becomes free; the disks can be deleted there by hand"),
    ]
    if any(words.has_memory(record) for record in records):
        found.insert(1, (LOST, f"The guest's memory kept with {it} goes"))
    return found


def of_dropping_memory(cache: ObjectCache, snapshot: str) -> list[Consequence]:
    """What taking the memory out of a checkpoint brings about."""
    record = cache.get(VM, snapshot)
    if record is None:
        return []
    image = cache.get(VDI, record.suspend_VDI)
    octets = max(0, image.physical_utilisation) if image is not None else 0
    found: list[Consequence] = [
        (LOST, "The guest can no longer go on from here; it starts as after a power cut"),
        (STAYS, "The disks of the snapshot stay as they are"),
    ]
    if octets:
        found.append(("sr-local", f"{size(octets)} become free at once"))
    return found
