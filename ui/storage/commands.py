"""The commands of storage: rescan a repository, put a disc into a drive, take it out."""

from __future__ import annotations

from app.api import SR, VBD, VDI, VM, Ref, SRCalls, VBDCalls, VBDType, VMPowerState
from app.api.enums import SROperation, VBDOperation
from ui.base.commands import ENABLED, Command, CommandState, Selection, disabled
from ui.base.dialogs import ask
from ui.base.workspace import Workspace
from ui.base.xe_lines import with_xe
from ui.storage import cleaning
from ui.storage.insert_dialog import InsertDialog
from ui.storage.xe_lines import LINES

SCOPE = "storage"
"""The selection of a Storage tab's drive: (("VBD", ref),), for inserting also ("VDI", ref) of the ISO."""


def register(workspace: Workspace) -> None:
    """Register the commands of storage."""
    commands = (
        Command(id="sr.scan", title="&Rescan", icon="refresh", run=scan, state=can_scan),
        Command(
            id="sr.coalesce",
            title="&Merge Chains Now",
            icon="merge",
            tooltip="Merge what waits to be merged, without the usual delay",
            run=coalesce,
            state=can_coalesce,
        ),
        Command(id="sr.clean", title="&Clean Up…", icon="delete", run=cleaning.clean, state=cleaning.can_clean),
        Command(
            id="vdi.destroy",
            title="&Delete Disks…",
            icon="delete",
            run=cleaning.delete,
            state=cleaning.can_delete,
            scope=cleaning.DISKS,
        ),
        Command(id="vbd.insert", title="&Insert Disc…", icon="cd", run=insert, state=can_insert, scope=SCOPE),
        Command(id="vbd.eject", title="&Eject Disc", icon="export", run=eject, state=can_eject, scope=SCOPE),
    )
    workspace.commands.add(*with_xe(commands, LINES))


async def scan(workspace: Workspace, selection: Selection) -> None:
    """Look at the files of each chosen repository again."""
    for ref in _chosen(selection, "SR"):
        record = workspace.cache.get(SR, ref)
        if record is not None:
            started = workspace.session.start(SRCalls.scan, Ref(ref))
            await workspace.run_task(f"Scanning {record.name_label}", started, subject=("SR", ref))


def can_scan(workspace: Workspace, selection: Selection) -> CommandState:
    """Storage only, connected, and not being scanned."""
    refs = _chosen(selection, "SR")
    if not refs or len(refs) != len(selection):
        return disabled("Choose storage first.")
    for ref in refs:
        record = workspace.cache.get(SR, ref)
        if record is None:
            return disabled("The storage is gone.")
        if SROperation.scan in record.current_operations.values():
            return disabled(f"“{record.name_label}” is being scanned.")
        if SROperation.scan not in record.allowed_operations:
            return disabled(f"“{record.name_label}” cannot be scanned now.")
    return ENABLED


async def coalesce(workspace: Workspace, selection: Selection) -> None:
    """Merge now what waits to be merged in each chosen repository."""
    for ref in _chosen(selection, "SR"):
        record = workspace.cache.get(SR, ref)
        if record is not None:
            started = workspace.session.start(SRCalls.coalesce, Ref(ref))
            await workspace.run_task(f"Merging the chains of {record.name_label}", started, subject=("SR", ref))


def can_coalesce(workspace: Workspace, selection: Selection) -> CommandState:
    """Storage for disks only."""
    records = [workspace.cache.get(SR, ref) for ref in _chosen(selection, "SR")]
    if not records or len(records) != len(selection) or any(record is None for record in records):
        return disabled("Choose storage first.")
    if any(record is not None and record.content_type == "iso" for record in records):
        return disabled("ISOs have no chains.")
    return ENABLED


async def insert(workspace: Workspace, selection: Selection) -> None:
    """Put an ISO into a drive, in place of the one that is in it. Asks which, where the selection does not say."""
    (vbd,) = _chosen(selection, "VBD")
    given = _chosen(selection, "VDI")
    if given:
        iso = given[0]
    else:
        dialog = InsertDialog(workspace.cache, workspace.cache.get(VBD, vbd), workspace.window)
        iso = dialog.iso() if await ask(dialog) else ""
    record, medium = workspace.cache.get(VBD, vbd), workspace.cache.get(VDI, iso)
    if record is None or medium is None:
        return
    if not record.empty:
        await _eject(workspace, vbd, record)
    started = workspace.session.start(VBDCalls.insert, Ref(vbd), Ref(iso))
    await workspace.run_task(f"Inserting {medium.name_label}", started, subject=("VM", record.VM))


async def eject(workspace: Workspace, selection: Selection) -> None:
    """Take the disc out of a drive."""
    (vbd,) = _chosen(selection, "VBD")
    record = workspace.cache.get(VBD, vbd)
    if record is not None:
        await _eject(workspace, vbd, record)


async def _eject(workspace: Workspace, vbd: str, record: VBD) -> None:
    medium = workspace.cache.get(VDI, record.VDI)
    title = f"Ejecting {medium.name_label}" if medium is not None else "Ejecting a disc"
    await workspace.run_task(title, workspace.session.start(VBDCalls.eject, Ref(vbd)), subject=("VM", record.VM))


def can_insert(workspace: Workspace, selection: Selection) -> CommandState:
    """A drive, empty or not, of a VM that is not suspended."""
    record = _drive(workspace, selection)
    if isinstance(record, CommandState):
        return record
    able = {VBDOperation.insert, VBDOperation.eject} & record.allowed_operations
    return ENABLED if able else _why_not(workspace, record)


def can_eject(workspace: Workspace, selection: Selection) -> CommandState:
    """A drive with a disc in it."""
    record = _drive(workspace, selection)
    if isinstance(record, CommandState):
        return record
    if record.empty:
        return disabled("The drive is empty.")
    return ENABLED if VBDOperation.eject in record.allowed_operations else _why_not(workspace, record)


def _drive(workspace: Workspace, selection: Selection) -> VBD | CommandState:
    chosen = _chosen(selection, "VBD")
    record = workspace.cache.get(VBD, chosen[0]) if len(chosen) == 1 else None
    if record is None or record.type is not VBDType.CD:
        return disabled("Choose a CD drive first.")
    return record


def _why_not(workspace: Workspace, record: VBD) -> CommandState:
    machine = workspace.cache.get(VM, record.VM)
    if machine is not None and machine.power_state is VMPowerState.Suspended:
        return disabled(f"“{machine.name_label}” is suspended; resume or shut it down first.")
    return disabled("The drive is busy." if record.current_operations else "The drive cannot be changed now.")


def _chosen(selection: Selection, cls: str) -> list[str]:
    return [ref for chosen, ref in selection if chosen == cls]
