"""Finding guests again that were started by an earlier run of the program, and tidying up after those that ended."""

from __future__ import annotations

import asyncio
import contextlib

from app.hypervisor.disks import load_images
from app.hypervisor.driver import DriverError, EventSink
from app.hypervisor.guest import ATTACH_TIMEOUT, Guest
from app.hypervisor.layout import GuestRecord, Layout
from app.hypervisor.process import Process, identity, lock_holder
from app.log import get

log = get(__name__)


async def attach(uuid: str, layout: Layout, sink: EventSink) -> Guest | None:
    """The guest if its process lives, else None and its run folder is gone."""
    record = layout.read(uuid)
    if record is None:
        return None
    pid = await asyncio.to_thread(_living_pid, record, layout)
    if pid == 0:
        layout.clean(layout.run_paths(record))
        return None
    try:
        process = Process(pid)
    except ProcessLookupError:
        layout.clean(layout.run_paths(record))
        return None
    with contextlib.suppress(OSError):  # a full disk must not keep us from our guests
        record = layout.set_process(record, pid, identity(pid))
    guest = Guest(record, layout, process, sink)
    await _converse(guest)
    return guest


def _living_pid(record: GuestRecord, layout: Layout) -> int:
    """The guest's pid if its process lives, else 0.

    The pid in the record counts only together with the process's identity. Without it (we may have ended between the
    start and the note) QEMU's lock on its pid file tells.
    """
    if record.pid and record.identity and identity(record.pid) == record.identity:
        return record.pid
    return lock_holder(layout.run_paths(record).pid)


async def _converse(guest: Guest) -> None:
    """Connect and ask for the state. A QEMU that does not answer is kept, as "unresponsive": it can still be killed."""
    for rescue in (False, True):
        try:
            await guest.connect(ATTACH_TIMEOUT, rescue=rescue)
            found = (await guest.execute("query-uuid", timeout=ATTACH_TIMEOUT))["UUID"]
            if found != guest.uuid:
                raise DriverError(f"The process of {guest.uuid} says it is {found}.", cause="lost")
            await guest.refresh()
            await load_images(guest)
            await guest.look_for_agent()
            return
        except DriverError as error:
            log.warning("guest does not answer", guest=guest.uuid, rescue=rescue, error=str(error))
            await guest.disconnect()
    guest.state = "unresponsive"
