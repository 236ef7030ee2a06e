"""What the engine holds and what lies on the disk, in a form that survives a kill and can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from app.api import VDI, VM, VMPowerState, classes
from tests.engine.vm.guests import assert_tidy, disks_of, processes_of
from tests.support.engine import Bench
from tests.support.qcow2_view import view

_WITH_GUEST = (VMPowerState.Running, VMPowerState.Paused)
_MEASURED = {
    "VDI": ("physical_utilisation",),
    "SR": ("physical_utilisation", "physical_size", "virtual_allocation"),
    "host": ("software_version", "enabled", "host_CPUs"),
    "VM_metrics": ("last_updated",),
    "VM_guest_metrics": ("last_updated", "live"),
    "host_metrics": ("memory_free", "last_updated"),
}
"""Figures that are looked up, and references to objects that are made, anew each time."""


def contents(bench: Bench, vm: str) -> dict[str, str]:
    """Digests of the disks of a VM or snapshot that no guest writes to, by device number."""
    return {device: shown(bench.image(vm, device)) for device in sorted(disks_of(bench, vm))}


def shown(image: Path) -> str:
    """A digest of all that an image shows."""
    return view(image).digest()


def objects(bench: Bench) -> dict[str, dict[str, Any]]:
    """Every stored object as plain data, measured figures left out."""
    found: dict[str, dict[str, Any]] = {}
    for name, declared in classes().items():
        if declared.persistent:
            found[name] = {ref: _plain(name, record) for ref, record in bench.store.of_class(name).items()}
    return found


def _plain(name: str, record: Any) -> Any:
    data = msgspec.structs.asdict(record)
    return {key: value for key, value in data.items() if key not in _MEASURED.get(name, ())}


def files(folder: Path) -> set[str]:
    """Every file of a data folder that ought to stay as it is, with its mode; logs and the database left out."""
    kept = ("sr/", "journal/", "screenshots/", "iso/", "vm/")
    found = {str(p.relative_to(folder)): p.lstat().st_mode for p in folder.rglob("*") if p.is_file()}
    return {f"{name} {mode:o}" for name, mode in found.items() if name.startswith(kept)}


def assert_sound(bench: Bench, folder: Path) -> None:
    """What must hold after any recovery: records, files, guests and the journal agree."""
    assert_tidy(bench)
    assert bench.engine.context.unsettled == {}
    assert bench.engine.context.journal.bad == ()
    guests = 0
    uuids = {vm.uuid for vm in bench.store.all(VM).values()}
    for ref, vm in bench.store.all(VM).items():
        state = bench.engine.context.driver.state(vm.uuid)
        assert (state != "absent") == (vm.power_state in _WITH_GUEST), (vm.name_label, vm.power_state, state)
        assert (vm.power_state is VMPowerState.Suspended) == (bench.store.find(VDI, vm.suspend_VDI) is not None)
        assert not vm.current_operations
        guests += vm.power_state in _WITH_GUEST
        if vm.is_a_snapshot:
            assert vm.power_state in (VMPowerState.Halted, VMPowerState.Suspended)
            assert all(bench.store.get(VDI, vdi).is_a_snapshot for vdi in disks_of(bench, ref).values())
    # Looking through all processes takes longer than all else here.
    assert len(processes_of(folder) if guests or (folder / "vm").exists() else []) == guests
    assert {path.name for path in (folder / "vm").glob("*")} <= uuids
    for vdi in bench.store.all(VDI).values():
        assert not vdi.missing
        assert vdi.managed or not vdi.VBDs


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The objects that differ, for a message."""
    found = []
    for name in before:
        for ref in before[name].keys() | after[name].keys():
            old, new = before[name].get(ref), after[name].get(ref)
            if old != new:
                keys = [k for k in (old or {}) if new is None or old[k] != new.get(k)] if old else "new"
                found.append(f"{name} {ref}: {keys}")
    return "; ".join(found)
