"""Deleting disks that no VM has: listed first, each with what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHeaderView, QWidget

from app.api import SR, VDI, ConnectionLost, Failure, Ref, VDICalls
from app.client import ObjectCache
from ui.base import icons
from ui.base.commands import ENABLED, CommandState, Selection, disabled
from ui.base.dialogs import Dialog, ask, label
from ui.base.failures import explain
from ui.base.sizes_and_dates import count, size
from ui.base.workspace import Workspace
from ui.storage.disks import KINDS, Volume
from ui.storage.unowned import by_repository, deletable, orphaned, why_not
from ui.storage.xe_lines import destroy_lines
from ui.widgets.outcomes import Outcome, OutcomeDialog
from ui.widgets.views import TableView

DISKS: Final = "sr-disks"
"""The scope of what is chosen in the table of a repository: ("VDI", ref) pairs."""
_AT_ONCE: Final = 4
_TALLEST: Final = 320
_REF: Final = Qt.ItemDataRole.UserRole
_TITLE: Final = "Delete Disks"


def can_delete(workspace: Workspace, selection: Selection) -> CommandState:
    """Disks, at least one of which no VM has."""
    found = by_repository(workspace.cache, (ref for cls, ref in selection if cls == "VDI"))
    if not found or len(found) != len(selection):
        return disabled("Choose disks first.")
    reasons = [why_not(volume, vdi) for volume, vdi in found.values()]
    if "" in reasons:
        return ENABLED
    return disabled(reasons[0] if len(reasons) == 1 else "VMs and snapshots have all of these disks.")


async def delete(workspace: Workspace, selection: Selection) -> None:
    """Ask, and delete those of the chosen that no VM has."""
    await _delete(workspace, deletable(workspace.cache, (ref for cls, ref in selection if cls == "VDI")))


def can_clean(workspace: Workspace, selection: Selection) -> CommandState:
    """One repository for disks. Whether there is anything to clean is looked at only when it is asked for."""
    if len(selection) != 1 or selection[0][0] != "SR":
        return disabled("Choose one storage first.")
    record = workspace.cache.get(SR, selection[0][1])
    if record is None or record.content_type == "iso":
        return disabled("Only storage for disks is cleaned up.")
    return ENABLED


async def clean(workspace: Workspace, selection: Selection) -> None:
    """List all disks of the repository that no VM has, ask, and delete them."""
    found = orphaned(workspace.cache, selection[0][1])
    if found:
        await _delete(workspace, found)
    else:
        dialog = Dialog("Nothing to clean up", cancel="Close", parent=workspace.window)
        dialog.add_sentence("A VM or a snapshot has every disk of this storage.")
        await ask(dialog)


async def _delete(workspace: Workspace, found: Mapping[str, Volume]) -> None:
    dialog = CleanDialog(workspace.cache, found, workspace.window)
    accepted = await ask(dialog, keep=True)
    wanted = dialog.wanted()
    dialog.deleteLater()
    if not accepted:
        return
    turns = asyncio.Semaphore(_AT_ONCE)
    outcomes = await asyncio.gather(*(_delete_one(workspace, ref, found[ref], turns) for ref in wanted))
    failed = [outcome for outcome in outcomes if outcome is not None]
    if failed:
        await ask(OutcomeDialog(_TITLE, len(wanted), failed, "disk", workspace.window))


async def _delete_one(workspace: Workspace, ref: str, volume: Volume, turns: asyncio.Semaphore) -> Outcome | None:
    async with turns:
        vdi = workspace.cache.get(VDI, ref)
        if vdi is None:
            return None  # somebody else was faster
        try:
            started = workspace.session.start(VDICalls.destroy, Ref(ref))
            await workspace.run_task(f"Deleting the disk {volume.name}", started, subject=("SR", vdi.SR))
        except (Failure, ConnectionLost) as error:
            return Outcome(ref, volume.name, explain(error, workspace.cache).why, error)
    return None


class CleanDialog(Dialog):
    """The disks that would go, largest first, each with a tick."""

    def __init__(self, cache: ObjectCache, found: Mapping[str, Volume], parent: QWidget | None = None) -> None:
        many = count(len(found), "disk")
        super().__init__(f"Delete {many}?", primary="Delete", danger=True, parent=parent)
        self._cache, self._found = cache, found
        self.add_sentence("No VM and no snapshot has them. What is on them is lost; this cannot be undone.")
        self.table = TableView("Disks to delete")
        self._model = QStandardItemModel(0, 3, self.table)
        self._model.setHorizontalHeaderLabels(["Name", "State", "Own use"])
        for ref, volume in sorted(found.items(), key=lambda item: -item[1].used):
            self._model.appendRow(_row(ref, volume))
        self.table.setModel(self._model)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 190), (2, 90)):
            self.table.setColumnWidth(column, width)
        self.table.setFixedHeight(min(_TALLEST, 48 + 28 * len(found)))
        self.total = label("", "quiet")
        self.content.addWidget(self.table)
        self.content.addWidget(self.total)
        self.setMinimumWidth(600)
        self._model.itemChanged.connect(lambda _item: self._check())
        self.cancel.setDefault(True)
        self.cancel.setFocus()
        self._check()

    def wanted(self) -> list[str]:
        """The references of those that are ticked."""
        items = (self._model.item(row) for row in range(self._model.rowCount()))
        return [str(item.data(_REF)) for item in items if item.checkState() is Qt.CheckState.Checked]

    def xe_line(self) -> str:
        return destroy_lines(self._cache, self.wanted())

    def tick(self, ref: str, on: bool) -> None:
        """Tick a disk, or leave it out."""
        for row in range(self._model.rowCount()):
            if self._model.item(row).data(_REF) == ref:
                self._model.item(row).setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def _check(self) -> None:
        wanted = self.wanted()
        octets = sum(max(0, self._found[ref].used) for ref in wanted)
        self.total.setText(f"{count(len(wanted), 'disk')} with {size(octets)} in own files")
        self.set_problem("" if wanted else "Tick a disk first.")
        if self.primary is not None:
            self.primary.setText(f"Delete {count(len(wanted), 'Disk')}" if wanted else "Delete")


def _row(ref: str, volume: Volume) -> list[QStandardItem]:
    name = QStandardItem(icons.icon(KINDS[volume.kind][0]), volume.name)
    name.setData(ref, _REF)
    name.setCheckable(True)
    name.setCheckState(Qt.CheckState.Checked)
    name.setToolTip(f"{volume.words} {volume.location}")
    octets = QStandardItem(size(max(0, volume.used)))
    octets.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return [name, QStandardItem(volume.state), octets]
