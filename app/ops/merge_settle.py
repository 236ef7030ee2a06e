"""The end of a merge: completed when its data has moved, undone when it has not, by the merge itself or after a kill.

Until the journal says "switched" the old parents are right, whatever was copied; from then on the new ones are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from app import crash_points
from app.api import VDI, Failure
from app.hypervisor.driver import DriverError
from app.log import get
from app.ops.context import Context
from app.ops.locking import refresh_vdi
from app.ops.storage_ops import update_space
from app.ops.translate import failures
from app.storage import merging
from app.storage.errors import StorageError
from app.storage.journal import Entry
from app.store import Transaction

log = get(__name__)

MERGE: Final = "merge"
SWITCHED: Final = "switched"
HEADROOM: Final = 4 << 20
"""Bytes that have to be free beside what is copied."""

Plan = Mapping[str, Any]
"""The facts of the journal entry; see `app.ops.merge_run`."""


def stays(plan: Plan) -> str:
    """The image that is left."""
    return str(plan["base"] if plan["kind"] == "commit" else plan["child"])


def goes(plan: Plan) -> str:
    """The image that is freed."""
    return str(plan["child"] if plan["kind"] == "commit" else plan["base"])


def renamed(plan: Plan) -> tuple[str, str, str]:
    """The image whose header the guest's QEMU changes, the parent it named and the one it names then ("": none)."""
    if plan["kind"] == "stream":
        return plan["child"], plan["base"], plan["parent"]
    return plan["overlay"], plan["child"], plan["base"]


async def complete(context: Context, plan: Plan) -> None:
    """What is left when the data has moved. Safe to repeat. :raise Failure: not all could be done; repeat it."""
    files = context.files(plan["sr"])
    with failures():
        for image in plan["grandchildren"] if plan["kind"] == "commit" else ():
            # The one that a guest has open was changed by its QEMU.
            if image != plan["overlay"] and files.exists(image):
                await merging.set_parent(files, image, stays(plan))
        crash_points.reach("merge.parents_set")
        for image in (stays(plan) if plan["frozen"] else "", plan["overlay"] if plan["overlay_frozen"] else ""):
            if image and files.exists(image):
                files.freeze(image)
    record(context, plan)
    crash_points.reach("merge.recorded")
    if plan["guest"] and context.driver.state(plan["guest"]) != "absent":
        await _close(context, plan)
    with failures():
        await asyncio.to_thread(files.discard, [goes(plan)])
    update_space(context, plan["sr"])


async def _close(context: Context, plan: Plan) -> None:
    """Have QEMU close the file that goes; until the guest ends it may keep its space, and does no other harm."""
    try:
        await context.driver.drop_image(plan["guest"], context.files(plan["sr"]).image_path(goes(plan)))
    except DriverError as error:
        log.warning("a merged image stays open until the guest ends", guest=plan["guest"], error=error.message)


def record(context: Context, plan: Plan) -> None:
    """Record the merge in one transaction: the base's record goes, the child's disk is where its data is now.

    Does nothing if that was done already.
    """
    base = context.store.find(VDI, plan["base_vdi"])
    if base is None or base.managed or base.location != plan["base"]:
        return
    mine = {ref: vdi for ref, vdi in context.store.all(VDI).items() if plan["sr"] == vdi.SR}
    moved = [ref for ref, vdi in mine.items() if vdi.location == plan["child"]]
    with context.store.transaction() as tx:
        tx.delete(VDI, plan["base_vdi"])
        for ref in moved:
            _move(context, tx, ref, plan)
        for ref, vdi in mine.items():
            if vdi.sm_config.get("vhd-parent") == goes(plan) and ref not in (*moved, plan["base_vdi"]):
                tx.update(VDI, ref, sm_config={**vdi.sm_config, "vhd-parent": stays(plan)})
    for ref in moved:
        refresh_vdi(context, ref)


