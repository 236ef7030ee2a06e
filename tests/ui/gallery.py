"""Pictures of every widget, to be looked at: ``python -m tests.ui.gallery [folder]``.

Writes PNGs in both themes. Set QT_SCALE_FACTOR=2 for the pictures a dense screen would show.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QImage, QPainter, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMenu,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QSlider,
    QSplitter,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ui.base import fonts, icons, svg, theme
from ui.base.dialogs import ConsequenceDialog, Dialog, ErrorDialog, label, separator
from ui.base.sizes_and_dates import size
from ui.base.wizard import Wizard, WizardPage
from ui.widgets.buttons import MenuButton, Segmented, button, icon_button
from ui.widgets.cards import Card, ChoiceCard, EmptyState
from ui.widgets.facts import FactGrid
from ui.widgets.fields import SpinBox, TimeEdit
from ui.widgets.labels import EditableLabel, ElidedLabel
from ui.widgets.marks import Badge, Pill
from ui.widgets.notice import Notice, toast
from ui.widgets.progress import CapacityBar, TaskProgress
from ui.widgets.search_field import SearchField
from ui.widgets.tabs import Tabs
from ui.widgets.thumbnail import Thumbnail
from ui.widgets.views import TableView, TreeView

GIB = 1024**3
LONG = "A virtual machine with a very long name that has sixty letters"


def console_image() -> QImage:
    """Something like a guest's text screen."""
    image = QImage(QSize(640, 400), QImage.Format.Format_RGB32)
    image.fill(QColor("#10181c"))
    painter = QPainter(image)
    font = fonts.monospace()
    font.setPixelSize(20)
    painter.setFont(font)
    painter.setPen(QColor("#8fd3c4"))
    lines = ["postgres@billing-db:~$ pg_lsclusters", "Ver Cluster Port Status", "15 main 5432 online", "$ _"]
    for row, line in enumerate(lines):
        painter.drawText(20, 44 + row * 32, line)
    painter.end()
    return image


def tree() -> TreeView:
    view = TreeView("Resources")
    model = QStandardItemModel(view)
    pool = QStandardItem(icons.icon("pool"), "Local pool")
    host = QStandardItem(icons.icon("host"), "workstation")
    pool.appendRow(host)
    for name, state in (
        ("billing-db", "running"),
        ("web-01", "running"),
        ("build-agent", "paused"),
        ("sleeper", "suspended"),
        ("test-win11", "halted"),
        ("moving", "busy"),
        (LONG, "halted"),
    ):
        host.appendRow(QStandardItem(icons.icon(f"vm-{state}"), name))
    host.appendRow(QStandardItem(icons.icon("sr-local"), "Local storage"))
    host.appendRow(QStandardItem(icons.icon("sr-iso"), "ISO library"))
    pool.appendRow(QStandardItem(icons.icon("template"), "Debian 13 base"))
    far = QStandardItem(icons.icon("pool"), "Berlin (XCP-ng)")
    far.appendRow(QStandardItem(icons.icon("host"), "xcp-01"))
    far.appendRow(QStandardItem(icons.icon("host-disconnected"), "xcp-02"))
    model.appendRow(pool)
    model.appendRow(far)
    view.setModel(model)
    view.expandAll()
    view.setCurrentIndex(host.child(0).index())
    return view


def table() -> TableView:
    view = TableView("Snapshots", "No snapshots yet.")
    model = QStandardItemModel(0, 5, view)
    model.setHorizontalHeaderLabels(["Name", "Created", "Type", "Size", "Made by"])
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    model.setHeaderData(3, Qt.Orientation.Horizontal, right, Qt.ItemDataRole.TextAlignmentRole)
    for row in range(6):
        cells = [
            QStandardItem(
                icons.icon("snapshot-scheduled" if row % 2 else "snapshot-memory"), f"Nightly 2026-11-2{row}"
            ),
            QStandardItem(f"2{row} Nov 2026, 22:00"),
            QStandardItem("Disks and memory"),
            QStandardItem(size(int((row + 0.7) * 1.3 * GIB))),
            QStandardItem("Nightly"),
        ]
        cells[3].setTextAlignment(right)
        model.appendRow(cells)
    view.setModel(model)
    view.setSortingEnabled(True)
    view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    view.resizeColumnsToContents()
    view.selectRow(1)
    view._point_at(3)
    return view


def tool_bar() -> QToolBar:
    bar = QToolBar("Main")
    bar.setMovable(False)
    bar.setIconSize(icons.BESIDE_TEXT)
    bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    for icon, words, on in (
        ("plus", "New VM", True),
        ("play", "Start", True),
        ("power", "Shut down", True),
        ("suspend", "Suspend", False),
        ("", "", True),
        ("camera", "Take Snapshot", True),
        ("schedule", "Schedules", True),
    ):
        if not words:
            bar.addSeparator()
            continue
        action = bar.addAction(icons.icon(icon), words)
        action.setEnabled(on)
    return bar


