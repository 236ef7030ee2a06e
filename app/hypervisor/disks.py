"""Drives of a running guest: which file is active, switching to overlays at one instant, changing discs.

Commands: docs/interop/qemu-qmp-ref of QEMU, chapters "Block devices" and "Transactions".
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from app.hypervisor.argv import file_node, image_node
from app.hypervisor.driver import DiskSwitch, DriverError, SwitchFacts
from app.hypervisor.guest import ActiveImage, Guest
from app.log import get

log = get(__name__)

T = TypeVar("T")


async def load_images(guest: Guest) -> None:
    """Ask QEMU which image each drive uses and remember it.

    :raise DriverError: as `Guest.execute`.
    """
    blocks = await guest.execute("query-block")
    nodes = await guest.execute("query-named-block-nodes", {"flat": True})
    guest.images = parse_images(blocks, nodes)


def parse_images(blocks: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]]) -> dict[str, ActiveImage]:
    """Device -> active image, from the answers to query-block and query-named-block-nodes.

    The file's own node gives the plain path; the format node's name may be a description in JSON instead.
    """
    files = {node["node-name"]: node["file"] for node in nodes}
    images: dict[str, ActiveImage] = {}
    for block in blocks:
        inserted = block.get("inserted")
        if inserted is None or not block.get("qdev"):
            continue
        node = inserted["node-name"]
        images[_device_id(block["qdev"])] = ActiveImage(node, Path(files.get(file_node(node), inserted["file"])))
    return images


def _device_id(qdev: str) -> str:
    """`disk0` from `disk0` or `/machine/peripheral/disk0/virtio-backend`."""
    parts = qdev.split("/")
    return parts[3] if qdev.startswith("/machine/peripheral/") else qdev


async def active_disks(guest: Guest) -> dict[str, Path]:
    """Device -> file, asked from QEMU now."""
    await load_images(guest)
    return {device: image.path for device, image in guest.images.items()}


async def switch_disks(
    guest: Guest, switches: Sequence[DiskSwitch], *, just_before: Callable[[], Awaitable[None]] | None = None
) -> SwitchFacts:
    """Make each overlay the active image of its device, all at one instant.

    A cancellation that arrives while QEMU switches is too late and is ignored: the result tells what happened.

    :param just_before: awaited when all is prepared; nothing is switched if it fails.

    :raise DriverError: "state" for an unknown device, else as `Guest.execute`. With "timeout" and "lost" the outcome
        is unknown: ask `active_disks`.
    """
    if len({switch.device for switch in switches}) != len(switches):
        raise DriverError("A disk can be switched only once at a time.", cause="state")
    plan = [(switch, _image_of(guest, switch.device), _new_node(switch.device)) for switch in switches]
    added: list[str] = []
    try:
        for switch, _, node in plan:
            options = image_node(node, switch.overlay, "qcow2", read_only=False, overlay=True)
            added.append(node)  # before the answer: we may be cancelled while we wait for it
            try:
                await guest.execute("blockdev-add", options)
            except DriverError:
                added.pop()
                raise
        if just_before is not None:
            await just_before()
        actions = [
            {"type": "blockdev-snapshot", "data": {"node": active.node, "overlay": node}} for _, active, node in plan
        ]
        started = time.monotonic()
        if actions:
            await to_the_end(guest.execute("transaction", {"actions": actions}))
        stall = time.monotonic() - started
    except BaseException as error:
        if not (isinstance(error, DriverError) and error.cause in ("timeout", "lost")):
            await to_the_end(_remove_nodes(guest, added))
        raise
    for switch, _, node in plan:
        guest.images[switch.device] = ActiveImage(node, switch.overlay)
    return SwitchFacts(stall=stall, frozen={switch.device: active.path for switch, active, _ in plan})


async def change_medium(guest: Guest, device: str, iso: Path | None) -> None:
    """Replace the disc in a CD drive; None takes it out.

    The new disc is opened before the old one is touched, so a missing file changes nothing.

    :raise DriverError: as `Guest.execute`.
    """
    await to_the_end(_change_medium(guest, device, iso))


async def _change_medium(guest: Guest, device: str, iso: Path | None) -> None:
    if iso is None:
        await _swap_medium(guest, device, None)
        return
    node = _new_node(device)
    await guest.execute("blockdev-add", image_node(node, iso, "raw", read_only=True))
    await _swap_medium(guest, device, node)
    guest.images[device] = ActiveImage(node, iso)


async def _swap_medium(guest: Guest, device: str, node: str | None) -> None:
    old = guest.images.get(device)
    try:
        # Force, because a guest may have locked the drive's door.
        await guest.execute("blockdev-open-tray", {"id": device, "force": True})
        if old is not None:
            await guest.execute("blockdev-remove-medium", {"id": device})
    except DriverError:
        if node is not None:
            await _remove_nodes(guest, [node])
        raise
    guest.images.pop(device, None)
    try:
        if node is not None:
            await guest.execute("blockdev-insert-medium", {"id": device, "node-name": node})
    except DriverError:
        await _remove_nodes(guest, [node] if node is not None else [])
        if old is not None:
            await guest.execute("blockdev-insert-medium", {"id": device, "node-name": old.node})
            guest.images[device] = old
        old = None
        raise
    finally:
        with contextlib.suppress(DriverError):
            await guest.execute("blockdev-close-tray", {"id": device})
        if old is not None:
            await _remove_nodes(guest, [old.node])


def _image_of(guest: Guest, device: str) -> ActiveImage:
    image = guest.images.get(device)
    if image is None:
        raise DriverError(f"The guest has no disk {device}.", cause="state")
    return image


def _new_node(device: str) -> str:
    """A fresh node name; with its file's suffix at most 29 characters, where QEMU allows 31."""
    return f"{device}-{secrets.token_hex(4)}"


async def _remove_nodes(guest: Guest, nodes: Sequence[str]) -> None:
    for node in reversed(nodes):
        try:
            await guest.execute("blockdev-del", {"node-name": node})
        except DriverError as error:
            log.warning("block node was left behind", guest=guest.uuid, node=node, error=str(error))


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` whole: its result counts even if we are cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():
                return task.result()
