"""Below the snapshots: how many, how large, how deep, how healthy; and the zoom of the graph."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from ui.base.dialogs import IconLabel, label
from ui.base.sizes_and_dates import percent
from ui.snapshots import words
from ui.snapshots.subject import Subject
from ui.widgets.buttons import button, icon_button
from ui.widgets.labels import ElidedLabel

_MARKS = {"good": "alert-good", "attention": "alert-attention", "bad": "alert-bad"}


class Footer(QWidget):
    """One line."""

    #: one step larger (1) or smaller (-1)
    stepped = Signal(int)
    #: show all
    fitted = Signal()
    #: tell more of the chains
    health_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.summary = ElidedLabel("", "secondary")
        self.mark = IconLabel("alert-good", 14)
        self.zoom = QWidget()
        self._percent: QLabel = label("100 %", "secondary")
        self._percent.setMinimumWidth(40)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 4, 8, 4)
        row.setSpacing(6)
        row.addWidget(self.mark)
        row.addWidget(self.summary)
        self.health = button("Health…", kind="link")
        self.health.setToolTip("How the chains of this VM are, and what waits to be merged")
        self.health.clicked.connect(self.health_asked)
        row.addWidget(self.health)
        row.addStretch(1)
        row.addWidget(self.zoom)
        controls = QHBoxLayout(self.zoom)
        controls.setContentsMargins(0, 0, 0, 0)
        controls.setSpacing(2)
        controls.addWidget(self._percent)
        for icon, name, step in (("minus", "Zoom out", -1), ("plus", "Zoom in", 1)):
            made = icon_button(icon, name)
            made.setProperty("small", True)
            made.clicked.connect(lambda _checked=False, step=step: self.stepped.emit(step))
            controls.addWidget(made)
        fit = button("Fit", kind="link")
        fit.setToolTip("Show all (Ctrl+0)")
        fit.clicked.connect(self.fitted)
        controls.addSpacing(6)
        controls.addWidget(fit)

    def follow(self, subject: Subject, matching: int | None) -> None:
        """Say how things are. ``matching`` is the number of snapshots that match the filter, None without one."""
        facts = list(subject.facts.values())
        health, tone = words.health(subject.now_facts, facts)
        said = words.summary(facts, subject.now_facts)
        if subject.now_facts.disks:
            said += f" · {health}"
        if subject.hidden:
            said += f" · {len(subject.hidden)} hidden"
        if matching is not None:
            said = f"{matching} of {said}"
        self.mark.setVisible(tone != "good")
        self.mark.set_icon(_MARKS[tone])
        self.summary.setText(said)

    def zoom_words(self) -> str:
        """The zoom that is shown: ``100 %``."""
        return self._percent.text()

    def set_zoom(self, factor: float) -> None:
        """Show the zoom, 1.0 for 100 %."""
        self._percent.setText(percent(factor, 1.0) if factor < 1 else f"{round(factor * 100)}\u00a0%")
