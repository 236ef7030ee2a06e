"""An overview of VMs and storage, as cards for the General tabs of pools and hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.api import SR, VM, Ref, VMPowerState
from ui.base.dialogs import GAP, label
from ui.base.sizes_and_dates import count, number
from ui.base.workspace import Workspace
from ui.widgets.buttons import ActionButton, button
from ui.widgets.cards import Card
from ui.widgets.marks import Pill
from ui.widgets.progress import CapacityBar

_STATES: Final = (
    (VMPowerState.Running, "running", "good"),
    (VMPowerState.Paused, "paused", "attention"),
    (VMPowerState.Suspended, "suspended", "info"),
    (VMPowerState.Halted, "shut down", "secondary"),
)


class MachinesCard(Card):
    """How many VMs there are in each state; without any, the way to the first one."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("Virtual machines")
        self.sentence = label("", "quiet")
        self.sentence.setWordWrap(True)
        self._pills = {state: Pill("", tone) for state, _, tone in _STATES}
        row = QHBoxLayout()
        row.setSpacing(GAP)
        for pill in self._pills.values():
            row.addWidget(pill)
        row.addStretch()
        self.content.addWidget(self.sentence)
        self.content.addLayout(row)
        self.new: ActionButton | None = None
        if "vm.new" in workspace.commands.ids():
            self.new = ActionButton(workspace.commands.action("vm.new"), "primary", "New VM…")
            self.content.addWidget(self.new, 0, Qt.AlignmentFlag.AlignLeft)

    def show_machines(self, machines: Sequence[VM]) -> None:
        """Count these."""
        by_state = {state: 0 for state, _, _ in _STATES}
        snapshots = 0
        for record in machines:
            by_state[record.power_state] += 1
            snapshots += len(record.snapshots)
        for state, words, tone in _STATES:
            self._pills[state].set_state(f"{number(by_state[state])} {words}", tone)
            self._pills[state].setVisible(by_state[state] > 0)
        said = f"{count(len(machines), 'VM')}, {count(snapshots, 'snapshot')}"
        self.sentence.setText(said if machines else "No virtual machines yet. Make the first one to try things out.")
        if self.new is not None:
            self.new.setVisible(not machines)

    def state_words(self) -> list[str]:
        """The counts that can be seen, as ``2 running``."""
        return [pill.words() for pill in self._pills.values() if not pill.isHidden()]


class StorageCard(Card):
    """How full each storage repository is; its name leads to it."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("Storage")
        self._workspace = workspace
        self._rows: dict[str, tuple[QWidget, CapacityBar]] = {}
        self._list = QVBoxLayout()
        self._list.setSpacing(12)
        self.content.addLayout(self._list)

    def show_storage(self, records: Mapping[Ref[SR], SR]) -> None:
        """Show these, as far as their size is known."""
        shown = {ref: sr for ref, sr in records.items() if sr.physical_size > 0 and sr.physical_utilisation >= 0}
        shown = {ref: sr for ref, sr in shown.items() if sr.content_type != "iso"}
        for ref in [ref for ref in self._rows if ref not in shown]:
            row, _ = self._rows.pop(ref)
            row.deleteLater()
        for ref, record in shown.items():
            if ref not in self._rows:
                self._add(ref)
            row, bar = self._rows[ref]
            link = row.findChild(QWidget, "name")
            if link is not None:
                link.setProperty("text", record.name_label.replace("&", "&&"))
            bar.set_values(record.physical_utilisation, record.physical_size)
        self.setVisible(bool(shown))

    def _add(self, ref: str) -> None:
        row = QWidget()
        rows = QVBoxLayout(row)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(4)
        link = button("", kind="link")
        link.setObjectName("name")
        link.clicked.connect(lambda: self._workspace.show("SR", ref))
        bar = CapacityBar("Space")
        rows.addWidget(link, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(bar)
        self._rows[ref] = (row, bar)
        self._list.addWidget(row)
