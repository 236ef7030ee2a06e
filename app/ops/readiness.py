"""Is it safe to take a snapshot now? Computed here once, for the operations themselves, for dialogs and for schedules.

Everything is looked up, nothing is changed. The first problem found is the failure that the operation would meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.api import VDI, VM, Failure, Ref, VMCalls, VMOperation, VMPowerState
from app.api.failure import invalid_value
from app.api.types import StringMap
from app.hypervisor.driver import DriverError
from app.ops.context import Context, Operations
from app.ops.disks import CHAIN_LIMIT, Disk, check_depth, disks, require_disk
from app.ops.locking import refusal
from app.ops.quiesce import is_possible
from app.ops.readiness_words import sentence
from app.ops.translate import failures
from app.ops.vm_power import suspend_sr

MIB: Final = 1 << 20
CHAIN_WARNING: Final = 24
"""From this depth on it is worth a word: XenServer's limit and ours is 30."""
OVERLAY: Final = MIB
"""Bytes that a new overlay may take at once: its tables and the first clusters written."""
OVERHEAD: Final = MIB
"""Bytes for the journal, the records and the picture of the screen."""
DEVICE_STATE: Final = 2 * MIB
"""Bytes of a memory image beside the memory itself (measured: 1 MiB)."""
STOP_UP_TO: Final = 64 * MIB
"""Up to this much memory a guest is stopped and saved: quicker than to write in the background."""
LOW_SPACE: Final = 20
"""Less than one part in this many left free afterwards is worth a word."""

OPERATIONS: Final = (VMOperation.snapshot, VMOperation.checkpoint, VMOperation.snapshot_with_quiesce)
_WITH_GUEST: Final = (VMPowerState.Running, VMPowerState.Paused)


@dataclass(frozen=True)
class Space:
    """Bytes that a snapshot takes at most, by what for; and those free in the repository that is the tightest."""

    memory: int = 0
    disks: int = 0
    overhead: int = OVERHEAD
    free: int = -1

    @property
    def needed(self) -> int:
        """All of it, bytes."""
        return self.memory + self.disks + self.overhead


@dataclass(frozen=True)
class Readiness:
    """What was found. `failure` is None if it is safe; `warning` is a sentence about what is near its limit, or ""."""

    failure: Failure | None
    space: Space
    depth: int
    pending_merges: int
    pause_method: str
    warning: str = ""
    advice: str = ""

    def require(self) -> None:
        """:raise Failure: it is not safe."""
        if self.failure is not None:
            raise self.failure


class VMReadinessOps(Operations, VMCalls):
    """VM.get_snapshot_readiness."""

    async def get_snapshot_readiness(self, vm: Ref[VM], op: VMOperation) -> StringMap:
        found = await readiness(self.context, vm, op)
        answer = {
            "safe": "false" if found.failure else "true",
            "space-needed": str(found.space.needed),
            "space-memory": str(found.space.memory),
            "space-disks": str(found.space.disks),
            "space-overhead": str(found.space.overhead),
            "space-free": str(found.space.free),
            "depth": str(found.depth),
            "depth-limit": str(CHAIN_LIMIT),
            "pending-merges": str(found.pending_merges),
        }
        if op is VMOperation.checkpoint:
            answer["pause-method"] = found.pause_method
        if found.failure is not None:
            reason, advice = sentence(found.failure)
            return {**answer, "code": found.failure.code, "reason": reason, "advice": advice}
        return {**answer, "warning": found.warning, "advice": found.advice} if found.warning else answer


async def readiness(
    context: Context, vm: str, op: VMOperation, ignored: frozenset[str] = frozenset(), *, claimed: bool = False
) -> Readiness:
    """Whether `op` on this VM, without the `ignored` disks, is safe now.

    :param claimed: the caller holds the VM for this operation, so the rules have been tested already.
    :raise Failure: INVALID_VALUE for an operation that takes no snapshot, HANDLE_INVALID.
    """
    record = context.store.get(VM, vm)
    if op not in OPERATIONS:
        raise invalid_value("op", op.value)
    look = _Look(context, vm, record, op, [d for d in disks(context.store, vm) if d[0].vdi_ref not in ignored])
    failure = next(look.problems(claimed=claimed), None)
    method = await _pause_method(context, record) if op is VMOperation.checkpoint else "none"
    warning, advice = ("", "") if failure is not None else look.warning(method)
    return Readiness(failure, look.space(), look.depth, look.pending_merges(), method, warning, advice)


