"""Take Snapshot: a name, a description, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QCheckBox, QLineEdit, QPlainTextEdit, QWidget

from app.api import VM, VMOperation
from app.client import Delta
from ui.base.dialogs import ConsequenceList, Dialog, label
from ui.base.workspace import Workspace
from ui.snapshots import words
from ui.snapshots.readiness import Asker, Readiness
from ui.snapshots.rules import GONE, why_no_snapshot
from ui.snapshots.take_words import afterwards, asked_of, describe
from ui.snapshots.ways import WAYS, Way, last_way, why_no_way
from ui.snapshots.xe_lines import take_line
from ui.widgets.cards import ChoiceCard
from ui.widgets.notice import Notice

_WIDTH = 520


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for."""

    name: str
    description: str
    way: Way
    lock: bool = False


class TakeDialog(Dialog):
    """Asks for a snapshot of one VM, and follows what happens to the VM meanwhile.

    The engine is asked in the background whether each way is safe; a name can be typed and the button pressed before
    it answers. A way that stops being possible is never replaced by another one unasked.
    """

    def __init__(self, workspace: Workspace, vm: str, parent: QWidget | None = None) -> None:
        self._workspace, self._cache, self._vm = workspace, workspace.cache, vm
        vm_name = words.name_of(workspace.cache, vm)
        super().__init__(f"Take a snapshot of {vm_name}", primary="Take Snapshot", parent=parent)
        self.asker = Asker(workspace, vm, self)
        self.name = QLineEdit(words.proposed_name(vm_name, datetime.now().astimezone()))
        self.description = QPlainTextEdit()
        self.cards = [ChoiceCard(way.icon, way.title, "") for way in WAYS]
        self.lock = QCheckBox("Lock it against deletion when it is taken…")
        self.notice = Notice()
        self.outlook = ConsequenceList()
        self._state: tuple[object, ...] = ()
        self._wanted = self._first_choice()
        self._lay_out_fields()
        self._connect()
        self.name.selectAll()
        self.name.setFocus()
        self._check()

    def wish(self) -> Wish:
        """What was asked for."""
        return Wish(
            self.name.text().strip(), self.description.toPlainText().strip(), self._wanted, self.lock.isChecked()
        )

    def xe_line(self) -> str:
        """What a terminal would be told to take the same."""
        wish = self.wish()
        return take_line(self._cache, self._vm, wish.name, wish.way, wish.description)

    def card(self, way: Way) -> ChoiceCard:
        """The card of a way."""
        return self.cards[WAYS.index(way)]

    def _first_choice(self) -> Way:
        """The way of the last time, or the first one there is."""
        record = self._cache.get(VM, self._vm)
        last = last_way(self._workspace.settings, record) if record is not None else WAYS[0]
        possible = [way for way in (last, *WAYS) if not why_no_way(self._cache, self._vm, way)]
        return possible[0] if possible else last

    def _lay_out_fields(self) -> None:
        self.setMinimumWidth(_WIDTH)
        self.name.setAccessibleName("Name")
        self.description.setAccessibleName("Description")
        self.description.setPlaceholderText("Optional")
        self.description.setTabChangesFocus(True)
        self.description.setFixedHeight(self.description.fontMetrics().lineSpacing() * 2 + 16)
        for title, field in (("Name", self.name), ("Description", self.description)):
            said = label(title, "quiet")
            said.setBuddy(field)
            self.content.addWidget(said)
            self.content.addWidget(field)
            self.content.addSpacing(4)
        for card in self.cards:
            self.content.addWidget(card)
        self.content.addWidget(self.notice)
        self.content.addWidget(self.outlook)
        self.content.addWidget(self.lock)
        self.content.addStretch()

    def _connect(self) -> None:
        for way, card in zip(WAYS, self.cards, strict=True):
            card.clicked.connect(lambda _on=False, way=way: self._choose(way))
        self.name.textChanged.connect(self._check_name)
        done = QShortcut(QKeySequence("Ctrl+Return"), self)
        done.activated.connect(self._accept_if_possible)
        self._workspace.changed.connect(self._follow)
        self.asker.changed.connect(self._check)
        self.finished.connect(self.asker.stop)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ask()

    # ---- following --------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        record = self._cache.get(VM, self._vm)
        self._state = _asked_about(record)
        if record is not None and asked_of(record):
            self.asker.ask(asked_of(record))
            self._check()

    def _follow(self, delta: Delta) -> None:
        if ("VM", self._vm) in delta.changed | delta.removed:
            if self.isVisible() and _asked_about(self._cache.get(VM, self._vm)) != self._state:
                self._ask()
            self._check()

    def _choose(self, way: Way) -> None:
        self._wanted = way
        self._check()

    def _check(self) -> None:
        """What the engine allows now, what each way means, and how things would be afterwards."""
        record = self._cache.get(VM, self._vm)
        for way, card in zip(WAYS, self.cards, strict=True):
            reason = why_no_way(self._cache, self._vm, way)
            card.set_unavailable(reason)
            if record is not None:
                card.set_description(describe(self._cache, record, way, self.asker.get(way.operation)))
            if way is self._wanted and not reason:
                card.setChecked(True)
        ready = self.asker.get(self._wanted.operation)
        self._tell(ready)
        self._check_name()
        self.fit()

    def _tell(self, ready: Readiness | None) -> None:
        allowed = not why_no_way(self._cache, self._vm, self._wanted)
        said, tone = "", "info"
        if ready is not None and allowed and not ready.safe:
            said, tone = " ".join(filter(None, (ready.reason, ready.advice))), "bad"
        elif ready is not None and allowed and ready.warning:
            said, tone = " ".join(filter(None, (ready.warning, ready.advice))), "attention"
        self.notice.say(said, tone)
        self.notice.setVisible(bool(said))
        found = afterwards(self._cache, self._vm, ready)
        if self.asker.asking and ready is None:
            found.append(("clock", "Looking whether this is safe…"))
        if tuple(found) != self.outlook.said():
            self.outlook.set(found)

    def _problem(self) -> str:
        reason = why_no_way(self._cache, self._vm, self._wanted)
        ready = self.asker.get(self._wanted.operation)
        if not reason and ready is not None and not ready.safe:
            reason = ready.reason or "This is not safe now."
        if self._cache.get(VM, self._vm) is None:
            return GONE
        return why_no_snapshot(self._cache, self._vm) or reason

    def _check_name(self) -> None:
        named = bool(self.name.text().strip())
        self.set_problem(self._problem() or ("" if named else "Give it a name."))
        self.name.setProperty("invalid", not named)
        self.name.style().unpolish(self.name)
        self.name.style().polish(self.name)

    def _accept_if_possible(self) -> None:
        if self.primary is not None and self.primary.isEnabled():
            self.accept()


def _asked_about(vm: VM | None) -> tuple[object, ...]:
    """What the engine's answer depends on: when this is another, it is asked again."""
    return () if vm is None else (vm.power_state, asked_of(vm), vm.VBDs, VMOperation.snapshot in vm.allowed_operations)
