"""Choosing the schedule that protects one or several VMs: a card for each there is, and one for none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.api import NULL, VM, VMSS, is_null
from app.client import ObjectCache
from ui.base.dialogs import GAP
from ui.models.protection import protector
from ui.schedules.draft import draft_of
from ui.schedules.words import kept_of, when_of
from ui.widgets.cards import ChoiceCard
from ui.widgets.notice import Notice


class ScheduleChoice(QWidget):
    """`chosen` is a schedule's reference, the null reference for none, "" before anything is chosen."""

    changed = Signal()

    def __init__(self, cache: ObjectCache, vms: Sequence[VM], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cache, self._vms = cache, tuple(vms)
        self._now = {NULL if is_null(vm.snapshot_schedule) else str(vm.snapshot_schedule) for vm in vms}
        self.chosen = ""
        self.cards: dict[str, ChoiceCard] = {}
        self.conflict = Notice("", "attention")
        self._fill_in()
        only = next(iter(self._now)) if len(self._now) == 1 else ""
        if only in self.cards:
            self.cards[only].setChecked(True)
        self._follow()

    def is_as_before(self) -> bool:
        """Whether all VMs have the chosen schedule already."""
        return self._now == {self.chosen}

    def _fill_in(self) -> None:
        inside = QWidget()
        inside.setObjectName("page")
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 8, 0)
        rows.setSpacing(GAP)
        self._add(rows, NULL, "hide", "None", self._without())
        for ref, record in sorted(self._cache.all(VMSS).items(), key=lambda item: item[1].name_label.casefold()):
            draft = draft_of(record)
            off = "" if record.enabled else "Turned off. "
            self._add(rows, ref, "schedule", record.name_label, f"{off}{when_of(draft)}. {kept_of(draft)}.")
        rows.addStretch()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(inside)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(GAP)
        page.addWidget(area, 1)
        page.addWidget(self.conflict)

    def _without(self) -> str:
        """What it means to be assigned to none: tags may still choose a schedule."""
        free = [msgspec.structs.replace(vm, snapshot_schedule=NULL) for vm in self._vms]
        chosen = {ref for vm in free if (ref := protector(self._cache, vm)) is not None}
        names = sorted(record.name_label for ref in chosen if (record := self._cache.get(VMSS, ref)) is not None)
        if names:
            return f"Not assigned to one; tags choose {', '.join(f'“{name}”' for name in names)}."
        return "No snapshots are taken of it by a schedule."

    def _add(self, rows: QVBoxLayout, ref: str, icon: str, title: str, means: str) -> None:
        card = ChoiceCard(icon, title, means)
        card.toggled.connect(lambda on, ref=ref: self._choose(ref) if on else None)
        self.cards[ref] = card
        rows.addWidget(card)

    def _choose(self, ref: str) -> None:
        self.chosen = ref
        self._follow()
        self.changed.emit()

    def _follow(self) -> None:
        left = [ref for ref in sorted(self._now) if ref not in (NULL, self.chosen)]
        names = [record.name_label for ref in left if (record := self._cache.get(VMSS, ref)) is not None]
        self.conflict.setVisible(bool(names and self.chosen))
        if names:
            self.conflict.say(f"Leaves {', '.join(f'“{name}”' for name in names)}.", "attention")
