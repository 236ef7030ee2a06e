"""The merges under way, as the rest of the engine meets them: whoever needs a VM has them stopped first.

A merge never makes an operation wait for its copying. It stops within milliseconds, keeps what it has copied where it
can, and begins again later. Only its last step, which takes milliseconds too, is waited for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.api import VBD, VDI, VM
from app.storage.journal import Entry
from app.store import Store


@dataclass(eq=False)
class Running:
    """A merge under way.

    :ivar vdi: the base's record.
    :ivar task: the task that shows it.
    :ivar give_way: set by whoever needs one of the VMs or images.
    :ivar leave: the engine closes: a job in a guest's QEMU may go on without it.
    :ivar stopped: set when nothing of it goes on any more.
    """

    sr: str
    vdi: str
    images: frozenset[str]
    vms: frozenset[str]
    task: str = ""
    leave: bool = False
    give_way: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)


class Merging:
    """What is merged, what could not be settled after an error, and what is being read.

    :ivar left: journal entries of merges that guests went on with while there was no engine.
    :ivar stuck: journal entries of merges that could neither be completed nor undone yet; `why_stuck` says why.
    """

    def __init__(self) -> None:
        self.running: set[Running] = set()
        self.left: list[Entry] = []
        self.stuck: list[Entry] = []
        self.why_stuck = ""
        self._readers: Counter[tuple[str, str]] = Counter()

    async def give_way(self, store: Store, vm: str) -> None:
        """Stop the merges that touch this VM's disks or its snapshots', and wait until they have stopped."""
        await self._stop(running for running in self.running if vm in running.vms or touches(store, vm, running.images))

    async def leave_alone(self, sr: str) -> None:
        """Stop all merges in a repository, for what has no VM to be known by."""
        await self._stop(running for running in self.running if running.sr == sr)

    async def _stop(self, merges: Iterable[Running]) -> None:
        found = list(merges)
        for running in found:
            running.give_way.set()
        for running in found:
            await running.stopped.wait()

    def stuck_with(self, store: Store, vm: str) -> list[Entry]:
        """The unsettled merges of this VM's images."""
        return [e for e in self.stuck if vm in words(e, "vms") or touches(store, vm, frozenset(words(e, "images")))]

    @asynccontextmanager
    async def reading(self, sr: str, images: Iterable[str]) -> AsyncIterator[None]:
        """While images are read outside of any operation on their VM, for an export: nothing is merged into them."""
        read = [(sr, image) for image in images]
        self._readers.update(read)
        try:
            await self._stop(r for r in self.running if r.sr == sr and any(image in r.images for _, image in read))
            yield
        finally:
            self._readers.subtract(read)

    def read_in(self, sr: str) -> frozenset[str]:
        """The images of a repository that are being read."""
        return frozenset(image for (where, image), count in self._readers.items() if where == sr and count > 0)


def touches(store: Store, vm: str, images: frozenset[str]) -> bool:
    """Whether a disk of the VM is one of these images."""
    record = store.find(VM, vm)
    disks = () if record is None else (store.find(VBD, vbd) for vbd in record.VBDs)
    held = (store.find(VDI, vbd.VDI) for vbd in disks if vbd is not None)
    return any(vdi is not None and vdi.location in images for vdi in held)


def words(entry: Entry, name: str) -> list[str]:
    """A list of strings among an entry's facts."""
    found = entry.facts.get(name)
    return [str(word) for word in found] if isinstance(found, list) else []
