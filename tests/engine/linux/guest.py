"""A real Linux guest in an engine: it counts in its memory and on its ext4, has a shell, and its agent answers."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import AsyncExitStack
from pathlib import Path

from app.api import VM, Ref, VBDCalls, VDICalls, VMCalls, VMOperation
from tests.support import linux_guest
from tests.support.engine import Bench, open_bench

PATIENCE = 120.0
"""Seconds for a boot under emulation on a busy machine."""
COUNTER = """
sh -c 'n=0
while true; do
  n=$((n+1))
  echo $n >/data/counter
  echo "tick $n pid $$"
  sleep 0.2
done' >/dev/ttyS0 2>&1 &
"""


class Linux:
    """The guest and the engine that runs it, which can be closed and opened again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vm: Ref[VM]
        self.bench: Bench
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Open the engine."""
        self._stack = AsyncExitStack()
        self.bench = await self._stack.enter_async_context(open_bench(self.folder, kill_guests=False))

    async def close(self, *, kill_guests: bool = False) -> None:
        """Close the engine; the guest runs on unless told otherwise."""
        if kill_guests:
            for record in list(self.bench.store.all(VM).values()):
                await self.bench.engine.context.driver.kill(record.uuid)
        await self._stack.aclose()

    async def make(self) -> None:
        """Make the VM, Halted."""
        raw = self.folder.parent / "linux.raw"
        linux_guest.make_disk(raw, agent=True, autorun=COUNTER)
        bench = self.bench
        vdi = await bench.run(VDICalls.import_file, bench.sr(), str(raw), "linux")
        raw.unlink()
        memory = linux_guest.MEMORY_MIB * linux_guest.MIB
        limits = ("memory_static_min", "memory_dynamic_min", "memory_dynamic_max", "memory_static_max")
        self.vm = await bench.session.VM.create({"name_label": "linux", **dict.fromkeys(limits, memory)})
        vbd = {"VM": self.vm, "VDI": vdi, "userdevice": "0", "mode": "RW", "type": "Disk", "bootable": True}
        await bench.run(VBDCalls.create, vbd)
        network = next(iter(bench.store.of_class("network")))
        await bench.session.VIF.create({"VM": self.vm, "network": network, "device": "0", "MAC": ""})

    async def boot(self) -> None:
        """Start it and wait until it counts and its agent answers."""
        await self.bench.session.VM.start(self.vm)
        await self.tick()
        async with asyncio.timeout(PATIENCE):
            while VMOperation.snapshot_with_quiesce not in self.bench.vm(self.vm).allowed_operations:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    @property
    def uuid(self) -> str:
        return self.bench.vm(self.vm).uuid

    async def tick(self, beyond: int = 0) -> tuple[int, int]:
        """A counter that the guest's memory alone holds, above `beyond`, and the process that counts."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = re.search(r"tick (\d+) pid (\d+)", await self._exchange("", "\n"))
                if found and int(found[1]) > beyond:
                    return int(found[1]), int(found[2])

    async def shell(self, command: str) -> str:
        """What a command prints in the guest, ticks left out."""
        mark = secrets.token_hex(4)
        # The mark is put together by the shell, so that no echo of the command can be taken for its end.
        line = f"{command}; echo {mark}''-end\n"
        async with asyncio.timeout(PATIENCE):
            said = await self._exchange(line, f"{mark}-end")
        kept = [text for text in said.splitlines() if not re.search(r"tick \d+ pid \d+$", text)]
        return "\n".join(kept).replace("/ # ", "").strip()

    async def _exchange(self, text: str, until: str) -> str:
        path = self.bench.engine.context.driver.serial_socket(self.uuid)
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(text.encode())
            await writer.drain()
            said = await reader.readuntil(until.encode())
            return said.decode("utf-8", "replace").removesuffix(until).replace("\r", "")
        finally:
            writer.close()
            await writer.wait_closed()

    async def quiesced(self, name: str = "quiesced") -> VM:
        """Take a quiesced snapshot and answer its record."""
        return self.bench.vm(await self.bench.run(VMCalls.snapshot_with_quiesce, self.vm, name))
