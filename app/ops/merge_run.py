"""One merge of a hidden image with its only child, from the first journal entry to the freed file.

Order: journal with the old parents, copy, prove that the copy is on the disk, journal "switched", let the headers above
name the file that stays, one store transaction, free the other file, journal end. Until "switched" a recovery puts the
old parents back, which is right whatever was copied; after it, it goes on. Nothing is freed before.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from app import crash_points
from app.api import NULL, SR, VBD, VDI, VM, Failure, VDIOperation, VMPowerState
from app.api.types import is_null
from app.log import get
from app.ops.coalesce import Disk, Holder, Merge, choose, is_kind, plan
from app.ops.context import Context
from app.ops.locking import refresh_vdi
from app.ops.merging import Running
from app.ops.storage_ops import update_space
from app.ops.task import current
from app.ops.translate import failures
from app.storage import allocation, merging
from app.storage.journal import Entry
from app.store import Transaction

log = get(__name__)
T = TypeVar("T")

MERGE: Final = "merge"
SWITCHED: Final = "switched"
SPEED_KEY: Final = "stillframe.merge-speed"
"""In an SR's other_config: bytes a second that a merge may copy; 0 or absent: as fast as it goes."""
_HEADROOM: Final = 4 << 20
_WITH_GUEST: Final = (VMPowerState.Running, VMPowerState.Paused)


class GaveWay(Exception):
    """The merge stopped because somebody needs the VM, or because the images are not as planned any more."""


class Waits(Exception):
    """The merge had better wait; the text says for what."""


async def survey(context: Context, sr: str) -> list[Merge]:
    """The merges that are due in a repository. :raise Failure: it cannot be read, or holds no images."""
    files = context.files(sr)
    with failures():
        children = await asyncio.to_thread(files.children_map)
    return plan(sr, children, _disks(context, sr), context.merging.read_in(sr))


def _disks(context: Context, sr: str) -> list[Disk]:
    return [
        Disk(ref, vdi.location, not vdi.managed, vdi.physical_utilisation, tuple(_holders(context, vdi)))
        for ref, vdi in context.store.all(VDI).items()
        if sr == vdi.SR
    ]


def _holders(context: Context, vdi: VDI) -> list[Holder]:
    found = []
    for ref in vdi.VBDs:
        vbd = context.store.find(VBD, ref)
        vm = None if vbd is None else context.store.find(VM, vbd.VM)
        if vbd is None or vm is None:
            continue
        with_guest = vm.power_state in _WITH_GUEST or context.driver.state(vm.uuid) != "absent"
        alive = with_guest and not vm.is_a_snapshot
        opened = (vm.uuid, f"disk{vbd.userdevice}") if alive else ("", "")
        found.append(Holder(vm.snapshot_of if vm.is_a_snapshot else vbd.VM, *opened))
    return found


async def run(context: Context, merge: Merge, running: Running) -> None:
    """Merge; for a task of its own.

    :raise GaveWay: all is as it was, and it can be tried again soon.
    :raise Waits: it has to wait for something.
    :raise Failure: all is as it was, or the rest is done before anything else touches the VM.
    """
    async with _alone(context, running):
        entry = await _begin(context, await _again(context, merge, running))
    facts = entry.facts
    try:
        with failures():
            await _unless_disturbed(running, _copy(context, facts))
        crash_points.reach("merge.copied")
        async with _alone(context, running):
            current().point_of_no_return()
            with failures():
                entry.record(SWITCHED)
            crash_points.reach("merge.switched")
            await _complete(context, facts)
            entry.end()
    except BaseException:
        await recover(context, entry)
        raise


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
        files.require_free((down if kind == "commit" else up) + _HEADROOM)
        entry = context.journal.begin(MERGE, **_facts(context, merge, kind))
    crash_points.reach("merge.journaled")
    return entry


def _facts(context: Context, merge: Merge, kind: str) -> dict[str, Any]:
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
        "frozen": context.files(merge.sr).is_frozen(merge.child),
    }


async def _copy(context: Context, facts: Mapping[str, Any]) -> None:
    files, task = context.files(facts["sr"]), current()
    for image in (facts["base"], facts["child"]):
        files.thaw(image)
    speed = _speed(context, facts["sr"])
    await merging.commit(files, facts["child"], speed=speed, progress=lambda done: task.progress(0.95 * done))


