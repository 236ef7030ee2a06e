"""Merging on a file system that fills up: nothing is lost, the guest counts on, and the merge waits and says why."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.api import Failure, VMPowerState
from tests.engine.vm.guests import assert_tidy, contents, in_state, snapshot, some_ticks
from tests.engine.vm.test_merge import begun, depth, pending, set_speed
from tests.engine.vm.test_removal import uninstall
from tests.support.engine import open_bench
from tests.support.guest_disk import write_bytes

MIB = 1 << 20
DATA = 2 * MIB


@pytest.fixture
def small_folder(found_facts: Path) -> Iterator[Path]:
    """A data folder on a file system of 48 MiB."""
    mount = Path(tempfile.mkdtemp(prefix="sfm-"))
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    command = ["mount", "-t", "tmpfs", "-o", "size=48m,mode=755", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not possible here")
    folder = mount / "data"
    folder.mkdir(mode=0o700)
    (folder / "journal").mkdir(mode=0o700)
    shutil.copy(found_facts, folder / "hypervisor.json")
    yield folder
    subprocess.run(["umount", "-l", mount], check=True)
    mount.rmdir()


def fill(folder: Path, leave: int) -> Path:
    """Somebody else takes all but so many bytes."""
    other = folder.parent / "other"
    with other.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - leave)
    return other


@pytest.mark.parametrize("state", [VMPowerState.Halted, VMPowerState.Running])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_nothing_is_lost(small_folder: Path, state: VMPowerState, when: str) -> None:
    async with open_bench(small_folder) as bench:
        vm = await bench.sample_vm(disks=2, size=32 * MIB)
        snaps = []
        for number in range(3):
            write_bytes(bench.image(vm, "1"), number * MIB + DATA, os.urandom(MIB))
            snaps.append(await snapshot(bench, vm, str(number)))
        await in_state(bench, vm, state)
        before = {snap: contents(bench, snap, "1") for snap in (snaps[0], snaps[2])}
        await uninstall(bench, snaps[1])
        if when == "meanwhile":
            await set_speed(bench, 500_000)
            merging = asyncio.ensure_future(bench.coalesce())
            await begun(bench)
            other = fill(small_folder, 0)
        else:
            other = fill(small_folder, MIB)
            merging = asyncio.ensure_future(bench.coalesce())
        with pytest.raises(Failure) as caught:
            await merging
        assert caught.value.code == "SR_BACKEND_FAILURE_44"
        reasons = [merge["reason"] for merge in (await pending(bench)).values()]
        assert any("insufficient space" in reason for reason in reasons), await pending(bench)
        other.unlink()
        assert {snap: contents(bench, snap, "1") for snap in before} == before
        # Undoing it may have found no room, either: then it is known to be stuck, and the next merge settles it.
        stuck = [entry.id for entry in bench.engine.context.merging.stuck]
        assert [entry.id for entry in bench.engine.context.journal.pending()] == stuck
        if not stuck:
            assert_tidy(bench)
        await set_speed(bench, 0)
        await bench.coalesce()
        assert depth(bench, vm) == 3
        assert_tidy(bench)
        assert {snap: contents(bench, snap, "1") for snap in before} == before
        if state is VMPowerState.Running:
            await some_ticks(bench, vm)
