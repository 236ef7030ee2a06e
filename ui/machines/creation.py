"""Making a VM, step by step, with every step undone if a later one fails. No widgets: a session, a plan, and progress.

A failure leaves nothing behind: a disk that no VM owns yet is destroyed, a half-made VM is uninstalled with the disks
it owns. What could not be removed is named in `CreationError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from app.api import NULL, SR, VDI, VM, ConnectionLost, Failure, Network, Ref, Task, VDICalls, VMCalls
from app.client import Session
from app.log import get
from ui.machines.hardware import set_cpus, set_memory

log = get(__name__)

Source = Literal["sample", "iso", "image", "template"]
Bus = Literal["virtio", "sata", "ide"]

_OWNER: Final[Mapping[str, str]] = {"owner": ""}
_NEXT: Final = "autodetect"
#: bringing an image in takes nearly all the time there is
_IMPORT_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class NewDisk:
    """An empty disk to be made; the size in bytes."""

    name: str
    size: int
    sr: Ref[SR]


@dataclass(frozen=True, slots=True)
class ImportedDisk:
    """A disk image on the engine's host to be made a disk of a repository."""

    name: str
    path: str
    sr: Ref[SR]


@dataclass(frozen=True, slots=True)
class Way:
    """How the source's disks are copied; `sr` is for a full copy, the null reference for each disk's repository."""

    full: bool = False
    sr: Ref[SR] = NULL


@dataclass(frozen=True, kw_only=True, slots=True)
class NewVM:
    """All that the wizard asks; memory in bytes, None where the template's setting stays.

    `template_record` is what the template or snapshot said when it was chosen.
    """

    source: Source
    template: Ref[VM]
    template_record: VM
    name: str
    description: str
    cpus: int | None = None
    memory: int | None = None
    bus: Bus | None = None
    way: Way = Way()
    image: ImportedDisk | None = None
    iso: Ref[VDI] | None = None
    disks: Sequence[NewDisk] = ()
    network: Ref[Network] | None = None
    mac: str = ""
    start: bool = True


