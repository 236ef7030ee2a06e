"""Importing: ask in the wizard, then read in the background, and show what came of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from app.api import SR, VM, ConnectionLost, Failure, Ref, VDICalls, VMCalls, VMPowerState
from app.client import exchange
from app.client.exchange import ImportOptions
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import ask
from ui.base.workspace import Workspace
from ui.exchange.contents import Contents
from ui.exchange.import_wizard import ImportWish, ImportWizard
from ui.exchange.transfer import IMPORT, follow
from ui.models.arrival import arrived
from ui.widgets.notice import toast
from ui.widgets.repositories import disk_repositories

FILE = "file"
"""The class under which a selection holds a path: ("file", "/srv/web.xva")."""


def can_import(workspace: Workspace, _selection: Selection) -> CommandState:
    """Enabled once there is storage for disks."""
    if not workspace.cache.filled:
        return disabled("The engine has not answered yet.")
    return ENABLED if disk_repositories(workspace.cache) else disabled("There is no storage for disks.")


async def import_file(workspace: Workspace, selection: Selection) -> None:
    """Ask, then import in the background. A chosen storage is where it goes; a file may be given."""
    chosen = dict(selection)
    wizard = ImportWizard(workspace, chosen.get(FILE, ""), chosen.get("SR", ""), workspace.window)
    try:
        wish = wizard.wish() if await ask(wizard, keep=True) else None
    finally:
        wizard.stop()
        wizard.deleteLater()
    if wish is not None:
        workspace.spawn(take_in(workspace, wish), f"The import of “{wish.name}”")


async def take_in(workspace: Workspace, wish: ImportWish) -> None:
    """Read the file. :raise Failure, ConnectionLost, OSError: nothing is left of it; the history has it."""
    before = workspace.commands.selection()
    if wish.contents.kind == "disk":
        await _disk(workspace, wish)
        return
    work = partial(_read, workspace, wish.contents, wish.options())
    entry, made = await follow(workspace, f"Importing {wish.name}", ("", ""), IMPORT, work)
    vm = made[0]
    entry.subject = ("VM", vm)
    workspace.history.changed.emit(entry)
    nobody_looks_elsewhere = workspace.commands.selection() == before
    if nobody_looks_elsewhere and await arrived(workspace.cache, VM, vm):
        workspace.show("VM", vm)
    elif workspace.window is not None:
        words = f"“{wish.name}” is imported."
        toast(workspace.window, words, act="Show", on_act=lambda: workspace.show("VM", vm))
    if wish.start:
        await _start(workspace, vm, wish.name)


async def _read(
    workspace: Workspace, found: Contents, options: ImportOptions, report: exchange.Report
) -> tuple[Ref[VM], ...]:
    if found.kind == "appliance":
        return (await exchange.import_appliance(workspace.session, found.path, options, report),)
    return await exchange.import_xva(workspace.session, found.path, options, report)


async def _disk(workspace: Workspace, wish: ImportWish) -> None:
    """A single disk: carried over where the client can, else read by the engine where it lies."""
    session, kind = workspace.session, wish.contents.carried_format
    title = f"Importing the disk {wish.name}"
    path: Path = wish.contents.path
    if kind is None:
        begun = session.start(VDICalls.import_file, wish.sr, str(path), wish.name)
        await workspace.run_task(title, begun, ("SR", wish.sr))
    else:
        work = partial(exchange.import_disk, session, path, kind, wish.sr, wish.name)
        await follow(workspace, title, ("SR", wish.sr), IMPORT, work)
    if workspace.window is not None:
        sr = workspace.cache.get(SR, wish.sr)
        where = f" in “{sr.name_label}”" if sr is not None else ""
        show = partial(workspace.show, "SR", wish.sr, "storage")
        toast(workspace.window, f"The disk “{wish.name}” is{where}.", act="Show", on_act=show)


async def _start(workspace: Workspace, vm: Ref[VM], name: str) -> None:
    """What came with its memory goes on; a VM that cannot start stays."""
    session = workspace.session
    try:
        record = await session.get_record(VM, vm)
        goes_on = record.power_state is VMPowerState.Suspended
        begun = session.start(VMCalls.resume if goes_on else VMCalls.start, vm)
        await workspace.run_task(f"{'Resuming' if goes_on else 'Starting'} {name}", begun, ("VM", vm))
    except (Failure, ConnectionLost) as error:
        await workspace.show_error(error, "Start")
