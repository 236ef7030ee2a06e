"""What follows from a revert or a deletion, as short lists with icons: for dialogs, and beside a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from app.api import VM, VMPowerState
from app.client import ObjectCache
from ui.base.dialogs import Consequence
from ui.base.sizes_and_dates import count, date_and_time, duration, size
from ui.models.chain import Chains, unmatched_disks
from ui.snapshots import words

LOST, STAYS, TELLS = "alert-attention", "alert-good", "alert-info"
_ON = (VMPowerState.Running, VMPowerState.Paused)


def of_revert(
    cache: ObjectCache, snapshot: str, *, kept: bool | None = None, now: datetime | None = None
) -> list[Consequence]:
    """What a revert to this snapshot brings about.

    :param kept: whether the current state is kept in a snapshot first; None, where that is not decided yet, gives the
        short form for a narrow column.
    """
    record = cache.get(VM, snapshot)
    if record is None:
        return []
    short = kept is None
    found: list[Consequence] = [_changes(record, kept, now)]
    vm = cache.get(VM, record.snapshot_of)
    if vm is not None:
        found += _of_guest(vm, short)
        found += _of_disks(cache, vm, record)
    found.append((TELLS, _afterwards(record, short)))
    found.append((STAYS, "All snapshots stay" if vm is None or len(vm.snapshots) < 2 else "All other snapshots stay"))
    if short:
        found.append((STAYS, "A safety snapshot is taken first"))
    return found


def _changes(snapshot: VM, kept: bool | None, now: datetime | None) -> Consequence:
    if kept is None:
        return LOST, "Changes since then are lost"
    since = date_and_time(snapshot.snapshot_time)
    passed = duration(max(0.0, ((now or datetime.now(UTC)) - snapshot.snapshot_time).total_seconds()))
    if kept:
        return STAYS, f"Changes since {since} ({passed}) leave the VM, and stay in a new snapshot"
    return LOST, f"Changes since {since} ({passed}) are lost: disks, name and settings"


def _of_guest(vm: VM, short: bool) -> list[Consequence]:
    if vm.power_state in _ON:
        return [(LOST, "The guest is cut off" if short else "The guest is cut off, as by pulling the plug")]
    if vm.power_state is VMPowerState.Suspended:
        return [(LOST, "The suspended memory is dropped")]
    return []


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


def of_deletion(cache: ObjectCache, snapshots: Sequence[str]) -> list[Consequence]:
    """What deleting these brings about."""
    records = [record for ref in snapshots if (record := cache.get(VM, ref)) is not None]
    chains = Chains(cache)
    own = sum(chains.of(record).own for record in records)
    it, states = ("them", "These states are") if len(records) > 1 else ("it", "This state is")
    found: list[Consequence] = [(LOST, f"{states} lost for good; nothing brings {it} back")]
    if any(words.has_memory(record) for record in records):
        found.append((LOST, f"The guest's memory kept with {it} goes too"))
    if any(ref not in snapshots for record in records for ref in record.children):
        found.append((STAYS, f"The VM stays, and so do snapshots that grew from {it}"))
    else:
        found.append((STAYS, "The VM and all other snapshots stay"))
    if own:
        found.append((TELLS, f"Up to {size(own)} become free, what others build on a little later"))
    return found
