"""The lines of snapshots send what their buttons send."""

from __future__ import annotations

from typing import Any

import pytest

from app.api import EPOCH, NULL, VDI, VM, Ref
from tests.ui.xe_lines.desk import XeDesk, nothing, until, vms
from ui.snapshots.ways import DISKS, MEMORY, Way


@pytest.mark.parametrize("way", [DISKS, MEMORY], ids=["disks", "memory"])
async def test_taking_one(desk: XeDesk, way: Way) -> None:
    a, b = await desk.twins()
    await desk.started(a, b)

    def answer(dialog: Any) -> None:
        dialog.name.setText('before "it"')
        dialog.description.setPlainText("two\nlines")
        dialog.card(way).click()

    line = await desk.same("vm.snapshot", vms(a), vms(b), answer)
    assert line.startswith("xe vm-snapshot" if way is DISKS else "xe vm-checkpoint")


@pytest.mark.parametrize("together", [False, True])
async def test_taking_several(desk: XeDesk, together: bool) -> None:
    web, mail = await desk.twins(), await desk.twins("mail")

    def answer(dialog: Any) -> None:
        (dialog.together if together else dialog.alone).setChecked(True)
        dialog.name.setText("now")

    line = await desk.same("vm.snapshot", vms(web[0], mail[0]), vms(web[1], mail[1]), answer)
    assert line.count("snapshot-group-create") == together


async def test_the_command_names_those_that_can(desk: XeDesk) -> None:
    a, b = await desk.twins()
    assert desk.line("vm.snapshot", vms(a, b)).count("xe vm-snapshot ") == 2
    assert [name for name, *_ in await desk.typed(desk.line("vm.snapshot", vms(b)))] == ["VM.snapshot"]
    assert await desk.typed(desk.line("vm.chain_health", vms(b))) == []


async def test_names_locks_and_memory(desk: XeDesk) -> None:
    a, b = await desk.twins()
    await desk.started(a, b)
    first, second = await desk.snapshots((a, b), "kept", memory=True)

    def renamed(dialog: Any) -> None:
        dialog.name.setText("it's renamed")
        dialog.description.setPlainText("why")

    def locked(dialog: Any) -> None:
        dialog.reason.setText("evidence; keep")
        dialog.owner.setText("Ada")
        dialog.limited.setChecked(True)

    await desk.same("snapshot.rename", vms(first), vms(second), renamed)
    assert "until=" in await desk.same("snapshot.lock", vms(first), vms(second), locked)
    await desk.same("snapshot.unlock", vms(first), vms(second))
    assert await desk.same("snapshot.drop_memory", vms(first), vms(second), nothing)
    for snapshot in (first, second):
        await desk.heard(VM, snapshot, lambda record: record.power_state.value == "Halted")
        await desk.bench.session.call("VM.add_to_blocked_operations", snapshot, "destroy", "plain")
        await desk.heard(VM, snapshot, lambda record: record.blocked_operations)
    assert "blocked-operations" in await desk.same("snapshot.unlock", vms(first), vms(second))


async def test_a_lock_without_an_end_on_those_that_have_none(desk: XeDesk) -> None:
    a, b = await desk.twins()
    made = await desk.snapshots((a, b, a, b), "kept")
    for snapshot in made[:2]:
        await desk.bench.session.VM.lock_snapshot(snapshot, "already", "", EPOCH)
        await desk.heard(VM, snapshot, lambda record: record.blocked_operations)

    def locked(dialog: Any) -> None:
        dialog.reason.setText("why")

    line = await desk.same("snapshot.lock", vms(made[0], made[2]), vms(made[1], made[3]), locked)
    assert line.count("snapshot-lock") == 1 and "until" not in line


@pytest.mark.parametrize("keep_disks", [False, True])
async def test_deleting_several(desk: XeDesk, keep_disks: bool) -> None:
    a, b = await desk.twins()
    made = await desk.snapshots((a, b, a, b), "kept")

    def answer(dialog: Any) -> None:
        dialog.keep_disks.setChecked(keep_disks)

    line = await desk.same("snapshot.delete", vms(made[0], made[2]), vms(made[1], made[3]), answer)
    assert line.count("snapshot-destroy" if keep_disks else "snapshot-uninstall") == 2


