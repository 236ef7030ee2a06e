"""Lock: why, who, and until when a snapshot must not be deleted."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from PySide6.QtCore import QDate
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QWidget

from app.api import EPOCH
from ui.base.dialogs import ConsequenceList, Dialog, label
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.snapshots import words
from ui.snapshots.consequences import STAYS, TELLS
from ui.snapshots.xe_lines import lock_lines
from ui.widgets.fields import DateEdit

_PROPOSED_DAYS = 30
#: as much as the engine keeps
_LONGEST_REASON, _LONGEST_OWNER = 500, 200


@dataclass(frozen=True, slots=True)
class LockWish:
    """What the person asked for; `until` is the epoch for a lock without an end."""

    reason: str
    owner: str
    until: datetime


class LockDialog(Dialog):
    """Asks how one or several snapshots are locked."""

    def __init__(self, workspace: Workspace, snapshots: Sequence[str], parent: QWidget | None = None) -> None:
        self._cache, self._snapshots = workspace.cache, tuple(snapshots)
        one = len(snapshots) == 1
        what = f"“{words.name_of(workspace.cache, snapshots[0])}”" if one else count(len(snapshots), "snapshot")
        super().__init__(f"Lock {what}", primary="Lock", parent=parent)
        it = "It is" if one else "They are"
        self.add_sentence(f"{it} not deleted by hand, in bulk or by a schedule for as long as the lock is there.")
        self.reason = QLineEdit()
        self.owner = QLineEdit(_user())
        self.limited = QCheckBox("Unlock by itself after")
        self.until = DateEdit("Last day of the lock")
        self.follows = ConsequenceList(
            (
                (STAYS, "Reverting, renaming and making VMs from it stay possible."),
                (TELLS, "Anyone who may use this pool can unlock it: a lock guards against mistakes."),
            )
        )
        self._lay_out_fields()
        self.reason.textChanged.connect(self._check)
        self.limited.toggled.connect(self.until.setEnabled)
        self.reason.setFocus()
        self._check()

    def wish(self) -> LockWish:
        """What was asked for."""
        return LockWish(self.reason.text().strip(), self.owner.text().strip(), self._end())

    def xe_line(self) -> str:
        wish = self.wish()
        return lock_lines(self._cache, self._snapshots, wish.reason, wish.owner, wish.until)

    def _end(self) -> datetime:
        """The end of the last day, in local time."""
        if not self.limited.isChecked():
            return EPOCH
        day = self.until.date()
        return datetime.combine(datetime(day.year(), day.month(), day.day()), time(23, 59, 59)).astimezone()

    def _lay_out_fields(self) -> None:
        self.reason.setPlaceholderText("golden image, evidence, before the audit…")
        self.reason.setMaxLength(_LONGEST_REASON)
        self.owner.setMaxLength(_LONGEST_OWNER)
        for title, field in (("Reason", self.reason), ("Owner", self.owner)):
            said = label(title, "quiet")
            said.setBuddy(field)
            field.setAccessibleName(title)
            self.content.addWidget(said)
            self.content.addWidget(field)
            self.content.addSpacing(4)
        today = QDate.currentDate()
        self.until.setMinimumDate(today)
        self.until.setDate(today.addDays(_PROPOSED_DAYS))
        self.until.setDisplayFormat("d MMM yyyy")
        self.until.setEnabled(False)
        line = QHBoxLayout()
        line.addWidget(self.limited)
        line.addWidget(self.until)
        line.addStretch()
        self.content.addLayout(line)
        self.content.addWidget(self.follows)
        self.setMinimumWidth(440)

    def _check(self) -> None:
        self.set_problem("" if self.reason.text().strip() else "Say why, for whoever wants to delete it later.")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
