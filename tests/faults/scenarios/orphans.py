"""What a removed VM or snapshot leaves behind: snapshots without a VM, disks without a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.api import VDI, VM, Ref, VDICalls, VMCalls
from tests.engine.vm.guests import disks_of, go_on, images_of
from tests.faults.scenarios.base import Facts, Scenario, message, same_content, with_snapshots
from tests.faults.world import contents, shown
from tests.support.engine import Bench


async def without_their_vm(bench: Bench, folder: Path) -> Facts:
    """The snapshots root and top of a VM that is gone."""
    facts = await with_snapshots(bench, folder)
    facts["uuid"] = bench.vm(facts["vm"]).uuid
    await bench.run(VMCalls.uninstall, facts["vm"], False)
    return facts


async def without_their_snapshot(bench: Bench, folder: Path) -> Facts:
    """The disks that the snapshot root left when it was destroyed; top builds on them."""
    facts = await with_snapshots(bench, folder)
    facts["orphans"] = disks_of(bench, facts["root"])
    facts["vdi"] = facts["orphans"]["0"]
    await bench.run(VMCalls.destroy, facts["root"])
    return facts


async def recreated_or_not(bench: Bench, facts: Facts) -> None:
    """The VM is back whole and has all snapshots, or nothing of it is there; and then it can still be brought back."""
    found = [ref for ref, vm in bench.store.all(VM).items() if vm.uuid == facts["uuid"]]
    if not found:
        assert {bench.vm(facts[name]).snapshot_of for name in ("root", "top")} == {facts["vm"]}
        await bench.run(VMCalls.revert, facts["root"])
    vm: Ref[VM] = bench.store.by_uuid(VM, facts["uuid"])
    assert contents(bench, vm) == facts["frozen"][facts["root"]]
    assert bench.vm(vm).snapshots == {facts["root"], facts["top"]}
    assert len(bench.vm(vm).VIFs) == 1
    await go_on(bench, vm)
    await bench.session.VM.hard_shutdown(vm)
    await bench.run(VMCalls.uninstall, vm, True)
    assert images_of(bench) == set()


async def snapshot_destroyed_or_not(bench: Bench, facts: Facts) -> None:
    """Its disks are listed in any case, and show what they showed."""
    await same_content(bench, facts)
    expected = facts["frozen"][facts["root"]]
    known = [vdi for vdi in bench.store.all(VDI).values() if vdi.is_a_snapshot]
    files = bench.engine.context.files(bench.sr())
    assert len(known) == 4
    assert set(expected.values()) <= {shown(files.image_path(vdi.location)) for vdi in known}


async def orphan_deleted_or_not(bench: Bench, facts: Facts) -> None:
    """What builds on the disk is whole; nothing is left when all is deleted."""
    await same_content(bench, facts)
    for vdi in facts["orphans"].values():
        record = bench.store.find(VDI, vdi)
        if record is not None and record.managed:
            await bench.session.VDI.destroy(vdi)
    await same_content(bench, facts)
    assert contents(bench, facts["top"]) == facts["frozen"][facts["top"]]
    await bench.run(VMCalls.uninstall, facts["vm"], True)
    assert images_of(bench) == set()


SCENARIOS: Mapping[str, Scenario] = {
    "recreate_vm": Scenario(without_their_vm, message(VMCalls.revert, "root"), recreated_or_not),
    "destroy_snapshot": Scenario(with_snapshots, message(VMCalls.destroy, "root"), snapshot_destroyed_or_not),
    "delete_orphan": Scenario(without_their_snapshot, message(VDICalls.destroy, "vdi"), orphan_deleted_or_not),
}
