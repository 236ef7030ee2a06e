"""What a snapshot is, in words and icons, from its record."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from app.api import VM, VMOperation, VMPowerState, is_null
from app.client import ObjectCache
from ui.base.sizes_and_dates import age, count, date, date_and_time, duration, size
from ui.models.chain import CHAIN_LIMIT, CHAIN_WARNING, ChainFacts
from ui.snapshots.figures import consistency_word, figures_of, lock_on

GROUP_KEY: Final = "stillframe.group"
#: names of the blob with the guest's screen, ours first
SCREENS: Final = ("stillframe.screenshot", "XenCenter.VNCSnapshot")

DOING: Final = {
    VMOperation.snapshot: "Taking a snapshot",
    VMOperation.checkpoint: "Keeping memory",
    VMOperation.snapshot_with_quiesce: "Taking a snapshot",
    VMOperation.revert: "Reverting",
    VMOperation.reverting: "Reverting",
    VMOperation.start: "Starting",
    VMOperation.start_on: "Starting",
    VMOperation.resume: "Resuming",
    VMOperation.resume_on: "Resuming",
    VMOperation.unpause: "Going on",
    VMOperation.pause: "Pausing",
    VMOperation.suspend: "Suspending",
    VMOperation.clean_shutdown: "Shutting down",
    VMOperation.hard_shutdown: "Switching off",
    VMOperation.shutdown: "Shutting down",
    VMOperation.clean_reboot: "Restarting",
    VMOperation.hard_reboot: "Restarting",
    VMOperation.clone: "Copying",
    VMOperation.copy: "Copying",
    VMOperation.export: "Exporting",
    VMOperation.destroy: "Deleting",
    VMOperation.provision: "Making its disks",
}


def doing(operation: VMOperation) -> str:
    """What an operation under way does: ``Taking a snapshot``."""
    return DOING.get(operation, operation.value.replace("_", " ").capitalize())


def has_memory(snapshot: VM) -> bool:
    """Whether the guest's memory is in the snapshot: then its record is Suspended."""
    return snapshot.power_state is VMPowerState.Suspended


def is_scheduled(snapshot: VM) -> bool:
    """Whether a schedule made it."""
    return snapshot.is_vmss_snapshot or snapshot.is_snapshot_from_vmpp


def is_quiesced(snapshot: VM) -> bool:
    """Whether the guest had flushed its files."""
    return snapshot.snapshot_info.get("disk-snapshot-type", "").startswith("quiesced")


def is_locked(snapshot: VM) -> bool:
    """Whether someone forbade to delete it."""
    return lock_on(snapshot) is not None


def icon_of(snapshot: VM) -> str:
    """The icon of its type."""
    if has_memory(snapshot):
        return "snapshot-memory"
    return "snapshot-quiesced" if is_quiesced(snapshot) else "snapshot"


def list_icon_of(snapshot: VM) -> str:
    """The icon of its type, with a clock if a schedule made it."""
    if is_scheduled(snapshot):
        return "snapshot-memory-scheduled" if has_memory(snapshot) else "snapshot-scheduled"
    return icon_of(snapshot)


def type_of(snapshot: VM) -> str:
    """``Disks only``, ``Disks and memory`` or ``Disks, files flushed``."""
    if has_memory(snapshot):
        return "Disks and memory"
    return "Disks, files flushed" if is_quiesced(snapshot) else "Disks only"


def badges_of(snapshot: VM) -> tuple[tuple[str, str], ...]:
    """The marks in the card's corner: icon and meaning."""
    marks = (
        (is_locked(snapshot), "lock", "Locked"),
        (bool(snapshot.other_config.get(GROUP_KEY)), "group", "Taken in a group, at one instant"),
        (is_quiesced(snapshot), "leaf", "Files flushed"),
        (has_memory(snapshot), "memory", "With memory"),
        (is_scheduled(snapshot), "clock", "Made by a schedule"),
    )
    return tuple((icon, meaning) for holds, icon, meaning in marks if holds)


