"""Making a VM: the order of the calls, and that a failure at any of them leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.api import NULL, Failure, Ref, Task
from app.api.failure import task_cancelled
from app.client import wait_for
from tests.ui.machines.windows import until
from tests.ui.machines.world import GIB, MIB, World
from ui.machines.creation import CreationError, ImportedDisk, NewDisk, NewVM, create

FULL = Failure("SR_BACKEND_FAILURE_44", "", "No space", "2 GiB are free")


class Steps:
    """Notes the steps; follows tasks as the window does; asks to stop before the step it is told."""

    def __init__(self, world: World, stop_at: str = "") -> None:
        self._world = world
        self._stop_at = stop_at
        self.seen: list[tuple[str, float]] = []

    def step(self, words: str, fraction: float) -> None:
        self.seen.append((words, fraction))

    async def follow(self, started: Awaitable[Ref[Task]], begin: float, end: float) -> str:
        engine = self._world.engine
        return await wait_for(self._world.workspace.session, engine.cache, await started)

    def check(self) -> None:
        if self._stop_at and any(self._stop_at in words for words, _ in self.seen):
            raise task_cancelled("")


def answers(world: World) -> None:
    """References in the order of making: vdi1, vdi2…"""
    made = iter(range(1, 100))
    world.engine.answer("VM.clone", "OpaqueRef:vm")
    world.engine.answer("VDI.create", lambda _record: f"OpaqueRef:vdi{next(made)}")
    world.engine.answer("VDI.import_file", "OpaqueRef:image")
    world.engine.answer("VBD.create", "OpaqueRef:vbd")
    world.engine.answer("VIF.create", "OpaqueRef:vif")


def plan(world: World, **changes: Any) -> NewVM:
    fields: dict[str, Any] = {
        "source": "sample",
        "template": world.sample,
        "template_record": world.vm(world.sample),
        "name": "web1",
        "description": "",
        "cpus": 1,
        "memory": 32 * MIB,
        "bus": "virtio",
        "network": world.network,
    }
    return NewVM(**fields | changes)


def from_iso(world: World) -> NewVM:
    return plan(
        world,
        source="iso",
        template=world.other,
        template_record=world.vm(world.other),
        iso=world.isos[0],
        bus="sata",
        cpus=2,
        memory=2 * GIB,
        disks=(NewDisk("web1 disk 0", 20 * GIB, world.sr), NewDisk("web1 disk 1", GIB, world.sr)),
    )


def from_image(world: World) -> NewVM:
    return plan(
        world,
        source="image",
        template=world.other,
        template_record=world.vm(world.other),
        image=ImportedDisk("web1 disk 0", "/srv/a.qcow2", world.sr),
        bus="sata",
        memory=2 * GIB,
        disks=(NewDisk("web1 disk 1", GIB, world.sr),),
    )


def methods(world: World) -> list[str]:
    return [method for method, _ in world.engine.calls]


async def test_the_sample_guest_takes_four_calls(world: World) -> None:
    answers(world)
    assert await create(world.workspace.session, plan(world), Steps(world)) == "OpaqueRef:vm"
    assert world.engine.calls == [
        ("VM.clone", (world.sample, "web1")),
        ("VM.provision", ("OpaqueRef:vm",)),
        ("VIF.create", ({"VM": "OpaqueRef:vm", "network": world.network, "device": "0", "MAC": ""},)),
    ]


async def test_settings_are_made_before_it_is_provisioned(world: World) -> None:
    answers(world)
    wanted = plan(world, description="A trial", cpus=2, memory=64 * MIB, bus="ide", network=None)
    await create(world.workspace.session, wanted, Steps(world))
    vm = "OpaqueRef:vm"
    assert world.engine.calls[1:] == [
        ("VM.set_name_description", (vm, "A trial")),
        ("VM.set_VCPUs_max", (vm, 2)),
        ("VM.set_VCPUs_at_startup", (vm, 2)),
        ("VM.set_memory_limits", (vm, *[64 * MIB] * 4)),
        ("VM.set_platform", (vm, {"disk-bus": "ide"})),
        ("VM.provision", (vm,)),
    ]


async def test_an_iso_goes_behind_the_disks(world: World) -> None:
    answers(world)
    steps = Steps(world)
    await create(world.workspace.session, from_iso(world), steps)
    vdi = {"SR": world.sr, "virtual_size": 20 * GIB, "name_label": "web1 disk 0", "type": "user"}
    assert world.engine.called("VDI.create")[0] == (vdi,)
    vbds = [record for (record,) in world.engine.called("VBD.create")]
    assert [(v["VDI"], v["type"], v["mode"], v["bootable"], v["other_config"]) for v in vbds] == [
        ("OpaqueRef:vdi1", "Disk", "RW", True, {"owner": ""}),
        ("OpaqueRef:vdi2", "Disk", "RW", False, {"owner": ""}),
        (world.isos[0], "CD", "RO", True, {}),
    ]
    fractions = [fraction for _, fraction in steps.seen]
    assert fractions == sorted(fractions)
    assert 0.0 <= fractions[0] <= fractions[-1] < 1.0


async def test_an_image_is_imported_first_and_gets_a_drive(world: World) -> None:
    answers(world)
    await create(world.workspace.session, from_image(world), Steps(world))
    assert world.engine.calls[0] == ("Async.VDI.import_file", (world.sr, "/srv/a.qcow2", "web1 disk 0"))
    vbds = [record for (record,) in world.engine.called("VBD.create")]
    assert [(v["VDI"], v["type"], v["bootable"], v["empty"]) for v in vbds] == [
        ("OpaqueRef:image", "Disk", True, False),
        ("OpaqueRef:vdi1", "Disk", False, False),
        (NULL, "CD", False, True),
    ]


PLANS: dict[str, Callable[[World], NewVM]] = {"sample": plan, "iso": from_iso, "image": from_image}
VM_GONE = ("VM.uninstall", ("OpaqueRef:vm", False))


@pytest.mark.parametrize(
    ("kind", "failing", "undone"),
    [
        ("sample", "VM.clone", []),
        ("sample", "VM.provision", [VM_GONE]),
        ("sample", "VIF.create", [VM_GONE]),
        ("iso", "VM.set_memory_limits", []),
        ("iso", "VM.set_platform", [VM_GONE]),
        ("iso", "VDI.create", [VM_GONE]),
        ("iso", "VBD.create", [("VDI.destroy", ("OpaqueRef:vdi1",)), VM_GONE]),
        ("image", "VDI.import_file", []),
        ("image", "VM.clone", [("VDI.destroy", ("OpaqueRef:image",))]),
        ("image", "VM.provision", [VM_GONE, ("VDI.destroy", ("OpaqueRef:image",))]),
        ("image", "VBD.create", [VM_GONE, ("VDI.destroy", ("OpaqueRef:image",))]),
        ("image", "VDI.create", [VM_GONE]),
    ],
)
async def test_a_failure_undoes_what_was_made(
    world: World, kind: str, failing: str, undone: list[tuple[str, tuple[Any, ...]]]
) -> None:
    answers(world)
    world.engine.answer(failing, FULL)
    wanted = PLANS[kind](world)
    if failing == "VM.set_memory_limits":
        undone = [VM_GONE]
        wanted = plan(world, memory=64 * MIB)
    with pytest.raises(CreationError) as caught:
        await create(world.workspace.session, wanted, Steps(world))
    assert str(caught.value.cause) == str(FULL)
    assert caught.value.left == ()
    taken_back = [call for call in world.engine.calls if call[0] in ("VM.uninstall", "VDI.destroy")]
    assert taken_back == undone


async def test_a_disk_that_the_vm_owns_goes_with_it(world: World) -> None:
    answers(world)
    world.engine.answer("VIF.create", FULL)
    with pytest.raises(CreationError):
        await create(world.workspace.session, from_iso(world), Steps(world))
    assert methods(world)[-1] == "VM.uninstall"
    assert "VDI.destroy" not in methods(world)


async def test_what_cannot_be_removed_is_named(world: World) -> None:
    answers(world)
    world.engine.answer("VBD.create", FULL)
    world.engine.answer("VDI.destroy", Failure("VDI_IN_USE", "OpaqueRef:vdi1", "destroy"))
    with pytest.raises(CreationError) as caught:
        await create(world.workspace.session, from_iso(world), Steps(world))
    assert caught.value.left == ("the disk “web1 disk 0”",)
    assert methods(world)[-1] == "VM.uninstall", "the rest is removed all the same"


async def test_a_request_to_stop_is_heard_between_the_steps(world: World) -> None:
    answers(world)
    with pytest.raises(CreationError) as caught:
        await create(world.workspace.session, from_iso(world), Steps(world, stop_at="disk 1 of 2"))
    assert isinstance(caught.value.cause, Failure)
    assert caught.value.cause.code == "TASK_CANCELLED"
    assert len(world.engine.called("VDI.create")) == 1
    assert methods(world)[-1] == "VM.uninstall"


async def test_a_window_that_closes_leaves_nothing_behind(world: World) -> None:
    answers(world)
    world.engine.hold("VM.provision")
    making = asyncio.ensure_future(create(world.workspace.session, from_image(world), Steps(world)))
    await until(lambda: "VM.provision" in methods(world))
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert methods(world)[-2:] == ["VM.uninstall", "VDI.destroy"]
