"""The wizard's pages before the one on times: name, virtual machines, type; and the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QWidget

from app.api import VM, VMSS, Ref, VMOperation, VMSSType, is_null
from app.client import ObjectCache
from ui.base.dialogs import GAP, Consequence, ConsequenceList, label
from ui.base.sizes_and_dates import count
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.models.presets import why_presets_only
from ui.models.table_model import Column, TableModel
from ui.schedules.draft import Draft
from ui.schedules.tags_field import TagsField
from ui.schedules.words import KINDS, TAKES, kept_of, when_of, whose
from ui.widgets import name_page
from ui.widgets.buttons import button
from ui.widgets.cards import ChoiceCard
from ui.widgets.notice import Notice
from ui.widgets.search_field import SearchField
from ui.widgets.views import TableView

_NAME = 1


class NamePage(name_page.NamePage):
    """What it is called."""

    def __init__(self, workspace: Workspace, draft: Draft, own: str = "") -> None:
        self._workspace, self._own = workspace, own
        super().__init__(
            "schedule",
            "What is the schedule called?",
            "Its snapshots begin with this name.",
            "There is a schedule of this name already.",
            self._others,
            200,
        )
        self.name.setText(draft.name)
        self.description.setPlainText(draft.description)

    def _others(self) -> set[str]:
        schedules = self._workspace.cache.all(VMSS)
        return {record.name_label.casefold() for ref, record in schedules.items() if ref != self._own}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A VM that may be protected, and by which schedule it is now."""

    name: str
    description: str
    schedule: str
    ticked: bool


class VMsPage(WizardPage):
    """Which VMs. Ticks survive the filter; Space ticks what is chosen."""

    def __init__(
        self, workspace: Workspace, ticked: Sequence[str] = (), own: str = "", tags: tuple[str, ...] = ()
    ) -> None:
        super().__init__("Virtual machines", "Which virtual machines?", "A VM has one schedule at a time.")
        self.tags = TagsField(workspace.cache, tags)
        self._cache, self._own = workspace.cache, own
        self._ticked = set(ticked)
        self.search = SearchField("Find a VM…")
        self.model: TableModel[Candidate] = TableModel(_columns())
        self.table = TableView("Virtual machines", "No VM matches.")
        self.table.setModel(self.model)
        self.all = button("Select all")
        self.none = button("Clear all")
        self.said = label("", "quiet")
        self.conflict = Notice("", "attention")
        tools = QHBoxLayout()
        tools.setSpacing(GAP)
        tools.addWidget(self.search, 1)
        tools.addWidget(self.all)
        tools.addWidget(self.none)
        self.content.addLayout(tools)
        self.content.addWidget(self.table, 1)
        self.content.addWidget(self.tags)
        self.content.addWidget(self.conflict)
        self.content.addWidget(self.said)
        self.table.setColumnWidth(0, 280)
        self.table.setColumnWidth(1, 170)
        self._connect()
        self.refresh()

    def vms(self) -> tuple[Ref[VM], ...]:
        """The ticked VMs that still are there, by name."""
        known = self._candidates()
        return tuple(Ref(ref) for ref in sorted(self._ticked & known.keys(), key=lambda r: (known[r].name, r)))

    def members(self) -> tuple[Ref[VM], ...]:
        """The ticked VMs and those that the tags choose now."""
        return tuple(dict.fromkeys((*self.vms(), *self.tags.vms())))

    def taken_over(self) -> list[tuple[str, str]]:
        """(VM, schedule) of those that leave another schedule."""
        known = self._candidates()
        return [(known[ref].name, known[ref].schedule) for ref in self.vms() if known[ref].schedule]

    def refresh(self) -> None:
        """Take the VMs from the cache."""
        self.model.set_items(self._candidates())
        self._say()

    def tick(self, refs: Sequence[str], on: bool) -> None:
        """Tick these VMs, or take their ticks away."""
        self._ticked = self._ticked | set(refs) if on else self._ticked - set(refs)
        self.refresh()
        self.changed.emit()

    def _connect(self) -> None:
        self.search.searched.connect(self._filter)
        self.tags.changed.connect(self.changed)
        self.all.clicked.connect(lambda: self.tick(self.model.shown_keys(), True))
        self.none.clicked.connect(lambda: self.tick(list(self._ticked), False))
        self.table.clicked.connect(self._clicked)
        self.table.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        is_space = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Space
        if watched is self.table and is_space and event.type() == QEvent.Type.KeyPress:
            rows = self.table.selectionModel().selectedRows() or [self.table.currentIndex()]
            keys = [key for row in rows if (key := self.model.key(row)) is not None]
            self.tick(keys, not set(keys) <= self._ticked)
            return True
        return super().eventFilter(watched, event)

    def _clicked(self) -> None:
        key = self.model.key(self.table.currentIndex())
        if key is not None:
            self.tick([key], key not in self._ticked)

    def _filter(self, words: str) -> None:
        wanted = words.casefold().split()
        self.model.set_filter(lambda c: all(word in f"{c.name} {c.description}".casefold() for word in wanted))

    def _candidates(self) -> dict[str, Candidate]:
        found = {}
        for ref, vm in self._cache.all(VM).items():
            if not (vm.is_a_template or vm.is_a_snapshot or vm.is_control_domain):
                found[str(ref)] = Candidate(
                    vm.name_label, vm.name_description, _other_schedule(self._cache, vm, self._own), ref in self._ticked
                )
        return found

    def _say(self) -> None:
        others = self.taken_over()
        self.conflict.setVisible(bool(others))
        if len(others) == 1:
            self.conflict.say(f"{others[0][0]} leaves its schedule “{others[0][1]}”.", "attention")
        elif others:
            self.conflict.say(f"{count(len(others), 'VM')} leave the schedules they are in now.", "attention")
        self.said.setText(f"{count(len(self.vms()), 'VM')} selected")