def consistency(snapshot: VM, facts: ChainFacts) -> tuple[str, str]:
    """``File-system-consistent`` with the reason where the engine noted it; else ``One instant, 2 disks``."""
    if not facts.disks:
        return "No disks", ""
    figures = figures_of(snapshot)
    disks = count(facts.disks, "disk")
    instant = f"One instant, {disks}, RAM" if has_memory(snapshot) else f"One instant, {disks}"
    noted = consistency_word(figures)
    return (noted, f"{instant}. {figures.reason}".strip()) if noted else (instant, "")


def pause(snapshot: VM) -> tuple[str, str]:
    """How long the guest stood still, or only its disks, and what that means; empty where nobody measured."""
    figures = figures_of(snapshot)
    stall = figures.stall
    if stall < 0:
        return "", ""
    if has_memory(snapshot):
        return duration(stall / 1000), "No processor of the guest ran for this long."
    if figures.group:
        words = "The guest stood still for this long, so that the whole group is of one instant."
        return f"at most {duration(stall / 1000)}", words
    return f"at most {duration(stall / 1000)}", "The guest ran on; what it wrote to its disks waited for this long."


def state_then(snapshot: VM) -> str:
    """The VM's power state at the snapshot, as XenAPI spells it; "" if nobody noted it."""
    return snapshot.snapshot_info.get("power-state-at-snapshot", "")


def ran_then(snapshot: VM) -> bool:
    """Whether the VM was running at the snapshot."""
    return state_then(snapshot) == VMPowerState.Running.value


def size_of(facts: ChainFacts) -> str:
    """``2.1 GiB own, 9.7 GiB shared``."""
    own = f"{size(facts.own)} own"
    return f"{own}, {size(facts.shared)} shared" if facts.shared else own


def depth_of(depth: int) -> str:
    """``3 of 30``; "" without a chain."""
    return f"{depth} of {CHAIN_LIMIT}" if depth else ""


def health(now: ChainFacts, snapshots: list[ChainFacts]) -> tuple[str, str]:
    """How the chains are, and the tone: ``healthy``, ``nearly too deep``, ``2 disks missing``."""
    broken = now.broken + sum(fact.broken for fact in snapshots)
    if broken:
        return f"{count(broken, 'disk')} with a missing image", "bad"
    if now.depth >= CHAIN_LIMIT:
        return "chain full", "bad"
    if now.depth >= CHAIN_WARNING:
        return "chain nearly full", "attention"
    return "healthy", "good"


def summary(facts: list[ChainFacts], now: ChainFacts) -> str:
    """``6 snapshots · 18.4 GiB · chain depth 4 of 30``."""
    parts = [count(len(facts), "snapshot"), size(sum(fact.own for fact in facts))]
    if now.depth:
        parts.append(f"chain depth {depth_of(now.depth)}")
    return " · ".join(parts)


def age_of(snapshot: VM) -> str:
    """How old it is, for a card: ``2 days ago · 14 ms``."""
    stood, _ = pause(snapshot)
    old = age(snapshot.snapshot_time)
    return f"{old} · {stood}" if stood and has_memory(snapshot) else old


def period(moments: list[datetime]) -> str:
    """From the first to the last day: ``1 Nov 2026 – 21 Nov 2026``, or one moment."""
    if not moments:
        return ""
    first, last = min(moments), max(moments)
    if first == last:
        return date_and_time(first)
    return f"{date(first)} – {date(last)}" if date(first) != date(last) else date(first)


def screen_of(snapshot: VM) -> str:
    """The reference of the blob with the guest's screen, "" if there is none."""
    found = (str(snapshot.blobs[name]) for name in SCREENS if name in snapshot.blobs)
    return next((ref for ref in found if not is_null(ref)), "")


def matches(snapshot: VM, words: str) -> bool:
    """Whether every one of the words occurs in name, description, tags or type."""
    text = " ".join([snapshot.name_label, snapshot.name_description, type_of(snapshot), *snapshot.tags]).casefold()
    return all(word in text for word in words.casefold().split())


def proposed_name(vm_name: str, now: datetime) -> str:
    """The name a snapshot gets unless someone thinks of a better one: ``billing-db 2026-11-23 09:41``, local time."""
    return f"{vm_name} {now:%Y-%m-%d %H:%M}".strip()


def name_of(cache: ObjectCache, vm: str) -> str:
    """The name of a VM or snapshot as it stands in a sentence."""
    record = cache.get(VM, vm)
    return record.name_label or "without a name" if record is not None else "an object that is gone"
