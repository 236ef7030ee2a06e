"""Disks and memory of one instant: the guest is stopped, its disks are switched, its memory is written out.

In the background QEMU protects the guest's memory against writing, lets it go on, and saves each page before the
guest changes it (the capability `background-snapshot`). QEMU 7.2 lets the guest go on by itself; later ones leave a
guest that was stopped before as it is, so we look which it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from app import crash_points
from app.hypervisor.disks import switch_disks
from app.hypervisor.driver import (
    CheckpointFacts,
    Compression,
    DiskSwitch,
    DriverError,
    Progress,
    SaveMethod,
)
from app.hypervisor.guest import Guest
from app.hypervisor.memory import (
    BACKGROUND,
    begin,
    change,
    completed,
    finalized,
    give_up,
    prepare,
    require_moving,
    saved_facts,
    set_capability,
    stand_still,
)
from app.hypervisor.memory_files import ReservedTarget, Target
from app.log import get

log = get(__name__)

STOP_UP_TO: Final = 64 << 20
"""Bytes of memory that are saved in about the time it takes to protect them (measured: 43 ms against 13)."""
_LOOK_CLOSELY: Final = 0.002
_PAGE: Final = 4096
_PAGE_HEADER: Final = 16
_DEVICES: Final = 32 << 20
"""Bytes for the state of the devices; the picture's memory takes 16 MiB of it."""


async def save_method(guest: Guest) -> SaveMethod:
    """See `Driver.save_method`."""
    if guest.state != "running":
        return "stop"
    if guest.saves_in_background is None:
        async with guest.lock:
            guest.saves_in_background = await _saves_in_background(guest)
    return "background" if guest.saves_in_background else "stop"


async def _saves_in_background(guest: Guest) -> bool:
    """QEMU itself is asked: the answer depends on its version, the kernel and our rights.

    :raise DriverError: QEMU did not answer.
    """
    if await _memory_size(guest) <= STOP_UP_TO:
        return False
    try:
        await set_capability(guest, BACKGROUND, on=True)
        await set_capability(guest, BACKGROUND, on=False)
    except DriverError as error:
        if error.cause != "qmp":
            raise
        log.info("memory is saved with the guest stopped", guest=guest.uuid, reason=error.message)
        return False
    return True


async def _memory_size(guest: Guest) -> int:
    return int((await guest.execute("query-memory-size-summary"))["base-memory"])


async def checkpoint(
    guest: Guest,
    switches: Sequence[DiskSwitch],
    path: Path,
    progress: Progress,
    *,
    method: SaveMethod,
    compression: Compression,
) -> CheckpointFacts:
    """See `Driver.checkpoint`."""
    was_running = guest.state == "running"
    in_background = method == "background" and was_running
    started = time.monotonic()
    target = await _open_target(guest, path, compression) if in_background else Target(path)
    try:
        await prepare(guest)
        if in_background:
            await set_capability(guest, BACKGROUND, on=True)
        await _flush(guest, switches)
        pause = _Pause(guest, was_running)
        switch = await switch_disks(guest, switches, just_before=pause.begin)
        crash_points.reach("hypervisor.checkpoint_switched")
        _end_if_cancelled()
        await begin(guest, target, by_descriptor=in_background)
        crash_points.reach("hypervisor.checkpoint_writing")
        if in_background:
            await _running_again(guest)
            pause.ended()
        await completed(guest, progress)
        if not in_background:
            await pause.end()
        used = await target.finish()
    except BaseException:
        await give_up(guest, target, running=was_running)
        raise
    crash_points.reach("hypervisor.checkpoint_written")
    if in_background:
        await set_capability(guest, BACKGROUND, on=False)
    return CheckpointFacts(saved_facts(guest, path, pause.seconds), switch, time.monotonic() - started, used)


async def _open_target(guest: Guest, path: Path, compression: Compression) -> ReservedTarget:
    """A file with room for all of the memory, each page with its header, and the devices."""
    memory = await _memory_size(guest)
    target = await asyncio.to_thread(ReservedTarget, path, memory + memory // _PAGE * _PAGE_HEADER + _DEVICES)
    if compression == "zstd":
        target.compress()
    return target


class _Pause:
    """The time the guest's virtual CPUs stand still."""

    def __init__(self, guest: Guest, was_running: bool) -> None:
        self._guest = guest
        self._was_running = was_running
        self._started = 0.0
        self.seconds = 0.0

    async def begin(self) -> None:
        self._started = time.monotonic()
        if self._was_running:
            await self._guest.stop("save")
        crash_points.reach("hypervisor.checkpoint_stopped")

    async def end(self) -> None:
        """Leave the guest as it was before."""
        await finalized(self._guest)
        await self._guest.refresh()
        if not self._was_running:
            await stand_still(self._guest)
            return
        await self._guest.resume()
        self.ended()

    def ended(self) -> None:
        self.seconds = time.monotonic() - self._started


async def _flush(guest: Guest, switches: Sequence[DiskSwitch]) -> None:
    """Write out what the host still caches: stopping the guest does so too, and it would stand still for it."""
    with contextlib.suppress(OSError):
        paths = [guest.images[switch.device].path for switch in switches if switch.device in guest.images]
        await asyncio.gather(*(asyncio.to_thread(_sync, path) for path in paths))


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fdatasync(file.fileno())


def _end_if_cancelled() -> None:
    """The switch of the disks is never interrupted; a wish to cancel that came meanwhile is fulfilled here."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _running_again(guest: Guest) -> None:
    """Return when the guest runs, all of its memory being protected.

    That pages have been written proves the protection; before, a guest let go would change what is to be saved.

    :raise DriverError: the transfer failed.
    """
    while guest.state != "running":
        guest.migration.clear()
        info = await guest.execute("query-migrate")
        require_moving(info)
        if info.get("status") == "completed" or _pages(info):
            if await guest.refresh() != "running":
                await guest.resume()
            return
        await change(guest, _LOOK_CLOSELY)


def _pages(info: dict[str, Any]) -> int:
    ram = info.get("ram", {})
    return int(ram.get("normal", 0)) + int(ram.get("duplicate", 0))
