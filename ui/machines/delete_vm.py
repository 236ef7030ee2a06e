"""Deleting VMs with the disks they own: what goes and what stays is said first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtWidgets import QCheckBox, QWidget

from app.api import VBD, VDI, VM, VMSS, Ref, Task, VBDType, VMCalls, VMOperation
from app.client import ObjectCache
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import Consequence, ConsequenceDialog, ask
from ui.base.sizes_and_dates import count, size
from ui.base.text import tooltip
from ui.base.workspace import Workspace
from ui.base.xe_lines import together
from ui.machines.together import able, report, run_each
from ui.machines.xe_lines import delete_line
from ui.models.reasons import why_not
from ui.models.states import Chosen, is_machine, is_template

#: so many names fit in a sentence
_NAMED = 4
_OWNER = "owner"


@dataclass(frozen=True)
class Doomed:
    """What deleting some VMs means: disks that go, disks that stay, snapshots, and space in bytes."""

    disks: tuple[VDI, ...]
    shared: tuple[VDI, ...]
    snapshots: tuple[VM, ...]
    freed: int
    freed_by_snapshots: int
    schedules: tuple[str, ...]
    locked: tuple[str, ...] = ()


def deletable(cache: ObjectCache, selection: Selection) -> list[Chosen]:
    """The VMs and templates among what is chosen."""
    found = ((Ref[VM](ref), cache.get(VM, ref)) for cls, ref in selection if cls == "VM")
    return [(ref, vm) for ref, vm in found if vm is not None and (is_machine(vm) or is_template(vm))]


def can_delete(workspace: Workspace, selection: Selection) -> CommandState:
    """Enabled if at least one of the chosen can be deleted."""
    chosen = deletable(workspace.cache, selection)
    if not chosen:
        return disabled("Choose a VM first.")
    reasons = [why_not(vm, VMOperation.destroy) for _, vm in chosen]
    if "" in reasons:
        return ENABLED
    return disabled(reasons[0] if len(chosen) == 1 else "None of the chosen VMs can be deleted now.")


async def delete(workspace: Workspace, selection: Selection) -> None:
    """Ask, then delete each that can be deleted."""
    chosen = deletable(workspace.cache, selection)
    can, left_out = able(chosen, VMOperation.destroy)
    dialog = DeleteDialog(can, doomed(workspace.cache, can), workspace.window)
    if not await ask(dialog, keep=True):
        dialog.deleteLater()
        return
    with_snapshots = dialog.with_snapshots()
    dialog.deleteLater()

    async def begin(vm: Ref[VM]) -> Ref[Task]:
        return await workspace.session.start(VMCalls.uninstall, vm, with_snapshots)

    failed = await run_each(workspace, can, lambda name: f"Deleting {name}", begin)
    await report(workspace, "Delete VM", len(chosen), [*left_out, *failed])


def doomed(cache: ObjectCache, chosen: Sequence[Chosen]) -> Doomed:
    """What goes with these VMs. A disk goes if the VM is marked as its owner and nothing else holds it."""
    going = {ref for ref, _ in chosen}
    disks: dict[str, VDI] = {}
    shared: dict[str, VDI] = {}
    for _, vm in chosen:
        for vbd, vdi_ref, vdi in _disks(cache, vm):
            owned = _OWNER in vbd.other_config and _only_held_by(cache, vdi, going)
            (disks if owned else shared)[vdi_ref] = vdi
    taken = (cache.get(VM, ref) for _, vm in chosen for ref in sorted(vm.snapshots))
    snapshots = tuple(snapshot for snapshot in taken if snapshot is not None)
    frozen = {ref: vdi for snapshot in snapshots for _, ref, vdi in _disks(cache, snapshot)}
    schedules = {vmss.name_label for _, vm in chosen if (vmss := cache.get(VMSS, vm.snapshot_schedule)) is not None}
    return Doomed(
        disks=tuple(disks.values()),
        shared=tuple(shared.values()),
        snapshots=snapshots,
        freed=sum(vdi.physical_utilisation for vdi in disks.values()),
        freed_by_snapshots=sum(vdi.physical_utilisation for vdi in frozen.values()),
        schedules=tuple(sorted(schedules)),
        locked=tuple(s.name_label for s in snapshots if VMOperation.destroy in s.blocked_operations),
    )


def _disks(cache: ObjectCache, vm: VM) -> list[tuple[VBD, str, VDI]]:
    vbds = [vbd for ref in vm.VBDs if (vbd := cache.get(VBD, ref)) is not None and vbd.type is VBDType.Disk]
    vbds.sort(key=lambda vbd: (len(vbd.userdevice), vbd.userdevice))
    return [(vbd, vbd.VDI, vdi) for vbd in vbds if (vdi := cache.get(VDI, vbd.VDI)) is not None]


def _only_held_by(cache: ObjectCache, vdi: VDI, vms: set[Ref[VM]]) -> bool:
    holders = (cache.get(VBD, ref) for ref in vdi.VBDs)
    return all(vbd is None or vbd.VM in vms for vbd in holders)


class DeleteDialog(ConsequenceDialog):
    """Says what goes and what stays. Snapshots stay unless their box is ticked."""

    def __init__(self, chosen: Sequence[Chosen], doomed: Doomed, parent: QWidget | None = None) -> None:
        what = f"“{chosen[0][1].name_label}”" if len(chosen) == 1 else count(len(chosen), "VM")
        kind = "Template" if all(is_template(vm) for _, vm in chosen) else "VM"
        self._doomed, self._chosen = doomed, tuple(chosen)
        self.snapshots = QCheckBox(f"Also delete {self._their()} {count(len(doomed.snapshots), 'snapshot')}")
        super().__init__(
            f"Delete {what}?",
            f"{what} {'is' if len(chosen) == 1 else 'are'} deleted with the disks below. This cannot be undone."
            if doomed.disks
            else f"{what} {'is' if len(chosen) == 1 else 'are'} deleted. This cannot be undone.",
            self._consequences(False),
            self.snapshots if doomed.snapshots else None,
            primary=f"Delete {kind}" if len(chosen) == 1 else f"Delete {count(len(chosen), kind)}",
            danger=True,
            parent=parent,
        )
        self.snapshots.setToolTip(tooltip(_names([s.name_label for s in doomed.snapshots], most=20)))
        if doomed.locked:
            self.snapshots.setEnabled(False)
            self.snapshots.setToolTip(tooltip(f"Locked: {_names(doomed.locked, most=20)}. Unlock them first."))
        self.snapshots.toggled.connect(lambda ticked: self.consequences.set(self._consequences(ticked)))

    def with_snapshots(self) -> bool:
        """Whether the snapshots go too."""
        return self.snapshots.isChecked()

    def xe_line(self) -> str:
        return together(*(delete_line(vm, with_snapshots=self.with_snapshots()) for _, vm in self._chosen))

    def _their(self) -> str:
        return "its" if len({s.snapshot_of for s in self._doomed.snapshots}) == 1 else "their"

    def _consequences(self, with_snapshots: bool) -> list[Consequence]:
        doomed, said = self._doomed, list[Consequence]()
        for vdi in doomed.disks[:_NAMED]:
            used = f"{size(max(0, vdi.physical_utilisation))} used of {size(vdi.virtual_size)}"
            said.append(("disk", f"{vdi.name_label or 'Disk without a name'}: {used}"))
        if len(doomed.disks) > _NAMED:
            said.append(("disk", f"and {count(len(doomed.disks) - _NAMED, 'more disk', 'more disks')}"))
        if doomed.shared:
            kept = _names([vdi.name_label for vdi in doomed.shared])
            said.append(("alert-good", f"Disks that stay, because they are used elsewhere or not owned: {kept}."))
        if doomed.snapshots and with_snapshots:
            said.append(("alert-attention", f"{_snapshots(doomed)} deleted too: nothing is left to go back to."))
        elif doomed.snapshots:
            said.append(("alert-good", f"{_snapshots(doomed, stay=True)}: VMs can still be made from them."))
        if doomed.locked:
            said.append(("lock", f"Locked, so the snapshots cannot go with it: {_names(doomed.locked)}."))
        if doomed.schedules:
            said.append(("schedule", f"No more snapshots by schedule “{_names(doomed.schedules)}”."))
        freed = doomed.freed + (doomed.freed_by_snapshots if with_snapshots else 0)
        if freed > 0:
            said.append(("sr-local", f"About {size(freed)} is freed."))
        return said


def _snapshots(doomed: Doomed, *, stay: bool = False) -> str:
    one = len(doomed.snapshots) == 1
    verb = ("stays" if one else "stay") if stay else ("is" if one else "are")
    return f"{count(len(doomed.snapshots), 'snapshot')} {verb}"


def _names(names: Sequence[str], most: int = _NAMED) -> str:
    shown = [name or "without a name" for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
