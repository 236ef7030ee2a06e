"""Which state of a running VM leaves: that of a snapshot there is, or of one that is taken now."""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from app.api import VM, Ref, VMCalls
from ui.base import icons
from ui.base.dialogs import GAP, Dialog, ask
from ui.base.sizes_and_dates import age
from ui.base.workspace import Workspace
from ui.exchange.subject import Subject, subject_of, why_no_snapshot
from ui.models.states import STATE_WORDS, state_icon
from ui.widgets.cards import ChoiceCard

_WIDTH: Final = 520


class StateDialog(Dialog):
    """Two ways; what is not possible is grey and says why."""

    def __init__(self, workspace: Workspace, subject: Subject, parent: QWidget | None = None) -> None:
        state = STATE_WORDS[subject.record.power_state]
        super().__init__(f"Export which state of “{subject.name}”?", primary="Export…", parent=parent)
        self.add_sentence(
            f"It is {state}, and its disks change while they are read. A snapshot of it stands still, and the guest "
            "goes on meanwhile.",
            "quiet",
        )
        self.now = ChoiceCard("camera", "As it is now", "A snapshot of its disks is taken first, and stays.", self)
        self.before = ChoiceCard("snapshot", "A snapshot there is", "As it was when it was taken.", self)
        self.snapshots = QComboBox()
        self.snapshots.setAccessibleName("Snapshot")
        self._fill(workspace, subject.record)
        self._place = QWidget()
        line = QHBoxLayout(self._place)
        line.setContentsMargins(46, 0, 0, 0)
        line.setSpacing(GAP)
        line.addWidget(self.snapshots, 1)
        for widget in (self.now, self.before, self._place):
            self.content.addWidget(widget)
        self.content.addStretch()
        self.now.set_unavailable(why_no_snapshot(subject.record))
        self.before.set_unavailable("" if self.snapshots.count() else "It has no snapshot.")
        (self.now if self.now.isEnabled() else self.before).setChecked(True)
        self.before.toggled.connect(self._follow)
        self.setMinimumWidth(_WIDTH)
        self._follow()

    def snapshot(self) -> Ref[VM] | None:
        """The chosen snapshot; None for one that is to be taken."""
        return Ref(self.snapshots.currentData()) if self.before.isChecked() else None

    def _fill(self, workspace: Workspace, record: VM) -> None:
        found = [(ref, snapshot) for ref in record.snapshots if (snapshot := workspace.cache.get(VM, ref)) is not None]
        for ref, snapshot in sorted(found, key=lambda pair: pair[1].snapshot_time, reverse=True):
            words = f"{snapshot.name_label} · {age(snapshot.snapshot_time)}"
            self.snapshots.addItem(icons.icon(state_icon(snapshot)), words, ref)

    def _follow(self) -> None:
        self._place.setVisible(self.before.isEnabled() and self.before.isChecked())
        self.fit()


async def standing_still(workspace: Workspace, subject: Subject) -> Subject | None:
    """The snapshot to export in place of a running VM; None: the person thought better of it.

    :raise Failure, ConnectionLost: no snapshot could be taken.
    """
    dialog = StateDialog(workspace, subject, workspace.window)
    accepted = await ask(dialog, keep=True)
    chosen = dialog.snapshot()
    dialog.deleteLater()
    if not accepted:
        return None
    if chosen is None:
        name = f"Export of {subject.name}"[:255]
        begun = workspace.session.start(VMCalls.snapshot, subject.ref, name)
        chosen = Ref(await workspace.run_task(f"Taking {name}", begun, ("VM", subject.ref)))
    return subject_of(workspace.cache, chosen)