def _other_schedule(cache: ObjectCache, vm: VM, own: str) -> str:
    if is_null(vm.snapshot_schedule) or vm.snapshot_schedule == own:
        return ""
    record = cache.get(VMSS, vm.snapshot_schedule)
    return record.name_label if record is not None else ""


def _tick(candidate: Candidate) -> Qt.CheckState:
    return Qt.CheckState.Checked if candidate.ticked else Qt.CheckState.Unchecked


def _columns() -> list[Column[Candidate]]:
    return [
        Column(
            title="Name",
            text=lambda c: c.name,
            order=lambda c: c.name.casefold(),
            roles={Qt.ItemDataRole.CheckStateRole.value: _tick},
        ),
        Column(
            title="Current schedule",
            text=lambda c: c.schedule or "None",
            tone=lambda c: "" if c.schedule else "secondary",
        ),
        Column(title="Description", text=lambda c: c.description, tone=lambda _c: "secondary"),
    ]


class TypePage(WizardPage):
    """What is taken."""

    def __init__(self, workspace: Workspace, draft: Draft) -> None:
        super().__init__("Snapshot type", "What is kept at each run?")
        self._cache = workspace.cache
        self.cards: dict[VMSSType, ChoiceCard] = {
            kind: ChoiceCard(icon, title, means) for kind, (icon, title, means) in KINDS.items()
        }
        for card in self.cards.values():
            self.content.addWidget(card)
            card.toggled.connect(self.changed)
        self.outlook = label("", "secondary")
        self.outlook.setWordWrap(True)
        self.only_running = QCheckBox("Leave out VMs that do not run")
        self.only_running.setChecked(draft.only_running)
        self.only_running.toggled.connect(self.changed)
        reason = why_presets_only(self._cache)
        self.only_running.setEnabled(not reason)
        self.only_running.setToolTip(reason)
        self.content.addWidget(self.outlook)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.only_running, 0, Qt.AlignmentFlag.AlignLeft)
        self.content.addStretch()
        self.cards[draft.kind].setChecked(True)

    def kind(self) -> VMSSType:
        """What is chosen."""
        return next((kind for kind, card in self.cards.items() if card.isChecked()), VMSSType.snapshot)

    def show_vms(self, vms: Sequence[Ref[VM]]) -> None:
        """Say what the types mean for these VMs."""
        records = [record for vm in vms if (record := self._cache.get(VM, vm)) is not None]
        without = [r.name_label for r in records if VMOperation.snapshot_with_quiesce not in r.allowed_operations]
        halted = [r.name_label for r in records if VMOperation.checkpoint not in r.allowed_operations]
        said: Mapping[VMSSType, str] = {
            VMSSType.snapshot: "",
            VMSSType.snapshot_with_quiesce: _now_not(without, "No agent answers now in"),
            VMSSType.checkpoint: _now_not(halted, "Now there is no memory to keep of"),
        }
        self.outlook.setText(said[self.kind()])
        self.outlook.setVisible(bool(said[self.kind()]))


def _now_not(names: Sequence[str], words: str) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{words} {', '.join(names[:3])}{more}: skipped at such a run, with the reason in the history."


class FinishPage(WizardPage):
    """What will be done."""

    def __init__(self) -> None:
        super().__init__("Finish", "Ready to protect", "The schedule runs as long as Stillframe or its service does.")
        self.steps = ConsequenceList()
        self.run_now = QCheckBox("Run it now, once")
        self._said: list[Consequence] = []
        self.content.addWidget(self.steps)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.run_now, 0, Qt.AlignmentFlag.AlignLeft)
        self.content.addStretch()

    def show_plan(self, draft: Draft, vms: Sequence[Ref[VM]], others: Sequence[tuple[str, str]], next_run: str) -> None:
        """Say it in sentences."""
        said: list[Consequence] = [
            (
                "schedule",
                f"“{draft.name}” is made. {when_of(draft)}{f'; the next run is {next_run}' if next_run else ''}.",
            ),
            (KINDS[draft.kind][0], f"Each run keeps {TAKES[draft.kind]} of {whose(draft, len(vms))}."),
            ("delete", f"{kept_of(draft)} are kept; older ones of this schedule go after the new one is there."),
            ("lock", "Snapshots taken by hand, locked ones and the last one are never removed."),
        ]
        said += [("alert-attention", f"{vm} leaves “{schedule}”.") for vm, schedule in others[:3]]
        if not vms and not draft.tags:
            said.append(("alert-attention", "It has no VMs, so it is made turned off."))
        self.run_now.setEnabled(bool(vms or draft.tags))
        self.run_now.setToolTip("" if vms or draft.tags else "There is no VM to take a snapshot of.")
        if said != self._said:
            self._said = said
            self.steps.set(said)


LINE: Final = 8


def beside(*widgets: QWidget, stretch: bool = True) -> QHBoxLayout:
    """Widgets in a row."""
    row = QHBoxLayout()
    row.setSpacing(LINE)
    for widget in widgets:
        row.addWidget(widget)
    if stretch:
        row.addStretch()
    return row
