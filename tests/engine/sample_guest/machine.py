"""A QEMU started by hand for a test: QMP and the serial line over Unix sockets, both awaited, never polled."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from qemu.qmp import EventListener, QMPClient

QEMU = "qemu-system-x86_64"
LINE_LIMIT = 60  # seconds for one line or event; a sick machine fails, a slow one does not


@dataclass(frozen=True)
class Tick:
    """One tick as the serial line tells it: the counter, and the ticks since boot held in memory."""

    counter: int
    ticks: int


@dataclass
class Machine:
    """`async with Machine(folder, disks=[...]) as machine:`; ends QEMU when the block is left.

    `folder` must be short (sockets live in it). Disks are raw files. `extra` is appended to the command line.
    """

    folder: Path
    disks: Sequence[Path]
    interface: str = "virtio"
    machine: str = "pc"
    memory: int = 16
    extra: Sequence[str] = ()
    qmp: QMPClient = field(init=False)
    events: EventListener = field(init=False)

    def argv(self) -> list[str]:
        """The whole command line."""
        argv = [QEMU, "-M", self.machine, "-accel", "tcg", "-m", str(self.memory), "-nodefaults", "-vga", "std"]
        argv += ["-display", "none", "-chardev", f"socket,id=line,path={self.folder}/serial", "-serial", "chardev:line"]
        argv += ["-chardev", f"socket,id=qmp,path={self.folder}/qmp", "-mon", "chardev=qmp,mode=control"]
        for index, disk in enumerate(self.disks):
            argv += ["-drive", f"file={disk},format=raw,if={self.interface},index={index}"]
        return [*argv, *self.extra]

    async def __aenter__(self) -> Self:
        self.qmp = QMPClient("machine")
        self.events = EventListener()
        self.qmp.register_listener(self.events)
        lines: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        for name in ("qmp", "serial"):
            (self.folder / name).unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(lambda *ends: lines.put_nowait(ends), f"{self.folder}/serial")
        await self.qmp.start_server(f"{self.folder}/qmp")
        self._process = await asyncio.create_subprocess_exec(*self.argv(), stderr=asyncio.subprocess.PIPE)
        try:
            # QEMU connects its character devices in order and waits for QMP's greeting only afterwards.
            await asyncio.wait_for(self.qmp.accept(), LINE_LIMIT)
            self._serial, self._writer = await asyncio.wait_for(lines.get(), LINE_LIMIT)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        with contextlib.suppress(Exception):  # the peer has just been killed
            await self.qmp.disconnect()
        if hasattr(self, "_writer"):
            self._writer.close()
        self._server.close()
        await self._server.wait_closed()

    async def execute(self, command: str, **arguments: object) -> Any:
        """One QMP command. :raise ExecuteError: QEMU refused it."""
        return await self.qmp.execute(command, arguments)

    async def event(self, name: str, **data: object) -> dict[str, Any]:
        """The next event called `name` whose data has these values, skipping all others."""
        async with asyncio.timeout(LINE_LIMIT):
            while True:
                event = await self.events.get()
                told = event.get("data", {})
                if event["event"] == name and isinstance(told, dict) and data.items() <= told.items():
                    return told

    async def line(self, pattern: str) -> re.Match[str]:
        """The next serial line in which `pattern` is found, skipping all others.

        :raise AssertionError: the line ended before.
        """
        async with asyncio.timeout(LINE_LIMIT):
            while True:
                raw = await self._serial.readline()
                assert raw, f"the serial line ended before {pattern!r}: {await self._last_words()}"
                if found := re.search(pattern, raw.decode("utf-8", "replace").rstrip("\r\n")):
                    return found

    async def send(self, text: str) -> None:
        """Type `text` into the serial line."""
        self._writer.write(text.encode())
        await self._writer.drain()

    async def tick(self) -> Tick:
        """The next tick of the sample guest."""
        found = await self.line(r"^n=(\d+) t=(\d+)$")
        return Tick(int(found[1]), int(found[2]))

    async def ticks_until(self, ticks: int) -> Tick:
        """The first tick with at least `ticks` since boot."""
        while (tick := await self.tick()).ticks < ticks:
            pass
        return tick

    async def key(self, *names: str) -> None:
        """Press keys (QKeyCode names) together and let go."""
        await self.execute("send-key", keys=[{"type": "qcode", "data": name} for name in names])

    async def exited(self) -> int:
        """QEMU's exit status, awaited."""
        return await asyncio.wait_for(self._process.wait(), LINE_LIMIT)

    async def _last_words(self) -> str:
        if self._process.stderr is None or self._process.returncode is None:
            return "QEMU still runs"
        return (await self._process.stderr.read()).decode()
