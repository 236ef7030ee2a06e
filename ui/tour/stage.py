"""What the tour's steps are made of: pictures, clicks, keys, waiting, and the guest's counter."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QDialog, QWidget

from app.api import VM, ConnectionLost, Failure, Ref, VMPowerState
from app.api.enums import ConsoleProtocol
from app.api.vm import Console
from ui.application import Desktop
from ui.base import theme
from ui.base.dialogs import ErrorDialog

W = TypeVar("W", bound=QWidget)
PATIENCE_SECONDS = 60.0
SILENCE_SECONDS = 5.0
_OTHER = {theme.Theme.LIGHT: theme.Theme.DARK, theme.Theme.DARK: theme.Theme.LIGHT}


class TourFailed(Exception):
    """A step did not happen; the text says which and what was seen instead."""


class Stage:
    """The window under the tour's control, and the folder for the pictures."""

    def __init__(self, desktop: Desktop, folder: Path) -> None:
        self.desktop = desktop
        self.workspace = desktop.workspace
        self.cache = desktop.cache
        self.window = desktop.window
        self._folder = folder
        self._number = 0
        self._shade = theme.Theme.LIGHT
        self.pictures: list[Path] = []

    async def picture(self, name: str) -> None:
        """Write NN-name-light.png and NN-name-dark.png of the window, with an open dialog over it."""
        self._number += 1
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        # Changing the theme styles every widget anew: begin with the one that is on.
        for wanted in (self._shade, _OTHER[self._shade]):
            if wanted is not self._shade:
                theme.apply(app, wanted)
                self._shade = wanted
            await asyncio.sleep(0.25)
            path = self._folder / f"{self._number:02d}-{name}-{wanted.value}.png"
            if not self._grab().save(str(path)):
                raise TourFailed(f"the picture {path} could not be written")
            self.pictures.append(path)

    def _grab(self) -> QImage:
        picture = self.window.grab().toImage()
        dialog = self.open_dialog()
        if dialog is not None:
            painter = QPainter(picture)
            painter.setOpacity(0.4)
            painter.fillRect(picture.rect(), Qt.GlobalColor.black)
            painter.setOpacity(1.0)
            above = dialog.grab()
            ratio = picture.devicePixelRatio()
            x = (picture.width() / ratio - above.width() / above.devicePixelRatio()) / 2
            y = (picture.height() / ratio - above.height() / above.devicePixelRatio()) / 3
            painter.drawPixmap(round(x), round(max(y, 0)), above)
            painter.end()
        return picture

    async def until(self, true: Callable[[], object], what: str, patience: float = PATIENCE_SECONDS) -> None:
        """Wait until something comes true.

        :raise TourFailed: it did not, in `patience` seconds, or the window tells a failure.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while not true():
            self._look_for_failures(what)
            if loop.time() > deadline:
                raise TourFailed(f"waited {patience:.0f} s for this, and it did not happen: {what}")
            await asyncio.sleep(0.02)

    def _look_for_failures(self, what: str) -> None:
        """:raise TourFailed: something that the window began has failed, so that what is waited for cannot come."""
        dialog = self.open_dialog()
        if isinstance(dialog, ErrorDialog):
            told = f"{dialog.heading.text()}: {dialog.accessibleDescription()}"
            raise TourFailed(f"waiting for this: {what}, the window said: {told}")
        for entry in self.workspace.history.failed():
            raise TourFailed(f"waiting for this: {what}, this failed: {entry.title}: {entry.error}")

    def open_dialog(self) -> QDialog | None:
        """The dialog in front, if one is open."""
        open_ones = [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]
        return open_ones[-1] if open_ones else None

    async def dialog(self, what: str) -> QDialog:
        """Wait for a dialog to open."""
        await self.until(self.open_dialog, what)
        await asyncio.sleep(0.1)
        dialog = self.open_dialog()
        assert dialog is not None
        return dialog

    async def no_dialog(self) -> None:
        """Wait until the dialog is closed."""
        await self.until(lambda: self.open_dialog() is None, "the dialog closes")

    async def click(self, owner: QWidget, words: str) -> None:
        """Click the visible, enabled button with these words."""
        await self.until(lambda: self._button(owner, words), f"a button “{words}” that can be clicked", 20)
        button = self._button(owner, words)
        assert button is not None
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        await asyncio.sleep(0.05)

    def _button(self, owner: QWidget, words: str) -> QAbstractButton | None:
        for button in owner.findChildren(QAbstractButton):
            text = button.text().replace("&", "").removesuffix("…")
            if text == words and button.isVisible() and button.isEnabled():
                return button
        return None

    def run(self, command: str) -> None:
        """Do what choosing the command in a menu does. :raise TourFailed: it is disabled."""
        action = self.workspace.commands.action(command)
        if not action.isEnabled():
            raise TourFailed(f"{command} is disabled: {action.toolTip()}")
        action.trigger()

    def find(self, owner: QWidget, kind: type[W], name: str = "") -> W:
        """The visible child widget of this kind. :raise TourFailed: there is none."""
        found = [w for w in owner.findChildren(kind) if w.isVisible() and (not name or w.objectName() == name)]
        if not found:
            raise TourFailed(f"no {kind.__name__} {name} is shown")
        return found[0]

    def vm(self, name: str) -> tuple[Ref[VM], VM] | None:
        """The VM, or snapshot, of this name."""
        return next(((ref, vm) for ref, vm in self.cache.all(VM).items() if vm.name_label == name), None)

    def is_in(self, name: str, state: VMPowerState) -> bool:
        """True if the VM of this name is in this power state and nothing is under way on it."""
        found = self.vm(name)
        return found is not None and found[1].power_state is state and not found[1].current_operations

    def has_picture(self, snapshot: Ref[VM]) -> bool:
        """True if the picture of the guest's screen is stored."""
        record = self.cache.get(VM, snapshot)
        return record is not None and bool(record.blobs)

    def button_is_there(self, owner: QWidget, words: str) -> bool:
        """True if such a button is shown and can be clicked."""
        return self._button(owner, words) is not None


