"""One QMP connection: commands with a time limit, events to a callback, DriverError instead of the library's errors.

The only module that uses qemu.qmp.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qemu.qmp import ConnectError, EventListener, ExecInterruptedError, ExecuteError, Message, QMPClient, StateError

from app.hypervisor.driver import DriverError
from app.log import get

log = get(__name__)

# The library logs each failure before it raises it, at a level that would alarm people; ours become DriverErrors.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)

COMMAND_TIMEOUT = 60.0
"""Seconds. Long enough for a flush on a loaded disk; a QEMU that takes longer is taken for hung."""

Arguments = Mapping[str, object]


class _Events(EventListener):
    """Hands events to a function at once, instead of keeping a history that only grows."""

    def __init__(self, callback: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._callback = callback

    async def put(self, event: Message) -> None:
        self._callback(event)


class Monitor:
    """A connected QMP client. Make it with `Monitor.connect`."""

    def __init__(self, name: str, on_event: Callable[[Mapping[str, Any]], None]) -> None:
        self.name = name
        self._client = QMPClient(name)
        self._client.events.names = {"-"}  # the client's own listener keeps every event it accepts
        self._client.register_listener(_Events(on_event))
        self._ended = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls, name: str, path: Path, on_event: Callable[[Mapping[str, Any]], None], timeout: float
    ) -> Monitor:
        """Connect to a monitor socket and negotiate.

        QEMU serves one client per socket, so a second one waits in vain: hence the time limit.

        :raise DriverError: "lost" if nobody listens or QEMU ended, "timeout".
        """
        monitor = cls(name, on_event)
        try:
            async with asyncio.timeout(timeout):
                await monitor._client.connect(str(path))
        except TimeoutError as error:
            raise DriverError(f"QEMU did not answer on {path.name}.", cause="timeout") from error
        except ConnectError as error:
            raise DriverError(f"No connection to QEMU: {error.exc}", cause="lost", detail=str(error)) from error
        monitor._watcher = asyncio.create_task(monitor._watch())
        return monitor

    @property
    def connected(self) -> bool:
        return not self._ended.is_set()

    async def wait_ended(self) -> None:
        """Return when the connection is over; every event QEMU sent before has been delivered then."""
        await self._ended.wait()

    async def execute(self, command: str, arguments: Arguments | None = None, *, timeout: float | None = None) -> Any:
        """Run a command and return its result.

        :raise DriverError: "qmp" with QEMU's words, "timeout", or "lost" (outcome unknown).
        """
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT if timeout is None else timeout):
                return await self._client.execute(command, arguments)
        except ExecuteError as error:
            raise DriverError(
                f"QEMU refused: {error}", cause="qmp", command=_shown(command, arguments), detail=str(error)
            ) from error
        except TimeoutError as error:
            raise DriverError(
                f"QEMU did not answer the command {command} in time.", cause="timeout", command=command
            ) from error
        except (ExecInterruptedError, StateError) as error:
            raise DriverError("The connection to QEMU was lost.", cause="lost", command=command) from error

    async def send_descriptor(self, name: str, descriptor: int) -> None:
        """Give QEMU an open file under a name that `fd:NAME` refers to.

        :raise DriverError: as `execute`.
        """
        try:
            self._client.send_fd_scm(descriptor)
        except (OSError, StateError) as error:
            raise DriverError("The connection to QEMU was lost.", cause="lost", command="getfd") from error
        await self.execute("getfd", {"fdname": name})

    async def close(self) -> None:
        """Disconnect; QEMU goes on."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._disconnect()

    async def _watch(self) -> None:
        while self._client.runstate.name == "RUNNING":
            await self._client.runstate_changed()
        await self._disconnect()

    async def _disconnect(self) -> None:
        if self._ended.is_set():
            return
        try:
            await self._client.disconnect()
        except Exception as error:
            # The library raises here whatever ended the connection: an end of file when the guest's process ends.
            log.debug("monitor ended", guest=self.name, error=repr(error))
        finally:
            self._ended.set()


def _shown(command: str, arguments: Arguments | None) -> str:
    return command if arguments is None else f"{command} {json.dumps(arguments, default=str)}"
