"""Imports of .xva files: all that is in the file is there afterwards, or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from app.api import VDI, VM, VMCalls, VMPowerState
from app.api.streams import Chunk
from app.client.exchange import ExportOptions, ImportOptions, export_vm, import_xva
from tests.engine.vm.guests import disks_of, go_on, images_of
from tests.faults.scenarios.base import MIB, Facts, Scenario, halted, same_content, suspended
from tests.faults.world import contents
from tests.support.engine import Bench
from tests.support.qcow2_view import BLOCK, View

NAME = "imported"


async def exported(bench: Bench, folder: Path) -> Facts:
    """A Halted VM, and a file of it."""
    facts = await halted(bench, folder)
    await export_vm(bench.session, facts["vm"], folder / "a.xva")
    return {**facts, "file": str(folder / "a.xva"), "images": len(images_of(bench))}


async def exported_with_memory(bench: Bench, folder: Path) -> Facts:
    """A Suspended VM, and a file with its memory."""
    facts = await suspended(bench, folder)
    await export_vm(bench.session, facts["vm"], folder / "a.xva", ExportOptions(preserve_power_state=True))
    facts |= {"vm_content": contents(bench, facts["vm"]), "images": len(images_of(bench))}
    return {**facts, "file": str(folder / "a.xva")}


async def described(bench: Bench, folder: Path) -> Facts:
    """A VM's disks that nothing holds any more, and its description."""
    facts = await halted(bench, folder)
    await export_vm(bench.session, facts["vm"], folder / "a.xva", ExportOptions(metadata=True))
    facts |= {"file": str(folder / "a.xva"), "uuid": bench.vm(facts["vm"]).uuid, "images": len(images_of(bench))}
    await bench.session.VM.destroy(facts["vm"])
    return facts


async def import_new(bench: Bench, facts: Facts) -> None:
    await import_xva(bench.session, Path(facts["file"]), ImportOptions(name=NAME))


async def import_again(bench: Bench, facts: Facts) -> None:
    await import_xva(bench.session, Path(facts["file"]), ImportOptions(restore=True))


async def new_or_not(bench: Bench, facts: Facts) -> None:
    await same_content(bench, facts)
    for ref in [ref for ref, vm in bench.store.all(VM).items() if vm.name_label == NAME]:
        assert contents(bench, ref) == facts["vm_content"]
        if bench.vm(ref).power_state is VMPowerState.Suspended:
            await go_on(bench, ref)
        await bench.run(VMCalls.uninstall, ref, False)
    assert len(images_of(bench)) == facts["images"]


async def again_or_not(bench: Bench, facts: Facts) -> None:
    found = [ref for ref, vm in bench.store.all(VM).items() if vm.uuid == facts["uuid"]]
    assert all(contents(bench, ref) == facts["vm_content"] for ref in found)
    assert len(images_of(bench)) == facts["images"]


async def _zeros_but(size: int) -> AsyncIterator[Chunk]:
    yield b"content" + bytes(size - 7)


async def import_raw(bench: Bench, facts: Facts) -> None:
    await bench.session.upload("/import_raw_vdi", {"name_label": NAME}, _zeros_but(MIB), MIB)


async def disk_or_not(bench: Bench, facts: Facts) -> None:
    await same_content(bench, facts)
    for ref in [ref for ref, vdi in bench.store.all(VDI).items() if vdi.name_label == NAME]:
        await bench.session.VDI.destroy(ref)
    assert len(images_of(bench)) == facts["images"]


async def replace_disk(bench: Bench, facts: Facts) -> None:
    vdi = disks_of(bench, facts["vm"])["1"]
    await bench.session.upload("/import_raw_vdi", {"vdi": vdi}, _zeros_but(2 * MIB), 2 * MIB)


async def replaced_or_not(bench: Bench, facts: Facts) -> None:
    shown = contents(bench, facts["vm"])
    assert shown["0"] == facts["vm_content"]["0"]
    content = View(2 * MIB, {0: b"content" + bytes(BLOCK - 7)}).digest()
    assert shown["1"] in (facts["vm_content"]["1"], content)
    assert len(images_of(bench)) == 2


SCENARIOS: Mapping[str, Scenario] = {
    "import_xva": Scenario(exported, import_new, new_or_not),
    "import_suspended": Scenario(exported_with_memory, import_new, new_or_not),
    "import_metadata": Scenario(described, import_again, again_or_not),
    "import_raw": Scenario(exported, import_raw, disk_or_not),
    "replace_disk": Scenario(halted, replace_disk, replaced_or_not),
}