class CreationError(Exception):
    """The VM was not made. `cause` is why, `left` what could not be removed again (empty: nothing is left)."""

    def __init__(self, cause: Failure | ConnectionLost, left: Sequence[str]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.left = tuple(left)


class Progress(Protocol):
    """Whoever watches: told of each step, given each task to wait for, asked whether to go on."""

    def step(self, words: str, fraction: float) -> None:
        """A step begins; `fraction` of the whole is done."""
        ...

    async def follow(self, started: Awaitable[Ref[Task]], begin: float, end: float) -> str:
        """Wait for a task that takes the progress from `begin` to `end`; its result. :raise Failure: its error."""
        ...

    def check(self) -> None:
        """:raise Failure: TASK_CANCELLED, if someone asked to stop."""
        ...


_Step = tuple[str, Callable[[], Awaitable[object]]]


@dataclass
class _Undo:
    """What to take back, newest first."""

    steps: list[_Step] = field(default_factory=list)

    def push(self, what: str, undo: Callable[[], Awaitable[object]]) -> _Step:
        self.steps.append((what, undo))
        return self.steps[-1]

    def drop(self, step: _Step) -> None:
        """Something else takes it back now."""
        self.steps = [other for other in self.steps if other is not step]

    async def run(self) -> list[str]:
        """Take all back; answer what could not be."""
        left: list[str] = []
        while self.steps:
            what, undo = self.steps.pop()
            try:
                await undo()
            except (Failure, ConnectionLost) as error:
                log.warning("part of an unfinished VM could not be removed", what=what, error=str(error))
                left.append(what)
        return left


#: a disk that no VM owns yet, and what takes it back
_Made = tuple[Ref[VDI], _Step]


async def create(session: Session, plan: NewVM, progress: Progress) -> Ref[VM]:
    """Make the VM, Halted. Starting it is another matter: a VM that cannot start is not thrown away.

    :raise CreationError: it could not be made; what had been made was removed.
    """
    undo = _Undo()
    try:
        return await _create(session, plan, progress, undo)
    except (Failure, ConnectionLost) as error:
        raise CreationError(error, await undo.run()) from error
    except BaseException:
        # the window closes: still leave nothing behind
        await asyncio.shield(undo.run())
        raise


async def _create(session: Session, plan: NewVM, progress: Progress, undo: _Undo) -> Ref[VM]:
    done = 0.0
    imported: _Made | None = None
    if plan.image is not None:
        imported = await _import(session, plan.image, progress, undo)
        done = _IMPORT_SHARE
    steps = 3 + len(plan.disks)
    if plan.way.full:
        vm = await _copy(session, plan, progress, undo)
        done = _IMPORT_SHARE
    else:
        progress.step("Making the VM", done)
        vm = await _clone(session, plan, undo)
    await _set_up(session, vm, plan)
    share = (1.0 - done) / steps
    progress.step("Making its disks", done + share)
    await session.VM.provision(vm)
    if imported is not None:
        await _attach(session, vm, imported, undo, bootable=True)
    for number, disk in enumerate(plan.disks):
        progress.check()
        progress.step(f"Making disk {number + 1} of {len(plan.disks)}", done + share * (number + 1))
        await _add_disk(session, vm, disk, undo, bootable=number == 0 and plan.source == "iso")
    progress.check()
    progress.step("Connecting drives and network", 1.0 - share)
    await _add_drive(session, vm, plan)
    if plan.network is not None:
        await session.VIF.create({"VM": vm, "network": plan.network, "device": "0", "MAC": plan.mac})
    progress.check()
    return vm


async def _import(session: Session, image: ImportedDisk, progress: Progress, undo: _Undo) -> _Made:
    progress.step(f"Importing {image.path}", 0.0)
    started = session.start(VDICalls.import_file, image.sr, image.path, image.name)
    vdi: Ref[VDI] = Ref(await progress.follow(started, 0.0, _IMPORT_SHARE))
    return vdi, undo.push(_disk(image.name), lambda: session.VDI.destroy(vdi))


async def _clone(session: Session, plan: NewVM, undo: _Undo) -> Ref[VM]:
    vm = await session.VM.clone(plan.template, plan.name)
    undo.push(f"the VM “{plan.name}”", lambda: session.VM.uninstall(vm, False))
    return vm


async def _copy(session: Session, plan: NewVM, progress: Progress, undo: _Undo) -> Ref[VM]:
    progress.step("Copying the disks", 0.0)
    started = session.start(VMCalls.copy, plan.template, plan.name, plan.way.sr)
    vm: Ref[VM] = Ref(await progress.follow(started, 0.0, _IMPORT_SHARE))
    undo.push(f"the VM “{plan.name}”", lambda: session.VM.uninstall(vm, False))
    return vm


async def _set_up(session: Session, vm: Ref[VM], plan: NewVM) -> None:
    """Give it its settings. A copy of a template is a template until it is provisioned."""
    record = plan.template_record
    if plan.description != record.name_description:
        await session.set(VM, vm, name_description=plan.description)
    if plan.cpus is not None and (plan.cpus != record.VCPUs_at_startup or plan.cpus != record.VCPUs_max):
        await set_cpus(session, vm, plan.cpus, record.VCPUs_max)
    if plan.memory is not None and plan.memory != record.memory_static_max:
        await set_memory(session, vm, plan.memory)
    if plan.bus is not None and plan.bus != record.platform.get("disk-bus"):
        await session.set(VM, vm, platform={**record.platform, "disk-bus": plan.bus})


async def _add_disk(session: Session, vm: Ref[VM], disk: NewDisk, undo: _Undo, *, bootable: bool) -> None:
    vdi = await session.VDI.create({"SR": disk.sr, "virtual_size": disk.size, "name_label": disk.name, "type": "user"})
    made = vdi, undo.push(_disk(disk.name), lambda: session.VDI.destroy(vdi))
    await _attach(session, vm, made, undo, bootable=bootable)


async def _attach(session: Session, vm: Ref[VM], made: _Made, undo: _Undo, *, bootable: bool) -> None:
    """Give the VM the disk as its own. From then on uninstalling the VM removes the disk."""
    vdi, step = made
    await session.VBD.create(_vbd(vm, vdi, "Disk", "RW", bootable=bootable, other_config=_OWNER))
    undo.drop(step)


async def _add_drive(session: Session, vm: Ref[VM], plan: NewVM) -> None:
    """A CD drive, with the medium to install from if there is one; last, so that a disk that boots comes first."""
    if plan.source == "iso" and plan.iso is not None:
        await session.VBD.create(_vbd(vm, plan.iso, "CD", "RO", bootable=True))
    elif plan.source == "image":
        await session.VBD.create(_vbd(vm, NULL, "CD", "RO", bootable=False))


def _vbd(
    vm: Ref[VM], vdi: Ref[VDI], kind: str, mode: str, *, bootable: bool, other_config: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    return {
        "VM": vm,
        "VDI": vdi,
        "userdevice": _NEXT,
        "bootable": bootable,
        "mode": mode,
        "type": kind,
        "empty": vdi == NULL,
        "other_config": dict(other_config or {}),
    }


def _disk(name: str) -> str:
    return f"the disk “{name}”"
