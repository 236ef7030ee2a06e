"""VM.get_chain_health and SR.get_chain_health: the facts of `chain_health`, looked up in records and files."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping

from app.api import SR, VDI, VM, Ref, SRCalls, VMCalls, VMOperation
from app.api.types import StringMap, is_null
from app.ops.chain_health import Chains, Memory, Owner, health, together
from app.ops.context import Context, Operations
from app.ops.disks import CHAIN_LIMIT, disks
from app.ops.readiness import OVERHEAD, Readiness, readiness
from app.ops.readiness_words import sentence
from app.ops.translate import failures
from app.ops.vm_destroy import owned_disks
from app.storage.chains import allocated
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository

UNREADABLE = "?"
"""The parent of an image whose header cannot be read: one that is not there."""


class VMHealthOps(Operations, VMCalls):
    """VM.get_chain_health."""

    async def get_chain_health(self, vm: Ref[VM]) -> Mapping[str, StringMap]:
        refs = [vm, *sorted(self.store.get(VM, vm).snapshots)]
        places = {vdi.SR for ref in refs for vdi in held_by(self.context, ref)}
        looked = {sr: await look(self.context, sr) for sr in sorted(places)}
        answer: dict[str, StringMap] = {}
        for ref in refs:
            parts = [health(chains, [owner_of(self.context, ref, sr)]) for sr, chains in looked.items()]
            answer[ref] = together(parts).as_map(CHAIN_LIMIT)
        ready = await readiness(self.context, vm, VMOperation.snapshot)
        merges = sum(len(chains.merges(_below(self.context, chains, refs, sr))) for sr, chains in looked.items())
        answer[vm] = {**answer[vm], **_prospects(ready), "pending-merges": str(merges)}
        return answer


class SRHealthOps(Operations, SRCalls):
    """SR.get_chain_health."""

    async def get_chain_health(self, sr: Ref[SR]) -> Mapping[str, StringMap]:
        chains = await look(self.context, sr)
        families = _families(self.context, sr)
        answer = {ref: _family(self.context, chains, sr, members) for ref, members in families.items()}
        everyone = [member for members in families.values() for member in members]
        with failures():
            free = self.context.files(sr).usage().free
        answer[sr] = {
            **_family(self.context, chains, sr, everyone),
            "images": str(len(chains.parents)),
            "exclusive": str(chains.size(chains.parents)),
            "missing": str(sum(1 for parent in chains.parents.values() if parent and parent not in chains.parents)),
            "pending-merges": str(len(chains.merges(chains.parents))),
            "base-copies": str(len(chains.hidden)),
            "base-copies-size": str(chains.size(chains.hidden)),
            "space-free": str(free),
        }
        return answer


async def look(context: Context, sr: str) -> Chains:
    """The images of a repository as they are now. :raise Failure: SR_OPERATION_NOT_SUPPORTED, SR_BACKEND_FAILURE_46."""
    files = context.files(sr)
    with failures():
        parents, sizes = await asyncio.to_thread(_read, files)
    records = (vdi for vdi in context.store.all(VDI).values() if sr == vdi.SR and not vdi.managed)
    return Chains(parents, sizes, frozenset(vdi.location for vdi in records) & parents.keys())


def _read(files: FileRepository) -> tuple[dict[str, str], dict[str, int]]:
    parents: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for image in files.image_ids():
        try:
            sizes[image] = files.physical_utilisation(image)
            parents[image] = files.known_parent(image) or ""
        except StorageError as error:
            # One that went just now does not count; one that cannot be read does.
            if error.cause != "missing":
                parents[image] = UNREADABLE
    return parents, sizes


def held_by(context: Context, ref: str) -> list[VDI]:
    """The disks and the memory image of a VM or snapshot."""
    memory = context.store.find(VDI, context.store.get(VM, ref).suspend_VDI)
    return [vdi for _, vdi in disks(context.store, ref)] + ([memory] if memory is not None else [])


def owner_of(context: Context, ref: str, sr: str) -> Owner:
    """What a VM or snapshot has in a repository."""
    store = context.store
    memory = store.find(VDI, store.get(VM, ref).suspend_VDI)
    return Owner(
        disks=frozenset(vdi.location for _, vdi in disks(store, ref) if sr == vdi.SR),
        owned=frozenset(v.location for v in (store.get(VDI, d) for d in owned_disks(store, ref)) if sr == v.SR),
        memory=_memory(context, memory) if memory is not None and sr == memory.SR else (),
    )


def _memory(context: Context, vdi: VDI) -> tuple[Memory, ...]:
    try:
        status = context.files(vdi.SR).memory_path(vdi.location).stat()
    except (StorageError, OSError):
        return ()
    return (Memory(file=status.st_ino, size=allocated(status), names=status.st_nlink),)


def _prospects(ready: Readiness) -> dict[str, str]:
    """How many more snapshots fit, and what is in the way of the next."""
    room = CHAIN_LIMIT - ready.depth
    need = ready.space.disks + OVERHEAD
    if ready.space.free >= 0 and ready.space.disks:
        room = min(room, ready.space.free // need)
    blocked = " ".join(sentence(ready.failure)).strip() if ready.failure is not None else ""
    return {"head-room": str(max(room, 0)), "space-free": str(ready.space.free), "blocked": blocked}


def _families(context: Context, sr: str) -> dict[str, list[str]]:
    """VMs and templates with anything in the repository, each with its snapshots that have; also of VMs long gone."""
    found: dict[str, list[str]] = {}
    for ref, record in context.store.all(VM).items():
        if any(sr == vdi.SR for vdi in held_by(context, ref)):
            of_whom = record.snapshot_of if record.is_a_snapshot and not is_null(record.snapshot_of) else ref
            found.setdefault(of_whom, []).append(ref)
    return found


def _family(context: Context, chains: Chains, sr: str, members: Collection[str]) -> dict[str, str]:
    owners = {ref: owner_of(context, ref, sr) for ref in members}
    snapshots = [owner for ref, owner in owners.items() if context.store.get(VM, ref).is_a_snapshot]
    whole, alone = health(chains, list(owners.values())), health(chains, snapshots)
    return {
        "depth": str(whole.depth),
        "depth-limit": str(CHAIN_LIMIT),
        "snapshots": str(len(snapshots)),
        "images": str(len({image for owner in owners.values() for image in owner.disks})),
        "missing": str(whole.missing),
        "pending-merges": str(len(chains.merges(_below(context, chains, members, sr)))),
        "exclusive": str(whole.exclusive),
        "snapshots-size": str(alone.exclusive),
    }


def _below(context: Context, chains: Chains, refs: Iterable[str], sr: str) -> frozenset[str]:
    return chains.below(image for ref in refs for image in owner_of(context, ref, sr).disks)