class Counter:
    """What the sample guest says on its serial line: the start value of each boot, and the count now."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.boots = 0
        self.broken = False
        self.broken_at = -1
        self.started_at = -1
        self.now = -1
        self._task: asyncio.Task[None] | None = None

    async def listen(self, vm: Ref[VM]) -> None:
        """Listen to the VM's serial line from now on. It counts from the next line."""
        await self.stop()
        self.now = self.started_at = -1
        self._task = asyncio.ensure_future(self._follow(vm))

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def reaches(self, count: int) -> None:
        """Wait until the guest has counted to at least this."""
        await self._stage.until(lambda: self.now >= count, f"the guest counts to {count}")

    def _console(self, vm: Ref[VM]) -> Ref[Console] | None:
        consoles = self._stage.cache.all(Console).items()
        return next((r for r, c in consoles if vm == c.VM and c.protocol is ConsoleProtocol.vt100), None)

    async def _follow(self, vm: Ref[VM]) -> None:
        """Keep a line to whatever guest the VM has at the moment."""
        while True:
            console = self._console(vm)
            if console is not None:
                with contextlib.suppress(Failure, ConnectionLost, TimeoutError, OSError):
                    await self._read(*await self._stage.desktop.session.open_console(console))
            await asyncio.sleep(0.1)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await _line(reader):
                self._take(line.decode("ascii", "replace"))
        finally:
            writer.close()

    def _take(self, line: str) -> None:
        boot = re.match(r"stillframe boot=(\d+) disks=\d+ n=(\d+)", line)
        if boot is not None:
            self.boots, self.started_at = int(boot[1]), int(boot[2])
        if line.startswith("stillframe broken"):
            self.broken, self.broken_at = True, self.now
        tick = re.match(r"n=(\d+) t=(\d+)", line)
        if tick is not None:
            self.now = int(tick[1])
            # The first lines of a boot may have passed before anyone listened; ticks since boot tell as much.
            self.started_at = self.now - int(tick[2])


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; not by `wait_for`, which on Python 3.11 may lose a cancellation to a line that comes just then.

    :raise TimeoutError: none came for a while.
    """
    async with asyncio.timeout(SILENCE_SECONDS):
        return await reader.readline()
