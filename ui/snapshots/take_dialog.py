"""Take Snapshot: a name, a description, and what is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QWidget

from app.api import VM, Ref, Task, VMCalls, VMOperation
from app.client import Delta, ObjectCache, Session
from ui.base.dialogs import Dialog, label
from ui.base.sizes_and_dates import size
from ui.base.workspace import Workspace
from ui.snapshots import words
from ui.snapshots.chain import CHAIN_LIMIT, CHAIN_WARNING, Chains, free_space
from ui.snapshots.rules import why_no_snapshot
from ui.widgets.cards import ChoiceCard

_WIDTH = 480


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to take a snapshot, offered where the engine allows its operation."""

    operation: VMOperation
    icon: str
    title: str
    description: str
    start: Callable[[Session, Ref[VM], str], Awaitable[Ref[Task]]]


MODES: Final = (
    Mode(
        VMOperation.snapshot,
        "snapshot",
        "Disks only",
        "No pause. The guest recovers as after a power cut.",
        lambda session, vm, name: session.start(VMCalls.snapshot, vm, name),
    ),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for."""

    name: str
    description: str
    mode: Mode


def proposed_name(vm_name: str, now: datetime) -> str:
    """The name a snapshot gets unless someone thinks of a better one: ``billing-db 2026-11-23 09:41``, local time."""
    return f"{vm_name} {now:%Y-%m-%d %H:%M}".strip()


class TakeDialog(Dialog):
    """Asks for a snapshot of one VM, and follows what happens to the VM meanwhile."""

    def __init__(self, workspace: Workspace, vm: str, parent: QWidget | None = None) -> None:
        self._cache, self._vm = workspace.cache, vm
        self._reason = ""
        vm_name = words.name_of(workspace.cache, vm)
        super().__init__(f"Take a snapshot of {vm_name}", primary="Take Snapshot", parent=parent)
        self.name = QLineEdit(proposed_name(vm_name, datetime.now().astimezone()))
        self.description = QPlainTextEdit()
        self.cards = [ChoiceCard(mode.icon, mode.title, mode.description) for mode in MODES]
        self.outlook = label("", "secondary")
        self._lay_out_fields()
        self.name.selectAll()
        self.name.setFocus()
        self.name.textChanged.connect(self._check_name)
        done = QShortcut(QKeySequence("Ctrl+Return"), self)
        done.activated.connect(self._accept_if_possible)
        workspace.changed.connect(self._follow)
        self._check()

    def wish(self) -> Wish:
        """What was asked for."""
        mode = next((m for m, card in zip(MODES, self.cards, strict=True) if card.isChecked()), MODES[0])
        return Wish(self.name.text().strip(), self.description.toPlainText().strip(), mode)

    def _lay_out_fields(self) -> None:
        self.setMinimumWidth(_WIDTH)
        self.name.setAccessibleName("Name")
        self.description.setAccessibleName("Description")
        self.description.setPlaceholderText("Optional")
        self.description.setTabChangesFocus(True)
        self.description.setFixedHeight(self.description.fontMetrics().lineSpacing() * 3 + 16)
        for title, field in (("Name", self.name), ("Description", self.description)):
            said = label(title, "quiet")
            said.setBuddy(field)
            self.content.addWidget(said)
            self.content.addWidget(field)
            self.content.addSpacing(4)
        for card in self.cards:
            self.content.addWidget(card)
        self.cards[0].setChecked(True)
        self.outlook.setWordWrap(True)
        self.content.addSpacing(4)
        self.content.addWidget(self.outlook)
        self.content.addStretch()

    def _follow(self, delta: Delta) -> None:
        if ("VM", self._vm) in delta.changed | delta.removed:
            self._check()

    def _check(self) -> None:
        """What the engine allows now, and how things would be afterwards."""
        record = self._cache.get(VM, self._vm)
        allowed = record.allowed_operations if record is not None else frozenset()
        self._reason = why_no_snapshot(self._cache, self._vm)
        for mode, card in zip(MODES, self.cards, strict=True):
            card.set_unavailable("" if mode.operation in allowed else self._reason or "Not possible now.")
        self._choose_possible()
        self.outlook.setText(outlook(self._cache, self._vm))
        self._check_name()

    def _check_name(self) -> None:
        named = bool(self.name.text().strip())
        self.set_problem(self._reason or ("" if named else "Give it a name."))
        self.name.setProperty("invalid", not named)
        self.name.style().unpolish(self.name)
        self.name.style().polish(self.name)

    def _choose_possible(self) -> None:
        possible = [card for card in self.cards if card.isEnabled()]
        if possible and not any(card.isChecked() for card in possible):
            with QSignalBlocker(possible[0]):
                possible[0].setChecked(True)

    def _accept_if_possible(self) -> None:
        if self.primary is not None and self.primary.isEnabled():
            self.accept()


def outlook(cache: ObjectCache, vm: str) -> str:
    """How things are afterwards: ``After this: 412 GiB free, chain depth 5 of 30.``"""
    record = cache.get(VM, vm)
    if record is None:
        return ""
    depth = Chains(cache).of(record).depth
    parts = []
    room = free_space(cache, record)
    if room is not None:
        parts.append(f"{size(room[1])} free on {room[0]}" if room[0] else f"{size(room[1])} free")
    if depth:
        parts.append(f"chain depth {depth + 1} of {CHAIN_LIMIT}")
    warning = " Old snapshots should go soon." if depth + 1 >= CHAIN_WARNING else ""
    return f"After this: {', '.join(parts)}.{warning}" if parts else "It has no disks; only its settings are kept."