def navigation() -> QWidget:
    side = QWidget()
    side.setProperty("plane", "surface")
    rows = QVBoxLayout(side)
    rows.setContentsMargins(0, 12, 0, 8)
    rows.setSpacing(8)
    search = SearchField(shortcut=True)
    line = QHBoxLayout()
    line.setContentsMargins(12, 0, 12, 0)
    line.addWidget(search)
    rows.addLayout(line)
    rows.addWidget(tree(), 1)
    rows.addWidget(separator())
    last = QHBoxLayout()
    last.setContentsMargins(12, 0, 12, 0)
    last.addWidget(label("Notifications"), 1)
    last.addWidget(Badge("alerts", 2))
    rows.addLayout(last)
    return side


def details() -> QWidget:
    card = Card()
    card.setFixedWidth(320)
    picture = Thumbnail()
    picture.set_image(console_image())
    card.content.addWidget(picture)
    card.content.addWidget(EditableLabel("Before upgrade 16", what="name", role="section"))
    card.content.addWidget(
        EditableLabel("Last good state before the major upgrade.", what="description", role="quiet", multiline=True)
    )
    card.content.addWidget(
        FactGrid(
            [
                ("Created", "21 Nov 2026, 09:41"),
                ("Type", "Disks and memory"),
                ("Consistency", "One instant, 2 disks"),
                ("Guest paused", "14 ms (4 GiB RAM)"),
                ("Size", "2.1 GiB own, 9.7 GiB shared"),
                ("Chain depth", "3 of 30"),
                ("Made by", LONG),
            ],
            "Facts",
        )
    )
    card.content.addWidget(separator())
    card.content.addWidget(label("Reverting to this snapshot", "strong"))
    card.content.addWidget(CapacityBar())
    capacity = card.findChild(CapacityBar)
    assert capacity is not None
    capacity.set_values(600 * GIB, 1000 * GIB, 60 * GIB)
    card.content.addStretch()
    return card


def snapshots_page() -> QWidget:
    page = QWidget()
    columns = QHBoxLayout(page)
    columns.setContentsMargins(16, 12, 16, 12)
    columns.setSpacing(12)
    left = QVBoxLayout()
    left.setSpacing(12)
    tools = QHBoxLayout()
    tools.setSpacing(8)
    tools.addWidget(button("Take Snapshot…", "camera", "primary"))
    tools.addWidget(button("Revert To…", "revert"))
    menu = QMenu()
    menu.addAction("New VM from Snapshot…")
    page.menu = menu  # type: ignore[attr-defined]
    tools.addWidget(MenuButton("New", menu, "plus"))
    tools.addWidget(button("Export…", "export"))
    gone = button("Delete", "delete")
    gone.setEnabled(False)
    tools.addWidget(gone)
    tools.addStretch()
    tools.addWidget(Segmented([("graph", "Graph"), ("list", "List")], "View", "list"))
    left.addLayout(tools)
    card = Card(margin=8)
    card.content.addWidget(table())
    left.addWidget(card, 1)
    columns.addLayout(left, 1)
    columns.addWidget(details())
    return page


def main_window() -> QMainWindow:
    window = QMainWindow()
    for name in ("File", "View", "Pool", "Server", "VM", "Storage", "Templates", "Tools", "Help"):
        window.menuBar().addMenu(name)
    window.addToolBar(tool_bar())
    tabs = Tabs("Tabs")
    for name in ("General", "Storage", "Networking", "Console", "Performance"):
        tabs.addTab(QWidget(), name)
    tabs.setCurrentIndex(tabs.addTab(snapshots_page(), "Snapshots"))
    right = QWidget()
    rows = QVBoxLayout(right)
    rows.setContentsMargins(0, 0, 0, 0)
    rows.setSpacing(0)
    strip = QWidget()
    strip.setProperty("plane", "surface")
    line = QHBoxLayout(strip)
    line.setContentsMargins(24, 12, 24, 4)
    line.setSpacing(8)
    picture = QLabel()
    picture.setPixmap(icons.pixmap("vm-running", 20, window.devicePixelRatioF()))
    line.addWidget(picture)
    line.addWidget(label("billing-db", "title"))
    line.addSpacing(8)
    line.addWidget(label("Running on workstation · protected by “Nightly”, next 22:00", "quiet"))
    line.addWidget(Pill("running", "good"))
    line.addStretch()
    rows.addWidget(strip)
    rows.addWidget(tabs, 1)
    split = QSplitter()
    split.addWidget(navigation())
    split.addWidget(right)
    split.setSizes([280, 1160])
    window.setCentralWidget(split)
    bar = QProgressBar()
    bar.setValue(62)
    bar.setFixedWidth(120)
    window.statusBar().addWidget(bar)
    window.statusBar().addWidget(label("Merging 1 of 2 disks of web-01 · 1.2 of 1.9 GiB · 8 s left"))
    window.statusBar().addPermanentWidget(label("1 running · 0 failed · 2 alerts"))
    window.resize(1440, 900)
    return window


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
        row = QHBoxLayout()
        plain, ticked, half = QCheckBox("Off"), QCheckBox("On"), QCheckBox("Partly")
        ticked.setChecked(True)
        half.setTristate(True)
        half.setCheckState(Qt.CheckState.PartiallyChecked)
        group = QGroupBox()
        radio, other = QRadioButton("Chosen"), QRadioButton("Other")
        radio.setChecked(True)
        group.hide()
        for made in (plain, ticked, half, radio, other):
            made.setEnabled(enabled)
            row.addWidget(made)
        row.addStretch()
        holder = QWidget()
        holder.setLayout(row)
        card.content.addWidget(holder)
    return card


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


