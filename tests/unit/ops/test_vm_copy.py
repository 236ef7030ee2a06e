"""VM.copy over the simulated driver: refused, cancelled, out of space, and beside other operations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.api import NULL, SR, VBD, VDI, Failure, Ref, Task, VDIOperation, VMCalls, VMOperation
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
    assert set(bench.vm(vm).allowed_operations) == {VMOperation.clone, VMOperation.copy}
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