def _speed(context: Context, sr: str) -> int:
    text = context.store.get(SR, sr).other_config.get(SPEED_KEY, "")
    return int(text) if text.isdecimal() else 0


async def _complete(context: Context, facts: Mapping[str, Any]) -> None:
    """What is left when the data has moved. Safe to repeat. :raise Failure: not all could be done; repeat it."""
    files = context.files(facts["sr"])
    commit = facts["kind"] == "commit"
    stays, goes = (facts["base"], facts["child"]) if commit else (facts["child"], facts["base"])
    with failures():
        for image in facts["grandchildren"] if commit else ():
            if files.exists(image):
                await merging.set_parent(files, image, stays)
        crash_points.reach("merge.parents_set")
        if facts["frozen"]:
            files.freeze(stays)
    record(context, facts)
    crash_points.reach("merge.recorded")
    with failures():
        await asyncio.to_thread(files.discard, [goes])
    update_space(context, facts["sr"])


def record(context: Context, facts: Mapping[str, Any]) -> None:
    """Record the merge in one transaction: the base's record goes, the child's disk is where its data is now.

    Does nothing if that was done already.
    """
    base = context.store.find(VDI, facts["base_vdi"])
    if base is None or base.managed or base.location != facts["base"]:
        return
    with context.store.transaction() as tx:
        moved = [ref for ref, vdi in _images(context, facts["sr"]).items() if vdi.location == facts["child"]]
        tx.delete(VDI, facts["base_vdi"])
        for ref in moved:
            _move(context, tx, ref, facts)
        if facts["kind"] == "commit":
            for ref, vdi in _images(context, facts["sr"]).items():
                if vdi.sm_config.get("vhd-parent") == facts["child"] and ref != facts["base_vdi"]:
                    tx.update(VDI, ref, sm_config={**vdi.sm_config, "vhd-parent": facts["base"]})
    for ref in moved:
        refresh_vdi(context, ref)


def _images(context: Context, sr: str) -> dict[str, VDI]:
    return {ref: vdi for ref, vdi in context.store.all(VDI).items() if sr == vdi.SR}


def _move(context: Context, tx: Transaction, ref: str, facts: Mapping[str, Any]) -> None:
    location = facts["base"] if facts["kind"] == "commit" else facts["child"]
    with failures():
        size = context.files(facts["sr"]).physical_utilisation(location)
    sm_config = {key: value for key, value in tx.get(VDI, ref).sm_config.items() if key != "vhd-parent"}
    if facts["parent"]:
        sm_config["vhd-parent"] = facts["parent"]
    tx.update(VDI, ref, location=location, physical_utilisation=size, sm_config=sm_config)


async def recover(context: Context, entry: Entry) -> None:
    """Complete or undo an interrupted merge. Safe to repeat. What cannot be settled yet is kept among the stuck."""
    stuck = context.merging.stuck
    try:
        if not entry.ended:
            await _settle(context, entry)
            entry.end()
        stuck[:] = [other for other in stuck if other is not entry]
    except Exception as error:
        known = isinstance(error, Failure)
        log.error("a merge cannot be settled yet", entry=entry.id, error=str(error), exc_info=not known)
        if entry not in stuck:
            stuck.append(entry)


async def _settle(context: Context, entry: Entry) -> None:
    facts = entry.facts
    if entry.phase == SWITCHED:
        await _complete(context, facts)
    else:
        await _undo(context, facts)


async def _undo(context: Context, facts: Mapping[str, Any]) -> None:
    """Put the old parents and modes back. The data that was copied stays where it is: the child shows the same."""
    files = context.files(str(facts["sr"]))
    with failures():
        if not files.exists(str(facts["base"])) or not files.exists(str(facts["child"])):
            return
        merging.protect(files, str(facts["base"]))
        if facts["frozen"]:
            merging.protect(files, str(facts["child"]))


@contextlib.contextmanager
def shown(context: Context, merge: Merge, task: str) -> Iterator[None]:
    """While a merge runs, its base's record says so."""
    context.store.publish(VDI, merge.vdi, current_operations={task: VDIOperation.mirror})
    try:
        yield
    finally:
        context.store.publish(VDI, merge.vdi, current_operations={})


def vm_of(context: Context, merge: Merge) -> str:
    """The VM that a merge is shown for: the one whose chain it is, or the null reference."""
    known = [vm for vm in sorted(merge.vms) if not is_null(vm) and context.store.find(VM, vm) is not None]
    return known[0] if known else NULL
