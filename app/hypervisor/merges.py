"""Merging images inside a running QEMU by its block jobs, never finished before we say so.

Left to itself QEMU lets the header name the new parent before the tables that say where the copied data lies have
reached the file. A kill in between leaves an image with silently wrong content. Hence `auto-finalize` off, and a flush
of the image that was written to before `job-finalize`. Commands: QEMU's QMP reference, "Block device" and "Background
jobs".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from app.hypervisor.driver import DriverError
from app.hypervisor.guest import Guest
from app.hypervisor.merge_driver import JobFacts, JobState, MergeOrder
from app.log import get

log = get(__name__)

_POLL_SECONDS: Final = 0.25
"""How often progress is asked for; changes of a job's state are told by events."""
_STATES: Final[Mapping[str, JobState]] = {"pending": "ready", "concluded": "done", "null": "absent"}

Node = tuple[str, Path]


async def start(guest: Guest, order: MergeOrder) -> None:
    """See `MergeDriver.start_merge`."""
    nodes = {path: node for node, path in await chain(guest, order.device)}
    wanted = [order.child, order.base, *([order.parent] if order.parent is not None else [])]
    missing = next((path for path in wanted if path not in nodes), None)
    if missing is not None:
        raise DriverError(f"{order.device} does not use {missing}.", cause="state")
    options: dict[str, Any] = {"job-id": order.job, "speed": order.speed, "auto-finalize": False, "auto-dismiss": False}
    if not order.stream:
        top = next(iter(nodes.values()))
        commit = {"device": top, "top-node": nodes[order.child], "base-node": nodes[order.base]}
        # The bare name, so that the folder can be moved.
        await guest.execute("block-commit", {**options, **commit, "backing-file": order.base.name})
        return
    options["device"] = nodes[order.child]
    if order.parent is not None:
        options |= {"base-node": nodes[order.parent], "backing-file": order.parent.name}
    await guest.execute("block-stream", options)


async def facts(guest: Guest, job: str) -> JobFacts:
    """See `MergeDriver.merge_facts`."""
    jobs: Sequence[Mapping[str, Any]] = await guest.execute("query-jobs")
    found = next((item for item in jobs if item["id"] == job), None)
    if found is None:
        return JobFacts("absent")
    state = _STATES.get(found["status"], "running")
    error = str(found.get("error", ""))
    if state == "done" and error:
        state = "failed"
    total = found.get("total-progress", 0)
    return JobFacts(state, min(found.get("current-progress", 0) / total, 1.0) if total else 0.0, error)


async def wait(
    guest: Guest, job: str, progress: Callable[[float], None], while_: Sequence[JobState] = ("running",)
) -> JobFacts:
    """See `MergeDriver.wait_merge`."""
    while True:
        guest.jobs.clear()
        now = await facts(guest, job)
        progress(now.fraction)
        if now.state not in while_:
            return now
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await guest.jobs.wait()


async def flush(guest: Guest, device: str, image: Path) -> None:
    """See `MergeDriver.flush_image`."""
    node = next((node for node, path in await chain(guest, device) if path == image), None)
    if node is None:
        raise DriverError(f"{device} does not use {image}.", cause="state")
    await guest.execute("human-monitor-command", {"command-line": f'qemu-io {node} "flush"'})


async def finish(guest: Guest, job: str) -> None:
    """See `MergeDriver.finish_merge`."""
    await guest.execute("job-finalize", {"id": job})
    ended = await wait(guest, job, _ignore, while_=("running", "ready"))
    await guest.execute("job-dismiss", {"id": job})
    await close_for_writing(guest)
    if ended.state != "done":
        raise DriverError(f"QEMU could not merge the images: {ended.error}", cause="qmp", detail=ended.error)


async def close_for_writing(guest: Guest) -> None:
    """Have QEMU open for reading only whatever no device writes to.

    QEMU 10.0 was seen to leave the base of a merge as it was for the merge: open for writing, and locked for that. Any
    other guest that builds on it could not start.
    """
    active = {image.node for image in guest.images.values()}
    for node in await guest.execute("query-named-block-nodes", {"flat": True}):
        name = node["node-name"]
        if node["drv"] == "qcow2" and not node["ro"] and name not in active:
            command = {"command-line": f'qemu-io {name} "reopen -r"'}
            said = await guest.execute("human-monitor-command", command)
            log.info("an image is closed for writing", node=name, said=said.strip())


async def cancel(guest: Guest, job: str) -> None:
    """See `MergeDriver.cancel_merge`."""
    now = await facts(guest, job)
    if now.state in ("running", "ready"):
        # It may have ended meanwhile, which is as good.
        with contextlib.suppress(DriverError):
            await guest.execute("job-cancel", {"id": job})
        now = await wait(guest, job, _ignore, while_=("running", "ready"))
    if now.state != "absent":
        await guest.execute("job-dismiss", {"id": job})
    await close_for_writing(guest)


async def chain(guest: Guest, device: str) -> list[Node]:
    """The block nodes of a device and their files, the active one first. Filters that jobs put in are left out.

    :raise DriverError: "state", for an unknown device; as `Guest.execute`.
    """
    active = guest.images.get(device)
    if active is None:
        raise DriverError(f"The guest has no disk {device}.", cause="state")
    nodes = await guest.execute("query-named-block-nodes", {"flat": True})
    files = {node["node-name"]: Path(node["file"]) for node in nodes}
    blocks = await guest.execute("query-blockstats")
    top = next((block for block in blocks if block.get("node-name") == active.node), None)
    if top is None:
        raise DriverError(f"QEMU does not tell what {device} uses.", cause="state")
    return list(_walk(top, files))


def _walk(block: Mapping[str, Any], files: Mapping[str, Path]) -> Iterator[Node]:
    following: Mapping[str, Any] | None = block
    while following is not None:
        node = following.get("node-name", "")
        file = following.get("parent", {}).get("node-name", "")
        if file in files:
            yield node, files[file]
        following = following.get("backing")


async def drop(guest: Guest, image: Path) -> None:
    """See `MergeDriver.drop_image`."""
    nodes = await guest.execute("query-named-block-nodes", {"flat": True})
    files = {node["node-name"] for node in nodes if node["drv"] == "file" and Path(node["file"]) == image}
    for node in nodes:
        # Nodes that QEMU opened by itself are gone already; those we added stay until they are removed.
        if node["drv"] != "file" and f"{node['node-name']}-file" in files:
            await guest.execute("blockdev-del", {"node-name": node["node-name"]})


def _ignore(_fraction: float) -> None:
    pass