def _move(context: Context, tx: Transaction, ref: str, plan: Plan) -> None:
    with failures():
        size = context.files(plan["sr"]).physical_utilisation(stays(plan))
    sm_config = {key: value for key, value in tx.get(VDI, ref).sm_config.items() if key != "vhd-parent"}
    if plan["parent"]:
        sm_config["vhd-parent"] = plan["parent"]
    tx.update(VDI, ref, location=stays(plan), physical_utilisation=size, sm_config=sm_config)


async def recover_at_start(context: Context, entry: Entry) -> None:
    """As `recover`; but what a guest has copied meanwhile counts, and a job that still runs is followed again."""
    plan: Plan = entry.facts
    if entry.phase != SWITCHED and plan["guest"] and context.driver.state(plan["guest"]) != "absent":
        try:
            job = await context.driver.merge_facts(plan["guest"], plan["job"])
            if job.state == "running":
                context.merging.left.append(entry)
                return
            if job.state == "ready":
                await finish_job(context, plan)
        except (DriverError, StorageError) as error:
            log.warning("a guest's merge is not taken over", entry=entry.id, error=error.message)
    await recover(context, entry)


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
        context.merging.why_stuck = ": ".join(error.params[1:]) if isinstance(error, Failure) else str(error)
        if entry not in stuck:
            stuck.append(entry)


async def _settle(context: Context, entry: Entry) -> None:
    plan: Plan = entry.facts
    if entry.phase != SWITCHED and not await _has_switched(context, plan):
        await _undo(context, plan)
        return
    if entry.phase != SWITCHED:
        with failures():
            entry.record(SWITCHED)
    await complete(context, plan)


async def _has_switched(context: Context, plan: Plan) -> bool:
    """Whether a living QEMU has taken the last step already; if not, its job is stopped. :raise Failure: it is mute."""
    guest, device = plan["guest"], plan["device"]
    if not guest or context.driver.state(guest) == "absent":
        return False
    files = context.files(plan["sr"])
    with failures():
        await context.driver.cancel_merge(guest, plan["job"])
        if files.image_path(goes(plan)) in await context.driver.chain(guest, device):
            return False
        await settle_files(context, plan)
    return True


async def finish_job(context: Context, plan: Plan) -> None:
    """Flush, prove, see that there is room, and only then let QEMU point past the image that goes.

    :raise DriverError, StorageError: it may have done so all the same; `recover` asks.
    """
    files = context.files(plan["sr"])
    await context.driver.flush_image(plan["guest"], plan["device"], files.image_path(stays(plan)))
    await asyncio.to_thread(merging.prove, files, stays(plan), goes(plan))
    files.require_free(HEADROOM)
    await asyncio.to_thread(merging.secure_header, files, renamed(plan)[0])
    crash_points.reach("merge.proven")
    await context.driver.finish_merge(plan["guest"], plan["job"])
    crash_points.reach("merge.finalized")
    await settle_files(context, plan)


async def settle_files(context: Context, plan: Plan) -> None:
    """After QEMU's last step: have it on the disk, and look that it is. :raise StorageError: it is not."""
    files = context.files(plan["sr"])
    image, _, parent = renamed(plan)
    for path in (files.image_path(stays(plan)), files.image_path(image)):
        await context.driver.flush_image(plan["guest"], plan["device"], path)
    await asyncio.to_thread(merging.expect_parent, files, image, parent)


async def _undo(context: Context, plan: Plan) -> None:
    """Put the old parents and modes back. The data that was copied stays where it is: the child shows the same."""
    files = context.files(plan["sr"])
    with failures():
        if not files.exists(plan["base"]) or not files.exists(plan["child"]):
            return
        alive = plan["guest"] and context.driver.state(plan["guest"]) != "absent"
        if plan["guest"] and not alive:
            # QEMU may have written the new name, but not what makes it true.
            image, parent, _ = renamed(plan)
            await merging.set_parent(files, image, parent)
            crash_points.reach("merge.parent_put_back")
        merging.protect(files, plan["base"])
        if plan["frozen"]:
            merging.protect(files, plan["child"])
        if plan["overlay_frozen"]:
            merging.protect(files, plan["overlay"])
