"""What the engine measured and noted of a snapshot, from its ``stillframe.`` keys, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.api import VM, VMOperation
from app.client import ObjectCache
from ui.base.locks import Lock, lock_of
from ui.base.sizes_and_dates import count, duration, size

_PREFIX = "stillframe."


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers are -1, words empty where nothing was noted. Lengths in milliseconds, sizes in bytes."""

    stall: float = -1
    duration: float = -1
    freeze: float = -1
    memory: int = -1
    method: str = ""
    compression: str = ""
    consistency: str = ""
    reason: str = ""
    group: str = ""
    spread: float = -1


def figures_of(snapshot: VM) -> Figures:
    """What is noted on this snapshot."""
    kept = snapshot.other_config
    return Figures(
        stall=_number(kept, "stall-ms"),
        duration=_number(kept, "duration-ms"),
        freeze=_number(kept, "freeze-ms"),
        memory=int(_number(kept, "memory-bytes")),
        method=kept.get(f"{_PREFIX}memory-method", ""),
        compression=kept.get(f"{_PREFIX}compression", ""),
        consistency=kept.get(f"{_PREFIX}consistency", ""),
        reason=kept.get(f"{_PREFIX}consistency-reason", ""),
        group=kept.get(f"{_PREFIX}group", ""),
        spread=_number(kept, "group-spread-ms"),
    )


def lock_on(snapshot: VM) -> Lock | None:
    """What forbids to delete it: its lock, or a plain block of another client, of which only the reason is known."""
    noted = lock_of(snapshot)
    if noted is not None:
        return noted
    block = snapshot.blocked_operations.get(VMOperation.destroy)
    return None if block is None else Lock(block.rstrip("."), "", None)


def _number(kept: Mapping[str, str], key: str) -> float:
    try:
        found = float(kept.get(f"{_PREFIX}{key}", "-1"))
    except ValueError:
        return -1
    return found if 0 <= found < 1e18 else -1


def group_of(cache: ObjectCache, snapshot: str) -> tuple[str, ...]:
    """The snapshots that were taken at one instant with this one, itself included; empty without a group."""
    record = cache.get(VM, snapshot)
    group = figures_of(record).group if record is not None else ""
    if not group:
        return ()
    found = [
        (str(ref), vm.name_label)
        for ref, vm in cache.all(VM).items()
        if vm.is_a_snapshot and vm.other_config.get(f"{_PREFIX}group") == group
    ]
    return tuple(ref for ref, _ in sorted(found, key=lambda pair: (pair[0] != snapshot, pair[1], pair[0])))


# ---- in words -------------------------------------------------------------------------------------------------


def lock_words(lock: Lock) -> str:
    """``Locked by alice until 1 Dec 2026: golden image``."""
    return f"Locked{lock.by_whom()}: {lock.reason}" if lock.reason else f"Locked{lock.by_whom()}"


def consistency_word(figures: Figures) -> str:
    """``Crash-consistent`` or ``File-system-consistent``; "" where nobody noted it."""
    known = {"crash-consistent": "Crash-consistent", "file-system-consistent": "File-system-consistent"}
    return known.get(figures.consistency, figures.consistency.replace("-", " ").capitalize())


def memory_words(figures: Figures) -> tuple[str, str]:
    """The image of the guest's memory, and how it was written: ``1.1 GiB, compressed``."""
    if figures.memory < 0:
        return "", ""
    packed = ", compressed" if figures.compression not in ("", "none") else ""
    how = {
        "background": "Written while the guest ran on.",
        "stop": "Written while the guest stood still.",
        "copied": "Copied from the suspended VM.",
    }.get(figures.method, "")
    method = f"Compressed with {figures.compression}." if packed else "Not compressed." if figures.compression else ""
    return f"{size(figures.memory)}{packed}", " ".join(filter(None, (how, method)))


def took_words(figures: Figures) -> str:
    """From the request to the end: ``2.4 s``."""
    return duration(figures.duration / 1000) if figures.duration >= 0 else ""


def freeze_words(figures: Figures) -> str:
    """How long the guest's file systems were frozen."""
    return duration(figures.freeze / 1000) if figures.freeze >= 0 else ""


def group_words(figures: Figures, members: int) -> str:
    """``Taken with 2 other VMs, within 3 ms``; "" without a group."""
    if not figures.group:
        return ""
    others = members - 1
    said = f"Taken with {count(others, 'other VM')}" if others > 0 else "Taken with other VMs whose snapshots are gone"
    return f"{said}, within {duration(figures.spread / 1000)}" if figures.spread >= 0 else said
