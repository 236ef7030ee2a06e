"""Single disks as files and back, in each format; what is refused, and that nothing is left then."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from app.api import VDI, Failure, Ref, VMCalls
from app.client.exchange import DiskFormat, export_disk, import_disk
from tests.engine.vm.guests import contents, disks_of, images_of, snapshot
from tests.engine.xva.archives import MIB, fill, sent
from tests.engine.xva.test_export import two_disks
from tests.support.engine import Bench
from tests.support.qcow2_view import view

QEMU = {"raw": "raw", "vhd": "vpc", "qcow2": "qcow2"}


def qemu_img(*arguments: object) -> int:
    """Run qemu-img; answer its status."""
    return subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, check=False).returncode


@pytest.mark.parametrize("disk_format", ["raw", "vhd", "qcow2"])
async def test_there_and_back(bench: Bench, tmp_path: Path, disk_format: DiskFormat) -> None:
    vm = await two_disks(bench)
    snap = await snapshot(bench, vm)
    fill(bench.image(vm), {5 * MIB: b"later"})
    path = tmp_path / f"disk.{disk_format}"
    result = await export_disk(bench.session, disks_of(bench, snap)["0"], path, disk_format)
    assert (result.bytes, path.stat().st_mode & 0o777) == (path.stat().st_size, 0o600)
    assert qemu_img("compare", "-f", QEMU[disk_format], "-F", "qcow2", path, bench.image(snap)) == 0
    made = await import_disk(bench.session, path, disk_format, None, "again")
    record = bench.store.get(VDI, made)
    shown = view(bench.engine.context.files(record.SR).image_path(record.location))
    assert (record.name_label, record.virtual_size) == ("again", 16 * MIB)
    assert shown.digest() == view(bench.image(snap)).digest()
    await bench.session.VDI.destroy(made)


async def test_another_content_for_a_disk_that_others_build_on(bench: Bench) -> None:
    vm = await two_disks(bench)
    snap = await snapshot(bench, vm)
    frozen = contents(bench, snap, ["1"])
    size = bench.store.get(VDI, disks_of(bench, vm)["1"]).virtual_size
    content = os.urandom(MIB) + bytes(size - MIB)
    for _ in range(2):
        query = {"vdi": disks_of(bench, vm)["1"]}
        await bench.session.upload("/import_raw_vdi", query, sent(content), size)
        assert view(bench.image(vm, "1")).read(0, size) == content
    assert contents(bench, snap, ["1"]) == frozen
    await bench.run(VMCalls.revert, snap)
    assert contents(bench, vm, ["1"]) == frozen


async def test_what_does_not_fit_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(os.urandom(MIB))
    formats: list[DiskFormat] = ["vhd", "qcow2"]
    for wrong in formats:
        with pytest.raises(Failure, match="INVALID_VALUE"):
            await import_disk(bench.session, path, wrong)
    with pytest.raises(FileExistsError):
        await export_disk(bench.session, Ref("OpaqueRef:none"), path)
    qemu_img("create", "-f", "qcow2", path, "1M")
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(Failure):
        await import_disk(bench.session, path, "qcow2")
    with pytest.raises(Failure, match="HANDLE_INVALID"):
        await export_disk(bench.session, Ref("OpaqueRef:none"), tmp_path / "none")
    assert [name.name for name in tmp_path.iterdir()] == ["disk"]
    assert (images_of(bench), dict(bench.store.all(VDI))) == (set(), {})
