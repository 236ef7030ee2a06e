"""SR.scan: images without a record are introduced, those being made are not, and leftovers are freed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from app.api import VDI, VM, Ref, VMOperation
from app.hypervisor.simulated import SimulatedDriver
from app.storage.file_repository import FileRepository
from tests.engine.vm.guests import DATA, disks_of, images_of
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import read_bytes, write_bytes


def files(bench: Bench) -> FileRepository:
    return bench.engine.context.files(bench.sr())


def forget(bench: Bench, *records: Ref[VDI]) -> None:
    """Lose the records of disks, as an old backup of the database does."""
    with bench.store.transaction() as tx:
        tx.delete_all(VDI, records)


def by_image(bench: Bench) -> Mapping[str, tuple[Ref[VDI], VDI]]:
    return {vdi.location: (ref, vdi) for ref, vdi in bench.store.all(VDI).items()}


async def test_images_without_a_record_become_disks(bench: Bench) -> None:
    """A chain of three: its top becomes a disk that can be used, what is below it the base copies."""
    root, middle, top = (files(bench).new_id() for _ in range(3))
    files(bench).create(root, 1 << 20)
    write_bytes(files(bench).image_path(root), 0, b"precious")
    files(bench).create_overlay(middle, root)
    files(bench).create_overlay(top, middle)
    files(bench).freeze(top)
    await bench.session.SR.scan(bench.sr())
    known = by_image(bench)
    assert {image: known[image][1].managed for image in (root, middle, top)} == {root: False, middle: False, top: True}
    ref, disk = known[top]
    assert (disk.virtual_size, disk.missing, disk.is_a_snapshot) == (1 << 20, False, False)
    assert disk.sm_config["vhd-parent"] == middle
    assert "destroy" in disk.allowed_operations
    before = dict(bench.store.all(VDI))
    await bench.session.SR.scan(bench.sr())
    assert dict(bench.store.all(VDI)) == before

    vm = await bench.sample_vm()
    await bench.session.VBD.create({"VM": vm, "VDI": ref, "userdevice": "3", "type": "Disk", "mode": "RW"})
    await bench.session.VM.start(vm)
    assert not files(bench).is_frozen(top)
    await bench.session.VM.hard_shutdown(vm)
    assert read_bytes(bench.image(vm, "3"), 0, 8) == b"precious"
    await bench.session.VDI.destroy(ref)
    assert {root, middle, top}.isdisjoint(images_of(bench))


async def test_what_is_found_is_on_the_way_to_something_else_and_left_alone(bench: Bench) -> None:
    """An operation at work may not have recorded its images yet; a journal entry means they are being made."""
    planned, loose = files(bench).new_id(), files(bench).new_id()
    entry = bench.engine.context.journal.begin("discard_images", images={bench.sr(): [planned]})
    files(bench).create(planned, 1 << 20)
    vm = await bench.sample_vm()
    files(bench).create(loose, 1 << 20)
    bench.store.publish(VM, vm, current_operations={"$task": VMOperation.snapshot})
    await bench.session.SR.scan(bench.sr())
    assert {planned, loose}.isdisjoint(by_image(bench))
    bench.store.publish(VM, vm, current_operations={})
    await bench.session.SR.scan(bench.sr())
    assert planned not in by_image(bench)
    assert loose in by_image(bench)
    entry.end()


async def test_an_image_that_cannot_be_read_is_not_introduced(bench: Bench) -> None:
    image = files(bench).new_id()
    files(bench).image_path(image).write_bytes(b"no qcow2 at all" * 100)
    await bench.session.SR.scan(bench.sr())
    assert image not in by_image(bench)
    files(bench).image_path(image).unlink()


async def test_a_lost_disk_is_found_again(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2)
    write_bytes(bench.image(vm, "1"), DATA, b"lost")
    (lost,) = {disks_of(bench, vm)["1"]}
    image = bench.store.get(VDI, lost).location
    await bench.session.VBD.destroy(*bench.store.get(VDI, lost).VBDs)
    forget(bench, lost)
    await bench.session.SR.scan(bench.sr())
    found, record = by_image(bench)[image]
    assert found != lost and record.managed and not record.VBDs
    assert read_bytes(files(bench).image_path(image), DATA, 4) == b"lost"


async def test_base_copies_that_a_missing_image_left_over_are_freed(bench: Bench) -> None:
    vm = await bench.sample_vm()
    clone = await bench.session.VM.clone(vm, "clone")
    (base,) = [vdi.location for vdi in bench.store.all(VDI).values() if not vdi.managed]
    for ref in (vm, clone):
        bench.image(ref).unlink()  # behind our back: nothing builds on the base any more
    assert images_of(bench) == {base}
    await bench.session.SR.scan(bench.sr())
    assert images_of(bench) == set()
    assert [vdi.location for vdi in bench.store.all(VDI).values() if not vdi.managed] == []
    assert {bench.store.get(VDI, disks_of(bench, ref)["0"]).missing for ref in (vm, clone)} == {True}


async def test_an_old_database_loses_no_newer_disk(data_dir: Path, driver: SimulatedDriver) -> None:
    """A backup of the database is put back: what was written since then is found, and no guest spoils it."""
    saved = data_dir.parent / "saved"
    async with open_bench(data_dir, driver) as bench:
        vm = await bench.sample_vm()
        write_bytes(bench.image(vm), DATA, b"old")
        old = bench.image(vm)
    shutil.copytree(data_dir, saved, ignore=shutil.ignore_patterns("sr", "run"))
    async with open_bench(data_dir, driver) as bench:
        await bench.session.VM.snapshot(vm, "forgotten with the database")
        write_bytes(bench.image(vm), DATA, b"new")
        newer = bench.image(vm)
    for path in saved.glob("stillframe.db*"):
        shutil.copy(path, data_dir / path.name)
    async with open_bench(data_dir, driver) as bench:
        assert bench.image(vm) == old
        found, record = by_image(bench)[newer.stem]
        assert record.managed and not record.VBDs
        await bench.session.VM.start(vm)
        await bench.session.VM.hard_shutdown(vm)
        assert bench.image(vm) not in (old, newer)
        write_bytes(bench.image(vm), DATA, b"VM ")
        assert read_bytes(newer, DATA, 3) == b"new"
        assert read_bytes(old, DATA, 3) == b"old"
        await bench.session.VDI.destroy(found)
        assert read_bytes(bench.image(vm), DATA, 3) == b"VM "
