"""Which schedule protects these VMs: one of those there are, a new one, or none."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.api import NULL, VM, VMSS, ConnectionLost, Failure, Ref, is_null
from ui.base.commands import Selection
from ui.base.dialogs import GAP, Dialog, ask
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.schedules.draft import draft_of
from ui.schedules.wizard import assign, new_schedule
from ui.schedules.words import kept_of, when_of
from ui.widgets.buttons import button
from ui.widgets.cards import ChoiceCard
from ui.widgets.notice import Notice

_NEW = "new"


async def assign_schedule(workspace: Workspace, selection: Selection) -> None:
    """Ask, then assign."""
    vms: list[Ref[VM]] = [Ref(ref) for cls, ref in selection if cls == "VM"]
    dialog = AssignDialog(workspace, vms, workspace.window)
    chosen = dialog.chosen if await ask(dialog) else ""
    if chosen == _NEW:
        await new_schedule(workspace, selection)
    elif chosen:
        entry = workspace.history.begin("Assigning to a schedule", ("VM", vms[0]) if len(vms) == 1 else ("", ""))
        try:
            await assign(workspace, vms, Ref(chosen))
        except (Failure, ConnectionLost) as error:
            workspace.history.end(entry, error)
            raise
        workspace.history.end(entry)


class AssignDialog(Dialog):
    """`chosen` is the schedule's reference, the null reference for none, or `new`."""

    def __init__(self, workspace: Workspace, vms: Sequence[Ref[VM]], parent: QWidget | None = None) -> None:
        records = [record for vm in vms if (record := workspace.cache.get(VM, vm)) is not None]
        about = records[0].name_label if len(records) == 1 else count(len(records), "VM")
        super().__init__(f"Snapshot schedule of {about}", primary="Assign", parent=parent)
        self._cache = workspace.cache
        self._now = {str(record.snapshot_schedule) for record in records}
        self.chosen = ""
        self.cards: dict[str, ChoiceCard] = {}
        self.conflict = Notice("", "attention")
        self.new = button("New Snapshot Schedule…", "plus", "link")
        self._fill_in()
        self.new.clicked.connect(self._choose_new)
        only = next(iter(self._now)) if len(self._now) == 1 else ""
        if only in self.cards:
            self.cards[only].setChecked(True)
        self._follow()
        self.resize(540, min(640, 220 + 76 * len(self.cards)))

    def _fill_in(self) -> None:
        inside = QWidget()
        inside.setObjectName("page")
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 8, 0)
        rows.setSpacing(GAP)
        self._add(rows, NULL, "hide", "None", "No snapshots are taken of it by a schedule.")
        for ref, record in sorted(self._cache.all(VMSS).items(), key=lambda item: item[1].name_label.casefold()):
            draft = draft_of(record)
            off = "" if record.enabled else "Turned off. "
            self._add(rows, ref, "schedule", record.name_label, f"{off}{when_of(draft)}. {kept_of(draft)}.")
        rows.addStretch()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(inside)
        self.content.addWidget(area, 1)
        self.content.addWidget(self.conflict)
        self.content.addWidget(self.new)

    def _add(self, rows: QVBoxLayout, ref: str, icon: str, title: str, means: str) -> None:
        card = ChoiceCard(icon, title, means)
        card.toggled.connect(lambda on, ref=ref: self._choose(ref) if on else None)
        self.cards[ref] = card
        rows.addWidget(card)

    def _choose(self, ref: str) -> None:
        self.chosen = ref
        self._follow()

    def _choose_new(self) -> None:
        self.chosen = _NEW
        self.accept()

    def _follow(self) -> None:
        left = [ref for ref in sorted(self._now) if not is_null(ref) and ref != self.chosen]
        names = [record.name_label for ref in left if (record := self._cache.get(VMSS, ref)) is not None]
        self.conflict.setVisible(bool(names and self.chosen))
        if names:
            self.conflict.say(f"Leaves {', '.join(f'“{name}”' for name in names)}.", "attention")
        same = len(self._now) == 1 and self.chosen in self._now
        self.set_problem("Choose a schedule." if not self.chosen else "It is assigned already." if same else "")
