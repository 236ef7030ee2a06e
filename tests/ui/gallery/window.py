"""A window as the application will have it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QProgressBar,
    QSplitter,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from tests.ui.gallery.samples import GIB, LONG, console_image
from ui.base import icons
from ui.base.dialogs import label, separator
from ui.base.sizes_and_dates import size
from ui.widgets.buttons import MenuButton, Segmented, button
from ui.widgets.cards import Card
from ui.widgets.facts import FactGrid
from ui.widgets.labels import EditableLabel
from ui.widgets.marks import Badge, Pill
from ui.widgets.progress import CapacityBar
from ui.widgets.search_field import SearchField
from ui.widgets.tabs import Tabs
from ui.widgets.thumbnail import Thumbnail
from ui.widgets.views import TableView, TreeView


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


def title_strip() -> QWidget:
    strip = QWidget()
    strip.setProperty("plane", "surface")
    line = QHBoxLayout(strip)
    line.setContentsMargins(24, 12, 24, 4)
    line.setSpacing(8)
    picture = QLabel()
    picture.setPixmap(icons.pixmap("vm-running", 20, strip.devicePixelRatioF()))
    line.addWidget(picture)
    line.addWidget(label("billing-db", "title"))
    line.addSpacing(8)
    line.addWidget(label("Running on workstation · protected by “Nightly”, next 22:00", "quiet"))
    line.addWidget(Pill("running", "good"))
    line.addStretch()
    return strip


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
    rows.addWidget(title_strip())
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
