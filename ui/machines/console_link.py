"""The connection behind a console: opened, followed, and opened again while it is wanted."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from PySide6.QtCore import QObject, Signal

from app.api import ConnectionLost, Console, Failure, Ref
from app.client.rfb import RfbClient, RfbError
from app.log import get
from ui.base.failures import explain
from ui.base.workspace import Workspace

log = get(__name__)

LinkState = Literal["idle", "connecting", "connected", "lost"]

#: pauses before each further attempt, in seconds; the last one is repeated
RETRY_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 5.0)


class ConsoleLink(QObject):
    """Keeps one console connected from `open` to `close`. A connection that breaks is made again after a pause."""

    #: the state changed; `reason` says why where it was lost
    state_changed = Signal()
    #: an `Update` of the framebuffer
    updated = Signal(object)

    def __init__(self, workspace: Workspace, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._console = ""
        self._task: asyncio.Task[None] | None = None
        self.client: RfbClient | None = None
        self.state: LinkState = "idle"
        self.reason = ""

    def open(self, console: str) -> None:
        """Connect to this console, and to no other any more; "" to none. The same one again changes nothing."""
        if console == self._console:
            return
        self._console = console
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.client = None
        self.reason = ""
        if console:
            self._task = self._workspace.spawn(self._follow(Ref(console)), "Console")
            self._set_state("connecting")
        else:
            self._set_state("idle")

    def close(self) -> None:
        """Disconnect."""
        self.open("")

    async def _follow(self, console: Ref[Console]) -> None:
        attempts = 0
        while True:
            client: RfbClient | None = None
            try:
                client = await RfbClient.open(*await self._workspace.session.open_console(console))
                attempts = 0
                await self._show(client)
                reason = "The console ended the connection."
            except ConnectionLost:
                reason = "The console does not answer."
            except Failure as error:
                reason = explain(error, self._workspace.cache).why
            except (RfbError, OSError) as error:
                reason = str(error)
            finally:
                if client is not None:
                    await client.close()
            log.info("a console was lost", console=console, reason=reason)
            self.client = None
            self.reason = reason
            self._set_state("lost")
            await asyncio.sleep(RETRY_SECONDS[min(attempts, len(RETRY_SECONDS) - 1)])
            attempts += 1

    async def _show(self, client: RfbClient) -> None:
        async for update in client.updates():
            if self.client is None:
                # only now is there a picture: before, the last one stays
                self.client, self.reason = client, ""
                self._set_state("connected")
            self.updated.emit(update)

    def _set_state(self, state: LinkState) -> None:
        self.state = state
        self.state_changed.emit()
