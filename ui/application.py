"""The composition root: engine, session, cache, workspace and window are put together here, and only here."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from PySide6.QtWidgets import QApplication

from app import log
from app.api import VMSS
from app.client import ObjectCache, Session, Watcher
from app.client.local_address import stands_at
from app.client.service import Service, ServiceError
from app.client.transport import Transport
from app.config import Config
from app.engine.engine import CannotOpen, DataFolderInUse
from app.engine.local import EngineThread, LocalTransport, Serve
from app.garbage import collector
from ui.base import loop, theme
from ui.base.dialogs import ErrorDialog, ask
from ui.base.handover import Door, hand_over
from ui.base.icons import icon
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.main_window import MainWindow

__all__ = ["CannotOpen", "Desktop", "make_application", "run"]

logger = log.get(__name__)
MARK_FILE = "STILLFRAME_BENCH_MARK"
"""Names a file that gets the moment the window was first shown, and the processor time until then, in seconds."""


class Desktop:
    """Everything behind one window, opened and closed in order.

    :ivar attached: the engine is that of a service which owns the data folder, not our own.
    """

    def __init__(self, config: Config, thread: EngineThread | None = None) -> None:
        self._config = config
        self.settings = Settings(config.settings_file)
        self.thread = thread or EngineThread(config)
        self.attached = False
        self.session: Session
        self.cache = ObjectCache()
        self.workspace: Workspace
        self.window: MainWindow
        self._watcher: Watcher
        self._closed = asyncio.Event()

    async def open(self) -> None:
        """Open the engine, or find the one that has the data folder; fill the cache, show nothing yet.

        :raise: what EngineThread.open raises; DataFolderInUse where the folder's owner does not answer.
        """
        self.session = await Session.open(await self._reach_engine(), originator="stillframe desktop")
        self._watcher = Watcher(self.session, self.cache, self._on_status)
        self.workspace = Workspace(self.session, self.cache, self.settings)
        self.workspace.service = None if self.attached else Service(self._config)
        self._watcher.start()
        await self._watcher.filled()
        collector.keep()
        self.window = MainWindow(self.workspace)
        self.workspace.window = self.window
        self.window.close_requested.connect(self._closed.set)

    async def _reach_engine(self) -> Transport:
        try:
            await self.thread.open()
        except DataFolderInUse:
            self.attached = stands_at(self._config.engine_socket)
            if not self.attached:
                raise
            # Here and not above: a desktop with an engine of its own need not load aiohttp before its window shows.
            from app.client.unix_transport import UnixTransport

            return UnixTransport(self._config.engine_socket)
        return LocalTransport(self.thread)

    async def serve(self) -> None:
        """Open our own engine to other programs."""
        if not self.attached:
            await self.thread.serve()

    async def closed(self) -> None:
        """Wait until the user has closed the window."""
        await self._closed.wait()

    async def close(self) -> None:
        """Let go of everything in order. Guests run on, and schedules where they are to be kept running."""
        keeps_running = self._keeps_running()
        self.window.hide()
        await self.workspace.close()
        await self._watcher.close()
        await self.session.close()
        await self.thread.close()
        self.settings.sync()
        if keeps_running:
            await self._hand_over()

    def _keeps_running(self) -> bool:
        """Whether somebody has to go on with the schedules once our own engine is closed."""
        enabled = any(schedule.enabled for schedule in self.cache.all(VMSS).values())
        return enabled and not self.attached and self.settings.keep_running

    async def _hand_over(self) -> None:
        try:
            await Service(self._config).start()
        except ServiceError as error:
            logger.error("the schedules are not kept running", error=str(error))
            await ask(
                ErrorDialog(
                    "The schedules are not running",
                    f"Stillframe could not start its background service. {error}",
                    "They run again when you open Stillframe, which then tells what was missed.",
                    "",
                )
            )

    def _on_status(self, status: str) -> None:
        self.workspace.status_changed.emit(status)


def make_application(settings: Settings | None = None) -> QApplication:
    """The QApplication with our name, icon and theme."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        app = QApplication(sys.argv[:1])
    app.setApplicationName("stillframe")
    app.setApplicationDisplayName("Stillframe")
    app.setDesktopFileName("stillframe")
    theme.apply(app, settings.theme if settings is not None else theme.Theme.SYSTEM)
    app.setWindowIcon(icon("stillframe"))
    return app


def run(config: Config, serve: Serve | None = None, file: Path | None = None) -> int:
    """Show the desktop over a data folder until its window is closed; answer the exit status.

    :param serve: opens the desktop's own engine to other programs of the same user, such as xe.
    :param file: to be imported: by the window that is there already, if one is.
    """
    if file is not None and hand_over(config.window_socket, file.absolute()):
        return 0
    desktop_settings = Settings(config.settings_file)
    app = make_application(desktop_settings)
    return loop.run(app, _live(config, serve, file))


async def _live(config: Config, serve: Serve | None, file: Path | None) -> int:
    desktop = Desktop(config, EngineThread(config, serve=serve))
    try:
        await desktop.open()
    except CannotOpen as error:
        logger.error("the engine cannot open", error=str(error))
        await ask(
            ErrorDialog("Stillframe cannot open its data folder", str(error), error.advice, repr(error.__cause__))
        )
        return 1
    desktop.window.show()
    _leave_mark()
    door = Door(config.window_socket, desktop.window.open_file)
    await door.open()
    if file is not None:
        desktop.window.open_file(str(file.absolute()))
    await desktop.serve()
    await desktop.closed()
    await door.close()
    await desktop.close()
    return 0


def _leave_mark() -> None:
    target = os.environ.get(MARK_FILE)
    if target:
        Path(target).write_text(f"shown {time.monotonic()} {time.process_time()}\n", encoding="ascii")
