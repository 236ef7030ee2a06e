"""VM.copy over the simulated driver: refused, cancelled, out of space, and beside other operations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.api import NULL, SR, VBD, VDI, VM, Failure, Ref, Task, VBDType, VDIOperation, VMCalls, VMOperation
from app.storage.errors import StorageError
from app.storage.file_repository import FileRepository
from tests.engine.vm.guests import assert_tidy, content, disks_of, images_of
from tests.support.engine import Bench


class Gate:
    """Holds every copy of an image until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        real = FileRepository.flatten

        async def flatten(repository: FileRepository, source: str, target: str, **options: object) -> None:
            self.reached.set()
            await self.opened.wait()
            await real(repository, source, target, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(FileRepository, "flatten", flatten)


@pytest.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.opened.set()


def objects(bench: Bench) -> dict[str, set[str]]:
    return {name: set(bench.store.of_class(name)) for name in ("VM", "VDI", "VBD", "VIF", "VM_metrics")}


async def code_of(work: object) -> str:
    with pytest.raises(Failure) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_what_cannot_be_copied(bench: Bench) -> None:
    vm = await bench.sample_vm()
    before = objects(bench)
    iso = next(ref for ref, sr in bench.store.all(SR).items() if sr.type == "iso")
    with pytest.raises(Failure) as caught:
        await bench.run(VMCalls.copy, vm, "copy", iso)
    assert caught.value.description() == ["OPERATION_NOT_ALLOWED", "Cannot copy a VM's disks to an ISO SR"]
    assert await code_of(bench.run(VMCalls.copy, vm, "copy", Ref[SR]("OpaqueRef:gone"))) == "HANDLE_INVALID"
    assert await code_of(bench.run(VMCalls.copy, vm, "co\npy", NULL)) == "INVALID_VALUE"
    await bench.session.VM.start(vm)
    with pytest.raises(Failure) as caught:
        await bench.run(VMCalls.copy, vm, "copy", NULL)
    assert caught.value.description() == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    assert objects(bench) == before


async def test_no_room_is_said_before_anything_is_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = await bench.sample_vm(disks=3)
    before, images = objects(bench), images_of(bench)
    asked = []

    def require_free(_: FileRepository, size: int) -> None:
        asked.append(size)
        raise StorageError.no_space("There is no room.")

    monkeypatch.setattr(FileRepository, "require_free", require_free)
    assert await code_of(bench.run(VMCalls.copy, vm, "copy", NULL)) == "SR_BACKEND_FAILURE_44"
    assert len(asked) == 1
    assert (objects(bench), images_of(bench)) == (before, images)
    assert_tidy(bench)


async def test_a_cancelled_copy_leaves_nothing(bench: Bench, gate: Gate) -> None:
    vm = await bench.sample_vm(disks=2)
    before, images = objects(bench), images_of(bench)
    task = await bench.session.start(VMCalls.copy, vm, "copy", NULL)
    await gate.reached.wait()
    assert VMOperation.copy in bench.vm(vm).current_operations.values()
    await bench.session.task.cancel(Ref[Task](task))
    while bench.vm(vm).current_operations:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert bench.store.get(Task, task).status.value == "cancelled"
    assert (objects(bench), images_of(bench)) == (before, images)
    assert all(not bench.store.get(VDI, vdi).current_operations for vdi in disks_of(bench, vm).values())
    assert_tidy(bench)


async def test_the_source_is_held_but_may_be_cloned_and_copied(
    bench: Bench, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ops.locking.PATIENCE_SECONDS", 0.0)
    vm = await bench.sample_vm()
    before = content(bench.image(vm))
    (vdi,) = disks_of(bench, vm).values()
    copying = asyncio.ensure_future(bench.run(VMCalls.copy, vm, "copy", NULL))
    await gate.reached.wait()
    assert set(bench.vm(vm).allowed_operations) == {VMOperation.clone, VMOperation.copy, VMOperation.export}
    assert set(bench.store.get(VDI, vdi).current_operations.values()) == {VDIOperation.copy}
    assert set(bench.store.get(VDI, vdi).allowed_operations) == {VDIOperation.clone, VDIOperation.copy}
    (vbd,) = bench.store.get(VDI, vdi).VBDs
    for work in (
        bench.session.VM.start(vm),
        bench.session.VM.snapshot(vm, "snap"),
        bench.session.VM.destroy(vm),
        bench.session.VDI.destroy(vdi),
        bench.session.VBD.destroy(vbd),
    ):
        assert await code_of(work) == "OTHER_OPERATION_IN_PROGRESS"
    assert bench.store.find(VBD, vbd) is not None
    clone = await bench.session.VM.clone(vm, "clone")
    second = asyncio.ensure_future(bench.run(VMCalls.copy, vm, "second", NULL))
    gate.opened.set()
    for made in (clone, await copying, await second):
        assert content(bench.image(made)) == before
    await bench.session.VM.start(vm)
    assert_tidy(bench)


async def test_progress_goes_on_over_all_disks(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=3)
    seen: list[float] = []
    publish = bench.store.publish

    def watch(record: type, ref: str, **fields: object) -> None:
        if "progress" in fields:
            seen.append(float(str(fields["progress"])))
        publish(record, ref, **fields)

    bench.store.publish = watch  # type: ignore[method-assign]
    await bench.run(VMCalls.copy, vm, "copy", NULL)
    assert seen == sorted(seen)
    assert len([value for value in seen if value < 1]) >= 3


def drives(bench: Bench, vm: str) -> dict[str, tuple[str, bool, str]]:
    vbds = [bench.store.get(VBD, ref) for ref in bench.vm(vm).VBDs]
    return {vbd.userdevice: (vbd.VDI, vbd.empty, vbd.type.value) for vbd in vbds if vbd.type is VBDType.CD}


async def test_drives_go_along_with_their_discs(bench: Bench, data_dir: Path) -> None:
    """An ISO is shared, an empty drive stays empty: in copies, clones, and a VM that comes back."""
    (data_dir / "iso" / "tools.iso").write_bytes(bytes(2048 * 100))
    isos = next(ref for ref, sr in bench.store.all(SR).items() if sr.type == "iso")
    await bench.session.SR.scan(isos)
    (iso,) = bench.store.get(SR, isos).VDIs
    vm = await bench.sample_vm()
    for device, vdi in (("3", iso), ("4", NULL)):
        await bench.session.VBD.create({"VM": vm, "VDI": vdi, "userdevice": device, "type": "CD", "mode": "RO"})
    expected = {"3": (iso, False, "CD"), "4": (NULL, True, "CD")}
    snap = await bench.session.VM.snapshot(vm, "snap")
    made = [
        Ref[VM](await bench.run(VMCalls.copy, vm, "copy", NULL)),
        Ref[VM](await bench.run(VMCalls.copy, snap, "copy of the snapshot", NULL)),
        await bench.session.VM.clone(snap, "clone"),
    ]
    assert [drives(bench, ref) for ref in (vm, snap, *made)] == [expected] * 5
    for ref in (vm, *made):
        await bench.run(VMCalls.uninstall, ref, False)
    await bench.session.VM.revert(snap)
    assert drives(bench, bench.vm(snap).snapshot_of) == expected
    assert bench.store.find(VDI, iso) is not None
    with pytest.raises(Failure) as caught:
        await bench.session.VBD.eject(next(v for v in bench.vm(snap).VBDs if iso == bench.store.get(VBD, v).VDI))
    assert caught.value.code == "VM_IS_SNAPSHOT"


async def test_only_disks_that_a_vm_owns_go_with_it(bench: Bench) -> None:
    vm = await bench.sample_vm(disks=2)
    disks = disks_of(bench, vm)
    (vbd,) = bench.store.get(VDI, disks["1"]).VBDs
    await bench.session.set(VBD, vbd, other_config={})
    await bench.run(VMCalls.uninstall, vm, False)
    assert bench.store.find(VDI, disks["0"]) is None
    assert bench.store.get(VDI, disks["1"]).VBDs == frozenset()
    assert_tidy(bench)
    await bench.session.VDI.destroy(disks["1"])
    assert images_of(bench) == set()
