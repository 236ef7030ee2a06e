"""The page of orphaned snapshots: what is left of VMs that are gone, and what can be made of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.api import VBD, VDI, VM, VMPowerState
from app.client import Delta, ObjectCache
from ui.base.commands import Selection
from ui.base.dialogs import GAP, GROUP, label
from ui.base.sizes_and_dates import age, count, exact, size
from ui.base.text import tooltip
from ui.base.workspace import Workspace
from ui.base.xe_menu import offer_xe
from ui.machines.orphans import GONE
from ui.models.chain import Chains
from ui.models.orphans import name_of_gone, orphans
from ui.models.states import state_icon
from ui.models.table_model import Column, TableModel
from ui.navigation.pool_tree import existing
from ui.widgets.buttons import button
from ui.widgets.cards import Card
from ui.widgets.search_field import SearchField
from ui.widgets.seen_page import SeenPage
from ui.widgets.views import TableView

#: command id, words, icon and kind of each button; those that no feature has registered are left out
_ACTS: Final = (
    ("snapshot.recreate_vm", "Recreate VM…", "revert", "primary"),
    ("snapshot.new_vm", "New VM…", "plus", ""),
    ("snapshot.new_template", "New Template…", "template", ""),
    ("snapshot.delete", "Delete…", "delete", ""),
)
_WIDTHS: Final = (0, 150, 104, 152, 84)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A row; sizes in bytes."""

    name: str
    description: str
    icon: str
    of: str
    taken: datetime
    kept: str
    own: int

    def about(self) -> str:
        """Name and description."""
        return "\n".join(filter(None, (self.name, self.description)))


def rows(cache: ObjectCache) -> dict[str, Orphan]:
    """Every orphaned snapshot by reference."""
    chains = Chains(cache)
    found = {}
    for ref, vm in orphans(cache).items():
        found[str(ref)] = Orphan(
            name=vm.name_label or "Unnamed",
            description=vm.name_description,
            icon=state_icon(vm),
            of=name_of_gone(vm) or GONE,
            taken=vm.snapshot_time,
            kept="Disks and memory" if vm.power_state is VMPowerState.Suspended else "Disks",
            own=chains.of(vm).own,
        )
    return found


def _columns() -> list[Column[Orphan]]:
    return [
        Column(title="Name", text=lambda o: o.name, icon=lambda o: o.icon, tooltip=Orphan.about),
        Column(title="VM that is gone", text=lambda o: o.of),
        Column(
            title="Taken",
            text=lambda o: age(o.taken),
            order=lambda o: -o.taken.timestamp(),
            tooltip=lambda o: exact(o.taken),
        ),
        Column(title="Keeps", text=lambda o: o.kept),
        Column(title="Own use", text=lambda o: size(o.own), order=lambda o: o.own, right=True),
    ]


class _Table(TableView):
    """Del deletes, Return recreates."""

    def __init__(self, tab: OrphansTab) -> None:
        super().__init__("Orphaned snapshots", "No snapshot has lost its VM.")
        self._tab = tab

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete:
            self._tab.run("snapshot.delete")
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._tab.run("snapshot.recreate_vm")
        else:
            super().keyPressEvent(event)


class OrphansTab(SeenPage):
    """A table, and a button for each thing that can be done with what is chosen in it."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.stale = True
        self.setAccessibleName("Orphaned snapshots")
        self.search = SearchField("Filter…")
        self.search.setMaximumWidth(220)
        self.model: TableModel[Orphan] = TableModel(_columns())
        self.table = _Table(self)
        self.summary = label("", "quiet")
        self.buttons: dict[str, QPushButton] = {}
        self.table.show_rows(
            self.model, _WIDTHS, sort=(1, Qt.SortOrder.AscendingOrder), remember=(workspace.settings, "orphans")
        )
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        self._lay_out()
        self.search.searched.connect(self._filter)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._gate())
        self.model.modelReset.connect(self._gate)
        workspace.changed.connect(self._follow)

    def show_object(self, _cls: str, _ref: str) -> None:
        """Show them all: there is one such page."""
        self.refresh_or_wait()

    def chosen(self) -> Selection:
        """What is chosen, from top to bottom."""
        indexes = sorted(self.table.selectionModel().selectedRows(), key=lambda index: index.row())
        return tuple(("VM", key) for index in indexes if (key := self.model.key(index)) is not None)

    def run(self, command: str) -> None:
        """Do it to what is chosen."""
        if command in self._workspace.commands.ids():
            self._workspace.commands.run(command, self.chosen())

    def xe_line(self, command: str) -> str:
        """What a terminal would be told to do it."""
        return self._workspace.commands.xe_line(command, self.chosen())

    # ---- layout -----------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        words = label(
            "Their VMs were deleted and they were kept. A VM can be made again just as a snapshot holds it; or delete "
            "what nobody needs.",
            "quiet",
        )
        words.setWordWrap(True)
        bar = QHBoxLayout()
        bar.setSpacing(GAP)
        for command, said, icon, kind in _ACTS:
            if command in self._workspace.commands.ids():
                made = self.buttons[command] = button(said, icon, kind)
                made.clicked.connect(partial(self.run, command))
                offer_xe(made, partial(self.xe_line, command))
                bar.addWidget(made)
        bar.addStretch()
        bar.addWidget(self.search)
        card = Card(margin=4)
        card.content.addWidget(self.table)
        page = QVBoxLayout(self)
        page.setContentsMargins(24, GROUP, 24, GROUP)
        page.setSpacing(12)
        page.addWidget(words)
        page.addLayout(bar)
        page.addWidget(card, 1)
        page.addWidget(self.summary)

    def _open_menu(self, place: QPoint) -> None:
        chosen = self.chosen()
        if chosen and self.buttons:
            ids = existing((*self.buttons, "-", "snapshot.export"), self._workspace.commands.ids())
            menu = self._workspace.commands.menu(ids, chosen, self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.table.viewport().mapToGlobal(place))

    # ---- following --------------------------------------------------------------------------------------------

    def _follow(self, delta: Delta) -> None:
        if delta.touches(VM, VDI, VBD):
            self.refresh_or_wait()

    def refresh(self) -> None:
        self.model.set_items(rows(self._workspace.cache))
        self._gate()

    def _filter(self, typed: str) -> None:
        words = typed.casefold().split()
        self.model.set_filter(lambda o: all(word in f"{o.name}\n{o.of}".casefold() for word in words))
        self._gate()

    def _gate(self) -> None:
        chosen = self.chosen()
        for command, shown in self.buttons.items():
            state = self._workspace.commands.state(command, chosen)
            shown.setEnabled(state.enabled)
            shown.setToolTip(tooltip(state.reason))
            shown.setAccessibleDescription(state.reason)
        of = [self.model.items[ref] for _, ref in chosen] or [self.model.items[key] for key in self.model.shown_keys()]
        many = f"{count(len(of), 'snapshot')}{' chosen' if chosen else ''}"
        self.summary.setText(f"{many} · {size(sum(o.own for o in of))} in own files" if of else "")
