"""A guest's memory and device state, to a file and back, by QEMU's migration.

The file reaches QEMU as an open descriptor (`fd:`): its rights are ours to choose, and QEMU's sandbox may forbid it
to start other programs. From 9.1 on QEMU deprecates that for plain files and offers `file:` instead (release notes).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.hypervisor import write_protection
from app.hypervisor.driver import DriverError, Progress, SavedFacts
from app.hypervisor.guest import Guest
from app.hypervisor.memory_files import Source, Target

_FILE_URI_SINCE = (9, 1)
_DESCRIPTOR_NAME = "memory"
_UNLIMITED = 1 << 50
_LOOK_AGAIN = 0.1
_LOOK_CLOSELY = 0.002
_MOVING = ("setup", "active", "device", "pre-switchover", "cancelling", "wait-unplug")
_FULL = "No space left on device"
_STANDING = ("paused", "saved")
BACKGROUND = "background-snapshot"


async def save(guest: Guest, path: Path, progress: Progress) -> SavedFacts:
    """Stop the guest and write its memory to the new file `path`; see `Driver.save`.

    :raise DriverError: "qmp" with QEMU's reason, "no_space", "state" if `path` exists, else as `Guest.execute`.
    """
    was_running = guest.state == "running"
    target = Target(path)
    started = time.monotonic()
    try:
        await prepare(guest)
        if was_running:
            await guest.stop("save")
        await begin(guest, target)
        await completed(guest, progress)
        await finalized(guest)
        pause = time.monotonic() - started
        await target.finish()
    except BaseException:
        await give_up(guest, target, running=was_running)
        raise
    await guest.refresh()
    return saved_facts(guest, path, pause)


def saved_facts(guest: Guest, path: Path, pause: float) -> SavedFacts:
    """What a restore of the finished image needs."""
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

    :raise DriverError: "start", "qmp" or "lost" (QEMU of old versions ends itself when an image does not fit).
    """
    source = Source(path)
    try:
        await _want_events(guest)
        uri = await _address(guest, path, source.descriptor, by_descriptor=source.is_pipe)
        await guest.execute("migrate-incoming", {"uri": uri})
        await completed(guest, lambda fraction: None)
    except BaseException:
        source.drop()
        raise
    await source.close()
    await guest.refresh()


# ---------------------------------------------------------------- transfers


async def prepare(guest: Guest) -> None:
    """What can be said to QEMU before the guest is stopped. :raise DriverError: as `Guest.execute`."""
    await _want_events(guest)
    await guest.execute("migrate-set-parameters", {"max-bandwidth": _UNLIMITED})


async def set_capability(guest: Guest, name: str, on: bool) -> None:
    """:raise DriverError: "qmp", if this QEMU, host or guest does not have it."""
    await guest.execute("migrate-set-capabilities", {"capabilities": [{"capability": name, "state": on}]})


async def begin(guest: Guest, target: Target, *, by_descriptor: bool = False) -> None:
    """Let QEMU begin to write. :raise DriverError: as `Guest.execute`."""
    uri = await _address(guest, target.path, target.descriptor, by_descriptor=by_descriptor)
    await guest.execute("migrate", {"uri": uri})


async def completed(guest: Guest, progress: Progress) -> None:
    """Follow a migration to its end: asked for the amounts at intervals, and at once when QEMU tells of a change.

    :raise DriverError: "qmp" or "no_space" with QEMU's reason.
    """
    while True:
        guest.migration.clear()
        info = await guest.execute("query-migrate")
        if info.get("status") == "completed":
            progress(1.0)
            return
        require_moving(info)
        progress(_fraction(info))
        await change(guest, _LOOK_AGAIN)


async def finalized(guest: Guest) -> None:
    """Wait until QEMU lets the guest go on: it tells of a transfer's end before it is through with it.

    :raise DriverError: as `Guest.execute`.
    """
    while (await guest.execute("query-status"))["status"] == "finish-migrate":
        guest.migration.clear()
        await change(guest, _LOOK_CLOSELY)


