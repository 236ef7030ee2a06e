"""The lines of VMs and templates send what their buttons send."""

from __future__ import annotations

from typing import Any

import pytest

from app.api import SR, VM, Ref
from tests.ui.xe_lines.desk import XeDesk, nothing, until, vms


async def test_power(desk: XeDesk) -> None:
    a, b = await desk.twins()
    for command, answers in (
        ("vm.start", ()),
        ("vm.pause", ()),
        ("vm.unpause", ()),
        ("vm.suspend", ()),
        ("vm.resume", ()),
        ("vm.reboot", ()),
        ("vm.force_reboot", (nothing,)),
        ("vm.shutdown", ()),
        ("vm.start", ()),
        ("vm.force_shutdown", (nothing,)),
    ):
        line = await desk.same(command, vms(a), vms(b), *answers)
        assert line.count("\n") == 0
        await until(lambda: desk.bench.cache.get(VM, a).allowed_operations)  # type: ignore[union-attr]


async def test_several_at_once_without_those_that_cannot(desk: XeDesk) -> None:
    web, mail = await desk.twins(), await desk.twins("mail")
    await desk.started(web[0], web[1])
    line = await desk.same("vm.start", vms(web[0], mail[0]), vms(web[1], mail[1]))
    assert line.count("vm-start") == 1
    for vm in mail:
        await desk.heard(VM, vm, lambda record: "clean_shutdown" in record.allowed_operations)
    line = await desk.same("vm.shutdown", vms(web[0], mail[0]), vms(web[1], mail[1]), nothing)
    assert line.count("vm-shutdown") == 2


async def test_copies(desk: XeDesk) -> None:
    a, b = await desk.twins()
    sr: Ref[SR] = desk.bench.sr()

    def fast(dialog: Any) -> None:
        dialog.name.setText("it's a copy")
        dialog.choice.fast.setChecked(True)

    def full(dialog: Any) -> None:
        dialog.name.setText("another")
        dialog.choice.full.setChecked(True)
        dialog.choice.where.choose(sr)

    await desk.same("vm.copy", vms(a), vms(b), fast)
    assert "sr-uuid" in await desk.same("vm.copy", vms(a), vms(b), full)


async def test_templates(desk: XeDesk) -> None:
    a, b = await desk.twins()
    await desk.same("vm.convert_to_template", vms(a), vms(b), nothing)
    for vm in (a, b):
        await desk.heard(VM, vm, lambda record: record.is_a_template and record.allowed_operations)

    def named(dialog: Any) -> None:
        dialog.name.setText("copied")

    await desk.same("template.copy", vms(a), vms(b), named)
    await desk.same("template.quick_create", vms(a), vms(b))
    await desk.same("template.convert_to_vm", vms(a), vms(b))
    for vm in (a, b):
        await desk.heard(VM, vm, lambda record: not record.is_a_template and record.allowed_operations)
        await desk.bench.session.VM.set_is_a_template(vm, True)
        await desk.heard(VM, vm, lambda record: record.is_a_template and "destroy" in record.allowed_operations)
    assert "template-uninstall" in await desk.same("template.delete", vms(a), vms(b), nothing)


@pytest.mark.parametrize("along", [False, True])
async def test_deleting(desk: XeDesk, along: bool) -> None:
    a, b = await desk.twins()
    await desk.snapshots((a, b), "kept")
    for vm in (a, b):
        await desk.heard(VM, vm, lambda record: record.snapshots)

    def answer(dialog: Any) -> None:
        dialog.snapshots.setChecked(along)

    line = await desk.same("vm.delete", vms(a), vms(b), answer)
    assert ("keep-snapshots=true" in line) is not along
    assert len([vm for vm in desk.bench.store.all(VM).values() if vm.is_a_snapshot]) == (0 if along else 2)


async def test_the_command_itself_keeps_the_snapshots(desk: XeDesk) -> None:
    (_, b) = await desk.twins()
    (snapshot,) = await desk.snapshots((b,), "kept")
    await desk.heard(VM, b, lambda record: record.snapshots)
    await desk.typed(desk.line("vm.delete", vms(b)))
    assert desk.bench.store.find(VM, b) is None and desk.bench.store.find(VM, snapshot) is not None


async def test_made_again(desk: XeDesk) -> None:
    a, b = await desk.twins()
    first, second = await desk.snapshots((a, b), "kept")
    for vm in (a, b):
        await desk.bench.session.VM.uninstall(vm, False)
        await until(lambda vm=vm: desk.bench.cache.get(VM, vm) is None)  # type: ignore[misc]
    await desk.same("snapshot.recreate_vm", vms(first), vms(second), nothing)


async def test_properties_come_to_the_same(desk: XeDesk) -> None:
    a, b = await desk.twins()
    for vm in (a, b):
        await desk.bench.session.set(VM, vm, tags=frozenset({"old", "both"}))
        await desk.heard(VM, vm, lambda record: len(record.tags) == 2)

    def answer(dialog: Any) -> None:
        dialog.name.setText("renamed 'quietly'")
        dialog.description.setPlainText("one\ntwo")
        dialog.tags.setText("both, new one")
        dialog.cpus.setValue(2)
        dialog.memory.setValue(96)

    text = await desk.offered("vm.properties", vms(b), answer)
    await desk.press("vm.properties", vms(a), answer)
    await desk.typed(text)
    shown = [desk.bench.vm(vm) for vm in (a, b)]
    fields = ("name_label", "name_description", "tags", "VCPUs_max", "VCPUs_at_startup", "memory_static_max")
    values = [[getattr(record, field) for field in (*fields, "memory_dynamic_min")] for record in shown]
    assert values[0] == values[1]
    assert values[0][2:5] == [frozenset({"both", "new one"}), 2, 2]
    assert await desk.typed(desk.line("vm.properties", vms(b))) == []
