"""QEMU's merge, left to itself, loses data when it is killed at the wrong moment. Ours, cut there too, does not.

The loss is shown first, so that the proof is known to be able to fail. STILLFRAME_MERGE_CUTS=N makes N random cuts for
each kind of merge in place of a few.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.hypervisor import merges
from app.hypervisor.driver import DriverError
from app.hypervisor.merge_driver import MergeOrder
from app.storage import merging, qcow2
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from tests.engine.storage.bare_qemu import DEVICE, BareQemu

MIB = 1 << 20
SIZE = 4 << 30
STEP = 64 * MIB
JOB = "merge-1"
CUTS = int(os.environ.get("STILLFRAME_MERGE_CUTS", "2"))
KINDS = ["stream into the active", "stream between frozen", "commit between frozen"]
STEPS = ["copied", "flushed", "finished"]


@dataclass
class Layers:
    """root < base < child (< leaf): the base is to go into the child, or the child into the base."""

    files: FileRepository
    root: str
    base: str
    child: str
    leaf: str
    stream: bool

    @property
    def active(self) -> str:
        return self.leaf or self.child

    def order(self) -> MergeOrder:
        path = self.files.image_path
        return MergeOrder(JOB, DEVICE, self.stream, path(self.child), path(self.base), path(self.root))

    @property
    def target(self) -> str:
        return self.child if self.stream else self.base

    @property
    def source(self) -> str:
        return self.base if self.stream else self.child

    @property
    def renamed(self) -> tuple[str, str]:
        """The image whose header changes, and the parent that it names before."""
        return (self.child, self.base) if self.stream else (self.leaf, self.child)

    def switched(self) -> bool:
        image, before = self.renamed
        return self.files.parent(image) != before

    def shown(self) -> str:
        """What the chain shows, hashed; places that no image holds are left out."""
        names = {self.active, self.child}
        return " ".join(_digest(self.files.image_path(name)) for name in sorted(names))


def _digest(path: Path) -> str:
    """Every written place lies at the beginning of a step."""
    raw = path.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw], capture_output=True, check=True)
    with raw.open("rb") as file:
        pieces = [os.pread(file.fileno(), 64 << 10, start) for start in range(0, SIZE, STEP)]
    raw.unlink()
    return hashlib.sha256(b"".join(pieces)).hexdigest()


def _layers(folder: Path, kind: str) -> Layers:
    files = FileRepository(folder / "sr")
    files.open()
    made: list[str] = []
    for level in range(3 if kind == KINDS[0] else 4):
        made.append(files.new_id())
        parent = files.image_path(made[-2]).name if level else None
        qcow2.write_image(files.image_path(made[-1]), virtual_size=SIZE, backing_file=parent)
        if level < 3:
            _write(files.image_path(made[-1]), level)
    root, base, child, *leaf = made
    return Layers(files, root, base, child, leaf[0] if leaf else "", stream=kind != KINDS[2])


def _write(path: Path, level: int) -> None:
    """A quarter of the steps is written at this level, so that each level hides some of the one below."""
    writes = []
    for step in range(SIZE // STEP):
        if (step + level) % 4 < 2:
            pattern = 1 + (7 * step + 61 * level) % 255
            writes += ["-c", f"write -P {pattern} {step * STEP + level * 4096} 48k"]
    subprocess.run(["qemu-io", "-f", "qcow2", *writes, path], capture_output=True, check=True)


async def _plain(qemu: BareQemu, layers: Layers) -> None:
    """The job as QEMU's documentation shows it, until QEMU says that it is done."""
    nodes = {path: node for node, path in await merges.chain(qemu.guest, DEVICE)}
    path = layers.files.image_path
    names = {"job-id": JOB, "auto-dismiss": False}
    if layers.stream:
        below = {"base-node": nodes[path(layers.root)], "backing-file": path(layers.root).name}
        await qemu.execute("block-stream", {**names, "device": nodes[path(layers.child)], **below})
    else:
        ends = {"top-node": nodes[path(layers.child)], "base-node": nodes[path(layers.base)]}
        rest = {"device": nodes[path(layers.leaf)], "backing-file": path(layers.base).name}
        await qemu.execute("block-commit", {**names, **ends, **rest})
    await merges.wait(qemu.guest, JOB, lambda _: None)


