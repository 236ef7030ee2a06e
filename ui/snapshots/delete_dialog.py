"""Delete: what goes and what stays; and afterwards, only if something went wrong, what and why."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QFrame, QScrollArea, QVBoxLayout, QWidget

from app.api import VM
from app.client import ObjectCache
from ui.base.dialogs import GAP, ConsequenceDialog, ConsequenceList, Dialog
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.base.xe_lines import records_of, together
from ui.snapshots import words
from ui.snapshots.consequences import of_deletion, of_dropping_memory
from ui.snapshots.rules import deletable, why_no_delete
from ui.snapshots.xe_lines import delete_lines, drop_memory_line
from ui.widgets.buttons import button

_TALLEST = 200


class DeleteDialog(ConsequenceDialog):
    """Asks before one or several snapshots go. Those that cannot go now are listed with the reason, and left."""

    def __init__(self, workspace: Workspace, snapshots: Sequence[str], parent: QWidget | None = None) -> None:
        cache = workspace.cache
        self._cache = cache
        self.going = deletable(cache, snapshots)
        staying = [ref for ref in snapshots if ref not in self.going]
        names = [words.name_of(cache, ref) for ref in self.going]
        one = len(names) == 1
        title = f"Delete “{names[0]}”?" if one else f"Delete {count(len(names), 'snapshot')}?"
        rows = (
            [] if one else [(words.list_icon_of(cache.get(VM, r) or VM()), words.name_of(cache, r)) for r in self.going]
        )
        rows += [(_why_icon(cache, r), f"{words.name_of(cache, r)} stays. {why_no_delete(cache, r)}") for r in staying]
        self.more = button("More choices", "chevron-down", kind="link")
        self.keep_disks = QCheckBox("Delete only the record, and keep the disks in their storage")
        super().__init__(
            title,
            _whose(workspace, self.going),
            of_deletion(cache, self.going),
            self._body(rows),
            primary="Delete",
            danger=True,
            parent=parent,
        )
        self.keep_disks.toggled.connect(self._follow)

    def _body(self, rows: Sequence[tuple[str, str]]) -> QWidget:
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        if rows:
            column.addWidget(scrolled(rows))
        column.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.keep_disks)
        self.keep_disks.hide()
        self.more.clicked.connect(self._show_more)
        return body

    def xe_line(self) -> str:
        return delete_lines(self._cache, self.going, keep_disks=self.keep_disks.isChecked())

    def _show_more(self) -> None:
        self.more.hide()
        self.keep_disks.show()
        self.keep_disks.setFocus()
        self.fit()

    def _follow(self) -> None:
        self.consequences.set(of_deletion(self._cache, self.going, keep_disks=self.keep_disks.isChecked()))
        if self.primary is not None:
            self.primary.setText("Delete Record" if self.keep_disks.isChecked() else "Delete")
        self.fit()


def _why_icon(cache: ObjectCache, snapshot: str) -> str:
    record = cache.get(VM, snapshot)
    return "lock" if record is not None and words.is_locked(record) else "clock"


def _whose(workspace: Workspace, snapshots: Sequence[str]) -> str:
    owners = {record.snapshot_of for ref in snapshots if (record := workspace.cache.get(VM, ref)) is not None}
    what = "It is a snapshot" if len(snapshots) == 1 else "They are snapshots"
    if len(owners) != 1:
        return f"{what} of {count(len(owners), 'VM')}."
    owner = workspace.cache.get(VM, owners.pop())
    if owner is None:
        return f"{what} of a VM that is gone."
    return f"{what} of {owner.name_label or 'a VM without a name'}."


class DropMemoryDialog(ConsequenceDialog):
    """Asks before the memory of a checkpoint goes."""

    def __init__(self, workspace: Workspace, snapshot: str, parent: QWidget | None = None) -> None:
        name = words.name_of(workspace.cache, snapshot)
        super().__init__(
            f"Drop the memory of “{name}”?",
            "It becomes a snapshot of the disks only.",
            of_dropping_memory(workspace.cache, snapshot),
            primary="Drop Memory",
            danger=True,
            xe=together(*map(drop_memory_line, records_of(workspace.cache, VM, [snapshot]))),
            parent=parent,
        )


class FailuresDialog(Dialog):
    """Which snapshots were not deleted, and why each.

    :param failed: name and reason of each.
    """

    def __init__(self, failed: Sequence[tuple[str, str]], asked: int, parent: QWidget | None = None) -> None:
        one = asked == 1
        title = f"“{failed[0][0]}” was not deleted" if one else f"{len(failed)} of {asked} snapshots were not deleted"
        super().__init__(title, cancel="Close", parent=parent)
        done = asked - len(failed)
        self.add_sentence(
            "Nothing has changed." if not done else f"{count(done, 'snapshot')} went as asked. The rest is as it was."
        )
        self.content.addWidget(scrolled([("alert-bad", f"{name}: {reason}") for name, reason in failed]))
        self.setMinimumWidth(460)
        self.setAccessibleDescription(". ".join(f"{name}: {reason}" for name, reason in failed))


def scrolled(rows: Sequence[tuple[str, str]]) -> QWidget:
    """A list of icons and words that scrolls when it grows tall."""
    listed = ConsequenceList(rows)
    listed.setObjectName("page")  # see-through in the style sheet
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setWidget(listed)
    area.setFixedHeight(min(_TALLEST, listed.sizeHint().height() + 4))
    return area
