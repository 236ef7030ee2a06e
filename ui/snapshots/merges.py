"""The merges that a VM's chains wait for: asked of the engine when the disks change, their progress from the feed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal
from shiboken6 import isValid

from app.api import SR, VDI, VM, ConnectionLost, Failure, Ref, Task
from app.client import Delta, ObjectCache
from ui.base.sizes_and_dates import count, percent, size
from ui.base.workspace import Workspace
from ui.models.chain import disks_of

#: changes of disks come in crowds; they are asked about once
_SETTLED_MS: Final = 400


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge: ``state`` is waiting, running or blocked; ``size`` the bytes to move at most, -1 if nobody knows;
    ``progress`` from 0 to 1, None while it does not run."""

    vdi: str
    vm: str = ""
    state: str = "waiting"
    reason: str = ""
    size: int = -1
    task: str = ""
    progress: float | None = None


def parsed(vdi: str, answer: Mapping[str, str]) -> Merge:
    """One entry of SR.get_pending_merges; what is no number counts as not said."""
    octets = answer.get("size", "")
    return Merge(
        vdi=vdi,
        vm=answer.get("vm", ""),
        state=answer.get("state", "waiting"),
        reason=answer.get("reason", ""),
        size=int(octets) if octets.isdecimal() else -1,
        task=answer.get("task", ""),
    )


class MergeWatch(QObject):
    """Keeps the merges of one VM's chains, while somebody looks."""

    #: other merges, or the same ones further on
    changed = Signal()

    def __init__(self, workspace: Workspace, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace, self._cache = workspace, workspace.cache
        self._vm = ""
        self._asked: asyncio.Task[None] | None = None
        self.merges: tuple[Merge, ...] = ()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SETTLED_MS)
        self._soon.timeout.connect(self._ask)

    def follow(self, vm: str) -> None:
        """Be about this VM from now on, "" for none."""
        if vm != self._vm:
            self._vm, self.merges = vm, ()
            self.changed.emit()
        self.refresh()

    def refresh(self) -> None:
        """Ask anew soon."""
        if self._vm:
            self._soon.start()

    def update(self, delta: Delta) -> None:
        """Take in what changed."""
        if delta.touches(VDI):
            self.refresh()
        followed = {("task", merge.task) for merge in self.merges if merge.task}
        if followed & delta.removed:
            self.refresh()
        if followed & (delta.changed | delta.added):
            self._show(self.merges)

    def storages(self) -> tuple[Ref[SR], ...]:
        """The repositories of the VM's disks."""
        record = self._cache.get(VM, self._vm)
        return tuple(dict.fromkeys(disk.SR for disk in disks_of(self._cache, record))) if record is not None else ()

    def _ask(self) -> None:
        if self._vm and _loop_runs():
            if self._asked is not None:
                self._asked.cancel()
            self._asked = self._workspace.spawn(self._fetch(self._vm))

    async def _fetch(self, vm: str) -> None:
        found: list[Merge] = []
        for sr in self.storages():
            try:
                answer = await self._workspace.session.SR.get_pending_merges(sr)
            except (Failure, ConnectionLost):
                continue  # an engine that does not know of merges, or is out of reach
            found += [parsed(vdi, said) for vdi, said in (answer or {}).items()]
        if isValid(self) and vm == self._vm:
            self._show(tuple(merge for merge in found if merge.vm in ("", vm)))

    def _show(self, merges: tuple[Merge, ...]) -> None:
        shown = tuple(_with_progress(self._cache, merge) for merge in merges)
        if shown != self.merges:
            self.merges = shown
            self.changed.emit()


def _with_progress(cache: ObjectCache, merge: Merge) -> Merge:
    task = cache.get(Task, merge.task) if merge.task else None
    if task is None:
        return merge
    reason = task.name_description or merge.reason
    return Merge(merge.vdi, merge.vm, merge.state, reason, merge.size, merge.task, task.progress)


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


# ---- in words -------------------------------------------------------------------------------------------------


def merge_words(merge: Merge) -> str:
    """``Up to 1.2 GiB, 42 %``, ``waits: a snapshot is being taken``."""
    much = f"up to {size(merge.size)}" if merge.size >= 0 else ""
    if merge.state == "running":
        said = f"merging{f', {percent(merge.progress, 1)}' if merge.progress else ''}"
    else:
        said = f"{'is blocked' if merge.state == 'blocked' else 'waits'}{f': {merge.reason}' if merge.reason else ''}"
    return ", ".join(filter(None, (much, said)))


def summary(merges: tuple[Merge, ...]) -> tuple[str, str]:
    """All of them in one sentence, and its tone; "" for none."""
    if not merges:
        return "", "good"
    running = [merge for merge in merges if merge.state == "running"]
    blocked = [merge for merge in merges if merge.state == "blocked"]
    if blocked:
        reason = f": {blocked[0].reason}" if blocked[0].reason else ""
        verb = "is" if len(blocked) == 1 else "are"
        return f"{count(len(blocked), 'merge')} of old images {verb} blocked{reason}", "attention"
    if running:
        done = sum(merge.progress or 0.0 for merge in running) / len(running)
        words = f"Merging {count(len(merges), 'old image')}"
        return (f"{words} · {percent(done, 1)}" if done else words), "info"
    reason = f": {merges[0].reason}" if merges[0].reason else ""
    return f"{count(len(merges), 'old image')} {'waits' if len(merges) == 1 else 'wait'} to be merged{reason}", "info"