async def _ours(qemu: BareQemu, layers: Layers, stop_after: str = "") -> None:
    """What `app.ops.merge_run` has a guest do, step by step."""
    order, files = layers.order(), layers.files
    await merges.start(qemu.guest, order)
    assert (await merges.wait(qemu.guest, JOB, lambda _: None)).state == "ready"
    if stop_after == "copied":
        return
    await merges.flush(qemu.guest, DEVICE, files.image_path(layers.target))
    await asyncio.to_thread(merging.prove, files, layers.target, layers.source)
    if stop_after == "flushed":
        return
    await merges.finish(qemu.guest, JOB)


async def _cut(layers: Layers, *, plain: bool, after: float | None = None, stop_after: str = "") -> None:
    """Begin the merge, and SIGKILL QEMU: some seconds later, after a step, or when the merge says that it is done."""
    qemu = BareQemu(layers.files.image_path(layers.active))
    await qemu.start()
    try:
        if after is not None:
            asyncio.get_running_loop().call_later(after, qemu.strike)
        try:
            await (_plain(qemu, layers) if plain else _ours(qemu, layers, stop_after))
        except (DriverError, StorageError):
            assert after is not None
    finally:
        await qemu.kill()


async def _undo(layers: Layers) -> None:
    """What the recovery does with a journal that does not say "switched"."""
    await merging.set_parent(layers.files, *layers.renamed)


async def test_qemu_s_own_merge_loses_data(tmp_path: Path) -> None:
    """Killed when QEMU says that the job is done: the header names the new parent, and what it lacks is not there."""
    lost = 0
    for number in range(CUTS):
        layers = _layers(tmp_path / str(number), KINDS[0])
        before = layers.shown()
        await _cut(layers, plain=True)
        assert layers.switched()
        lost += layers.shown() != before
        # The cure: the old parent has all of it still, as long as nobody freed it.
        await _undo(layers)
        assert layers.shown() == before
    assert lost > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", STEPS)
async def test_ours_loses_nothing_at_any_step(tmp_path: Path, kind: str, step: str) -> None:
    layers = _layers(tmp_path, kind)
    before = layers.shown()
    await _cut(layers, plain=False, stop_after=step)
    assert layers.switched() == (step == "finished")
    assert layers.shown() == before
    await _undo(layers)
    assert layers.shown() == before
    await _redo(layers, before)


@pytest.mark.parametrize("kind", KINDS)
async def test_ours_loses_nothing_at_any_moment(tmp_path: Path, kind: str) -> None:
    whole = asyncio.get_running_loop().time()
    await _cut(_layers(tmp_path / "whole", kind), plain=False)
    whole = asyncio.get_running_loop().time() - whole
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    for number in range(CUTS):
        layers = _layers(tmp_path / str(number), kind)
        before = layers.shown()
        moment = moments.uniform(0, whole)
        await _cut(layers, plain=False, after=moment)
        assert layers.shown() == before, (seed, number, moment)
        await _undo(layers)
        assert layers.shown() == before, (seed, number, moment)
        await _redo(layers, before)


async def _redo(layers: Layers, before: str) -> None:
    """Merge again, to the end, and free what goes."""
    qemu = BareQemu(layers.files.image_path(layers.active))
    await qemu.start()
    await _ours(qemu, layers)
    await qemu.kill()
    assert layers.switched()
    if layers.stream:
        layers.files.discard([layers.base])
        assert layers.shown() == before
    else:
        child, layers.child = layers.child, layers.base
        layers.files.discard([child])
        assert layers.shown() == before
    for image in layers.files.image_ids():
        layers.files.verify(image)
