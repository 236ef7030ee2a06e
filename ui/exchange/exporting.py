"""Exporting: ask in the wizard, then write in the background, and say where the file is."""

from __future__ import annotations

from functools import partial

from app.client import exchange
from app.client.exchange import ExportResult
from ui.base.commands import Selection
from ui.base.dialogs import ask
from ui.base.files import show_in_folder
from ui.base.sizes_and_dates import duration, size
from ui.base.workspace import Workspace
from ui.exchange.export_wizard import ExportWish, ExportWizard
from ui.exchange.exporting_several import export_several
from ui.exchange.state_dialog import standing_still
from ui.exchange.subject import Subject, is_exportable_by_snapshot, subject_of
from ui.exchange.transfer import PLAIN, VERIFIED, follow
from ui.widgets.notice import toast


async def export(workspace: Workspace, selection: Selection) -> None:
    """Ask how and where; then export in the background. Several leave together, each as its file."""
    if len(selection) > 1:
        await export_several(workspace, selection)
        return
    subject = subject_of(workspace.cache, selection[0][1])
    if subject is not None and is_exportable_by_snapshot(subject.record):
        subject = await standing_still(workspace, subject)
    if subject is not None:
        await export_subject(workspace, subject)


async def export_subject(workspace: Workspace, subject: Subject) -> None:
    """The wizard on what is to be exported."""
    wizard = ExportWizard(workspace, subject, workspace.window)
    try:
        wish = wizard.wish() if await ask(wizard, keep=True) else None
    finally:
        wizard.stop()
        wizard.deleteLater()
    if wish is not None:
        workspace.spawn(write(workspace, wish), f"The export of “{subject.name}”")


async def write(workspace: Workspace, wish: ExportWish) -> None:
    """Write the file. :raise Failure, ConnectionLost, OSError: it is not there; the history has it."""
    work = partial(exchange.export_vm, workspace.session, wish.subject.ref, wish.path, wish.options)
    title = f"Exporting {wish.subject.name}"
    packed = wish.options.compression != "none"
    shares = VERIFIED if wish.options.verify else PLAIN
    entry, result = await follow(workspace, title, ("VM", wish.subject.ref), shares, work, packed=packed)
    entry.file = str(result.path)
    workspace.history.changed.emit(entry)
    say_done(workspace, wish.subject.name, result)


def say_done(workspace: Workspace, name: str, result: ExportResult) -> None:
    """Where the file is, how large it became, and whether it is known to be good."""
    if workspace.window is None:
        return
    checked = ", verified" if result.verified else ""
    words = f"“{name}” is exported{checked}: {size(result.bytes)} in {duration(result.seconds)}."
    note = f" {result.note}" if result.note else ""
    path = str(result.path)
    toast(workspace.window, words + note, act="Show in folder", on_act=lambda: show_in_folder(path))
