"""The fields of VMs, and of snapshots and templates, which are VMs to the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from app.cli.columns import (
    RO,
    RW,
    Column,
    Reader,
    Shown,
    changed,
    entries,
    expensive,
    flag,
    fraction,
    made,
    many,
    number,
    operations,
    plain,
    ref,
    refs,
    shown,
    unused,
)
from app.cli.inventory import ABSENT, Inventory, Object

DEVICES: Final = 16
"""Places for network interfaces."""

ON_EXIT: Final = {"destroy": "Destroy", "restart": "Restart"}
ON_SOFTREBOOT: Final = {**ON_EXIT, "preserve": "Preserve", "soft_reboot": "Soft reboot"}
ON_CRASH: Final = {
    **ON_EXIT,
    "coredump_and_destroy": "Core dump and destroy",
    "coredump_and_restart": "Core dump and restart",
    "preserve": "Preserve",
    "rename_restart": "Rename restart",
}


def _metrics(name: str, field: str, *, absent: str = ABSENT) -> Column:
    return made(name, _of_metrics("VM_metrics", "metrics", field, absent))


def _guest(name: str, field: str = "", kind: Any = "", **more: Any) -> Column:
    source = field or name.replace("-", "_")
    return made(name, _of_metrics("VM_guest_metrics", "guest_metrics", source, ABSENT), kind, **more)


def _of_metrics(cls: str, link: str, field: str, absent: str) -> Reader:
    def read(inventory: Inventory, _ref: str, record: Object) -> Shown:
        metrics = inventory.get(cls, record.get(link, ""))
        if metrics is None or field not in metrics:
            return absent
        value = metrics[field]
        if isinstance(value, dict):
            return {key: shown(item) for key, item in value.items()}
        return shown(value)

    return read


def _spelled(words: dict[str, str]) -> Callable[[str], str]:
    return lambda value: words.get(value, value)


def _free_vif_devices(inventory: Inventory, _ref: str, record: Object) -> Shown:
    taken = {vif["device"] for r in record.get("VIFs", ()) if (vif := inventory.get("VIF", r)) is not None}
    return [str(at) for at in range(DEVICES) if str(at) not in taken]


def _free_vbd_devices(inventory: Inventory, ref: str, _record: Object) -> Shown:
    return [str(device) for device in inventory.ask("VM.get_allowed_VBD_devices", ref)]


def _possible_hosts(inventory: Inventory, _ref: str, _record: Object) -> Shown:
    return [host["uuid"] for host in inventory.all("host").values()]


def _utilisation(inventory: Inventory, ref: str, record: Object) -> Shown:
    if record.get("power_state") != "Running":
        return {}
    return _of_metrics("VM_metrics", "metrics", "VCPUs_utilisation", ABSENT)(inventory, ref, record)


def _memory(name: str) -> Column:
    return number(name, RW, name.replace("-", "_"))


COLUMNS: Final = (
    plain("uuid"),
    plain("name-label", RW),
    plain("name-description", RW),
    number("user-version", RW),
    flag("is-a-template", RW),
    flag("is-default-template", RW),
    flag("is-a-snapshot"),
    ref("snapshot-of", "VM"),
    refs("snapshots", "VM", kind=""),
    plain("snapshot-time"),
    entries("snapshot-info", kind=""),
    ref("parent", "VM"),
    refs("children", "VM", kind=""),
    flag("is-control-domain"),
    changed("power-state", RO, "power_state", str.lower),
    _metrics("memory-actual", "memory_actual", absent="0"),
    expensive(number("memory-target")),
    number("memory-overhead"),
    *map(_memory, ("memory-static-max", "memory-dynamic-max", "memory-dynamic-min", "memory-static-min")),
    ref("suspend-VDI-uuid", "VDI", RW, "suspend_VDI"),
    ref("suspend-SR-uuid", "SR", RW, "suspend_SR"),
    entries("VCPUs-params", RW),
    number("VCPUs-max", RW),
    number("VCPUs-at-startup", RW),
    changed("actions-after-shutdown", RW, "actions_after_shutdown", _spelled(ON_EXIT), tuple(ON_EXIT)),
    changed("actions-after-softreboot", RW, "actions_after_softreboot", _spelled(ON_SOFTREBOOT), tuple(ON_SOFTREBOOT)),
    changed("actions-after-reboot", RW, "actions_after_reboot", _spelled(ON_EXIT), tuple(ON_EXIT)),
    changed("actions-after-crash", RW, "actions_after_crash", _spelled(ON_CRASH), tuple(ON_CRASH)),
    refs("console-uuids", "console", RO, "consoles"),
    _metrics("hvm", "hvm"),
    entries("platform", RW),
    _metrics("numa-optimised", "numa_optimised"),
    _metrics("numa-nodes", "numa_nodes"),
    made("numa-node-memory", _of_metrics("VM_metrics", "metrics", "numa_node_memory", ABSENT), "M"),
    many("allowed-operations"),
    operations(),
    entries("blocked-operations", RW),
    expensive(made("allowed-VBD-devices", _free_vbd_devices, "S")),
    expensive(made("allowed-VIF-devices", _free_vif_devices, "S")),
    expensive(made("possible-hosts", _possible_hosts)),
    plain("domain-type", RW, choices=("hvm", "pv", "pv_in_pvh", "pvh", "unspecified")),
    _metrics("current-domain-type", "current_domain_type"),
    plain("HVM-boot-policy", RW),
    entries("HVM-boot-params", RW),
    fraction("HVM-shadow-multiplier", RW),
    plain("PV-kernel", RW),
    plain("PV-ramdisk", RW),
    plain("PV-args", RW),
    plain("PV-legacy-args", RW),
    plain("PV-bootloader", RW),
    plain("PV-bootloader-args", RW),
    entries("last-boot-CPU-flags", kind=""),
    expensive(made("last-boot-record", lambda _i, _r, record: f"'{record.get('last_booted_record', '')}'")),
    ref("resident-on", "host"),
    ref("affinity", "host", RW),
    entries("other-config", RW),
    plain("dom-id", RO, "domid"),
    plain("recommendations"),
    entries("xenstore-data", RW),
    flag("ha-always-run", RW, deprecated=True),
    plain("ha-restart-priority", RW),
    entries("blobs", kind=""),
    _metrics("start-time", "start_time", absent="<unknown time>"),
    _metrics("install-time", "install_time", absent="<unknown time>"),
    _metrics("VCPUs-number", "VCPUs_number"),
    expensive(made("VCPUs-utilisation", _utilisation, "M")),
    _guest("os-version", kind="M"),
    _guest("netbios-name", kind="M"),
    _guest("PV-drivers-version", kind="M"),
    _guest("PV-drivers-up-to-date", deprecated=True),
    _guest("memory", kind="M"),
    _guest("disks", kind="M"),
    refs("VBDs", "VBD"),
    _guest("networks", kind="M"),
    _guest("services", kind="M"),
    _guest("PV-drivers-detected"),
    _guest("other", kind="M"),
    _guest("live"),
    _guest("guest-metrics-last-updated", "last_updated"),
    _guest("can-use-hotplug-vbd"),
    _guest("can-use-hotplug-vif"),
    expensive(unused("cooperative", "true", deprecated=True)),
    many("tags", RW, joint=", "),
    ref("appliance", "VM_appliance", RW),
    many("groups", RW, kind=""),
    plain("secureboot-certificates-state"),
    ref("snapshot-schedule", "VMSS", RW),
    flag("is-vmss-snapshot"),
    number("start-delay", RW),
    number("shutdown-delay", RW),
    number("order", RW),
    number("version"),
    plain("generation-id"),
    number("hardware-platform-version"),
    flag("has-vendor-device", RW),
    flag("requires-reboot"),
    plain("reference-label"),
    entries("bios-strings"),
    many("pending-guidances", kind=""),
    many("vtpms", RO, "VTPMs", kind=""),
    many("pending-guidances-recommended", kind=""),
    many("pending-guidances-full", kind=""),
)

SNAPSHOT_COLUMNS: Final = (
    *COLUMNS[:3],
    # The documentation of XenServer shows these two in its list of snapshots, under the API's own names.
    ref("snapshot_of", "VM", aside=True),
    plain("snapshot_time", aside=True),
    *COLUMNS[3:],
)
