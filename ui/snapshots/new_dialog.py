"""New VM or New Template from a snapshot: its name, and whether it shares the snapshot's disks or gets its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLineEdit, QWidget

from app.api import NULL, SR, VM, Ref, VMOperation
from app.client import Delta, ObjectCache
from ui.base.dialogs import Consequence, ConsequenceList, Dialog, label
from ui.base.sizes_and_dates import size
from ui.base.workspace import Workspace
from ui.base.xe_lines import into
from ui.models.chain import CHAIN_LIMIT, Chains
from ui.snapshots import words
from ui.snapshots.consequences import LOST, STAYS, TELLS
from ui.snapshots.rules import why_no_copy
from ui.snapshots.xe_lines import make_lines
from ui.widgets.cards import ChoiceCard

Kind = Literal["vm", "template"]
_WIDTH = 520


@dataclass(frozen=True, slots=True)
class NewWish:
    """What the person asked for. ``sr`` is where a full copy goes, null: each disk where its source is."""

    name: str
    full: bool
    sr: Ref[SR]
    start: bool


class NewDialog(Dialog):
    """Asks for a VM or template made from a snapshot, and follows what happens to the snapshot meanwhile."""

    def __init__(self, workspace: Workspace, snapshot: str, kind: Kind, parent: QWidget | None = None) -> None:
        self._cache, self._snapshot, self._kind = workspace.cache, snapshot, kind
        self._record = workspace.cache.get(VM, snapshot) or VM()
        thing = "VM" if kind == "vm" else "template"
        name = words.name_of(workspace.cache, snapshot)
        super().__init__(
            f"New {thing} from “{name}”", primary="Make VM" if kind == "vm" else "Make Template", parent=parent
        )
        self.name = QLineEdit(_proposed(workspace.cache, self._record))
        self.fast = ChoiceCard(
            "bolt", "Fast clone", "Ready in a moment: it shares the snapshot's disks and keeps what it changes."
        )
        self.full = ChoiceCard("copy", "Full copy", "")
        self.where = QComboBox()
        self.start = QCheckBox("Start it afterwards")
        self.follows = ConsequenceList()
        self._lay_out_fields()
        self.name.textChanged.connect(self._check)
        for card in (self.fast, self.full):
            card.toggled.connect(self._check)
        self.where.currentIndexChanged.connect(self._check)
        workspace.changed.connect(self._follow)
        self.fast.setChecked(True)
        self.name.selectAll()
        self.name.setFocus()
        self._check()

    def wish(self) -> NewWish:
        """What was asked for."""
        where: Ref[SR] = Ref(str(self.where.currentData() or NULL))
        full = self.full.isChecked()
        start = self._kind == "vm" and self.start.isChecked()
        return NewWish(self.name.text().strip(), full, where if full else Ref(NULL), start)

    def xe_line(self) -> str:
        wish = self.wish()
        return make_lines(
            self._record, self._kind, wish.name, into(self._cache, wish.sr) if wish.full else None, start=wish.start
        )

    def _lay_out_fields(self) -> None:
        self.setMinimumWidth(_WIDTH)
        said = label("Name", "quiet")
        said.setBuddy(self.name)
        self.name.setAccessibleName("Name")
        self.content.addWidget(said)
        self.content.addWidget(self.name)
        self.content.addSpacing(4)
        self.content.addWidget(self.fast)
        self.content.addWidget(self.full)
        self.where.setAccessibleName("Storage of the copy")
        self.where.addItem("The storage each disk is in now", str(NULL))
        for ref, sr in sorted(self._cache.all(SR).items(), key=lambda pair: pair[1].name_label.casefold()):
            if sr.type != "iso":
                self.where.addItem(f"{sr.name_label} ({size(_free(sr))} free)", str(ref))
        line = QHBoxLayout()
        beside = label("Storage", "quiet")
        beside.setBuddy(self.where)
        line.addWidget(beside)
        line.addWidget(self.where, 1)
        self.content.addLayout(line)
        self.content.addWidget(self.follows)
        self.content.addWidget(self.start)
        self.start.setVisible(self._kind == "vm")
        self.content.addStretch()

    def _follow(self, delta: Delta) -> None:
        if ("VM", self._snapshot) in delta.changed | delta.removed:
            self._check()

    def _check(self) -> None:
        facts = Chains(self._cache).of(self._record)
        much = facts.own + facts.shared
        self.full.set_description(f"Copies up to {size(much)}, and needs nothing of the snapshot afterwards.")
        reasons = {}
        for card, operation in ((self.fast, VMOperation.clone), (self.full, VMOperation.copy)):
            reasons[card] = why_no_copy(self._cache, self._snapshot, operation)
            card.set_unavailable(reasons[card])
        chosen = next((card for card in (self.fast, self.full) if card.isChecked()), None)
        self.where.setEnabled(chosen is self.full)
        self.follows.set(self._consequences(much, facts.depth))
        named = bool(self.name.text().strip())
        problem = "" if chosen is not None else reasons[self.fast] or "Choose how it is made."
        self.set_problem(problem or self._too_large(much) or ("" if named else "Give it a name."))
        self.fit()

    def _too_large(self, octets: int) -> str:
        sr = self._cache.get(SR, self.wish().sr)
        if sr is None or sr.physical_size <= 0 or octets <= _free(sr):
            return ""
        return f"The copy may need {size(octets)}, and {sr.name_label} has {size(_free(sr))} free."

    def _consequences(self, octets: int, depth: int) -> list[Consequence]:
        found: list[Consequence] = []
        if words.has_memory(self._record):
            found.append((LOST, "The memory is not taken over: its guest starts as after a power cut"))
        found.append((STAYS, "The snapshot and its VM stay as they are"))
        if self.full.isChecked():
            found.append(("sr-local", f"Takes up to {size(octets)} at once, and some time; it can be cancelled"))
        else:
            found.append(("sr-local", "Takes next to nothing now, and grows with what it changes"))
            if depth:
                found.append(
                    (TELLS, f"Deleting the snapshot later keeps its disks; chain depth {depth + 1} of {CHAIN_LIMIT}")
                )
        return found


def _free(sr: SR) -> int:
    return max(0, sr.physical_size - sr.physical_utilisation)


def _proposed(cache: ObjectCache, snapshot: VM) -> str:
    vm = cache.get(VM, snapshot.snapshot_of)
    return f"{vm.name_label} at {snapshot.name_label}" if vm is not None else f"{snapshot.name_label} copy"
