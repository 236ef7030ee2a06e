"""Merging images that a guest has open: never before it is told to, and never the wrong bytes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.hypervisor import merges
from app.hypervisor.driver import DiskSwitch, DriverError, GuestSpec
from app.hypervisor.merge_driver import MergeOrder
from app.hypervisor.qemu import QemuDriver
from app.storage import qcow2
from tests.engine.hypervisor.guests import PATIENCE, GuestFolder, counter_on, ticks

DEVICE = "disk0"
SLOW = 1000


async def layered(driver: QemuDriver, folder: GuestFolder, count: int = 3) -> tuple[GuestSpec, list[Path]]:
    """A running guest with a chain: the images, the root first, each with some ticks of its own."""
    spec = folder.spec()
    await driver.start(spec)
    (first,) = (disk.path for disk in spec.disks if disk.kind == "disk" and disk.path is not None)
    chain = [first]
    for number in range(count):
        await ticks(driver, spec.uuid)
        overlay = folder.images / f"{spec.uuid[:8]}-overlay{number}.qcow2"
        qcow2.write_image(overlay, virtual_size=1 << 20, backing_file=chain[-1].name)
        await driver.switch_disks(spec.uuid, [DiskSwitch(DEVICE, overlay)])
        chain.append(overlay)
    await ticks(driver, spec.uuid)
    return spec, chain


def order(chain: list[Path], child: int, *, stream: bool, speed: int = 0) -> MergeOrder:
    parent = chain[child - 2] if child > 1 else None
    return MergeOrder("merge-1", DEVICE, stream, chain[child], chain[child - 1], parent, speed)


async def ready(driver: QemuDriver, spec: GuestSpec) -> None:
    async with asyncio.timeout(PATIENCE):
        facts = await driver.wait_merge(spec.uuid, "merge-1", lambda _: None)
    assert facts.state == "ready", facts


def parent_of(path: Path) -> str | None:
    return qcow2.read_header(path).backing_file


@pytest.mark.parametrize(
    ("child", "stream"),
    [(1, False), (1, True), (2, False), (2, True), (3, True)],
    ids=["root down", "root up", "middle down", "middle up", "into the active"],
)
async def test_a_merge_waits_to_be_told(driver: QemuDriver, folder: GuestFolder, child: int, stream: bool) -> None:
    spec, chain = await layered(driver, folder)
    frozen = {path: counter_on(path) for path in chain[:-1]}
    parents = {path: parent_of(path) for path in chain}
    assert await driver.chain(spec.uuid, DEVICE) == chain[::-1]
    await driver.start_merge(spec.uuid, order(chain, child, stream=stream))
    await ready(driver, spec)
    assert {path: parent_of(path) for path in chain} == parents
    assert await driver.chain(spec.uuid, DEVICE) == chain[::-1]
    stays, goes = (chain[child], chain[child - 1]) if stream else (chain[child - 1], chain[child])
    await driver.flush_image(spec.uuid, DEVICE, stays)
    await driver.finish_merge(spec.uuid, "merge-1")
    await driver.drop_image(spec.uuid, goes)
    left = [path for path in chain if path != goes]
    assert await driver.chain(spec.uuid, DEVICE) == left[::-1]
    assert [parent_of(path) for path in left] == [None, *(path.name for path in left[:-1])]
    goes.unlink()
    assert not _open_by(driver, spec, goes)
    await ticks(driver, spec.uuid)
    for path in left[:-1]:
        # Down, the file below shows what the one above it showed; up, all is as it was.
        assert counter_on(path) == frozen[chain[child] if path == stays else path]
    await driver.kill(spec.uuid)
    assert counter_on(left[-1]) >= max(frozen.values())


@pytest.mark.parametrize("end", ["finished", "cancelled"])
async def test_no_image_stays_open_for_writing(driver: QemuDriver, folder: GuestFolder, end: str) -> None:
    spec, chain = await layered(driver, folder)
    guest = driver._guest(spec.uuid)
    nodes = {path: node for node, path in await merges.chain(guest, DEVICE)}
    await driver.start_merge(spec.uuid, order(chain, 3, stream=True))
    await ready(driver, spec)
    # As QEMU 10.0 does by itself now and then.
    await guest.execute("human-monitor-command", {"command-line": f'qemu-io {nodes[chain[0]]} "reopen -w"'})
    assert await _written(driver, spec) == {chain[0], chain[3]}
    await (driver.finish_merge if end == "finished" else driver.cancel_merge)(spec.uuid, "merge-1")
    assert await _written(driver, spec) == {chain[3]}
    await ticks(driver, spec.uuid)


async def _written(driver: QemuDriver, spec: GuestSpec) -> set[Path]:
    """The images that the guest's QEMU has open for writing."""
    nodes = await driver._guest(spec.uuid).execute("query-named-block-nodes", {"flat": True})
    return {Path(node["file"]) for node in nodes if node["drv"] == "file" and not node["ro"]}


