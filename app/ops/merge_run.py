"""One merge of a hidden image with its only child, from the first journal entry to the freed file.

Order: journal with the old parents, copy, prove that the copy is on the disk, let the headers above name the file that
stays, journal "switched", one store transaction, free the other file, journal end. A kill before "switched" is undone:
the old parents are put back, which is right whatever was copied. After it the rest is done. Nothing is freed before.

With a guest its QEMU copies, and changes the header of the image above: but only when told to, which is after the flush
and the proof. Without one qemu-img copies, and the headers come after "switched".
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from app import crash_points
from app.api import SR, VDI, VDIOperation
from app.hypervisor.driver import DriverError, MergeOrder
from app.log import get
from app.ops.coalesce import Merge, choose, is_kind
from app.ops.context import Context
from app.ops.merge_settle import HEADROOM, MERGE, SWITCHED, Plan, complete, finish_job, recover
from app.ops.merge_survey import survey
from app.ops.merging import Running
from app.ops.task import current
from app.ops.translate import failures
from app.storage import allocation, merging
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from app.storage.journal import Entry

log = get(__name__)
T = TypeVar("T")

SPEED_KEY: Final = "stillframe.merge-speed"
"""In an SR's other_config: bytes a second that a merge may copy; 0 is as fast as it goes."""
SPEED_BESIDE_A_GUEST: Final = 256 << 20
"""Without that key, while the VM runs. Without a guest nobody is kept waiting, so there is no limit."""
_COPIED: Final = 0.95


class GaveWay(Exception):
    """The merge stopped because somebody needs the VM, or because the images are not as planned any more."""


class Waits(Exception):
    """The merge had better wait; the text says for what."""


async def run(context: Context, merge: Merge, running: Running) -> None:
    """Merge; for a task of its own.

    :raise GaveWay: all is as it was, and it can be tried again soon.
    :raise Waits: it has to wait for something.
    :raise Failure: all is as it was, or the rest is done before anything else touches the VM.
    """
    async with _alone(context, running):
        entry = await _begin(context, await _again(context, merge, running))
        if entry.facts["guest"]:
            await _or_recover(context, entry, running, _start_job(context, entry.facts))
    await follow(context, entry, running)


async def follow(context: Context, entry: Entry, running: Running) -> None:
    """A merge from its copying on: one just begun, or one whose copying outlived an engine. As `run`."""
    await _or_recover(context, entry, running, _follow(context, entry, running))


