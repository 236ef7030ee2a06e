"""How the chains of a repository are and what waits to be merged: the engine's answers as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from app.api import SR, VDI, VM, Failure, Ref, Task
from app.client import ObjectCache, Session
from ui.base.sizes_and_dates import count, size
from ui.models.chain import CHAIN_LIMIT, CHAIN_WARNING
from ui.models.orphans import name_of_gone, orphans

Answer = Mapping[str, Mapping[str, str]]
State = Literal["running", "waiting", "blocked"]

MERGED_FROM: Final = 16
"""From this depth on the engine merges chains by itself, as far as it may."""
SPEED_KEY: Final = "stillframe.merge-speed"
"""In an SR's other_config: bytes a second that a merge may copy; 0 or absent: as fast as it goes."""

#: icon and word of each state of a merge
STATES: Final[Mapping[State, tuple[str, str]]] = {
    "running": ("merge", "Running"),
    "waiting": ("clock", "Waiting"),
    "blocked": ("alert-attention", "Blocked"),
}


@dataclass(frozen=True, slots=True)
class Family:
    """The chains of a VM or template with its snapshots; or of the whole repository. Sizes in bytes, -1 unknown."""

    name: str = ""
    icon: str = "vm"
    gone: bool = False
    depth: int = 0
    limit: int = CHAIN_LIMIT
    snapshots: int = 0
    exclusive: int = 0
    snapshots_size: int = 0
    merges: int = 0
    missing: int = 0
    bases: int = 0
    bases_size: int = 0
    free: int = -1

    @property
    def depth_words(self) -> str:
        """``12 of 30``."""
        return f"{self.depth} of {self.limit}" if self.depth else ""


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge; `progress` is 0 to 1, None where it does not run. `size` is the bytes to move at most."""

    name: str
    vm: str
    state: State
    reason: str
    size: int
    task: str = ""
    progress: float | None = None


@dataclass(frozen=True)
class Report:
    """Everything the page shows."""

    whole: Family = field(default_factory=Family)
    families: Mapping[str, Family] = field(default_factory=dict)
    merges: Mapping[str, Merge] = field(default_factory=dict)


async def ask(session: Session, sr: str) -> tuple[Answer, Answer | None]:
    """The two answers. :raise Failure: of the first; an engine that does not merge by itself has no second: None."""
    ref: Ref[SR] = Ref(sr)
    chains = await session.SR.get_chain_health(ref)
    try:
        merges = await session.SR.get_pending_merges(ref)
    except Failure:
        return chains or {}, None
    return chains or {}, merges or {}


def report(cache: ObjectCache, sr: str, answers: tuple[Answer, Answer | None]) -> Report:
    """The answers with names in place of references."""
    chains, pending = answers[0], answers[1] or {}
    gone = {str(vm.snapshot_of): name_of_gone(vm) for vm in orphans(cache).values()}
    families = {ref: _family(cache, ref, told, gone) for ref, told in chains.items() if ref != sr}
    merges = {vdi: _merge(cache, vdi, told) for vdi, told in pending.items()}
    return Report(_family(cache, sr, chains.get(sr, {}), gone), families, merges)


def _family(cache: ObjectCache, ref: str, told: Mapping[str, str], gone: Mapping[str, str]) -> Family:
    vm = cache.get(VM, ref)
    name = vm.name_label if vm is not None else gone.get(ref) or "A VM that is gone"
    icon = "snapshot" if vm is None or vm.is_a_snapshot else "template" if vm.is_a_template else "vm"
    return Family(
        name=name,
        icon=icon,
        gone=vm is None,
        depth=_number(told, "depth", 0),
        limit=_number(told, "depth-limit", CHAIN_LIMIT),
        snapshots=_number(told, "snapshots", 0),
        exclusive=_number(told, "exclusive", 0),
        snapshots_size=_number(told, "snapshots-size", 0),
        merges=_number(told, "pending-merges", 0),
        missing=_number(told, "missing", 0),
        bases=_number(told, "base-copies", 0),
        bases_size=_number(told, "base-copies-size", 0),
        free=_number(told, "space-free", -1),
    )


def _merge(cache: ObjectCache, vdi: str, told: Mapping[str, str]) -> Merge:
    vm, disk = cache.get(VM, told.get("vm", "")), cache.get(VDI, vdi)
    state = told.get("state", "waiting")
    task = cache.get(Task, told.get("task", ""))
    running = state == "running"
    return Merge(
        name=vm.name_label if vm is not None else disk.name_label if disk is not None else "A disk",
        vm=told.get("vm", "") if vm is not None else "",
        state="running" if running else "blocked" if state == "blocked" else "waiting",
        reason=(task.name_description if running and task is not None else "") or told.get("reason", ""),
        size=max(0, _number(told, "size", 0)),
        task=told.get("task", ""),
        progress=(task.progress if task is not None else _fraction(told.get("progress", ""))) if running else None,
    )


def _number(told: Mapping[str, str], key: str, default: int) -> int:
    try:
        return int(told.get(key, default))
    except ValueError:
        return default


def _fraction(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text or 0)))
    except ValueError:
        return 0.0


def verdict(found: Report) -> tuple[str, str]:
    """How it is in a word or two, and the tone of it."""
    whole = found.whole
    full = sum(1 for family in found.families.values() if family.depth >= family.limit)
    near = sum(1 for family in found.families.values() if CHAIN_WARNING <= family.depth < family.limit)
    blocked = sum(1 for merge in found.merges.values() if merge.state == "blocked")
    if whole.missing:
        return f"{count(whole.missing, 'image')} missing", "bad"
    if full:
        return f"{count(full, 'chain')} full", "bad"
    if near:
        return f"{count(near, 'chain')} nearly full", "attention"
    return (f"{count(blocked, 'merge')} blocked", "attention") if blocked else ("Healthy", "good")


def summary(found: Report) -> str:
    """``Deepest chain 12 of 30 · 31 GiB in snapshots · 3 base copies, 4 GiB · 412 GiB free``."""
    whole = found.whole
    parts = [
        f"Deepest chain {whole.depth_words}" if whole.depth else "No disks",
        f"{size(max(0, whole.snapshots_size))} in snapshots" if whole.snapshots else "",
        f"{count(whole.bases, 'base copy', 'base copies')}, {size(max(0, whole.bases_size))}" if whole.bases else "",
        f"{size(whole.free)} free" if whole.free >= 0 else "",
    ]
    return " · ".join(filter(None, parts))


def merges_words(merges: Mapping[str, Merge]) -> str:
    """``1 merge runs, 2 wait: up to 4 GiB to move``; or that there is nothing to do."""
    if not merges:
        return "Nothing waits to be merged."
    states = [merge.state for merge in merges.values()]
    verbs = (("running", "runs", "run"), ("waiting", "waits", "wait"), ("blocked", "is blocked", "are blocked"))
    said: list[str] = []
    for state, one, several in verbs:
        if many := states.count(state):  # type: ignore[arg-type]
            what = count(many, "merge") if not said else str(many)
            said.append(f"{what} {one if many == 1 else several}")
    return f"{', '.join(said)}: up to {size(sum(merge.size for merge in merges.values()))} to move."
