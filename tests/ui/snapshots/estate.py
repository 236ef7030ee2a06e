"""A VM with snapshots and disks, as records in a cache, for the tests and pictures of the Snapshots tab."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QBuffer, QIODevice, QSize
from PySide6.QtGui import QColor, QFont, QImage, QPainter

from app.api import (
    NULL,
    SR,
    VBD,
    VDI,
    VM,
    Blob,
    Event,
    EventBatch,
    EventOperation,
    Ref,
    Task,
    VMOperation,
    VMPowerState,
)  # fmt: skip
from app.api.types import new_uuid
from tests.support.fake_session import FakeEngine
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.snapshots import commands

GIB = 1024**3
ON_SNAPSHOT = frozenset({VMOperation.revert, VMOperation.clone, VMOperation.copy, VMOperation.destroy})
ON_CHECKPOINT = ON_SNAPSHOT | {VMOperation.hard_shutdown}
ON_VM = frozenset({VMOperation.snapshot, VMOperation.checkpoint, VMOperation.clean_shutdown, VMOperation.suspend})
MIB = 1024**2


class Estate:
    """One VM on one repository; add snapshots with `snapshot`, each by a short key that is its reference too."""

    def __init__(self, folder: Path, name: str = "billing-db", disks: int = 2, **fields: Any) -> None:
        self.engine = FakeEngine()
        self.cache = self.engine.cache
        self.sr = self.engine.put(
            SR(name_label="Local storage", type="file", physical_size=500 * GIB, physical_utilisation=88 * GIB), "sr"
        )
        self.vm = "vm"
        self._numbers = 0
        self.disks = [self._disk(self.vm, place, 3 * GIB) for place in range(disks)]
        self._put_vm(VM(name_label=name, power_state=VMPowerState.Running, allowed_operations=ON_VM, **fields))
        self.workspace = Workspace(self.engine.session(), self.cache, Settings(folder / "settings.ini"))
        commands.register(self.workspace)

    def _put_vm(self, record: VM) -> None:
        held: frozenset[Ref[VBD]] = frozenset(Ref(ref) for ref, vbd in self.cache.all(VBD).items() if self.vm == vbd.VM)
        self.engine.put(msgspec.structs.replace(record, VBDs=held), self.vm)

    def _disk(self, vm: str, place: int, octets: int, parent: str = "", **fields: Any) -> str:
        self._numbers += 1
        vdi, vbd = f"vdi-{self._numbers}", f"vbd-{self._numbers}"
        config = {"vhd-parent": parent} if parent else {}
        record = VDI(
            name_label=f"disk {place}", SR=self.sr, location=f"image-{self._numbers}", virtual_size=20 * GIB,
            physical_utilisation=octets, sm_config=config, VBDs=frozenset({Ref(vbd)}), **fields,
        )  # fmt: skip
        self.engine.put(record, vdi)
        self.engine.put(VBD(VM=Ref(vm), VDI=Ref(vdi), userdevice=str(place), currently_attached=True), vbd)
        return vdi

    def snapshot(
        self, key: str, name: str = "", parent: str = "", hours: float = 48, own: int = GIB, **more: Any
    ) -> str:
        """Add a snapshot taken so many hours ago. ``memory``, ``scheduled`` and ``screen`` (lines) are for short;
        with ``now`` the current state grows from it, in the same batch."""
        now = more.pop("now", False)
        memory, scheduled = more.pop("memory", False), more.pop("scheduled", False)
        screen: list[str] = more.pop("screen", [])
        moment = datetime.now(UTC) - timedelta(hours=hours)
        held: list[Ref[VBD]] = []
        for place, active in enumerate(self.disks):
            below = self._image_of(parent, place)
            vdi = self._disk(key, place, own // max(1, len(self.disks)), below, is_a_snapshot=True,
                             snapshot_of=Ref(active), snapshot_time=moment)  # fmt: skip
            held.append(Ref(vdi.replace("vdi", "vbd")))
        fields: dict[str, Any] = {
            "snapshot_info": {"power-state-at-snapshot": "Running", "disk-snapshot-type": "crash_consistent"},
            "other_config": {"stillframe.stall-ms": "14.2"},
            "allowed_operations": ON_CHECKPOINT if memory else ON_SNAPSHOT,
        }
        if screen:
            self.engine.blobs[f"blob-{key}"] = console(screen)
            self.engine.put(Blob(name_label="stillframe.screenshot"), f"blob-{key}")
            fields["blobs"] = {"stillframe.screenshot": Ref(f"blob-{key}")}
        record = VM(
            name_label=name or key, is_a_snapshot=True, is_a_template=True, snapshot_of=Ref(self.vm),
            snapshot_time=moment, parent=Ref(parent) if parent else NULL, VBDs=frozenset(held),
            is_vmss_snapshot=scheduled, power_state=VMPowerState.Suspended if memory else VMPowerState.Halted,
            **(fields | more),
        )  # fmt: skip
        self._link(key, record, now)
        return key

    def _link(self, key: str, record: VM, now: bool) -> None:
        """The snapshot, its VM and its parent change in one batch, as the engine's feed brings them."""
        vm = self.record(self.vm)
        changes = {key: msgspec.structs.replace(record, uuid=new_uuid())}
        parent = Ref(key) if now else vm.parent
        changes[self.vm] = msgspec.structs.replace(vm, snapshots=vm.snapshots | {Ref(key)}, parent=parent)
        if record.parent != NULL and (above := self.cache.get(VM, record.parent)) is not None:
            changes[record.parent] = msgspec.structs.replace(above, children=above.children | {Ref(key)})
        self.batch(changes)

    @property
    def calls(self) -> list[tuple[str, tuple[Any, ...]]]:
        """What was asked of the engine, without the questions that change nothing."""
        return [call for call in self.engine.calls if ".get_" not in call[0]]

    def answer_ready(self, **ways: dict[str, str]) -> None:
        """What the engine says of each way, by the name of its operation: the keys with "_" for "-", over good ones."""

        def ready(_vm: str, operation: str) -> dict[str, str]:
            memory = 1200 * MIB if operation == "checkpoint" else 0
            said = {
                "safe": "true", "space-needed": str(memory + 40 * MIB), "space-memory": str(memory),
                "space-disks": str(2 * MIB), "space-overhead": str(38 * MIB), "space-free": str(412 * GIB),
                "depth": "4", "depth-limit": "30", "pending-merges": "0",
            }  # fmt: skip
            if operation == "checkpoint":
                said["pause-method"] = "background"
            return said | {key.replace("_", "-"): value for key, value in ways.get(str(operation), {}).items()}

        self.engine.answer("VM.get_snapshot_readiness", ready)

    def drop(self, *keys: str) -> None:
        """Take snapshots away, their children going to their parents."""
        vm = self.record(self.vm)
        changes: dict[str, VM | None] = dict.fromkeys(keys)
        parents = {key: self.record(key).parent for key in keys}
        for ref in vm.snapshots:
            record = self.record(ref)
            while record.parent in parents:
                record = msgspec.structs.replace(record, parent=parents[record.parent])
            if ref not in keys:
                changes[ref] = record
        parent = vm.parent
        while parent in parents:
            parent = parents[parent]
        changes[self.vm] = msgspec.structs.replace(
            vm, snapshots=vm.snapshots - {Ref(key) for key in keys}, parent=parent
        )
        self.batch(changes)

    def batch(self, changes: dict[str, VM | None] | dict[str, VM]) -> None:
        """Several VM records at once; None removes."""
        events = tuple(
            Event(id="1", timestamp="0", cls="VM", ref=ref, snapshot=record,
                  operation=EventOperation.mod if record is not None else EventOperation.delete)
            for ref, record in changes.items()
        )  # fmt: skip
        self.cache.apply(EventBatch(events=events, valid_ref_counts={}, token="1,0"))

    def stand_on(self, key: str) -> None:
        """The current state grew from this snapshot."""
        self.engine.change(VM, self.vm, parent=Ref(key))
        for place, disk in enumerate(self.disks):
            self.engine.change(VDI, disk, sm_config={"vhd-parent": self._image_of(key, place)})

    def record(self, ref: str) -> VM:
        """A VM record."""
        found = self.cache.get(VM, ref)
        assert found is not None, ref
        return found

    def _image_of(self, snapshot: str, place: int) -> str:
        record = self.cache.get(VM, snapshot) if snapshot else None
        for ref in record.VBDs if record is not None else ():
            vbd = self.cache.get(VBD, ref)
            if vbd is not None and vbd.userdevice == str(place):
                vdi = self.cache.get(VDI, vbd.VDI)
                return vdi.location if vdi is not None else ""
        return ""


