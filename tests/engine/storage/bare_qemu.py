"""A QEMU whose machine stands still, with one chain of images open: its block jobs are those of any guest's QEMU."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from app.hypervisor.argv import image_node
from app.hypervisor.guest import ActiveImage, Guest
from app.hypervisor.monitor import Monitor

DEVICE = "disk0"
_PATIENCE = 60.0


class BareQemu:
    """Start it with `start`, end it with `kill`; in between `app.hypervisor.merges` takes it for a guest."""

    def __init__(self, active: Path) -> None:
        self.jobs = asyncio.Event()
        self.images = {DEVICE: ActiveImage(f"{DEVICE}-0", active)}
        self._process: asyncio.subprocess.Process
        self._monitor: Monitor

    @property
    def guest(self) -> Guest:
        """As the functions of the hypervisor floor want it."""
        return cast("Guest", self)

    async def start(self) -> None:
        active = self.images[DEVICE]
        with tempfile.TemporaryDirectory(prefix="sfq-") as folder:
            path = Path(folder) / "qmp"
            node = json.dumps(image_node(active.node, active.path, "qcow2", read_only=False))
            command = ["-machine", "pc,accel=tcg", "-nodefaults", "-display", "none", "-S", "-m", "16"]
            # QEMU tells the chain of what a device uses.
            command += ["-blockdev", node, "-device", f"virtio-blk-pci,id={DEVICE},drive={active.node}"]
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                listener.listen()
                fd = listener.fileno()
                command += ["-chardev", f"socket,id=qmp,fd={fd},server=on,wait=off", "-mon", "chardev=qmp,mode=control"]
                program = "qemu-system-x86_64"
                self._process = await asyncio.create_subprocess_exec(program, *command, pass_fds=(fd,))
            self._monitor = await Monitor.connect("bare", path, self._on_event, _PATIENCE)

    async def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        return await self._monitor.execute(command, arguments)

    async def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        await self._monitor.close()

    def strike(self) -> None:
        """SIGKILL at this very moment."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    def _on_event(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "JOB_STATUS_CHANGE":
            self.jobs.set()