async def _or_recover(context: Context, entry: Entry, running: Running, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except BaseException:
        # A job that goes on without us is followed again by the engine that opens next.
        if not (running.leave and entry.facts["guest"] and entry.phase != SWITCHED):
            await recover(context, entry)
        raise


async def _follow(context: Context, entry: Entry, running: Running) -> None:
    plan: Plan = entry.facts
    with failures(str(plan["guest"])):
        copying = _wait_for_job(context, plan) if plan["guest"] else _copy(context, plan)
        await _unless_disturbed(running, copying)
    crash_points.reach("merge.copied")
    async with _alone(context, running):
        current().point_of_no_return()
        with failures(str(plan["guest"])):
            if plan["guest"]:
                await finish_job(context, plan)
            entry.record(SWITCHED)
        crash_points.reach("merge.switched")
        await complete(context, plan)
        entry.end()


@asynccontextmanager
async def _alone(context: Context, running: Running) -> AsyncIterator[None]:
    """Hold the VMs, unless one of those who have them wants us to stop."""
    entering = context.alone_with_all(running.vms)
    await _unless_disturbed(running, entering.__aenter__())
    try:
        yield
    finally:
        await entering.__aexit__(None, None, None)


async def _unless_disturbed(running: Running, work: Coroutine[Any, Any, T]) -> T:
    """Do the work; it is cancelled, and has tidied up, when we are to give way or the task is cancelled."""
    doing = asyncio.ensure_future(current().unless_cancelled(work))
    asked = asyncio.ensure_future(running.give_way.wait())
    try:
        await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
            await asyncio.wait({doing})
        if doing.cancelled():
            raise GaveWay("Another operation needs the VM.")
        return doing.result()
    finally:
        asked.cancel()
        doing.cancel()


# Beginning


async def _again(context: Context, merge: Merge, running: Running) -> Merge:
    """The same merge as things are now that nobody else can change them."""
    found = next((m for m in await survey(context, merge.sr) if m.vdi == merge.vdi), None)
    if running.give_way.is_set() or found is None or (found.images, found.vms) != (running.images, running.vms):
        raise GaveWay("The images have changed.")
    if found.blocked:
        raise Waits(found.blocked)
    return found


async def _begin(context: Context, merge: Merge) -> Entry:
    files = context.files(merge.sr)
    base, child = files.image_path(merge.base), files.image_path(merge.child)
    with failures():
        down = await asyncio.to_thread(allocation.lacking, base, child)
        up = await asyncio.to_thread(allocation.lacking, child, base) if merge.guest is not None else 0
        kind = choose(merge, down, up)
        if not is_kind(kind):
            raise Waits(kind)
        files.require_free((down if kind == "commit" else up) + HEADROOM)
        overlay = await _overlay(context, merge) if kind == "commit" else ""
        entry = context.journal.begin(MERGE, **_plan(files, merge, kind, overlay))
    crash_points.reach("merge.journaled")
    return entry


async def _overlay(context: Context, merge: Merge) -> str:
    """The image on the child that the guest has open; its QEMU changes that header. "" without a guest."""
    if merge.guest is None:
        return ""
    files = context.files(merge.sr)
    chain = await context.driver.chain(merge.guest.uuid, merge.guest.device)
    found = next((image for image in merge.grandchildren if files.image_path(image) in chain), None)
    if found is None:
        raise Waits("The guest does not use the images that its record names.")
    return found


def _plan(files: FileRepository, merge: Merge, kind: str, overlay: str) -> dict[str, Any]:
    """Everything that a recovery needs to complete or undo the merge, as JSON."""
    return {
        "kind": kind,
        "sr": merge.sr,
        "vms": sorted(merge.vms),
        "images": sorted(merge.images),
        "base": merge.base,
        "base_vdi": merge.vdi,
        "child": merge.child,
        "parent": merge.parent,
        "grandchildren": list(merge.grandchildren),
        "frozen": files.is_frozen(merge.child),
        "overlay": overlay,
        "overlay_frozen": bool(overlay) and files.is_frozen(overlay),
        "guest": merge.guest.uuid if merge.guest is not None else "",
        "device": merge.guest.device if merge.guest is not None else "",
        "job": f"merge-{secrets.token_hex(4)}",
    }


def _thaw(files: FileRepository, plan: Plan) -> None:
    for image in (plan["base"], plan["child"], plan["overlay"]):
        if image and files.is_frozen(image):
            files.thaw(image)


def _speed(context: Context, sr: str, usual: int) -> int:
    text = context.store.get(SR, sr).other_config.get(SPEED_KEY, "")
    return int(text) if text.isdecimal() else usual


# Without a guest


async def _copy(context: Context, plan: Plan) -> None:
    files, task = context.files(plan["sr"]), current()
    _thaw(files, plan)
    speed = _speed(context, plan["sr"], 0)
    await merging.commit(files, plan["child"], speed=speed, progress=lambda done: task.progress(_COPIED * done))


# In a guest's QEMU


async def _start_job(context: Context, plan: Plan) -> None:
    files = context.files(plan["sr"])
    with failures(plan["guest"]):
        _thaw(files, plan)
        order = MergeOrder(
            job=plan["job"],
            device=plan["device"],
            stream=plan["kind"] == "stream",
            child=files.image_path(plan["child"]),
            base=files.image_path(plan["base"]),
            parent=files.image_path(plan["parent"]) if plan["parent"] else None,
            speed=_speed(context, plan["sr"], SPEED_BESIDE_A_GUEST),
        )
        await context.driver.start_merge(plan["guest"], order)
    crash_points.reach("merge.job_started")


async def _wait_for_job(context: Context, plan: Plan) -> None:
    task = current()
    job = await context.driver.wait_merge(plan["guest"], plan["job"], lambda done: task.progress(_COPIED * done))
    if "No space left on device" in job.error:
        raise StorageError.no_space("There is not enough free space for the disk image.", stderr=job.error)
    if job.state != "ready":
        raise DriverError(f"QEMU could not merge the images: {job.error or job.state}", cause="qmp", detail=job.error)


@contextlib.contextmanager
def shown(context: Context, vdi: str, task: str) -> Iterator[None]:
    """While a merge runs, its base's record says so."""
    context.store.publish(VDI, vdi, current_operations={task: VDIOperation.mirror})
    try:
        yield
    finally:
        context.store.publish(VDI, vdi, current_operations={})
