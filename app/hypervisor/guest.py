"""One living guest: its QEMU process, its monitor, its state kept up to date by events, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.hypervisor.agent import Agent
from app.hypervisor.argv import AGENT_CHANNEL, AGENT_PORT
from app.hypervisor.driver import DriverError, EventKind, EventSink, GuestEvent, GuestState
from app.hypervisor.layout import GuestRecord, Layout, RunPaths
from app.hypervisor.monitor import Arguments, Monitor
from app.hypervisor.process import Process
from app.log import get

log = get(__name__)

GREETING_TIMEOUT = 60.0
ATTACH_TIMEOUT = 5.0
_DRAIN_TIMEOUT = 5.0
_QUIT_TIMEOUT = 10.0
_LAST_LINES = 6

# QEMU's RunState (qapi/run-state.json) -> what the engine needs to know.
_STATES: dict[str, GuestState] = {
    "running": "running",
    "inmigrate": "suspended-incoming",
    "postmigrate": "saved",
    "io-error": "io-error",
    "shutdown": "shutdown",
    "guest-panicked": "crashed",
    "internal-error": "crashed",
}


def guest_state(status: str) -> GuestState:
    """The state for a QEMU run state; every other kind of standstill is "paused"."""
    return _STATES.get(status, "paused")


@dataclass(frozen=True)
class ActiveImage:
    """The image a drive uses now: its block node in QEMU and its file."""

    node: str
    path: Path


class Guest:
    """A guest with a process. The driver owns it from start or attach until the process has ended.

    :ivar lock: held by commands that must not meet each other (disks, memory, media).
    :ivar screen_lock: held while the one file for pictures is in use.
    :ivar jobs: set when QEMU tells that a block job changed its state.
    :ivar migration: set when QEMU tells that a transfer of memory changed its status, or that the guest runs.
    :ivar stood_since: when we last heard that the virtual CPUs stand still, on the monotonic clock.
    :ivar saves_in_background: whether QEMU can write memory while the guest runs; None until it was asked.
    :ivar images: device -> its active image; kept by `app.hypervisor.disks`.
    :ivar agent: the conversation with the agent inside, whether there is one or not.
    :ivar has_agent: whether the guest has opened the agent's port.
    """

    def __init__(self, record: GuestRecord, layout: Layout, process: Process, sink: EventSink) -> None:
        self.uuid = record.uuid
        self.record = record
        self.layout = layout
        self.process = process
        self.state: GuestState = "paused"
        self.lock = asyncio.Lock()
        self.screen_lock = asyncio.Lock()
        self.migration = asyncio.Event()
        self.jobs = asyncio.Event()
        self.stood_since = 0.0
        self.saves_in_background: bool | None = None
        self.images: dict[str, ActiveImage] = {}
        self.agent = Agent(self.run.agent)
        self.has_agent = False
        self._sink = sink
        self._monitor: Monitor | None = None
        self._stop_reason = "requested"
        self._end_reason = ""
        self._io_error = ""
        self._silent = True
        self._watcher: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the QEMU this guest runs in, which may be older than the one installed now."""
        return tuple(int(part) for part in self.record.version.split("."))

    @property
    def run(self) -> RunPaths:
        return self.layout.run_paths(self.record)

    # -------------------------------------------------------------- connection

    async def connect(self, timeout: float, *, rescue: bool = False) -> None:
        """Connect to one of the guest's two monitors.

        :raise DriverError: as `Monitor.connect`.
        """
        path = self.run.rescue if rescue else self.run.engine
        self._monitor = await Monitor.connect(self.uuid, path, self._on_event, timeout)

    async def execute(self, command: str, arguments: Arguments | None = None, *, timeout: float | None = None) -> Any:
        """Run a monitor command.

        :raise DriverError: as `Monitor.execute`; "lost" while there is no connection.
        """
        return await self.monitor().execute(command, arguments, timeout=timeout)

    def monitor(self) -> Monitor:
        """The connection.

        :raise DriverError: "lost", if there is none.
        """
        if self._monitor is None or not self._monitor.connected:
            raise DriverError("QEMU's process lives and does not answer.", cause="lost")
        return self._monitor

    async def refresh(self) -> GuestState:
        """Ask QEMU for the state."""
        status = await self.execute("query-status")
        self.state = guest_state(status["status"])
        return self.state

    def watch(self, on_gone: Callable[[Guest], None]) -> None:
        """Begin to wait for the end of the process; `on_gone` is called before the "stopped" event goes out."""
        self._watcher = asyncio.create_task(self._watch(on_gone))

    async def release(self) -> None:
        """Let go of the guest without a trace; it keeps running."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self.disconnect()
        self.process.release()

    async def look_for_agent(self) -> bool:
        """Ask QEMU whether the guest has opened the agent's port.

        It also tells by itself, but not of guests that were started before the port had an id.

        :raise DriverError: as `execute`.
        """
        channels = await self.execute("query-chardev")
        self._agent_is(any(one["label"] == AGENT_CHANNEL and one["frontend-open"] for one in channels))
        return self.has_agent

    async def disconnect(self) -> None:
        """Close the connections; QEMU goes on."""
        self.agent.close()
        if self._monitor is not None:
            await self._monitor.close()

    # ------------------------------------------------------------------ orders

    async def resume(self) -> None:
        """Let the virtual CPUs run."""
        self._io_error = ""
        await self.execute("cont")

    async def stop(self, reason: str = "requested") -> None:
        """Stop the virtual CPUs and flush the disks; `reason` goes into the event."""
        self._stop_reason = reason
        try:
            await self.execute("stop")
        finally:
            self._stop_reason = "requested"

    async def kill(self) -> None:
        """End the process, by its own hand if it answers (so it closes its images properly), else by force."""
        connected = self._monitor is not None and self._monitor.connected
        try:
            async with asyncio.timeout(_QUIT_TIMEOUT if connected else 0):
                with contextlib.suppress(DriverError):
                    await self.execute("quit")
                await self._gone.wait()
        except TimeoutError:
            log.warning("guest did not quit, so it is ended by force", guest=self.uuid)
            self.process.signal(signal.SIGKILL)
        await self._gone.wait()

    async def abandon(self) -> None:
        """End a process whose start has failed: no event, no traces."""
        self._silent = True
        self.process.signal(signal.SIGKILL)
        if self._watcher is not None:
            await self._gone.wait()
            return
        await self.process.wait()
        await self.disconnect()
        self.layout.clean(self.run)

    async def wait_gone(self) -> None:
        """Return when the process has ended, its sockets are removed and the "stopped" event was sent."""
        await self._gone.wait()

    # ------------------------------------------------------------------ events

    def introduce(self, reason: str) -> None:
        """Begin to tell the engine of events, first of the state the start or restore has led to.

        :raise DriverError: "lost", if the guest has ended already.
        """
        if self.state == "absent":
            raise DriverError("QEMU ended while the guest started.", cause="lost")
        self._silent = False
        if self.state in ("running", "paused"):
            self.emit("running" if self.state == "running" else "paused", reason)
        elif self.state == "io-error":
            self.emit("paused", "io-error", self._io_error)
        if self.has_agent:
            self.emit("agent", "connected")

    def speak(self) -> None:
        """Begin to tell the engine of events, for a guest it knows."""
        self._silent = False

    def emit(self, kind: EventKind, reason: str, text: str = "") -> None:
        """Tell the engine. Its mistakes must not reach QEMU's connection."""
        if self._silent:
            return
        try:
            self._sink(GuestEvent(self.uuid, kind, reason, text))
        except Exception:
            log.exception("event was not taken", guest=self.uuid, kind=kind, reason=reason)

    def _on_event(self, event: Mapping[str, Any]) -> None:
        data: Mapping[str, Any] = event.get("data", {})
        name = event["event"]
        if name == "RESUME":
            self.state = "running"
            self.migration.set()
            self.emit("running", "resumed")
        elif name == "STOP":
            self._stopped()
        elif name == "SHUTDOWN":
            self.state = "shutdown"
            self._end_reason = data.get("reason", "")
        elif name == "RESET":
            self.emit("reset", data.get("reason", ""))
        elif name == "BLOCK_IO_ERROR" and data.get("action") == "stop":
            self._io_error = f"{self._device(data)}: {data.get('reason', 'input/output error')}"
        elif name == "MIGRATION":
            self.migration.set()
        elif name == "JOB_STATUS_CHANGE":
            self.jobs.set()
        elif name == "VSERPORT_CHANGE" and data.get("id") == AGENT_PORT:
            self._agent_is(bool(data.get("open")))
        elif name == "GUEST_PANICKED":
            self._stop_reason = "guest-panic"

    def _agent_is(self, there: bool) -> None:
        if not there:
            self.agent.close()
        if there != self.has_agent:
            self.has_agent = there
            self.emit("agent", "connected" if there else "disconnected")

    def _stopped(self) -> None:
        self.stood_since = time.monotonic()
        if self._io_error:
            self.state = "io-error"
            self.emit("paused", "io-error", self._io_error)
            return
        self.state = "crashed" if self._stop_reason == "guest-panic" else "paused"
        self.emit("paused", self._stop_reason)

    def _device(self, data: Mapping[str, Any]) -> str:
        node = data.get("node-name", "")
        return next((device for device, image in self.images.items() if image.node == node), node)

    # --------------------------------------------------------------------- end

    async def _watch(self, on_gone: Callable[[Guest], None]) -> None:
        while self.process.alive:
            ended = asyncio.create_task(self.process.wait())
            waiting = {ended}
            if self._monitor is not None and self._monitor.connected:
                waiting.add(asyncio.create_task(self._monitor.wait_ended()))
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    await asyncio.wait({ended}, timeout=_DRAIN_TIMEOUT)
            finally:
                for task in waiting:
                    task.cancel()
            if self.process.alive:
                await self._reconnect()
        await self._finish(on_gone)

    async def _reconnect(self) -> None:
        """The monitor's connection ended and the process did not."""
        await self.disconnect()
        for rescue in (False, True):
            try:
                await self.connect(ATTACH_TIMEOUT, rescue=rescue)
                await self.refresh()
                return
            except DriverError as error:
                log.warning("guest does not answer", guest=self.uuid, error=str(error))
        self.state = "unresponsive"

    async def _finish(self, on_gone: Callable[[Guest], None]) -> None:
        # QEMU's last events may still be in the socket: the reason of a shutdown among them.
        if self._monitor is not None:
            try:
                async with asyncio.timeout(_DRAIN_TIMEOUT):
                    await self._monitor.wait_ended()
            except TimeoutError:
                log.warning("monitor outlived its process", guest=self.uuid)
            await self.disconnect()
        self.layout.clean(self.run)
        self.state = "absent"
        on_gone(self)
        reason, text = self._obituary()
        self.emit("stopped", reason, text)
        self._gone.set()

    def _obituary(self) -> tuple[str, str]:
        status, words = self.process.status, self.layout.last_words(self.uuid)
        text = "\n".join(words.splitlines()[-_LAST_LINES:])
        if self._end_reason in ("guest-shutdown", "host-qmp-quit", "guest-panic"):
            return self._end_reason, ""
        if self._end_reason:
            return self._end_reason, text
        if status == -signal.SIGKILL:
            return "killed", text
        if status is not None:
            return "crashed", text or f"QEMU ended with status {status}."
        return ("crashed", text) if _is_fatal(words) else ("killed", text)


def _is_fatal(words: str) -> bool:
    """Whether a process that is not our child, so that its status is unknown, complained before it ended."""
    lines = [line for line in words.splitlines() if "warning:" not in line]
    return bool(lines)
