"""What can be done with schedules: show, make, assign, turn on and off, run, change, delete."""

from __future__ import annotations

from typing import Final

from app.api import NULL, VM, VMSS, Failure, Ref, VMSSCalls, VMSSRun, VMSSRunStatus
from ui.base.commands import ENABLED, HIDDEN, Command, CommandState, Selection, disabled
from ui.base.dialogs import ConsequenceDialog, ask
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.base.xe_lines import with_xe
from ui.schedules.assign_dialog import assign_schedule
from ui.schedules.keep_running import choose
from ui.schedules.list_dialog import SCOPE, SchedulesDialog
from ui.schedules.properties import show_properties
from ui.schedules.vm_page import schedule_page
from ui.schedules.wizard import new_schedule
from ui.schedules.xe_lines import LINES, delete_lines

NONE_CHOSEN: Final = "Choose a schedule first."
UNDER_WAY: Final = "A run of it is under way."


def register(workspace: Workspace) -> None:
    """Add the commands, and the page of VM properties, to the workspace."""
    workspace.property_pages.append(schedule_page)
    commands = (
        Command(
            id="pool.schedules", title="VM Snapshot Schedules…", icon="schedule", shortcut="Ctrl+Shift+S", run=show
        ),
        Command(id="schedule.new", title="New Snapshot Schedule…", icon="plus", run=new_schedule),
        Command(
            id="vm.schedules",
            title="Assign to Snapshot Schedule…",
            icon="schedule",
            run=assign_schedule,
            state=can_assign,
        ),
        Command(
            id="pool.keep_running",
            title="Keep Schedules Running…",
            icon="clock",
            run=choose,
            state=can_keep_running,
        ),
        Command(id="schedule.toggle", title="Enable or Disable", run=toggle, state=can_toggle, scope=SCOPE),
        Command(id="schedule.run", title="Run Now", icon="play", run=run_now, state=can_run, scope=SCOPE),
        Command(id="schedule.delete", title="Delete…", icon="delete", run=delete, state=can_delete, scope=SCOPE),
        Command(
            id="schedule.properties",
            title="Properties…",
            icon="settings",
            run=properties,
            state=can_change,
            scope=SCOPE,
        ),
    )
    workspace.commands.add(*with_xe(commands, LINES))


def show(workspace: Workspace, _selection: Selection) -> None:
    """Open the dialog, or bring it to the front."""
    window = workspace.window
    dialog = window.findChild(SchedulesDialog) if window is not None else None
    if dialog is None:
        dialog = SchedulesDialog(workspace, window)
    dialog.refresh()
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


def can_keep_running(workspace: Workspace, _selection: Selection) -> CommandState:
    """Where the window's own engine runs them."""
    return ENABLED if workspace.service is not None else disabled("A service runs the schedules already.")


def can_assign(workspace: Workspace, selection: Selection) -> CommandState:
    """For one or several VMs; templates and snapshots have no schedule."""
    if not selection or any(cls != "VM" for cls, _ in selection):
        return HIDDEN
    records = [workspace.cache.get(VM, ref) for _, ref in selection]
    return HIDDEN if any(record is None or record.is_a_template for record in records) else ENABLED


def chosen_schedules(workspace: Workspace, selection: Selection) -> list[tuple[Ref[VMSS], VMSS]]:
    """The schedules among what is chosen, with their records."""
    found: list[tuple[Ref[VMSS], VMSS]] = []
    for cls, ref in selection:
        record = workspace.cache.get(VMSS, ref) if cls == "VMSS" else None
        if record is not None:
            found.append((Ref(ref), record))
    return found


def is_running(workspace: Workspace, ref: str) -> bool:
    """Whether a run of the schedule has not ended."""
    runs = workspace.cache.all(VMSSRun).values()
    return any(run.status is VMSSRunStatus.running and ref == run.VMSS for run in runs)


def can_toggle(workspace: Workspace, selection: Selection) -> CommandState:
    """Several at once too."""
    return ENABLED if chosen_schedules(workspace, selection) else disabled(NONE_CHOSEN)


def can_run(workspace: Workspace, selection: Selection) -> CommandState:
    """Those that have VMs and do not run now."""
    chosen = chosen_schedules(workspace, selection)
    if not chosen:
        return disabled(NONE_CHOSEN)
    if any(is_running(workspace, ref) for ref, _ in chosen):
        return disabled(UNDER_WAY)
    has_vms = any(record.VMs or record.schedule.get("stillframe.tags") for _, record in chosen)
    return ENABLED if has_vms else disabled("It has no VMs.")


def can_delete(workspace: Workspace, selection: Selection) -> CommandState:
    """Not while it runs."""
    chosen = chosen_schedules(workspace, selection)
    if not chosen:
        return disabled(NONE_CHOSEN)
    return disabled(UNDER_WAY) if any(is_running(workspace, ref) for ref, _ in chosen) else ENABLED


def can_change(workspace: Workspace, selection: Selection) -> CommandState:
    """One at a time."""
    return ENABLED if len(chosen_schedules(workspace, selection)) == 1 else disabled("Choose one schedule.")


async def toggle(workspace: Workspace, selection: Selection) -> None:
    """Turn all on if none is, else all off."""
    chosen = chosen_schedules(workspace, selection)
    turn_on = not any(record.enabled for _, record in chosen)
    for ref, _ in chosen:
        await workspace.session.VMSS.set_enabled(ref, turn_on)


async def run_now(workspace: Workspace, selection: Selection) -> None:
    """Run each, and follow it."""
    for ref, record in chosen_schedules(workspace, selection):
        started = workspace.session.start(VMSSCalls.snapshot_now, ref)
        workspace.spawn(workspace.run_task(f"Running “{record.name_label}”", started, ("VMSS", ref)), "Running it")


async def properties(workspace: Workspace, selection: Selection) -> None:
    """Show and change one."""
    await show_properties(workspace, chosen_schedules(workspace, selection)[0][0])


async def delete(workspace: Workspace, selection: Selection) -> None:
    """Ask, take the VMs out, delete. The snapshots stay."""
    chosen = chosen_schedules(workspace, selection)
    vms = sum(len(record.VMs) for _, record in chosen)
    names = ", ".join(f"“{record.name_label}”" for _, record in chosen[:3])
    one = len(chosen) == 1
    dialog = ConsequenceDialog(
        f"Delete {names if one else count(len(chosen), 'schedule')}?",
        "Its VMs are no longer snapshotted by it." if one else f"{names} and their history are deleted.",
        [
            ("alert-attention", f"{count(vms, 'VM')} without a schedule from now on" if vms else "No VM uses it"),
            ("alert-good", "All snapshots that it took stay; nothing removes them by itself any more"),
        ],
        primary="Delete",
        xe=delete_lines(workspace.cache, [record for _, record in chosen]),
        danger=True,
        parent=workspace.window,
    )
    if await ask(dialog):
        for ref, record in chosen:
            await _delete_one(workspace, ref, record)


async def _delete_one(workspace: Workspace, ref: Ref[VMSS], record: VMSS) -> None:
    taken_out: list[Ref[VM]] = []
    entry = workspace.history.begin(f"Deleting schedule “{record.name_label}”", ("", ""))
    try:
        for vm in sorted(record.VMs):
            await workspace.session.VM.set_snapshot_schedule(vm, Ref(NULL))
            taken_out.append(vm)
        await workspace.session.VMSS.destroy(ref)
    except Failure as error:
        for vm in taken_out:
            await workspace.session.VM.set_snapshot_schedule(vm, ref)
        workspace.history.end(entry, error)
        raise
    workspace.history.end(entry)
