"""What is to be exported, and why it cannot be now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.api import SR, VDI, VM, Ref, VDIOperation, VMOperation, VMPowerState, is_null
from app.client import ObjectCache
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.workspace import Workspace
from ui.models.reasons import why_not
from ui.models.states import DOING, is_machine, is_template, state_icon

Kind = Literal["VM", "template", "snapshot"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One VM, template or snapshot."""

    ref: Ref[VM]
    record: VM
    kind: Kind
    owner: str = ""

    @property
    def name(self) -> str:
        """Its own name."""
        return self.record.name_label

    @property
    def icon(self) -> str:
        """Its icon as it stands."""
        return state_icon(self.record)

    @property
    def words(self) -> str:
        """What it is, with its name: ``the snapshot “Before the upgrade” of billing-db``."""
        of = f" of {self.owner}" if self.owner else ""
        return f"the {self.kind} “{self.name}”{of}"

    @property
    def has_memory(self) -> bool:
        """Whether it holds a memory image."""
        return self.record.power_state is VMPowerState.Suspended


def subject_of(cache: ObjectCache, ref: str) -> Subject | None:
    """The VM, template or snapshot behind a reference."""
    record = cache.get(VM, ref)
    if record is None:
        return None
    if not record.is_a_snapshot:
        return Subject(Ref(ref), record, "template" if record.is_a_template else "VM")
    owner = cache.get(VM, record.snapshot_of) if not is_null(record.snapshot_of) else None
    return Subject(Ref(ref), record, "snapshot", owner.name_label if owner is not None else "")


def why_no_export(record: VM) -> str:
    """Why this VM, template or snapshot cannot be exported now; "" where it can."""
    if VMOperation.export in record.allowed_operations:
        return ""
    if record.is_a_snapshot or (record.is_a_template and not record.is_default_template):
        operation = next(iter(record.current_operations.values()), None)
        doing = "" if operation is None else DOING.get(operation, "busy")
        return f"It is {doing}." if doing else "The engine does not offer this now."
    return why_not(record, VMOperation.export)


def is_exportable_by_snapshot(record: VM) -> bool:
    """Whether it only has to stand still: a running VM, of which a snapshot can leave."""
    return is_machine(record) and record.power_state in (VMPowerState.Running, VMPowerState.Paused)


def can_export_vm(workspace: Workspace, selection: Selection) -> CommandState:
    """VMs, and templates with them. Of one that runs a snapshot is offered instead."""
    if len(selection) > 1:
        machines = any(is_machine(record) for record in _records(workspace, selection))
        return state_of_several(workspace, selection) if machines else disabled("Choose a VM.")
    record = _only(workspace, selection)
    if record is None or not is_machine(record):
        return disabled("Choose one VM.")
    if is_exportable_by_snapshot(record) and (record.snapshots or not why_no_snapshot(record)):
        return ENABLED
    reason = why_no_export(record)
    return disabled(reason) if reason else ENABLED


def why_no_snapshot(record: VM) -> str:
    """Why no snapshot of the VM can be taken now; "" where one can."""
    return why_not(record, VMOperation.snapshot)


def can_export_template(workspace: Workspace, selection: Selection) -> CommandState:
    """Templates alone: with VMs among them it is the VMs' command."""
    if len(selection) > 1:
        templates = all(is_template(record) for record in _records(workspace, selection))
        return state_of_several(workspace, selection) if templates else disabled("Choose templates only.")
    record = _only(workspace, selection)
    if record is None or not is_template(record):
        return disabled("Choose one template.")
    reason = why_no_export(record)
    return disabled(reason) if reason else ENABLED


def can_export_snapshot(workspace: Workspace, selection: Selection) -> CommandState:
    """Snapshots alone."""
    if len(selection) > 1:
        snapshots = all(record.is_a_snapshot for record in _records(workspace, selection))
        return state_of_several(workspace, selection) if snapshots else disabled("Choose snapshots only.")
    record = _only(workspace, selection)
    if record is None or not record.is_a_snapshot:
        return disabled("Choose one snapshot.")
    reason = why_no_export(record)
    return disabled(reason) if reason else ENABLED


def can_export_disk(workspace: Workspace, selection: Selection) -> CommandState:
    """One disk that nothing changes meanwhile."""
    chosen = [ref for cls, ref in selection if cls == "VDI"]
    record = workspace.cache.get(VDI, chosen[0]) if len(chosen) == len(selection) == 1 else None
    if record is None:
        return disabled("Choose one disk.")
    reason = why_no_disk_export(workspace.cache, record)
    return disabled(reason) if reason else ENABLED


def why_no_disk_export(cache: ObjectCache, record: VDI) -> str:
    """Why this disk cannot be exported now; "" where it can."""
    sr = cache.get(SR, record.SR)
    if sr is not None and sr.content_type == "iso":
        return "An ISO is a file in the library's folder: copy it there."
    if record.missing:
        return "Its file is missing."
    if not record.managed:
        return "It is a base copy that other disks build on: export one of those."
    if VDIOperation.copy in record.allowed_operations:
        return ""
    return "A guest uses it: export the disk of a snapshot instead, or shut the VM down first."


def state_of_several(workspace: Workspace, selection: Selection) -> CommandState:
    """Enabled if at least one of them can be exported; else the reason, if it is the same for all."""
    records = _records(workspace, selection)
    if len(records) != len(selection):
        return disabled("Choose VMs, templates or snapshots only.")
    reasons = {why_not_at_all(record) for record in records}
    if "" in reasons:
        return ENABLED
    same = next(iter(reasons)) if len(reasons) == 1 else ""
    return disabled(f"None of them can be exported. {same}".strip())


def why_not_at_all(record: VM) -> str:
    """Why neither it nor a snapshot of it can be exported now; "" where that can."""
    return why_no_snapshot(record) if is_exportable_by_snapshot(record) else why_no_export(record)


def _records(workspace: Workspace, selection: Selection) -> list[VM]:
    found = (workspace.cache.get(VM, ref) for cls, ref in selection if cls == "VM")
    return [record for record in found if record is not None]


def _only(workspace: Workspace, selection: Selection) -> VM | None:
    if len(selection) != 1 or selection[0][0] != "VM":
        return None
    return workspace.cache.get(VM, selection[0][1])