def _open_by(driver: QemuDriver, spec: GuestSpec, path: Path) -> bool:
    links = Path(f"/proc/{driver._guest(spec.uuid).process.pid}/fd").iterdir()
    return any(str(link.readlink()).startswith(str(path)) for link in links)


@pytest.mark.parametrize("when", ["running", "ready"])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_cancelled_merge_leaves_the_chain(
    driver: QemuDriver, folder: GuestFolder, when: str, stream: bool
) -> None:
    spec, chain = await layered(driver, folder)
    # What goes down changes the file below, in places that the one above it hides.
    shown = [path for path in chain[:-1] if stream or path != chain[1]]
    frozen = {path: counter_on(path) for path in shown}
    await driver.start_merge(spec.uuid, order(chain, 2, stream=stream, speed=SLOW if when == "running" else 0))
    if when == "ready":
        await ready(driver, spec)
    await driver.cancel_merge(spec.uuid, "merge-1")
    await driver.cancel_merge(spec.uuid, "merge-1")
    assert (await driver.merge_facts(spec.uuid, "merge-1")).state == "absent"
    assert await driver.chain(spec.uuid, DEVICE) == chain[::-1]
    await ticks(driver, spec.uuid)
    assert {path: counter_on(path) for path in shown} == frozen
    await driver.start_merge(spec.uuid, order(chain, 2, stream=stream))
    await ready(driver, spec)
    await driver.cancel_merge(spec.uuid, "merge-1")


async def test_a_merge_outlives_its_controller(driver: QemuDriver, folder: GuestFolder) -> None:
    spec, chain = await layered(driver, folder)
    await driver.start_merge(spec.uuid, order(chain, 3, stream=True))
    await driver.close()
    await driver.open(lambda _: None)
    await driver.attach_all()
    await ready(driver, spec)
    await driver.flush_image(spec.uuid, DEVICE, chain[3])
    await driver.finish_merge(spec.uuid, "merge-1")
    assert await driver.chain(spec.uuid, DEVICE) == [chain[3], chain[1], chain[0]]
    assert (await driver.merge_facts(spec.uuid, "merge-1")).state == "absent"


async def test_what_is_not_there_is_refused(driver: QemuDriver, folder: GuestFolder) -> None:
    spec, chain = await layered(driver, folder, 1)
    stranger = MergeOrder("merge-1", DEVICE, True, chain[1], folder.empty_disk("stranger"), None)
    for wrong in (stranger, MergeOrder("merge-1", "disk9", True, chain[1], chain[0], None)):
        with pytest.raises(DriverError) as caught:
            await driver.start_merge(spec.uuid, wrong)
        assert caught.value.cause == "state"
    with pytest.raises(DriverError):
        await driver.flush_image(spec.uuid, DEVICE, folder.images / "stranger.qcow2")
    await driver.drop_image(spec.uuid, folder.images / "stranger.qcow2")
    assert await driver.chain(spec.uuid, DEVICE) == chain[::-1]
