"""A guest's memory and device state, to a file and back, by QEMU's migration.

The file reaches QEMU as an open descriptor (`fd:`): its rights are ours to choose, and QEMU's sandbox may forbid it
to start other programs. From 9.1 on QEMU deprecates that for plain files and offers `file:` instead (release notes).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.hypervisor.driver import DriverError, Progress, SavedFacts
from app.hypervisor.guest import Guest
from app.hypervisor.layout import sync_folder

_FILE_URI_SINCE = (9, 1)
_DESCRIPTOR_NAME = "memory"
_UNLIMITED = 1 << 50
_LOOK_AGAIN = 0.1
_MOVING = ("none", "setup", "active", "device", "pre-switchover", "cancelling", "wait-unplug")


async def save(guest: Guest, path: Path, progress: Progress) -> SavedFacts:
    """Stop the guest and write its memory to the new file `path`; see `Driver.save`.

    :raise DriverError: "qmp" with QEMU's reason (a full disk, say), "state" if `path` exists, else as `Guest.execute`.
    """
    was_running = guest.state == "running"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DriverError(f"The memory image could not be made: {error}", cause="state") from error
    started = time.monotonic()
    try:
        if was_running:
            await guest.stop("save")
        await _send(guest, path, descriptor, progress)
        pause = time.monotonic() - started
        await asyncio.to_thread(_make_durable, descriptor, path)
    except BaseException:
        path.unlink(missing_ok=True)
        await _back(guest, was_running)
        raise
    finally:
        os.close(descriptor)
    await guest.refresh()
    record = guest.record
    return SavedFacts(
        machine=record.machine,
        cpu=record.cpu,
        accelerator=record.accelerator,
        version=record.version,
        pause=pause,
        size=path.stat().st_size,
    )


async def load(guest: Guest, path: Path) -> None:
    """Fill a guest that was started with `-incoming defer`; its virtual CPUs stay stopped.

    :raise DriverError: "qmp" or "lost" (QEMU of old versions ends itself when an image does not fit).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DriverError(f"The memory image could not be opened: {error}", cause="start") from error
    try:
        await _want_events(guest)
        uri = await _address(guest, path, descriptor)
        await guest.execute("migrate-incoming", {"uri": uri})
        await _completed(guest, lambda fraction: None)
    finally:
        os.close(descriptor)
    await guest.refresh()


async def _send(guest: Guest, path: Path, descriptor: int, progress: Progress) -> None:
    await _want_events(guest)
    await guest.execute("migrate-set-parameters", {"max-bandwidth": _UNLIMITED})
    uri = await _address(guest, path, descriptor)
    await guest.execute("migrate", {"uri": uri})
    await _completed(guest, progress)


async def _address(guest: Guest, path: Path, descriptor: int) -> str:
    """What to call the file towards QEMU; its descriptor is handed over where that is the way."""
    if guest.version >= _FILE_URI_SINCE:
        return f"file:{path}"
    await guest.monitor().send_descriptor(_DESCRIPTOR_NAME, descriptor)
    return f"fd:{_DESCRIPTOR_NAME}"


async def _want_events(guest: Guest) -> None:
    """Have QEMU tell when a migration changes its status. Without, we notice a little later."""
    with contextlib.suppress(DriverError):
        capability = {"capability": "events", "state": True}
        await guest.execute("migrate-set-capabilities", {"capabilities": [capability]})


async def _completed(guest: Guest, progress: Progress) -> None:
    """Follow a migration to its end: asked for the amounts at intervals, and at once when QEMU tells of a change."""
    while True:
        guest.migration.clear()
        info = await guest.execute("query-migrate")
        status = info.get("status", "none")
        if status == "completed":
            progress(1.0)
            return
        if status not in _MOVING:
            reason = info.get("error-desc") or f"the transfer ended as “{status}”"
            raise DriverError(f"The memory was not transferred: {reason}", cause="qmp", command="migrate")
        progress(_fraction(info))
        await _change(guest)


async def _change(guest: Guest) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_AGAIN):
            await guest.migration.wait()


def _fraction(info: Mapping[str, Any]) -> float:
    ram = info.get("ram", {})
    total = ram.get("total", 0)
    return min(1.0, max(0.0, 1.0 - ram.get("remaining", total) / total)) if total else 0.0


def _make_durable(descriptor: int, path: Path) -> None:
    os.fsync(descriptor)
    sync_folder(path.parent)


async def _back(guest: Guest, was_running: bool) -> None:
    """After a failed or cancelled save: no transfer under way, and the guest as it was."""
    with contextlib.suppress(DriverError):
        await guest.execute("closefd", {"fdname": _DESCRIPTOR_NAME})  # if the transfer never took it
    with contextlib.suppress(DriverError):
        await guest.execute("migrate_cancel")
        while (await guest.execute("query-migrate")).get("status") in _MOVING[1:]:
            guest.migration.clear()
            await _change(guest)
        if was_running:
            await guest.resume()
