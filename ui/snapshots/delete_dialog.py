"""Delete: what goes and what stays; and afterwards, only if something went wrong, what and why."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

from app.api import VM
from ui.base.dialogs import ConsequenceDialog, ConsequenceList, Dialog
from ui.base.sizes_and_dates import count
from ui.base.workspace import Workspace
from ui.snapshots import words
from ui.snapshots.consequences import of_deletion
from ui.snapshots.rules import deletable, why_no_delete

_TALLEST = 200


class DeleteDialog(ConsequenceDialog):
    """Asks before one or several snapshots go. Those that cannot go now are listed with the reason, and left."""

    def __init__(self, workspace: Workspace, snapshots: Sequence[str], parent: QWidget | None = None) -> None:
        cache = workspace.cache
        self.going = deletable(cache, snapshots)
        staying = [ref for ref in snapshots if ref not in self.going]
        names = [words.name_of(cache, ref) for ref in self.going]
        one = len(names) == 1
        title = f"Delete “{names[0]}”?" if one else f"Delete {count(len(names), 'snapshot')}?"
        rows = (
            [] if one else [(words.list_icon_of(cache.get(VM, r) or VM()), words.name_of(cache, r)) for r in self.going]
        )
        rows += [("lock", f"{words.name_of(cache, ref)} stays. {why_no_delete(cache, ref)}") for ref in staying]
        super().__init__(
            title,
            f"It is a snapshot of {_owner(workspace, self.going)}." if one else _whose(workspace, self.going),
            of_deletion(cache, self.going),
            scrolled(rows) if rows else None,
            primary="Delete",
            danger=True,
            parent=parent,
        )


def _owner(workspace: Workspace, snapshots: Sequence[str]) -> str:
    record = workspace.cache.get(VM, snapshots[0]) if snapshots else None
    return words.name_of(workspace.cache, record.snapshot_of) if record is not None else "a VM"


def _whose(workspace: Workspace, snapshots: Sequence[str]) -> str:
    owners = {record.snapshot_of for ref in snapshots if (record := workspace.cache.get(VM, ref)) is not None}
    if len(owners) == 1:
        return f"They are snapshots of {_owner(workspace, snapshots)}."
    return f"They are snapshots of {count(len(owners), 'VM')}."


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
