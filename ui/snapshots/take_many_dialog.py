"""Take Snapshots: of several VMs, each by itself or all at one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from app.api import VM
from app.client import Delta
from ui.base.dialogs import Dialog, label
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.base.xe_lines import together
from ui.models.table_model import Column, TableModel
from ui.snapshots import words
from ui.snapshots.readiness import Asker
from ui.snapshots.ways import DISKS, WAYS, Way, why_no_way
from ui.snapshots.xe_lines import group_line, take_line
from ui.widgets.buttons import Segmented
from ui.widgets.cards import ChoiceCard
from ui.widgets.views import TableView

_WIDTH, _ROW, _TALLEST = 560, 28, 220
#: stands for the name of each VM in the name of its snapshot
TOKEN = "{name}"


@dataclass(frozen=True, slots=True)
class ManyWish:
    """What the person asked for. ``left_out`` are those that cannot take part, with the reason."""

    vms: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    name: str
    way: Way
    together: bool

    def name_for(self, vm_name: str) -> str:
        """The name of the snapshot of this VM."""
        return self.name.replace(TOKEN, vm_name).strip()


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    reason: str
    warning: str


_COLUMNS: Sequence[Column[_Row]] = (
    Column(title="VM", text=lambda row: row.name, icon=lambda _row: "vm"),
    Column(
        title="Snapshot",
        text=lambda row: f"Left out. {row.reason}" if row.reason else row.warning or "Can be taken",
        icon=lambda row: "alert-info" if row.reason else "alert-attention" if row.warning else "alert-good",
    ),
)


class TakeManyDialog(Dialog):
    """Asks once for all of them, and follows each meanwhile. Those that cannot are listed with the reason."""

    def __init__(self, workspace: Workspace, vms: Sequence[str], parent: QWidget | None = None) -> None:
        self._workspace, self._cache, self._vms = workspace, workspace.cache, tuple(vms)
        super().__init__(f"Take snapshots of {count(len(vms), 'VM')}", primary="Take Snapshots", parent=parent)
        self.askers = {vm: Asker(workspace, vm, self) for vm in self._vms}
        moment = f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
        self._proposed = {False: f"{TOKEN} {moment}", True: f"Group {moment}"}
        self.name = QLineEdit(self._proposed[False])
        self.hint = label("", "secondary")
        self.alone = ChoiceCard("snapshot", "Each by itself", "One after the other; one that fails stops no other.")
        self.together = ChoiceCard(
            "group",
            "As a group, at one instant",
            "All disks are frozen within milliseconds of each other, of all VMs or of none. The spread is measured and"
            " kept with each snapshot, and the group can be reverted as one.",
        )
        self.way = Segmented([(way.operation.value, way.title) for way in WAYS], "What is kept")
        self.rows: TableModel[_Row] = TableModel(_COLUMNS, self)
        self.table = TableView("VMs")
        self._lay_out_parts()
        self._connect()
        self._check()

    def wish(self) -> ManyWish:
        """What was asked for."""
        reasons = {vm: self._reason(vm) for vm in self._vms}
        left_out = tuple((words.name_of(self._cache, vm), why) for vm, why in reasons.items() if why)
        going = tuple(vm for vm, why in reasons.items() if not why)
        return ManyWish(going, left_out, self.name.text().strip(), self._way(), self.together.isChecked())

    def xe_line(self) -> str:
        wish, cache = self.wish(), self._cache
        if wish.together:
            return group_line(cache, wish.vms, wish.name_for(""))
        names = {vm: wish.name_for(words.name_of(cache, vm)) for vm in wish.vms}
        return together(*(take_line(cache, vm, name, wish.way) for vm, name in names.items()))

    def _lay_out_parts(self) -> None:
        self.setMinimumWidth(_WIDTH)
        said = label("Name", "quiet")
        said.setBuddy(self.name)
        self.name.setAccessibleName("Name")
        self.hint.setWordWrap(True)
        for widget in (said, self.name, self.hint, self.alone, self.together, self.way, self.table):
            self.content.addWidget(widget)
        self.alone.setChecked(True)
        self.table.setModel(self.rows)
        self.table.setColumnWidth(0, 200)
        self.table.setFixedHeight(min(_TALLEST, 40 + _ROW * len(self._vms)))
        self.name.selectAll()
        self.name.setFocus()

    def _connect(self) -> None:
        self.name.textChanged.connect(self._check)
        self.together.toggled.connect(self._swap_name)
        self.together.toggled.connect(self._ask)
        self.way.chosen.connect(self._ask)
        for asker in self.askers.values():
            asker.changed.connect(self._check)
            self.finished.connect(asker.stop)
        self._workspace.changed.connect(self._follow)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ask()

    def _way(self) -> Way:
        if self.together.isChecked():
            return DISKS
        return next(way for way in WAYS if way.operation.value == self.way.current())

    def _ask(self) -> None:
        for vm, asker in self.askers.items():
            if self.isVisible() and not why_no_way(self._cache, vm, self._way()):
                asker.ask((self._way().operation,))
        self._check()

    def _swap_name(self, together: bool) -> None:
        """The names of a group are all the same; a name that somebody typed stays."""
        if self.name.text() == self._proposed[not together]:
            self.name.setText(self._proposed[together])

    def _reason(self, vm: str) -> str:
        reason = why_no_way(self._cache, vm, self._way())
        ready = self.askers[vm].get(self._way().operation)
        if not reason and ready is not None and not ready.safe:
            reason = " ".join(filter(None, (ready.reason, ready.advice)))
        return reason

    def _row(self, vm: str) -> _Row:
        ready = self.askers[vm].get(self._way().operation)
        return _Row(words.name_of(self._cache, vm), self._reason(vm), ready.warning if ready is not None else "")

    def _follow(self, delta: Delta) -> None:
        if any(cls == "VM" and ref in self.askers for cls, ref in delta.changed | delta.removed):
            self._check()

    def _check(self) -> None:
        together = self.together.isChecked()
        self.way.setEnabled(not together)
        group = "Every snapshot of the group gets this name."
        self.hint.setText(group if together else f"{TOKEN} stands for the name of each VM.")
        self.rows.set_items({vm: self._row(vm) for vm in self._vms})
        self.set_problem(self._problem(together))
        self.fit()

    def _problem(self, together: bool) -> str:
        wish = self.wish()
        if together and wish.left_out:
            name, reason = wish.left_out[0]
            return f"{name}: {reason} A group is taken of all VMs or of none."
        if not wish.vms:
            return "No snapshot of any of them can be taken in this way now."
        if not all(wish.name_for(record.name_label) for vm in wish.vms if (record := self._cache.get(VM, vm))):
            return "Give them a name."
        return ""