def group_of_three(estate: Estate, *, spread: str = "3.1") -> tuple[str, ...]:
    """Two more VMs, and a snapshot of each that was taken together with "trial"; answers the three snapshots."""
    marks = {"stillframe.group": "g1", "stillframe.group-spread-ms": spread}
    members = ["trial"]
    for key, name, state in (("web", "web-01", VMPowerState.Running), ("mail", "mail", VMPowerState.Suspended)):
        estate.engine.put(VM(name_label=name, power_state=state, allowed_operations=ON_VM), key)
        taken = VM(
            name_label="Trial of replica", is_a_snapshot=True, is_a_template=True, snapshot_of=Ref(key),
            snapshot_time=estate.record("trial").snapshot_time, allowed_operations=ON_SNAPSHOT, other_config=marks,
            snapshot_info={"power-state-at-snapshot": "Running"},
        )  # fmt: skip
        estate.engine.put(taken, f"{key}-trial")
        estate.engine.change(VM, key, snapshots=frozenset({Ref(f"{key}-trial")}))
        members.append(f"{key}-trial")
    estate.engine.change(VM, "trial", other_config={**estate.record("trial").other_config, **marks})
    return tuple(members)


def merging(estate: Estate) -> None:
    """One merge runs, one waits, and the engine tells of both."""
    estate.engine.put(Task(progress=0.42, name_description="1.2 of 2.9 GiB"), "merge-task")
    estate.engine.answer("SR.get_pending_merges", {
        "base1": {"state": "running", "size": str(3 * GIB), "task": "merge-task", "vm": "vm"},
        "base2": {"state": "waiting", "size": str(GIB), "reason": "a snapshot is being taken", "vm": "vm"},
        "base3": {"state": "waiting", "size": str(GIB), "vm": "another"},
    })  # fmt: skip


