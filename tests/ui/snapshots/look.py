"""Pictures of the Snapshots tab, to be looked at: ``python -m tests.ui.snapshots.look [folder] [name…]``."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import qasync
from PySide6.QtWidgets import QApplication, QMainWindow

from app.api import VM, Ref, Task, TaskOperation, VMOperation, VMPowerState
from tests.ui.snapshots.estate import GIB, Estate, branching, group_of_three, merging
from tests.ui.snapshots.look_dialogs import DIALOGS
from ui.base import motion, theme
from ui.snapshots.tab import SnapshotsTab

LONG = "A virtual machine snapshot with a name of sixty letters, yes"


def empty(folder: Path) -> Estate:
    return Estate(folder)


def one(folder: Path) -> Estate:
    estate = Estate(folder, "web-01")
    estate.engine.change(VM, "vm", power_state=VMPowerState.Halted)
    estate.snapshot("s1", "Clean install", hours=0.1)
    estate.stand_on("s1")
    return estate


def many(folder: Path, number: int = 60) -> Estate:
    estate = Estate(folder, disks=1)
    for n in range(number):
        parent = f"s{n - 1 if n % 5 else max(0, n // 3)}" if n else ""
        estate.snapshot(
            f"s{n}", f"Nightly {n}", parent, (number - n) * 9, GIB // 7, scheduled=n % 3 == 0, memory=n % 7 == 0
        )
    estate.stand_on(f"s{number - 1}")
    return estate


def names(folder: Path) -> Estate:
    estate = Estate(folder, "生产数据库服务器-上海-主节点")
    estate.snapshot("a", LONG, hours=300, name_description="A long description that needs several lines. " * 6)
    estate.snapshot("b", "升级前的最后一个良好状态，请勿删除这个快照", "a", 100, memory=True)
    estate.snapshot("c", "<b>not bold</b> & co", "b", 20)
    estate.stand_on("c")
    estate.engine.change(VM, "vm", power_state=VMPowerState.Paused)
    return estate


def busy(folder: Path) -> Estate:
    estate = branching(folder)
    task = Task(
        name_label="Async.VM.checkpoint", name_description="Writing memory: 1.1 of 2.6 GiB", progress=0.4,
        allowed_operations=frozenset({TaskOperation.cancel}),
    )  # fmt: skip
    estate.engine.put(task, "task")
    estate.engine.change(VM, "vm", current_operations={"task": VMOperation.checkpoint}, allowed_operations=frozenset())
    estate.engine.put(Task(name_label="Async.VM.uninstall", progress=0.2), "task2")
    estate.engine.change(VM, "trial", current_operations={"task2": VMOperation.destroy})
    return estate


def merged(folder: Path) -> Estate:
    estate = branching(folder)
    merging(estate)
    return estate


def grouped(folder: Path) -> Estate:
    estate = branching(folder)
    group_of_three(estate)
    return estate


SCENES: dict[str, tuple[Callable[[Path], Estate], tuple[str, ...]]] = {
    "empty": (empty, ()),
    "one": (one, ("s1",)),
    "seven": (branching, ("before",)),
    "several": (branching, ("before", "trial", "second")),
    "none": (branching, ()),
    "many": (many, ("s30",)),
    "names": (names, ("b",)),
    "busy": (busy, ("before",)),
    "list": (branching, ("before", "trial")),
    "filter": (branching, ("before",)),
    "merging": (merged, ("quiet",)),
    "group": (grouped, ("trial",)),
}


async def draw(folder: Path, wanted: list[str]) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    for chosen in (theme.Theme.LIGHT, theme.Theme.DARK):
        theme.apply(app, chosen)
        for name, (scene, refs) in SCENES.items():
            if not wanted or name in wanted:
                await one_scene(folder, name, scene, refs, chosen)
        await all_dialogs(folder, chosen, wanted)


async def one_scene(
    folder: Path, name: str, scene: Callable[[Path], Estate], refs: tuple[str, ...], chosen: theme.Theme
) -> None:
    estate = scene(Path(tempfile.mkdtemp()))
    for width, height in ((754, 560), (1150, 790)):
        window, tab = shown(estate, width, height)
        tab.chosen.choose([Ref(ref) for ref in refs])
        if name == "list":
            tab.show_view("list")
        if name == "filter":
            tab.toolbar.search.setText("trial")
        await asyncio.sleep(0.25 if name != "merging" else 0.9)
        window.grab().save(str(folder / f"{name}-{width}-{chosen}.png"))
        window.close()
        estate.workspace.settings.put("snapshots/view", "graph")


def shown(estate: Estate, width: int, height: int) -> tuple[QMainWindow, SnapshotsTab]:
    window = QMainWindow()
    tab = SnapshotsTab(estate.workspace)
    window.setCentralWidget(tab)
    window.resize(width, height)
    estate.workspace.window = window
    tab.show_vm(estate.vm)
    window.show()
    return window, tab


async def all_dialogs(folder: Path, chosen: theme.Theme, wanted: list[str]) -> None:
    for name, make in DIALOGS.items():
        if wanted and "dialogs" not in wanted and name not in wanted:
            continue
        estate = branching(Path(tempfile.mkdtemp()))
        window, _tab = shown(estate, 1150, 790)
        if "long" in wanted:
            for ref in ("vm", *estate.record("vm").snapshots):
                estate.engine.change(VM, ref, name_label=LONG)
        dialog = make(estate, window)
        dialog.show()
        await asyncio.sleep(0.4)
        dialog.grab().save(str(folder / f"dialog-{name}-{chosen}.png"))
        dialog.close()
        window.close()


def main() -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication([])
    app.setQuitOnLastWindowClosed(False)
    motion.set_reduced(False)
    loop = qasync.QEventLoop(app)
    with loop:
        loop.run_until_complete(draw(folder, sys.argv[2:]))


if __name__ == "__main__":
    main()
