"""Revert To: what will be lost, what stays, whether the current state is kept first, and for how many VMs."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from app.api import VM, Ref, VMOperation, VMPowerState
from app.client import Delta
from ui.base import text
from ui.base.dialogs import GAP, ConsequenceDialog
from ui.base.sizes_and_dates import age, count
from ui.base.workspace import Workspace
from ui.snapshots import words
from ui.snapshots.consequences import of_group_revert, of_revert
from ui.snapshots.figures import figures_of, group_of, group_words
from ui.snapshots.rules import why_no_revert, why_no_snapshot
from ui.snapshots.ways import DISKS, MEMORY, Way
from ui.snapshots.xe_lines import revert_lines
from ui.widgets.buttons import Segmented
from ui.widgets.cards import ChoiceCard

#: below the words of a check box
_INDENT = 27


@dataclass(frozen=True, slots=True)
class RevertWish:
    """What the person asked for: how the current state is kept (None: not at all), whether what ran then runs again,
    and the snapshots to go back to: one, or those of a group."""

    keep: Way | None
    start_afterwards: bool
    snapshots: tuple[str, ...]


class RevertDialog(ConsequenceDialog):
    """Asks before a VM goes back to a snapshot, and follows what happens to both meanwhile."""

    def __init__(self, workspace: Workspace, snapshot: str, parent: QWidget | None = None) -> None:
        self._cache, self._snapshot = workspace.cache, snapshot
        record = workspace.cache.get(VM, snapshot) or VM()
        self._record = record
        self._vm: Ref[VM] = record.snapshot_of
        self._gone = workspace.cache.get(VM, self._vm) is None
        self._group = group_of(workspace.cache, snapshot)
        self.keep_current = QCheckBox("Take a snapshot of the current state first")
        self.keep_current.setChecked(True)
        self.keep_way = Segmented(((_key(DISKS), "Disks only"), (_key(MEMORY), "With memory")), "What is kept")
        self._way_line = QWidget()
        self.start_afterwards = QCheckBox(_start_words(record))
        self.start_afterwards.setChecked(words.ran_then(record) or words.state_then(record) == "Paused")
        self.only_this = ChoiceCard("vm", "Only this VM", "The others of the group stay as they are.")
        self.whole_group = ChoiceCard("group", f"All {len(self._group)} VMs of the group", "")
        super().__init__(
            self._title(), self._sentence(), (), self._body(), primary="Revert", danger=not self._gone, parent=parent
        )
        self._propose_way()
        workspace.changed.connect(self._follow)
        for box in (self.keep_current, self.only_this, self.whole_group):
            box.toggled.connect(self._check)
        self.keep_way.chosen.connect(self._check)
        self._check()

    def wish(self) -> RevertWish:
        """What was asked for."""
        keep = self.keep_current.isEnabled() and self.keep_current.isChecked() and not self._gone
        way = MEMORY if self._may_keep_memory() and self.keep_way.current() == _key(MEMORY) else DISKS
        again = self._starts() and self.start_afterwards.isChecked()
        return RevertWish(way if keep else None, again, self._group if self._is_group() else (self._snapshot,))

    def xe_line(self) -> str:
        wish = self.wish()
        name = self._record.name_label
        return revert_lines(self._cache, wish.snapshots, name, wish.keep, start=wish.start_afterwards)

    def _title(self) -> str:
        if self._gone:
            return f"Make the VM of “{self._record.name_label}” again?"
        if self._is_group():
            return f"Revert {count(len(self._group), 'VM')}?"
        return f"Revert {words.name_of(self._cache, self._vm)}?"

    def _sentence(self) -> str:
        when = age(self._record.snapshot_time)
        if self._gone:
            return f"The VM of this snapshot was deleted. It is made again from the snapshot, taken {when}."
        if self._is_group():
            them = count(len(self._group), "VM")
            return f"{them} go back to “{self._record.name_label}”, taken together {when}."
        return f"{words.name_of(self._cache, self._vm)} goes back to “{self._record.name_label}”, taken {when}."

    def _body(self) -> QWidget:
        body = QWidget()
        rows = QVBoxLayout(body)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(4)
        many = len(self._group) > 1 and not self._gone
        for card in (self.only_this, self.whole_group):
            card.setVisible(many)
            rows.addWidget(card)
        rows.addSpacing(GAP if many else 0)
        rows.addWidget(self.keep_current)
        below = QHBoxLayout(self._way_line)
        below.setContentsMargins(_INDENT, 0, 0, 4)
        below.addWidget(self.keep_way)
        below.addStretch()
        rows.addWidget(self._way_line)
        rows.addWidget(self.start_afterwards)
        self.only_this.setChecked(True)
        figures = figures_of(self._record)
        self.whole_group.set_description(f"{group_words(figures, len(self._group))}.")
        return body

    def _propose_way(self) -> None:
        """Memory that a revert would drop for good is kept; a running guest's costs time and space, so it is asked."""
        vm = self._cache.get(VM, self._vm)
        rests = vm is not None and vm.power_state in (VMPowerState.Paused, VMPowerState.Suspended)
        self.keep_way.set_current(_key(MEMORY) if rests and self._may_keep_memory() else _key(DISKS))

    def _may_keep_memory(self) -> bool:
        vm = self._cache.get(VM, self._vm)
        return vm is not None and VMOperation.checkpoint in vm.allowed_operations and not self._is_group()

    def _is_group(self) -> bool:
        return len(self._group) > 1 and self.whole_group.isChecked()

    def _starts(self) -> bool:
        """Whether there is anything to be started or resumed afterwards."""
        if self._is_group():
            records = [self._cache.get(VM, ref) for ref in self._group]
            return any(record is not None and words.ran_then(record) for record in records)
        return words.ran_then(self._record) or words.has_memory(self._record)

    def _follow(self, delta: Delta) -> None:
        members = {*self._group, self._snapshot, self._vm}
        if any(cls == "VM" and ref in members for cls, ref in delta.changed | delta.removed):
            self._check()

    def _check(self) -> None:
        group = self._is_group()
        self.set_problem(self._problem())
        reason = why_no_snapshot(self._cache, self._vm)
        self.keep_current.setVisible(not self._gone)
        self.keep_current.setEnabled(not reason)
        self.keep_current.setToolTip(text.tooltip(reason))
        self.keep_current.setAccessibleDescription(reason)
        wish = self.wish()
        self._way_line.setVisible(self._may_keep_memory() and not self._gone)
        self.keep_way.setEnabled(wish.keep is not None)
        self.start_afterwards.setVisible(self._starts())
        self.start_afterwards.setText("Start those that ran then" if group else _start_words(self._record))
        self.heading.setText(self._title())
        self.sentence.setText(self._sentence())
        if self.primary is not None:
            self.primary.setText(self._act())
        if group:
            self.consequences.set(of_group_revert(self._cache, self._group, kept=wish.keep is not None))
        else:
            kept, memory = wish.keep is not None, wish.keep is MEMORY
            self.consequences.set(of_revert(self._cache, self._snapshot, kept=kept, with_memory=memory))
        self.fit()

    def _problem(self) -> str:
        if not self._is_group():
            return why_no_revert(self._cache, self._snapshot)
        for ref in self._group:
            if reason := why_no_revert(self._cache, ref):
                record = self._cache.get(VM, ref)
                owner = words.name_of(self._cache, record.snapshot_of) if record is not None else "A VM"
                return f"{owner}: {reason}"
        return ""

    def _act(self) -> str:
        if self._gone:
            return "Make VM"
        return f"Revert {count(len(self._group), 'VM')}" if self._is_group() else "Revert"


def _key(way: Way) -> str:
    return way.operation.value


def _start_words(snapshot: VM) -> str:
    return "Resume the VM afterwards" if words.has_memory(snapshot) else "Start the VM afterwards"