async def test_keeping_the_disks_of_a_checkpoint_comes_to_the_same(desk: XeDesk) -> None:
    """xe lets the memory go by itself first; the engine does it with the record."""
    a, b = await desk.twins()
    await desk.started(a, b)
    made, before = await desk.snapshots((a, b), "kept", memory=True), len(desk.bench.store.all(VDI))

    def answer(dialog: Any) -> None:
        dialog.keep_disks.setChecked(True)

    text = await desk.offered("snapshot.delete", vms(made[1]), answer)
    await desk.press("snapshot.delete", vms(made[0]), answer)
    assert len(desk.bench.store.all(VDI)) == before - 1
    await desk.typed(text)
    assert len(desk.bench.store.all(VDI)) == before - 2
    assert [desk.bench.store.find(VM, ref) for ref in made] == [None, None]


async def test_deleting_by_the_command(desk: XeDesk) -> None:
    a, b = await desk.twins()
    made = await desk.snapshots((a, b), "kept")
    pressed = await desk.press("snapshot.delete", vms(made[0]), nothing)
    assert await desk.typed(desk.line("snapshot.delete", vms(made[1]))) == pressed


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("start", [False, True])
async def test_making_vms(desk: XeDesk, full: bool, start: bool) -> None:
    a, b = await desk.twins()
    made = await desk.snapshots((a, b), "kept")

    def answer(dialog: Any) -> None:
        dialog.name.setText("made")
        (dialog.full if full else dialog.fast).setChecked(True)
        dialog.start.setChecked(start)

    line = await desk.same("snapshot.new_vm", vms(made[0]), vms(made[1]), answer)
    assert line.startswith("xe vm-install" if not (full or start) else "vm=$(")


@pytest.mark.parametrize("full", [False, True])
async def test_making_templates(desk: XeDesk, full: bool) -> None:
    a, b = await desk.twins()
    made = await desk.snapshots((a, b), "kept")

    def answer(dialog: Any) -> None:
        dialog.name.setText("made")
        (dialog.full if full else dialog.fast).setChecked(True)
        if full:
            dialog.where.setCurrentIndex(1)

    line = await desk.same("snapshot.new_template", vms(made[0]), vms(made[1]), answer)
    assert ("sr-uuid=" in line) is full


@pytest.mark.parametrize("memory", [False, True])
async def test_reverting_a_running_vm(desk: XeDesk, memory: bool) -> None:
    a, b = await desk.twins()
    await desk.started(a, b)
    made = await desk.snapshots((a, b), "kept", memory=memory)

    def answer(dialog: Any) -> None:
        dialog.keep_current.setChecked(True)
        dialog.start_afterwards.setChecked(True)

    line = await desk.same("snapshot.revert", vms(made[0]), vms(made[1]), answer)
    assert line.count("\n") == 2 and ("vm-resume" in line) is memory


async def test_reverting_a_group(desk: XeDesk) -> None:
    web, mail = await desk.twins(), await desk.twins("mail")
    groups = []
    for place in range(2):
        made = await desk.bench.session.VM.snapshot_group([web[place], mail[place]], "group")
        groups.append(made)
        for snapshot in made:
            await desk.heard(VM, snapshot, lambda record: record.allowed_operations)

    def answer(dialog: Any) -> None:
        dialog.whole_group.setChecked(True)

    line = await desk.same("snapshot.revert", vms(groups[0][0]), vms(groups[1][0]), answer)
    assert "snapshot-group-create" in line and "snapshot-group-revert" in line
    assert desk.line("snapshot.group", vms(groups[0][0])) == ""


async def test_reverting_where_the_vm_is_gone(desk: XeDesk) -> None:
    a, b = await desk.twins()
    await desk.started(a, b)
    made = await desk.snapshots((a, b), "kept")
    for vm in (a, b):
        await desk.bench.session.VM.hard_shutdown(vm)
        await desk.bench.session.VM.uninstall(vm, False)
        await until(lambda vm=vm: desk.bench.cache.get(VM, vm) is None)  # type: ignore[misc]

    def answer(dialog: Any) -> None:
        dialog.start_afterwards.setChecked(True)

    line = await desk.same("snapshot.revert", vms(made[0]), vms(made[1]), answer)
    assert "vm-start" in line
    assert desk.bench.vm(made[1]).snapshot_of != Ref(NULL)
