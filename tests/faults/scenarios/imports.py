"""Imports of .xva files: all that is in the file is there afterwards, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.api import VM, VMCalls, VMPowerState
from app.client.exchange import ExportOptions, ImportOptions, export_vm, import_xva
from tests.engine.vm.guests import go_on, images_of
from tests.faults.scenarios.base import Facts, Scenario, halted, same_content, suspended
from tests.faults.world import contents
from tests.support.engine import Bench

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


SCENARIOS: Mapping[str, Scenario] = {
    "import_xva": Scenario(exported, import_new, new_or_not),
    "import_suspended": Scenario(exported_with_memory, import_new, new_or_not),
    "import_metadata": Scenario(described, import_again, again_or_not),
}
