"""What the tests need around the driver: disks with the sample guest, its serial line, the driver's events."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.hypervisor.driver import DiskSpec, EventKind, GuestEvent, GuestSpec, NicSpec
from app.hypervisor.qemu import QemuDriver

ROOT = Path(__file__).resolve().parents[3]
SAMPLE_GUEST = ROOT / "resources" / "sample_guest" / "sample-guest.img"
SIZE = 1024 * 1024
STATE_OFFSET = 64 * 512
PATIENCE = 30.0


class GuestFolder:
    """A data folder with disk images in it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.images = data / "images"
        self.images.mkdir()

    def boot_disk(self, name: str = "disk0") -> Path:
        """A qcow2 disk with the sample guest on it."""
        raw = self.images / f"{name}.raw"
        raw.write_bytes(SAMPLE_GUEST.read_bytes().ljust(SIZE, b"\0"))
        path = self.images / f"{name}.qcow2"
        qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, path)
        raw.unlink()
        return path

    def empty_disk(self, name: str) -> Path:
        path = self.images / f"{name}.qcow2"
        qemu_img("create", "-f", "qcow2", path, str(SIZE))
        return path

    def overlay(self, backing: Path, name: str) -> Path:
        path = self.images / f"{name}.qcow2"
        qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", backing, path)
        return path

    def iso(self, name: str) -> Path:
        path = self.images / f"{name}.iso"
        path.write_bytes(name.encode().ljust(64 * 1024, b"\0"))
        return path

    def spec(self, disks: int = 1, *, cd: Path | None = None, bus: str = "virtio") -> GuestSpec:
        """A guest that counts on its disks; each call makes new ones."""
        identity = str(uuid.uuid4())
        paths = [self.boot_disk(f"{identity[:8]}-0")]
        paths += [self.empty_disk(f"{identity[:8]}-{number}") for number in range(1, disks)]
        kind = "ide" if bus == "ide" else "virtio"
        drives = [
            DiskSpec(f"disk{number}", "disk", path, "qcow2", False, bus="ide" if kind == "ide" else "virtio")
            for number, path in enumerate(paths)
        ]
        drives.append(DiskSpec("cd3", "cd", cd, "raw", True, bus="ide"))
        return GuestSpec(
            uuid=identity,
            name="sample, with a comma",
            memory=32 * 1024 * 1024,
            vcpus=1,
            disks=tuple(drives),
            nics=(NicSpec("nic0", "52:54:00:12:34:56"),),
        )

    def run_folders(self) -> list[Path]:
        """The run folders of this data folder's guests that exist."""
        records = [json.loads(path.read_text()) for path in self.data.glob("vm/*/vm.json")]
        return [Path(record["run"]) for record in records if Path(record["run"]).exists()]


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def processes_of(data: Path) -> list[int]:
    """The living processes whose command line names the data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"-uuid" in command and os.fsencode(data) in command:
                found.append(int(entry.name))
    return found


def pid_of(data: Path, identity: str) -> int:
    """The pid in a guest's record."""
    pid = json.loads((data / "vm" / identity / "vm.json").read_text())["pid"]
    assert isinstance(pid, int)
    return pid


class Events:
    """The driver's events, kept and waited for."""

    def __init__(self) -> None:
        self.all: list[GuestEvent] = []
        self._arrived: asyncio.Queue[GuestEvent] = asyncio.Queue()

    def take(self, event: GuestEvent) -> None:
        self.all.append(event)
        self._arrived.put_nowait(event)

    async def next(self, kind: EventKind) -> GuestEvent:
        """The next event of a kind, among those not asked for yet."""
        async with asyncio.timeout(PATIENCE):
            while True:
                event = await self._arrived.get()
                if event.kind == kind:
                    return event


@dataclass(frozen=True)
class Tick:
    counter: int
    since_boot: int


class Serial:
    """The sample guest's serial line."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def line(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return (await self._reader.readuntil(b"\n")).decode().strip()

    async def match(self, pattern: str) -> re.Match[str]:
        """The next whole line that matches. The first one after connecting may be half a line."""
        while True:
            found = re.fullmatch(pattern, await self.line())
            if found:
                return found

    async def tick(self) -> Tick:
        found = await self.match(r"n=(\d+) t=(\d+)")
        return Tick(int(found[1]), int(found[2]))


@asynccontextmanager
async def serial(driver: QemuDriver, identity: str) -> AsyncIterator[Serial]:
    """Listen to a guest. What it said before is lost."""
    reader, writer = await asyncio.open_unix_connection(driver.serial_socket(identity))
    try:
        yield Serial(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def ticks(driver: QemuDriver, identity: str, count: int = 2) -> Tick:
    """Wait for some ticks; the last one."""
    async with serial(driver, identity) as line:
        for _ in range(count):
            tick = await line.tick()
    return tick


def counter_on(path: Path) -> int:
    """The counter on an image to which no guest writes, whether or not one reads it."""
    raw = path.with_suffix(".read")
    qemu_img("convert", "-U", "-f", "qcow2", "-O", "raw", path, raw)
    state = raw.read_bytes()[STATE_OFFSET : STATE_OFFSET + 16]
    raw.unlink()
    assert state[:8] in (b"STILLFRM", bytes(8))
    return int.from_bytes(state[8:], "little")
