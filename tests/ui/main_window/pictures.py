"""Pictures of the window, to be looked at: ``python -m tests.ui.main_window.pictures FOLDER [NAME…]``.

Set QT_SCALE_FACTOR=2 for the pictures a dense screen would show.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import qasync
from PySide6.QtWidgets import QApplication, QWidget

from app.api import VM, Failure, Task
from app.api.enums import VMOperation
from app.client.exchange import ExportResult
from tests.support.fake_session import FakeEngine
from tests.ui.main_window import pools
from ui.base import theme
from ui.base.settings import Settings
from ui.base.theme import Theme
from ui.base.workspace import Workspace
from ui.exchange.exporting import say_done
from ui.machines.orphans import recreate_dialog
from ui.machines.orphans_tab import OrphansTab
from ui.main_window import MainWindow, leave_dialog
from ui.navigation.placement import ORPHANS
from ui.navigation.window_commands import about_dialog
from ui.storage.cleaning import CleanDialog
from ui.storage.insert_dialog import InsertDialog
from ui.storage.unowned import orphaned

SIZES = ((1024, 700), (1440, 900))


def busy(engine: FakeEngine, workspace: Workspace) -> None:
    """An operation of ours and one of another client under way, one that failed, and alerts."""
    task = engine.put(Task(name_label="Async.VM.snapshot", progress=0.4, name_description="Waits for web-01"))
    engine.change(VM, pools.WEB, current_operations={task: VMOperation.snapshot})
    failed = workspace.history.begin("Starting test-win11", ("VM", pools.WIN))
    workspace.history.end(failed, Failure("VM_HYPERVISOR_FAILURE", pools.WIN, "QEMU said: cannot set up guest memory"))
    done = workspace.history.begin("Taking a snapshot of billing-db", ("VM", pools.DB))
    workspace.history.end(done)
    entry = workspace.history.begin("Merging 1 of 2 disks of web-01", ("VM", pools.WEB))
    entry.task = task
    entry.progress, entry.words, entry.cancellable = 0.62, "1.2 of 1.9 GiB", True
    workspace.history.changed.emit(entry)
    pools.messages(engine)


def small(engine: FakeEngine, workspace: Workspace) -> None:
    pools.small_pool(engine)
    busy(engine, workspace)


def chained(engine: FakeEngine, workspace: Workspace) -> None:
    left(engine, workspace)
    pools.chains(engine)


def unchained(engine: FakeEngine, workspace: Workspace) -> None:
    small(engine, workspace)
    pools.chains(engine)
    engine.answer("SR.get_pending_merges", {})


def left(engine: FakeEngine, workspace: Workspace) -> None:
    small(engine, workspace)
    pools.leftovers(engine)


def orphans(window: MainWindow) -> None:
    window.show_object(*ORPHANS)
    page = window.page.tabs.page("snapshots")
    assert isinstance(page, OrphansTab)
    page.table.selectRow(1)


def recreate(window: MainWindow) -> QWidget:
    cache = window.workspace.cache
    record = next(vm for vm in cache.all(VM).values() if vm.name_label == "Nightly")
    return shown(recreate_dialog(cache, record, window))


def clean(window: MainWindow) -> QWidget:
    return shown(CleanDialog(window.workspace.cache, orphaned(window.workspace.cache, pools.SR_DISKS), window))


def awkward(engine: FakeEngine, workspace: Workspace) -> None:
    small(engine, workspace)
    engine.put(pools.machine(pools.LONG, name_description=pools.LONG * 3), "OpaqueRef:long")
    engine.put(pools.machine(pools.CHINESE), "OpaqueRef:chinese")
    engine.put(pools.machine("<b>not bold</b> & co"), "OpaqueRef:markup")


def empty(engine: FakeEngine, workspace: Workspace) -> None:
    pools.empty_pool(engine)


def large(engine: FakeEngine, workspace: Workspace) -> None:
    pools.large_pool(engine)


def search(window: MainWindow) -> None:
    window.pane.search.setText("web deb")
    window.pane.tree.search("web deb")


def rename(window: MainWindow) -> None:
    window.show_object("VM", pools.WEB)
    window.pane.tree.rename()


def events(window: MainWindow) -> None:
    window.pane.choose_page("events")
    window.events.table.selectRow(2)


def alerts(window: MainWindow) -> None:
    window.pane.choose_page("alerts")
    window.alerts.table.selectRow(0)


def about(window: MainWindow) -> QWidget:
    return shown(about_dialog(window.workspace))


def leave(window: MainWindow) -> QWidget:
    return shown(leave_dialog(window.workspace.history.running(), window))


def insert(window: MainWindow) -> QWidget:
    return shown(InsertDialog(window.workspace.cache, parent=window))


def drop(window: MainWindow) -> None:
    window.show_object("VM", pools.DB, "general")
    window.drop_overlay.rise("/srv/exports/billing-db before the upgrade.xva", "Local storage")


def exported(window: MainWindow) -> None:
    """An export that is over, and one under way."""
    history = window.workspace.history
    over = history.begin("Exporting Before upgrade 16", ("VM", pools.DB))
    history.end(over)
    over.file = "/srv/exports/billing-db Before upgrade 16.xva"
    entry = history.begin("Exporting web-01", ("VM", pools.WEB))
    entry.progress, entry.words, entry.cancellable = 0.34, "writing 3 GiB of 12 GiB · 120 MiB/s", True
    history.changed.emit(entry)
    window.pane.choose_page("events")
    window.events.table.selectRow(1)
    result = ExportResult(Path(over.file), 5_368_709_120, 44.0, verified=True)
    say_done(window.workspace, "Before upgrade 16", result)


def shown(dialog: QWidget) -> QWidget:
    dialog.show()
    return dialog


Show = Callable[[MainWindow], object]
SCENES: dict[str, tuple[Callable[[FakeEngine, Workspace], None], Show]] = {
    "vm": (small, lambda w: w.show_object("VM", pools.DB, "general")),
    "vm-storage": (small, lambda w: w.show_object("VM", pools.DB, "storage")),
    "snapshots": (small, lambda w: w.show_object("VM", pools.DB, "snapshots")),
    "busy": (small, lambda w: w.show_object("VM", pools.WEB)),
    "host": (small, lambda w: w.show_object("host", pools.HOST)),
    "pool": (small, lambda w: w.show_object("pool", pools.POOL)),
    "sr": (small, lambda w: w.show_object("SR", pools.SR_DISKS, "general")),
    "orphans": (left, orphans),
    "recreate": (left, recreate),
    "clean": (left, clean),
    "sr-orphans": (left, lambda w: w.show_object("SR", pools.SR_DISKS, "storage")),
    "chains": (chained, lambda w: w.show_object("SR", pools.SR_DISKS, "chains")),
    "chains-quiet": (unchained, lambda w: w.show_object("SR", pools.SR_DISKS, "chains")),
    "sr-storage": (small, lambda w: w.show_object("SR", pools.SR_DISKS, "storage")),
    "template": (small, lambda w: w.show_object("VM", pools.BASE)),
    "long": (awkward, lambda w: w.show_object("VM", "OpaqueRef:long")),
    "chinese": (awkward, lambda w: w.show_object("VM", "OpaqueRef:chinese")),
    "several": (small, lambda w: w.pane.tree.selectAll()),
    "search": (small, search),
    "rename": (small, rename),
    "events": (small, events),
    "alerts": (small, alerts),
    "lost": (small, lambda w: w.workspace.status_changed.emit("lost")),
    "empty": (empty, lambda w: w.show_object("pool", pools.POOL)),
    "no-events": (empty, lambda w: w.pane.choose_page("events")),
    "about": (small, about),
    "leave": (small, leave),
    "insert": (small, insert),
    "drop": (small, drop),
    "exported": (small, exported),
    "large": (large, lambda w: w.show_object("VM", "OpaqueRef:vm7")),
}


async def take(app: QApplication, folder: Path, name: str, dark: bool, size: tuple[int, int]) -> None:
    """One picture."""
    theme.apply(app, Theme.DARK if dark else Theme.LIGHT)
    fill, show = SCENES[name]
    with tempfile.TemporaryDirectory() as place:
        engine = FakeEngine()
        workspace = Workspace(engine.session(), engine.cache, Settings(Path(place) / "settings.ini"))
        fill(engine, workspace)
        window = MainWindow(workspace)
        window.resize(*size)
        window.show()
        await asyncio.sleep(0.02)
        answer = show(window)
        await asyncio.sleep(0.4)
        path = folder / f"{name}-{'dark' if dark else 'light'}-{size[0]}.png"
        (answer if isinstance(answer, QWidget) else window).grab().save(str(path))
        window.hide()
        await workspace.close()
        window.deleteLater()
        await asyncio.sleep(0.02)


async def take_all(app: QApplication, folder: Path, names: list[str]) -> None:
    """The pictures of these scenes, or of all."""
    for name in names or SCENES:
        for dark, size in ((False, SIZES[1]), (True, SIZES[1]), (False, SIZES[0])):
            await take(app, folder, name, dark, size)


def main(folder: Path, names: list[str]) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    app.setQuitOnLastWindowClosed(False)
    folder.mkdir(parents=True, exist_ok=True)
    with qasync.QEventLoop(app) as loop:
        loop.run_until_complete(take_all(app, folder, names))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