def branching(folder: Path) -> Estate:
    """Seven snapshots in three branches, as on the draft."""
    estate = Estate(folder)
    lines = ["login: postgres", "LOG: checkpoint complete", "$ _"]
    more: Callable[..., str] = estate.snapshot
    more("installed", "Installed", "", 21 * 24, 9 * GIB, blocked_operations={VMOperation.destroy: "golden image"},
         allowed_operations=frozenset({VMOperation.revert}))  # fmt: skip
    more("before", "Before upgrade 16", "installed", 50, int(2.1 * GIB), memory=True, screen=lines,
         name_description="Last good state before the major upgrade.", tags=frozenset({"upgrade"}), other_config={
             "stillframe.stall-ms": "14.2", "stillframe.duration-ms": "2410", "stillframe.memory-method": "background",
             "stillframe.memory-bytes": str(1150 * MIB), "stillframe.compression": "zstd",
             "stillframe.consistency": "crash-consistent"})  # fmt: skip
    more("nightly22", "Nightly 2026-11-22", "before", 8, GIB, scheduled=True, screen=lines)
    more("nightly21", "Nightly 2026-11-21", "installed", 35, GIB, scheduled=True)
    more("trial", "Trial of replica", "nightly21", 34, 2 * GIB, screen=lines)
    more("second", "Second trial, with a long name that does not fit the card at all", "nightly21", 30, GIB // 3)
    more("quiet", "Flushed", "nightly22", 3, GIB // 5, snapshot_info={
        "power-state-at-snapshot": "Running", "disk-snapshot-type": "quiesced"}, other_config={
            "stillframe.stall-ms": "4", "stillframe.freeze-ms": "61",
            "stillframe.consistency": "file-system-consistent",
            "stillframe.consistency-reason": "The guest's agent froze 2 file systems."})  # fmt: skip
    estate.stand_on("nightly22")
    return estate


def console(lines: list[str]) -> bytes:
    """Something like a guest's text screen, as PNG."""
    image = QImage(QSize(640, 400), QImage.Format.Format_RGB32)
    image.fill(QColor("#10181c"))
    painter = QPainter(image)
    font = QFont("monospace")
    font.setPixelSize(30)
    painter.setFont(font)
    painter.setPen(QColor("#8fd3c4"))
    for row, line in enumerate(lines):
        painter.drawText(20, 54 + row * 44, line)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(buffer.data().data())