@dataclass
class _Look:
    """One look at a VM and its disks; each figure is found once."""

    context: Context
    vm: str
    record: VM
    op: VMOperation
    chosen: Sequence[tuple[Disk, VDI]]
    depth: int = 0
    chains: set[tuple[str, str]] = field(default_factory=set)
    _needs: Mapping[str, int] | None = None

    def problems(self, *, claimed: bool) -> Iterator[Failure]:
        """What is in the way, in the order of the tests. Not all is looked at if the caller stops early."""
        rule = None if claimed else refusal(self.context, self.vm, self.op)
        if rule is not None:
            yield rule
        guest = self._guest_problem()
        # The depth is wanted whatever is wrong with the guest.
        chain = self._chain_problem()
        space = self._space_problem()
        yield from (found for found in (guest, chain, space) if found is not None)

    def _guest_problem(self) -> Failure | None:
        context, record = self.context, self.record
        if record.power_state in _WITH_GUEST and context.driver.state(record.uuid) == "unresponsive":
            return Failure("VM_HYPERVISOR_FAILURE", self.vm, "QEMU's process lives and does not answer.", "")
        if self.op is VMOperation.snapshot_with_quiesce and not is_possible(context, record):
            return Failure("VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", self.vm)
        return None

    def _chain_problem(self) -> Failure | None:
        problem: Failure | None = None
        for disk, vdi in self.chosen:
            try:
                require_disk(self.context, vdi, disk.vdi_ref)
                with failures():
                    chain = self.context.files(vdi.SR).chain(vdi.location)
                self.depth = max(self.depth, len(chain))
                self.chains |= {(vdi.SR, image) for image in chain}
                if len(chain) >= CHAIN_LIMIT:
                    check_depth(self.context, vdi)
            except Failure as failure:
                problem = problem or failure
        return problem

    def _space_problem(self) -> Failure | None:
        try:
            needs = self.needs()
            for sr, needed in needs.items():
                with failures():
                    self.context.files(sr).require_free(needed)
        except Failure as failure:
            return failure
        return None

    def needs(self) -> Mapping[str, int]:
        """Bytes by repository. :raise Failure: there is none for the memory."""
        if self._needs is None:
            needs: dict[str, int] = {}
            for _, vdi in self.chosen:
                needs[vdi.SR] = needs.get(vdi.SR, 0) + OVERLAY
            if self.op is VMOperation.checkpoint:
                sr = suspend_sr(self.context, self.record)
                needs[sr] = needs.get(sr, 0) + self._memory()
            self._needs = {sr: needed + OVERHEAD for sr, needed in needs.items()}
        return self._needs

    def _memory(self) -> int:
        """Bytes that the memory image takes at most: never more than the guest has touched."""
        if self.op is not VMOperation.checkpoint:
            return 0
        record = self.record
        image = self.context.store.find(VDI, record.suspend_VDI)
        if image is not None:
            return max(image.physical_utilisation, 0)
        touched = 0
        if record.power_state in _WITH_GUEST:
            touched = self.context.driver.memory_in_use(record.uuid)
        most = record.memory_dynamic_max
        return (min(touched, most) if touched else most) + DEVICE_STATE

    def space(self) -> Space:
        """What it takes and what there is, in the repository where least would be left."""
        left = [(free - needed, free) for needed, _, free in self._rooms()]
        return Space(memory=self._memory(), disks=OVERLAY * len(self.chosen), free=min(left)[1] if left else -1)

    def _rooms(self) -> Iterator[tuple[int, int, int]]:
        """Needed, size and free of each repository, bytes; those that cannot be read are left out."""
        try:
            needs = self.needs()
        except Failure:
            return
        for sr, needed in needs.items():
            try:
                with failures():
                    usage = self.context.files(sr).usage()
            except Failure:
                continue
            yield needed, usage.physical_size, usage.free

    def warning(self, method: str) -> tuple[str, str]:
        """What is near its limit, and what to do about it."""
        if self.depth >= CHAIN_WARNING:
            merges = self.pending_merges()
            waiting = f"; {merges} of them wait to be merged" if merges else ""
            return (
                f"The snapshot chain has {self.depth} of at most {CHAIN_LIMIT} images in a row{waiting}.",
                "Let the merging finish." if merges else "Delete snapshots that are not needed.",
            )
        if any(free - needed < size // LOW_SPACE for needed, size, free in self._rooms()):
            return (
                "The storage is nearly full, and from the snapshot on all that the guest writes takes new space.",
                "Delete snapshots or disks that are not needed, or add space.",
            )
        if method == "stop" and self.record.power_state is VMPowerState.Running and self._memory() > STOP_UP_TO:
            return (
                "The guest stands still until its memory is written: this host cannot do that in the background.",
                "Take a snapshot of the disks only, or wait for a quiet moment.",
            )
        return "", ""

    def pending_merges(self) -> int:
        """Base copies in the VM's chains that one image alone builds on."""
        vdis = self.context.store.all(VDI).values()
        hidden = {(vdi.SR, vdi.location) for vdi in vdis if not vdi.managed} & self.chains
        children = Counter((vdi.SR, vdi.sm_config.get("vhd-parent", "")) for vdi in vdis) if hidden else {}
        return sum(1 for image in hidden if children[image] == 1)


async def _pause_method(context: Context, record: VM) -> str:
    """How the memory would be kept: `background` while the guest runs on, `stop`, or `none` without a guest."""
    if record.power_state not in _WITH_GUEST:
        return "none"
    try:
        return await context.driver.save_method(record.uuid)
    except DriverError:
        return "stop"  # it does not answer; that is told as a failure
