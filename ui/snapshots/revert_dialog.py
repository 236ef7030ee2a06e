"""Revert To: what will be lost, what stays, and whether the current state is kept first."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from app.api import VM, Ref
from app.client import Delta
from ui.base import text
from ui.base.dialogs import ConsequenceDialog
from ui.base.sizes_and_dates import age
from ui.base.workspace import Workspace
from ui.snapshots import words
from ui.snapshots.consequences import of_revert
from ui.snapshots.rules import why_no_revert, why_no_snapshot


@dataclass(frozen=True, slots=True)
class RevertWish:
    """What the person asked for besides the revert itself."""

    keep_current: bool
    start_afterwards: bool


class RevertDialog(ConsequenceDialog):
    """Asks before a VM goes back to a snapshot, and follows what happens to both meanwhile."""

    def __init__(self, workspace: Workspace, snapshot: str, parent: QWidget | None = None) -> None:
        self._cache, self._snapshot = workspace.cache, snapshot
        record = workspace.cache.get(VM, snapshot) or VM()
        self._vm: Ref[VM] = record.snapshot_of
        vm_name = words.name_of(workspace.cache, self._vm)
        self.keep_current = QCheckBox("Take a snapshot of the current state first")
        self.keep_current.setChecked(True)
        self.start_afterwards = QCheckBox(_start_words(record))
        self.start_afterwards.setChecked(words.ran_then(record))
        body = QWidget()
        rows = QVBoxLayout(body)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(4)
        rows.addWidget(self.keep_current)
        rows.addWidget(self.start_afterwards)
        self.start_afterwards.setVisible(words.ran_then(record))
        super().__init__(
            f"Revert {vm_name}?",
            f"{vm_name} goes back to “{record.name_label}”, taken {age(record.snapshot_time)}.",
            (),
            body,
            primary="Revert",
            danger=True,
            parent=parent,
        )
        workspace.changed.connect(self._follow)
        self.keep_current.toggled.connect(self._check)
        self._check()

    def wish(self) -> RevertWish:
        """What was asked for."""
        keep = self.keep_current.isEnabled() and self.keep_current.isChecked()
        return RevertWish(keep, not self.start_afterwards.isHidden() and self.start_afterwards.isChecked())

    def _follow(self, delta: Delta) -> None:
        if {("VM", self._vm), ("VM", self._snapshot)} & (delta.changed | delta.removed):
            self._check()

    def _check(self) -> None:
        self.set_problem(why_no_revert(self._cache, self._snapshot))
        reason = why_no_snapshot(self._cache, self._vm)
        self.keep_current.setEnabled(not reason)
        self.keep_current.setToolTip(text.tooltip(reason))
        self.keep_current.setAccessibleDescription(reason)
        self.consequences.set(of_revert(self._cache, self._snapshot, kept=self.wish().keep_current))


def _start_words(snapshot: VM) -> str:
    return "Resume the VM afterwards" if words.has_memory(snapshot) else "Start the VM afterwards"
