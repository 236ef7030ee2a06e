"""The lines of the New VM wizard make the same VM, step by step."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.api import SR, VBD, VDI, VIF, VM, Network, Ref
from app.config import load
from tests.ui.xe_lines.desk import XeDesk, vms
from ui.machines.creation import ImportedDisk, NewDisk, NewVM, Way
from ui.machines.making import make
from ui.machines.new_vm_wizard import NewVmWizard
from ui.machines.wizard_lines import new_vm_lines

GIB = 1 << 30


def shape(desk: XeDesk, name: str) -> list[Any]:
    """All of a VM that a plan decides."""
    store = desk.bench.store
    (vm,) = [record for record in store.all(VM).values() if record.name_label == name]
    fields = ("name_description", "power_state", "is_a_template", "VCPUs_max", "VCPUs_at_startup", "platform")
    memory = ("memory_static_min", "memory_static_max", "memory_dynamic_min", "memory_dynamic_max")
    found: list[Any] = [getattr(vm, field) for field in (*fields, *memory)]
    for ref in vm.VBDs:
        vbd = store.get(VBD, ref)
        vdi = store.get(VDI, vbd.VDI) if not vbd.empty else VDI()
        holder = (vbd.userdevice, vbd.type, vbd.mode, vbd.bootable, vbd.unpluggable, dict(vbd.other_config))
        found.append((holder, vdi.name_label.replace(name, ""), vdi.SR, vdi.virtual_size, vdi.type))
    interfaces = [store.get(VIF, ref) for ref in vm.VIFs]
    return sorted(map(repr, [*found, *((vif.network, vif.device, vif.MTU) for vif in interfaces)]))


async def same(desk: XeDesk, plan: NewVM, **named: Any) -> str:
    """Make one by the wizard's own function, another by the lines for a plan that only has another name."""
    await make(desk.workspace, replace(plan, name="button", **_for("button", plan)))
    await desk.idle()
    text = new_vm_lines(desk.bench.cache, replace(plan, name="line", **_for("line", plan)))
    assert await desk.typed(text)
    assert shape(desk, "line") == shape(desk, "button"), text
    return text


def _for(name: str, plan: NewVM) -> dict[str, Any]:
    disks = tuple(replace(disk, name=f"{name} disk {number}") for number, disk in enumerate(plan.disks))
    image = replace(plan.image, name=f"{name} disk 0") if plan.image is not None else None
    return {"disks": disks, "image": image}


async def template(desk: XeDesk, name: str) -> tuple[Ref[VM], VM]:
    ref = await desk.bench.session.by_name(VM, name)
    return ref, desk.bench.vm(ref)


@pytest.mark.parametrize("full", [False, True])
async def test_from_a_template(desk: XeDesk, full: bool) -> None:
    ref, record = await template(desk, "Sample guest")
    network = next(iter(desk.bench.store.all(Network)))
    way = Way(full=True, sr=desk.bench.sr()) if full else Way()
    plan = NewVM(
        source="template", template=ref, template_record=record, name="", description="it's new", way=way, cpus=2,
        memory=record.memory_static_max * 2, network=network, disks=(NewDisk("", GIB, desk.bench.sr()),),
    )  # fmt: skip
    text = await same(desk, plan)
    assert ("vm-copy" in text) is full and "vm-start" in text


async def test_to_install_from_a_disc(desk: XeDesk, data_dir: Path) -> None:
    (load(data_dir).iso_dir / "one.iso").write_bytes(bytes(1 << 20))
    library = next(ref for ref, record in desk.bench.store.all(SR).items() if record.content_type == "iso")
    await desk.bench.session.SR.scan(library)
    iso = next(ref for ref, vdi in desk.bench.store.all(VDI).items() if library == vdi.SR)
    await desk.heard(VDI, iso, lambda record: True)
    ref, record = await template(desk, "Other install media")
    plan = NewVM(
        source="iso", template=ref, template_record=record, name="", description="", iso=iso, bus="sata", cpus=1,
        memory=512 << 20, disks=(NewDisk("", GIB, desk.bench.sr()), NewDisk("", GIB, desk.bench.sr())), start=False,
    )  # fmt: skip
    text = await same(desk, plan)
    assert "platform:disk-bus=sata" in text and text.count("other-config:owner=") == 2


async def test_of_a_disk_image(desk: XeDesk, tmp_path: Path) -> None:
    path = tmp_path / "it's an image.qcow2"
    made = await asyncio.create_subprocess_exec("qemu-img", "create", "-q", "-f", "qcow2", str(path), "8M")
    assert await made.wait() == 0
    ref, record = await template(desk, "Other install media")
    image = ImportedDisk("", str(path), desk.bench.sr())
    plan = NewVM(
        source="image", template=ref, template_record=record, name="", description="", image=image, start=False
    )
    assert "vdi-import-file" in await same(desk, plan)


async def test_the_wizard_offers_them(desk: XeDesk) -> None:
    wizard = NewVmWizard(desk.workspace)
    plan = wizard.plan()
    assert plan is not None and wizard.xe_line() == new_vm_lines(desk.bench.cache, plan)
    wizard.stop()
    wizard.deleteLater()


async def test_the_commands_themselves_name_what_is_missing(desk: XeDesk) -> None:
    a, _ = await desk.twins()
    assert desk.line("vm.new", ()) == "xe vm-install template=TEMPLATE new-name-label=NAME"
    await desk.bench.session.VM.set_is_a_template(a, True)
    sent = await desk.typed(desk.line("template.new_vm", vms(a)))
    assert [name for name, *_ in sent] == ["VM.clone", "VM.provision"]
