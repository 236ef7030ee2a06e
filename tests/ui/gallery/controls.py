"""Every control and widget, in each of its states."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from tests.ui.gallery.samples import GIB, LONG
from ui.base import icons
from ui.widgets.buttons import Segmented, button, icon_button
from ui.widgets.cards import Card, ChoiceCard, EmptyState
from ui.widgets.fields import SpinBox, TimeEdit
from ui.widgets.labels import ElidedLabel
from ui.widgets.marks import Badge, Pill
from ui.widgets.notice import Notice
from ui.widgets.progress import CapacityBar, TaskProgress
from ui.widgets.search_field import SearchField
from ui.widgets.thumbnail import Thumbnail


def controls() -> QWidget:
    page = QWidget()
    page.setProperty("plane", "surface")
    grid = QGridLayout(page)
    grid.setContentsMargins(24, 24, 24, 24)
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(16)
    grid.addWidget(button_rows(), 0, 0)
    grid.addWidget(fields(), 1, 0)
    grid.addWidget(marks(), 0, 1)
    grid.addWidget(choices(), 1, 1)
    grid.addWidget(menus(), 0, 2, 2, 1)
    page.resize(1240, 760)
    return page


def button_rows() -> QWidget:
    card = Card("Buttons")
    for enabled in (True, False):
        row = QHBoxLayout()
        for words, kind in (
            ("Default", ""),
            ("Primary", "primary"),
            ("Delete", "danger"),
            ("Flat", "flat"),
            ("Link", "link"),
        ):
            made = button(words, "camera" if kind in ("", "primary", "danger") else "", kind)
            made.setEnabled(enabled)
            row.addWidget(made)
        row.addStretch()
        card.content.addLayout(row)
    row = QHBoxLayout()
    focused = QPushButton("Focused")
    focused.setObjectName("focus")
    checked = QPushButton("Checked")
    checked.setCheckable(True)
    checked.setChecked(True)
    tool = QToolButton()
    tool.setText("Tool")
    tool.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    tool.setMenu(QMenu(tool))
    for shown in (focused, checked, tool, icon_button("more", "More")):
        row.addWidget(shown)
    row.addWidget(Segmented([("h", "Hourly"), ("d", "Daily"), ("w", "Weekly", "clock")], "How often", "d"))
    row.addStretch()
    card.content.addLayout(row)
    card.content.addStretch()
    return card


def fields() -> QWidget:
    card = Card("Fields")
    form = QFormLayout()
    form.setHorizontalSpacing(16)
    form.setVerticalSpacing(8)
    form.addRow("Name", QLineEdit("billing-db 2026-11-23 09:41"))
    empty = QLineEdit()
    empty.setPlaceholderText("Optional")
    form.addRow("Description", empty)
    wrong = QLineEdit("")
    wrong.setProperty("invalid", True)
    form.addRow("Wrong", wrong)
    off = QLineEdit("cannot be changed")
    off.setEnabled(False)
    form.addRow("Disabled", off)
    combo = QComboBox()
    combo.addItems(["Take one on return", "Skip"])
    form.addRow("If a run was missed", combo)
    row = QHBoxLayout()
    row.addWidget(SpinBox("Keep", 1, 99, 7))
    row.addWidget(TimeEdit("At"))
    row.addWidget(SpinBox("Memory", 1, 99, 4, " GiB"))
    row.addStretch()
    form.addRow("Keep the last", row)
    notes = QPlainTextEdit("Several lines")
    notes.setFixedHeight(64)
    form.addRow("Notes", notes)
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setValue(40)
    form.addRow("Slider", slider)
    form.addRow("Search", SearchField("Filter…", shortcut=True))
    card.content.addLayout(form)
    for enabled in (True, False):
        card.content.addWidget(check_marks(enabled))
    return card


def check_marks(enabled: bool) -> QWidget:
    row = QHBoxLayout()
    plain, ticked, half = QCheckBox("Off"), QCheckBox("On"), QCheckBox("Partly")
    ticked.setChecked(True)
    half.setTristate(True)
    half.setCheckState(Qt.CheckState.PartiallyChecked)
    radio, other = QRadioButton("Chosen"), QRadioButton("Other")
    radio.setChecked(True)
    for made in (plain, ticked, half, radio, other):
        made.setEnabled(enabled)
        row.addWidget(made)
    row.addStretch()
    holder = QWidget()
    holder.setLayout(row)
    return holder


def marks() -> QWidget:
    card = Card("Marks and progress")
    row = QHBoxLayout()
    for words, tone in (
        ("running", "good"),
        ("paused", "attention"),
        ("suspended", "info"),
        ("failed", "bad"),
        ("halted", "secondary"),
    ):
        row.addWidget(Pill(words, tone))
    row.addWidget(Badge("alerts", 2))
    row.addWidget(Badge("failures", 128, "bad"))
    row.addStretch()
    card.content.addLayout(row)
    going = TaskProgress("Merging 1 of 2 disks of web-01")
    going.set_progress(0.62, "1.2 of 1.9 GiB · 8 s left")
    waiting = TaskProgress(f"Exporting {LONG}")
    waiting.set_progress(0.2)
    waiting.set_waiting("Waits for the merge of web-01")
    unknown = TaskProgress("Starting xcp-02")
    failed = TaskProgress("Reverting mail")
    failed.set_progress(0.8)
    failed.set_failed("Not enough space for 8.2 GiB")
    for task in (going, waiting, unknown, failed):
        card.content.addWidget(task)
    for used in (400, 880, 980):
        bar = CapacityBar()
        bar.set_values(used * GIB, 1000 * GIB)
        card.content.addWidget(bar)
    return card


def choices() -> QWidget:
    holder = QWidget()
    rows = QVBoxLayout(holder)
    rows.setContentsMargins(0, 0, 0, 0)
    rows.setSpacing(8)
    first = ChoiceCard("snapshot", "Disks only", "No pause. The guest recovers as after a power cut.")
    second = ChoiceCard("snapshot-quiesced", "Disks, files flushed", "")
    second.set_unavailable("The guest agent is not running, so its file systems cannot be frozen.")
    third = ChoiceCard(
        "snapshot-memory", "Disks and memory", "Paused for about 15 ms; 2.6 GiB written in the background."
    )
    for card in (first, second, third):
        rows.addWidget(card)
    third.setChecked(True)
    for tone in ("info", "good", "attention", "bad"):
        rows.addWidget(Notice(f"This is a notice that says something {tone}.", tone, "Show", dismissible=True))
    rows.addWidget(ElidedLabel(LONG * 2))
    rows.addStretch()
    return holder


def menus() -> QWidget:
    holder = QWidget()
    rows = QVBoxLayout(holder)
    rows.setContentsMargins(0, 0, 0, 0)
    menu = QMenu(holder)
    menu.setWindowFlags(Qt.WindowType.Widget)
    for icon, words, keys in (
        ("camera", "Take Snapshot…", "Ctrl+T"),
        ("revert", "Revert To…", ""),
        ("export", "Export…", ""),
    ):
        action = menu.addAction(icons.icon(icon), words)
        if keys:
            action.setShortcut(keys)
            action.setShortcutVisibleInContextMenu(True)
    menu.addSeparator()
    for words, on in (("Scheduled Snapshots", True), ("Hidden Objects", False)):
        action = menu.addAction(words)
        action.setCheckable(True)
        action.setChecked(on)
    off = QAction(icons.icon("delete"), "Delete", menu)
    off.setEnabled(False)
    menu.addAction(off)
    menu.addMenu(QMenu("Sort By", menu))
    menu.setActiveAction(menu.actions()[1])
    rows.addWidget(menu)
    rows.addWidget(Thumbnail())
    rows.addWidget(
        EmptyState("snapshot", "No snapshots yet. A snapshot keeps this machine as it is now.", "Take Snapshot…"), 1
    )
    return holder
