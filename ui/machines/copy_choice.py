"""The choice between a fast clone and a full copy, and where a full copy goes."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.api import SR, VM, VMOperation
from app.client import ObjectCache
from ui.base.dialogs import GAP, label
from ui.base.sizes_and_dates import size
from ui.machines.creation import Way
from ui.models.chain import CHAIN_LIMIT, ChainFacts, Chains, disks_of
from ui.models.reasons import why_not
from ui.widgets.cards import ChoiceCard
from ui.widgets.notice import Notice
from ui.widgets.repositories import RepositoryChoice, free_space

_SAME_PLACE = "Where each disk is now"


class CopyChoice(QWidget):
    """Two cards, and below the second one the repository. What the engine does not allow is grey and says why."""

    changed = Signal()

    def __init__(self, cache: ObjectCache, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cache = cache
        self._full_size = 0
        self.setAccessibleName("How the disks are copied")
        self.fast = ChoiceCard("bolt", "Fast clone", "", self)
        self.full = ChoiceCard("copy", "Full copy", "", self)
        self.where = RepositoryChoice(cache, "Storage of the copy", _SAME_PLACE)
        self.notice = Notice("", "attention")
        self.notice.hide()
        self._place = QWidget()
        line = QHBoxLayout(self._place)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(GAP)
        line.addWidget(label("Copy to", "quiet"))
        line.addWidget(self.where, 1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(GAP)
        for widget in (self.fast, self.full, self._place, self.notice):
            rows.addWidget(widget)
        for card in (self.fast, self.full):
            card.toggled.connect(self._follow)
        self.where.currentIndexChanged.connect(self._follow)

    def show_source(self, source: VM) -> None:
        """What is copied: a VM, template or snapshot. Choices are kept as far as they are possible."""
        facts = Chains(self._cache).of(source)
        self._full_size = facts.own + facts.shared
        self.fast.set_description(_of_clone(facts))
        self.full.set_description(f"Up to {size(self._full_size)} are read and written. Independent of the original.")
        for card, operation in ((self.fast, VMOperation.clone), (self.full, VMOperation.copy)):
            card.set_unavailable(self._why_not(source, operation, facts))
        homes = {disk.SR for disk in disks_of(self._cache, source)}
        if len(homes) == 1:
            self.where.choose(next(iter(homes)))
        if not (self.fast.isChecked() or self.full.isChecked()):
            possible = next((card for card in (self.fast, self.full) if card.isEnabled()), None)
            if possible is not None:
                possible.setChecked(True)
        self._follow()

    def way(self) -> Way:
        """What is chosen."""
        return Way(full=True, sr=self.where.ref()) if self.full.isChecked() else Way()

    def why_impossible(self) -> str:
        """Why nothing can be copied at all; "" where something can."""
        if self.fast.isEnabled() or self.full.isEnabled():
            return ""
        return self.fast.accessibleDescription()

    @staticmethod
    def _why_not(source: VM, operation: VMOperation, facts: ChainFacts) -> str:
        if operation is VMOperation.clone and facts.depth >= CHAIN_LIMIT:
            return f"Its disks' chains are {facts.depth} images long, and cannot grow. Make a full copy."
        return why_not(source, operation)

    def _follow(self) -> None:
        full = self.full.isChecked()
        self._place.setVisible(full)
        record = self._cache.get(SR, self.where.ref())
        free = None if record is None else free_space(record)
        short = full and record is not None and free is not None and free < self._full_size
        if short and record is not None and free is not None:
            self.notice.say(
                f"“{record.name_label}” has {size(free)} free; the copy may need up to {size(self._full_size)}.",
                "attention",
            )
        self.notice.setVisible(short)
        self.changed.emit()


def _of_clone(facts: ChainFacts) -> str:
    depth = f" Chain depth {facts.depth + 1} of {CHAIN_LIMIT} afterwards." if facts.depth else ""
    return f"Ready at once, with no space of its own yet: both go on from the same images.{depth}"