def require_moving(info: Mapping[str, Any]) -> None:
    """:raise DriverError: the migration that `query-migrate` tells of has failed or was cancelled."""
    status = info.get("status", "none")
    if status in (*_MOVING, "none", "completed"):
        return
    reason = info.get("error-desc") or f"the transfer ended as “{status}”"
    raise DriverError(
        f"The memory was not transferred: {reason}", cause="no_space" if _FULL in reason else "qmp", command="migrate"
    )


async def change(guest: Guest, seconds: float) -> None:
    """Wait until QEMU tells that something changed, but not for long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await guest.migration.wait()


async def give_up(guest: Guest, target: Target, *, running: bool) -> None:
    """After a failed or cancelled save: no transfer under way, no file, and the guest as it was."""
    with contextlib.suppress(DriverError):
        await guest.execute("closefd", {"fdname": _DESCRIPTOR_NAME})  # if the transfer never took it
    with contextlib.suppress(DriverError):
        await end_transfer(guest, running=running)
    await target.abandon()


async def end_transfer(guest: Guest, *, running: bool) -> None:
    """No transfer under way, and the guest running or paused; see `Driver.end_save`.

    :raise DriverError: as `Guest.execute`.
    """
    if await _is_in_background(guest):
        await _end_background(guest)
    else:
        await _cancel(guest)
    await finalized(guest)
    await guest.refresh()
    if running and guest.state in _STANDING:
        await guest.resume()
    elif not running:
        await stand_still(guest)


async def _cancel(guest: Guest) -> None:
    while (await guest.execute("query-migrate")).get("status") in _MOVING:
        guest.migration.clear()
        await guest.execute("migrate_cancel")
        await change(guest, _LOOK_AGAIN)


async def _end_background(guest: Guest) -> None:
    """Cancel it if the guest can be freed from the protection of its memory afterwards; else let it finish."""
    pid = guest.process.pid
    borrowed = await asyncio.to_thread(write_protection.borrow, pid)
    try:
        if borrowed:
            await _cancel(guest)
        elif (await guest.execute("query-migrate")).get("status") in _MOVING:
            with contextlib.suppress(DriverError):
                await completed(guest, lambda fraction: None)
    finally:
        await asyncio.to_thread(write_protection.lift, pid, borrowed)
    await set_capability(guest, BACKGROUND, on=False)


async def _is_in_background(guest: Guest) -> bool:
    capabilities = await guest.execute("query-migrate-capabilities")
    return any(one["state"] for one in capabilities if one["capability"] == BACKGROUND)


async def stand_still(guest: Guest) -> None:
    """Have a guest paused that runs, or whose memory was saved.

    QEMU lets a saved guest do nothing but go on, so it does for the blink of an eye. Until then its disks are closed
    for writing: nothing could be merged into them.

    :raise DriverError: as `Guest.execute`.
    """
    if guest.state == "saved":
        await guest.resume()
    if guest.state in ("running", "saved"):
        await guest.stop("save")
        await guest.refresh()


async def _address(guest: Guest, path: Path, descriptor: int, *, by_descriptor: bool) -> str:
    """What to call the file towards QEMU; its descriptor is handed over where that is the way."""
    if guest.version >= _FILE_URI_SINCE and not by_descriptor:
        return f"file:{path}"
    await guest.monitor().send_descriptor(_DESCRIPTOR_NAME, descriptor)
    return f"fd:{_DESCRIPTOR_NAME}"


async def _want_events(guest: Guest) -> None:
    """Have QEMU tell when a migration changes its status. Without, we notice a little later."""
    with contextlib.suppress(DriverError):
        await set_capability(guest, "events", on=True)


def _fraction(info: Mapping[str, Any]) -> float:
    ram = info.get("ram", {})
    total = ram.get("total", 0)
    return min(1.0, max(0.0, 1.0 - ram.get("remaining", total) / total)) if total else 0.0
