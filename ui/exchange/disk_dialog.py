"""One disk as a file: in which format, and where."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtWidgets import QWidget

from app.api import VDI, Ref
from app.client import exchange
from app.client.exchange import DiskFormat
from ui.base.commands import Selection
from ui.base.dialogs import GAP, Dialog, ask
from ui.base.sizes_and_dates import size
from ui.base.workspace import Workspace
from ui.exchange.exporting import say_done
from ui.exchange.target import TargetField
from ui.exchange.transfer import PLAIN, follow
from ui.exchange.xe_lines import disk_line
from ui.models.chain import Chains
from ui.widgets.cards import ChoiceCard

_FORMATS: Final[Mapping[DiskFormat, tuple[str, str, str]]] = {
    "qcow2": ("disk", "qcow2", "For QEMU, virt-manager, Proxmox; only what holds data takes space."),
    "vhd": ("disk", "VHD", "For XenServer, Hyper-V, Azure; only what holds data takes space."),
    "raw": ("disk", "Raw", "Byte by byte as the guest sees it: read by everything, with the disk's full size."),
}
_WIDTH: Final = 560


class ExportDiskDialog(Dialog):
    """Accepted: `wanted()` is complete."""

    def __init__(self, workspace: Workspace, vdi: VDI, parent: QWidget | None = None) -> None:
        name = vdi.name_label or "Unnamed"
        self._vdi = vdi
        super().__init__(f"Export the disk “{name}”", primary="Export", parent=parent)
        facts = Chains(workspace.cache).of_disk(vdi)
        self._size = max(0, vdi.virtual_size)
        self._data = min(self._size, facts.own + facts.shared)
        self.add_sentence(
            f"A disk of {size(self._size)} with about {size(self._data)} of data. It stays as it is.", "quiet"
        )
        self.cards: dict[DiskFormat, ChoiceCard] = {
            key: ChoiceCard(icon, title, means, self) for key, (icon, title, means) in _FORMATS.items()
        }
        self.target = TargetField(workspace, ".qcow2")
        for card in self.cards.values():
            self.content.addWidget(card)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.target)
        self.content.addStretch()
        self.cards["qcow2"].setChecked(True)
        self.target.propose(f"{file_stem(name)}.qcow2")
        for card in self.cards.values():
            card.toggled.connect(self._follow)
        self.target.changed.connect(self._check)
        self.setMinimumWidth(_WIDTH)
        self._follow()

    def format(self) -> DiskFormat:
        """What is chosen."""
        return next(key for key, card in self.cards.items() if card.isChecked())

    def xe_line(self) -> str:
        return disk_line(self._vdi, os.fspath(self.target.path()), self.format())

    def _follow(self) -> None:
        kinds = [key for key, card in self.cards.items() if card.isChecked()]
        if kinds:  # while the choice changes there is none
            self.target.set_needed(self._size if kinds[0] == "raw" else self._data, compressed=False)
            self.target.set_suffix(f".{kinds[0]}")

    def _check(self) -> None:
        self.set_problem(self.target.why_incomplete())


def file_stem(name: str) -> str:
    """A name as a file may have it."""
    kept = "".join("_" if letter in '/\\:*?"<>|' or ord(letter) < 32 else letter for letter in name)
    return kept.strip(" .")[:200] or "disk"


async def export_disk(workspace: Workspace, selection: Selection) -> None:
    """Ask, then write in the background."""
    ref: Ref[VDI] = Ref(selection[0][1])
    record = workspace.cache.get(VDI, ref)
    if record is None:
        return
    dialog = ExportDiskDialog(workspace, record, workspace.window)
    accepted = await ask(dialog, keep=True)
    path, kind = dialog.target.path(), dialog.format()
    if accepted:
        dialog.target.remember()
    dialog.deleteLater()
    if accepted:
        name = record.name_label or "Unnamed"
        workspace.spawn(_write(workspace, ref, name, path, kind), f"The export of “{name}”")


async def _write(workspace: Workspace, ref: Ref[VDI], name: str, path: Path, kind: DiskFormat) -> None:
    work = partial(exchange.export_disk, workspace.session, ref, path, kind)
    entry, result = await follow(workspace, f"Exporting the disk {name}", ("", ""), PLAIN, work)
    entry.file = str(result.path)
    workspace.history.changed.emit(entry)
    say_done(workspace, name, result)
