"""Whether a VM can be snapshotted safely now: the engine's answer, asked for in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from app.api import VM, ConnectionLost, Failure, Ref, VMOperation
from ui.base.failures import explain
from ui.base.sizes_and_dates import count, size
from ui.base.workspace import Workspace

Method = Literal["background", "stop", "none", ""]


@dataclass(frozen=True, slots=True)
class Readiness:
    """An answer of VM.get_snapshot_readiness, in bytes and counts; -1 where it says nothing of the matter."""

    safe: bool = True
    reason: str = ""
    advice: str = ""
    warning: str = ""
    needed: int = -1
    memory: int = -1
    disks: int = -1
    overhead: int = -1
    free: int = -1
    depth: int = -1
    limit: int = -1
    merges: int = -1
    method: Method = ""


def parsed(answer: Mapping[str, str]) -> Readiness:
    """The engine's answer; what is missing or no number counts as not said."""
    method = answer.get("pause-method", "")
    return Readiness(
        safe=answer.get("safe", "true") != "false",
        reason=answer.get("reason", ""),
        advice=answer.get("advice", ""),
        warning=answer.get("warning", ""),
        needed=_number(answer, "space-needed"),
        memory=_number(answer, "space-memory"),
        disks=_number(answer, "space-disks"),
        overhead=_number(answer, "space-overhead"),
        free=_number(answer, "space-free"),
        depth=_number(answer, "depth"),
        limit=_number(answer, "depth-limit"),
        merges=_number(answer, "pending-merges"),
        method=method if method in ("background", "stop", "none") else "",  # type: ignore[arg-type]
    )


def _number(answer: Mapping[str, str], key: str) -> int:
    try:
        return max(-1, int(answer.get(key, "-1")))
    except ValueError:
        return -1


def space_words(ready: Readiness) -> str:
    """``Needs 2.7 GiB of 412 GiB free: memory 2.6 GiB, disks 2 MiB, overhead 64 MiB``; "" if nobody knows."""
    if ready.needed < 0:
        return f"{size(ready.free)} are free" if ready.free >= 0 else ""
    parts = (("memory", ready.memory), ("disks", ready.disks), ("overhead", ready.overhead))
    said = ", ".join(f"{what} {size(octets)}" for what, octets in parts if octets > 0)
    free = f" of {size(ready.free)} free" if ready.free >= 0 else ""
    return f"Needs {size(ready.needed)}{free}{f': {said}' if said else ''}"


def depth_words(ready: Readiness) -> str:
    """``Chain depth 5 of 30 after this; 2 merges are pending``; "" if nobody knows."""
    if ready.depth < 0:
        return ""
    limit = f" of {ready.limit}" if ready.limit > 0 else ""
    merges = f"; {count(ready.merges, 'merge')} {'is' if ready.merges == 1 else 'are'} pending"
    return f"Chain depth {ready.depth + 1}{limit} after this{merges if ready.merges > 0 else ''}"


class Asker(QObject):
    """Asks the engine about one VM, way by way, and tells when an answer is here. A newer question ends an older one.

    :param operations: what to ask about.
    """

    #: something is known now that was not
    changed = Signal()

    def __init__(self, workspace: Workspace, vm: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace, self._vm = workspace, vm
        self._asked: asyncio.Task[None] | None = None
        self._answers: dict[VMOperation, Readiness] = {}
        self.asking = False

    def get(self, operation: VMOperation) -> Readiness | None:
        """The answer, or None while it is on its way or if there is none."""
        return self._answers.get(operation)

    def ask(self, operations: Iterable[VMOperation]) -> None:
        """Ask anew. Answers that are here stay until the new ones come."""
        self.stop()
        self.asking = True
        self._asked = self._workspace.spawn(self._ask(tuple(operations)))

    def stop(self) -> None:
        """Wait for nothing any more."""
        if self._asked is not None:
            self._asked.cancel()
        self.asking = False

    async def _ask(self, operations: tuple[VMOperation, ...]) -> None:
        for operation in operations:
            answer = await self._answer(operation)
            if not isValid(self):
                return
            self._answers.pop(operation, None)
            if answer is not None:
                self._answers[operation] = answer
            self.asking = operation is not operations[-1]
            self.changed.emit()
        self.asking = False

    async def _answer(self, operation: VMOperation) -> Readiness | None:
        """None from an engine that does not know the question, or that is out of reach."""
        vm: Ref[VM] = Ref(self._vm)
        try:
            answer = await self._workspace.session.VM.get_snapshot_readiness(vm, operation)
        except ConnectionLost:
            return None
        except Failure as failure:
            if failure.code in ("MESSAGE_METHOD_UNKNOWN", "NOT_IMPLEMENTED", "INTERNAL_ERROR"):
                return None
            words = explain(failure, self._workspace.cache)
            return Readiness(safe=False, reason=words.why, advice=words.advice)
        return parsed(answer) if answer else None
