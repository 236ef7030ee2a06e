"""Which fields a revert writes back: each one by name, as XenAPI lists them, and on a VM."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.api import VIF, VM, Ref, VMCalls
from app.api.types import EPOCH, Field, class_of
from app.ops.snapshot_metadata import fields_to_restore, pack, unpack, without_figures
from tests.support.engine import Bench


def names(text: str) -> set[str]:
    """The words of a text."""
    return set(text.split())


GO_BACK = names(
    """
    name_label name_description user_version suspend_SR memory_overhead memory_target memory_static_max
    memory_dynamic_max memory_dynamic_min memory_static_min VCPUs_params VCPUs_max VCPUs_at_startup
    actions_after_softreboot actions_after_shutdown actions_after_reboot actions_after_crash crash_dumps
    PV_bootloader PV_kernel PV_ramdisk PV_args PV_bootloader_args PV_legacy_args HVM_boot_policy HVM_boot_params
    HVM_shadow_multiplier platform PCI_bus other_config last_boot_CPU_flags last_booted_record recommendations
    xenstore_data ha_always_run ha_restart_priority blocked_operations bios_strings start_delay shutdown_delay order
    appliance version hardware_platform_version has_vendor_device requires_reboot reference_label domain_type NVRAM
    pending_guidances pending_guidances_recommended pending_guidances_full secureboot_certificates_state
    """
)
SURVIVE = names(
    """
    uuid suspend_VDI power_state parent allowed_operations current_operations metrics guest_metrics resident_on
    scheduled_to_be_resident_on domid protection_policy snapshot_schedule snapshots tags affinity groups consoles VBDs
    VIFs VGPUs VUSBs VTPMs attached_PCIs is_snapshot_from_vmpp
    """
)
"""XenAPI's own list of what a revert leaves alone."""
OURS = names(
    """
    domarch children is_a_snapshot is_a_template is_default_template is_vmss_snapshot snapshot_of snapshot_time
    snapshot_info snapshot_metadata transportable_snapshot_id blobs is_control_domain generation_id
    """
)
"""What tells the VM from others or hangs on it, and so stays too."""


def test_every_field_goes_back_or_survives() -> None:
    assert set(class_of(VM).by_name) == GO_BACK | SURVIVE | OURS
    assert set(fields_to_restore(VM(snapshot_metadata=pack(VM(uuid="u"))), VM())) == GO_BACK


def test_without_a_record_of_ours_all_but_the_name_comes_from_the_snapshot() -> None:
    for text in ("", "(('uuid' 'u'))", "{}", "[1", '{"uuid": 5}'):
        fields = fields_to_restore(VM(name_label="snap", order=7, snapshot_metadata=text), VM(name_label="vm"))
        assert set(fields) == GO_BACK - {"name_label"}
        assert fields["order"] == 7
        assert unpack(text) is None


def other(field: Field, value: Any) -> Any:
    """Another value of the field's type."""
    if field.container:
        return {"map": {"other": "value"}, "set": frozenset({"other"}), "list": ("other",)}[field.container]
    if field.value.enum is not None:
        return next(member for member in field.value.enum if member is not value)
    scalars: dict[str, Any] = {"string": "other", "int": 4242, "float": 4.5, "bool": not value, "ref": Ref("$other")}
    return scalars[field.value.scalar]


@pytest.mark.parametrize("name", sorted(GO_BACK - {"ha_always_run", "other_config"}))
def test_each_value_goes_back(name: str) -> None:
    field = class_of(VM).by_name[name]
    before = VM(uuid="u", **{name: other(field, field.default)})
    snapshot = VM(snapshot_metadata=pack(before))
    assert fields_to_restore(snapshot, VM(uuid="u"))[name] == getattr(before, name)
    snapshot = VM(snapshot_metadata=pack(VM(uuid="u")))
    assert fields_to_restore(snapshot, before)[name] == field.default


def test_high_availability_is_off_after_a_revert() -> None:
    snapshot = VM(snapshot_metadata=pack(VM(uuid="u", ha_always_run=True)))
    assert fields_to_restore(snapshot, VM(ha_always_run=True))["ha_always_run"] is False


def test_what_was_noted_about_a_snapshot_does_not_travel() -> None:
    """A VM's own notes stay, whatever the snapshot knew."""
    then = {"a": "1", "stillframe.stall-ms": "3", "stillframe.image": "disk"}
    now = {"a": "2", "b": "2", "stillframe.lock": "{}"}
    fields = fields_to_restore(VM(snapshot_metadata=pack(VM(uuid="u", other_config=then))), VM(other_config=now))
    assert fields["other_config"] == {"a": "1", "stillframe.image": "disk", "stillframe.lock": "{}"}
    assert without_figures(then) == {"a": "1", "stillframe.image": "disk"}


def set_fields(bench: Bench, vm: str, fields: dict[str, Any]) -> None:
    with bench.store.transaction() as tx:
        tx.update(VM, vm, **fields)


async def test_a_vm_after_a_revert(bench: Bench) -> None:
    """All fields at once: what goes back does, what survives does, and the snapshot is as it was."""
    vm = await bench.sample_vm(nic=True)
    await bench.session.set(VM, vm, tags=["before"])
    macs = {bench.store.get(VIF, ref).MAC for ref in bench.vm(vm).VIFs}
    before = bench.vm(vm)
    snap = await bench.session.VM.snapshot(vm, "snap")
    kept = bench.vm(snap)
    free = GO_BACK - {"domain_type", "suspend_SR", "appliance"}
    changed = {name: other(class_of(VM).by_name[name], getattr(before, name)) for name in free}
    set_fields(bench, vm, {**changed, "blocked_operations": {"pause": "no"}, "tags": frozenset({"after"})})
    await bench.session.VM.revert(snap)
    after = bench.vm(vm)
    assert {name: getattr(after, name) for name in free} == {name: getattr(before, name) for name in free}
    assert (after.uuid, set(after.tags), after.parent, set(after.snapshots)) == (before.uuid, {"after"}, snap, {snap})
    assert after.generation_id != before.generation_id
    assert {bench.store.get(VIF, ref).MAC for ref in after.VIFs} == macs
    assert {bench.store.get(VIF, ref).network for ref in after.VIFs} == {
        bench.store.get(VIF, ref).network for ref in kept.VIFs
    }
    volatile: dict[str, Any] = {"allowed_operations": frozenset(), "children": frozenset()}
    assert msgspec.structs.replace(bench.vm(snap), **volatile) == msgspec.structs.replace(kept, **volatile)


async def test_a_clone_and_a_second_snapshot_know_nothing_of_the_first(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    first = Ref[VM](await bench.run(VMCalls.snapshot, vm, "first"))
    set_fields(bench, first, {"other_config": {**bench.vm(first).other_config, "stillframe.lock": "{}", "mine": "x"}})
    assert "stillframe.stall-ms" in bench.vm(first).other_config
    clone = await bench.session.VM.clone(first, "clone")
    await bench.session.VM.provision(clone)
    later = await bench.session.VM.snapshot(clone, "later")
    for ref in (clone, later):
        config = bench.vm(ref).other_config
        assert config["mine"] == "x"
        assert [key for key in config if key.startswith("stillframe.")] == []
        assert bench.vm(ref).snapshot_time != EPOCH or ref == clone