def dialogs() -> list[tuple[str, QWidget]]:
    revert = ConsequenceDialog(
        "Revert billing-db to “Before upgrade 16”?",
        "The machine goes back to 21 Nov 2026, 09:41, with the memory it had then.",
        [
            ("alert-attention", "Changes since then are lost: 2 days, about 3.4 GiB"),
            ("alert-good", "All other snapshots stay"),
            ("alert-info", "It ends suspended; resume continues its RAM"),
        ],
        QCheckBox("Take a snapshot of the present state first"),
        primary="Revert",
        danger=True,
    )
    error = ErrorDialog(
        "web-01 could not be reverted",
        "There is not enough space in Local storage.",
        "Free 2.1 GiB there, or move a disk elsewhere, then try again.",
        "SR_BACKEND_FAILURE_44\nqemu-img: No space left on device",
    )
    error.show_details.click()
    take = Dialog("Take a snapshot of billing-db", primary="Take Snapshot")
    take.content.addWidget(label("Name", "secondary"))
    take.content.addWidget(QLineEdit("billing-db 2026-11-23 09:41"))
    take.content.addWidget(label("Description", "secondary"))
    notes = QPlainTextEdit()
    notes.setFixedHeight(56)
    take.content.addWidget(notes)
    take.content.addSpacing(8)
    take.content.addWidget(choices())
    take.resize(470, 640)
    return [("revert", revert), ("error", error), ("take", take), ("wizard", wizard())]


def wizard() -> Wizard:
    when = WizardPage("Schedule", "When are snapshots taken?", "Times are in Europe/Berlin, the pool’s zone.")
    when.content.addWidget(
        Segmented([("h", "Hourly"), ("d", "Daily"), ("w", "Weekly"), ("c", "Custom")], "How often", "d")
    )
    when.content.addStretch()
    pages = [
        WizardPage("Name"),
        WizardPage("Virtual machines"),
        WizardPage("Snapshot type"),
        when,
        WizardPage("Finish"),
    ]
    summary = Card("Nightly", raised=True)
    summary.content.addWidget(FactGrid([("Machines", "3"), ("Next", "today 22:00, in 12 h")], "Summary", 64))
    summary.content.addStretch()
    made = Wizard("New snapshot schedule", pages, finish="Create schedule", summary=summary)
    for _page in range(3):
        made.go_next()
    return made


def icon_sheet() -> QImage:
    columns, wide, high = 8, 170, 56
    names = svg.names()
    dpr = QApplication.primaryScreen().devicePixelRatio()
    image = QImage(
        round(columns * wide * dpr), round(-(-len(names) // columns) * high * dpr), QImage.Format.Format_ARGB32
    )
    image.setDevicePixelRatio(dpr)
    image.fill(QColor(theme.current().surface))
    painter = QPainter(image)
    painter.setFont(fonts.font(fonts.Role.SECONDARY))
    painter.setPen(QColor(theme.current().text))
    for place, name in enumerate(names):
        left, top = place % columns * wide + 8, place // columns * high + 4
        for side, offset in ((16, 0), (20, 24), (24, 52), (32, 84)):
            icons.paint(painter, QRectF(left + offset, top, side, side), name)
        icons.paint(painter, QRectF(left + 124, top, 16, 16), name, enabled=False)
        painter.drawText(QRect(left, top + 32, wide, 16), name)
    painter.end()
    return image


def draw(folder: Path, app: QApplication) -> list[Path]:
    """Write every picture in both themes into ``folder``."""
    written: list[Path] = []
    for chosen in (theme.Theme.LIGHT, theme.Theme.DARK):
        theme.apply(app, chosen)
        window = main_window()
        shown = [("window", window), ("controls", controls()), *dialogs()]
        for name, widget in shown:
            widget.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen, name not in ("window", "controls"))
            widget.show()
            if name == "window":
                toast(widget, "“Before upgrade 16” was taken in 14 ms.", "good", "Show")
            focus = widget.findChild(QPushButton, "focus")
            if focus is not None:
                widget.activateWindow()
                focus.setFocus()
            app.processEvents()
            path = folder / f"{name}-{chosen}.png"
            widget.grab().save(str(path))
            written.append(path)
            widget.close()
        path = folder / f"icons-{chosen}.png"
        icon_sheet().save(str(path))
        written.append(path)
    return written


def main() -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "gallery")
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication([])
    for path in draw(folder, app):
        print(path)


if __name__ == "__main__":
    main()
