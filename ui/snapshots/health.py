"""How the chains of a VM are: the engine's answer where it has one, the records' otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.api import SR, VM
from app.client import ObjectCache
from ui.base.sizes_and_dates import count, size
from ui.models.chain import CHAIN_LIMIT, CHAIN_WARNING, ChainFacts, Chains, disks_of, free_space
from ui.snapshots import words
from ui.snapshots.merging import freed_by


@dataclass(frozen=True, slots=True)
class StateHealth:
    """One snapshot, or the VM ("" as name of the current state). Bytes; ``missing`` counts disks."""

    ref: str
    name: str
    depth: int
    exclusive: int
    shared: int
    merge: int
    missing: int = 0
    icon: str = "snapshot"


@dataclass(frozen=True, slots=True)
class DiskHealth:
    """One disk of the VM."""

    ref: str
    name: str
    storage: str
    depth: int
    own: int
    shared: int
    broken: bool


@dataclass(frozen=True, slots=True)
class Health:
    """All of it. ``free`` is -1 where nobody knows; ``blocked`` is a sentence, "" if nothing is."""

    depth: int
    limit: int
    room: int
    free: int
    blocked: str
    missing: int
    disks: tuple[DiskHealth, ...]
    states: tuple[StateHealth, ...]

    @property
    def tone(self) -> str:
        """The meaning of all this: good, attention or bad."""
        if self.blocked or self.missing:
            return "bad"
        return "attention" if self.depth >= CHAIN_WARNING else "good"

    @property
    def sentence(self) -> str:
        """How it is, and what follows."""
        if self.missing:
            return f"{count(self.missing, 'disk')} with a missing image: look after the storage before anything else."
        if self.blocked:
            return self.blocked
        fit = f"{count(self.room, 'more snapshot')} {'fits' if self.room == 1 else 'fit'}"
        if self.depth >= CHAIN_WARNING:
            return f"The chain is nearly full: {fit}. Delete old snapshots, and it is merged."
        return f"Healthy: {fit} before old ones must go."


def health_of(cache: ObjectCache, vm: str, answer: Mapping[str, Mapping[str, str]]) -> Health:
    """The health of a VM's chains.

    :param answer: of VM.get_chain_health; what is not in it comes from the records.
    """
    record = cache.get(VM, vm) or VM()
    chains = Chains(cache)
    facts = chains.of(record)
    said = answer.get(vm, {})
    depth, limit = _number(said, "depth", facts.depth), _number(said, "depth-limit", CHAIN_LIMIT)
    room = free_space(cache, record)
    found = [_state(cache, chains, ref, answer.get(ref, {})) for ref in record.snapshots]
    states = sorted((s for s in found if s is not None), key=lambda state: (-state.exclusive, state.name))
    return Health(
        depth=depth,
        limit=limit,
        room=_number(said, "head-room", max(0, limit - depth)),
        free=_number(said, "space-free", room[1] if room is not None else -1),
        blocked=said.get("blocked", ""),
        missing=_number(said, "missing", facts.broken),
        disks=tuple(_disks(cache, chains, record)),
        states=tuple(states),
    )


def _state(cache: ObjectCache, chains: Chains, ref: str, said: Mapping[str, str]) -> StateHealth | None:
    record = cache.get(VM, ref)
    if record is None:
        return None
    facts: ChainFacts = chains.of(record)
    freed = freed_by(cache, [ref])
    return StateHealth(
        ref=ref,
        name=record.name_label,
        depth=_number(said, "depth", facts.depth),
        exclusive=_number(said, "exclusive", freed.at_once),
        shared=_number(said, "shared", facts.shared),
        merge=_number(said, "merge", freed.merged),
        missing=_number(said, "missing", facts.broken),
        icon=words.list_icon_of(record),
    )


def _disks(cache: ObjectCache, chains: Chains, record: VM) -> list[DiskHealth]:
    found = []
    for disk in disks_of(cache, record):
        ref = next((str(vbd) for vbd in disk.VBDs), disk.uuid)
        below = chains.of_disk(disk)
        storage = cache.get(SR, disk.SR)
        found.append(
            DiskHealth(
                ref=ref,
                name=disk.name_label or "Disk without a name",
                storage=storage.name_label if storage is not None else "",
                depth=below.depth,
                own=below.own,
                shared=below.shared,
                broken=bool(below.broken),
            )
        )
    return found


def _number(said: Mapping[str, str], key: str, otherwise: int) -> int:
    text = said.get(key, "")
    return int(text) if text.isdecimal() else otherwise


def head_words(health: Health) -> list[tuple[str, str]]:
    """The figures of the whole, for a grid of facts."""
    return [
        ("Chain depth", f"{health.depth} of {health.limit}" if health.depth else "No disks"),
        ("Head-room", count(health.room, "snapshot")),
        ("Free space", size(health.free) if health.free >= 0 else ""),
    ]
