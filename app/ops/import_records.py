"""The records that an import makes, in one transaction when its disks are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from app.api import NULL, SR, VBD, VDI, VIF, VM, Network, Record, Ref, VBDType, VDIType, VMMetrics, VMPowerState
from app.api.types import EPOCH, class_of, new_ref, new_uuid
from app.ops.context import Context
from app.ops.export_records import MEMORY_SIZE
from app.ops.import_plan import Plan, PlannedDisk, uuid_of
from app.ops.snapshot_metadata import without_figures
from app.ops.vm_clone import FRESH_DISK, TEMPLATE_KEYS, device_name, random_mac
from app.ops.vm_create import DEVICES
from app.ops.vm_snapshot import CLEARED
from app.store import Transaction
from app.xva import ova
from app.xva.ova import Described
from app.xva.refusals import disks_missing

IMPORT_TASK: Final = "import_task"
BUS_KEY: Final = "disk-bus"
FOREIGN_BUS: Final = "sata"
"""What a guest from elsewhere surely has a driver for; virtio's it may lack."""
_SIZE: Final = re.compile(r"[0-9]{1,14}")
"""In bytes: no memory image has 100 TB."""
_LAST_VERSION: Final = (1 << 63) - 1
_DEVICE: Final = re.compile(r"0|[1-9][0-9]{0,2}")
_MAC: Final = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}", re.IGNORECASE)
_ALONE: Final[Mapping[str, Any]] = {
    "is_control_domain": False,
    "is_a_snapshot": False,
    "is_vmss_snapshot": False,
    "is_snapshot_from_vmpp": False,
    "snapshot_of": NULL,
    "snapshot_time": EPOCH,
    "snapshot_metadata": "",
    "parent": NULL,
    "protection_policy": NULL,
    "appliance": NULL,
    "affinity": NULL,
    "transportable_snapshot_id": "",
    "guest_metrics": NULL,
    "ha_always_run": False,
}

R = TypeVar("R", bound=Record)

FindDisk = Callable[[Described], Ref[VDI] | None]
"""The disk for one in the file's description; None: there is none."""


class Recorder:
    """Makes the records of one import."""

    def __init__(self, context: Context, tx: Transaction, plan: Plan, *, lineage: bool = False) -> None:
        """`lineage`: snapshots in the file stay snapshots."""
        self._context = context
        self._tx = tx
        self._plan = plan
        self._lineage = lineage
        self._networks: dict[str, Ref[Network]] = {}
        self._taken: dict[type[Record], set[str]] = {}

    def disk(self, disk: PlannedDisk) -> None:
        """The record of a disk whose image is written."""
        files = self._context.files(self._plan.sr)
        fields: dict[str, Any] = {
            **FRESH_DISK,
            "uuid": "",
            "SR": self._plan.sr,
            "location": disk.image,
            "managed": True,
            "missing": False,
            "parent": NULL,
            "crash_dumps": frozenset(),
            "metadata_of_pool": NULL,
        }
        record = self._restored(VDI, disk.described, {})
        if disk.is_memory:
            size = record.sm_config.get(MEMORY_SIZE, "")
            fields["type"] = VDIType.suspend
            fields["sm_config"] = {key: value for key, value in record.sm_config.items() if key != MEMORY_SIZE}
            fields["virtual_size"] = int(size) if _SIZE.fullmatch(size) else disk.size
            fields["physical_utilisation"] = files.memory_utilisation(disk.image)
        else:
            fields["type"] = VDIType.system if record.type is VDIType.system else VDIType.user
            fields["sm_config"] = {}  # of another storage driver
            fields["virtual_size"] = disk.virtual_size
            fields["physical_utilisation"] = files.physical_utilisation(disk.image)
        self._tx.create(_with(record, fields), disk.vdi)

    def vm(self, described: Described, find_disk: FindDisk) -> Ref[VM]:
        """A VM or template with its drives and interfaces. :raise Failure: IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND."""
        ref = self._plan.vm_of[described.id]
        before = self._tx.get(VM, ref) if described.id in self._plan.replaced else None
        if before is not None:
            self._tx.delete_all(VBD, before.VBDs)
            self._tx.delete_all(VIF, before.VIFs)
            self._tx.delete(VMMetrics, before.metrics)
        record = self._vm_record(described, find_disk, before)
        if before is None:
            self._tx.create(record, ref)
        else:
            links = {f.name for f in class_of(VM).fields if f.spec.reverse_of}
            fields = {f.name: getattr(record, f.name) for f in class_of(VM).fields if f.name not in links}
            self._tx.update(VM, ref, **fields)
        for vbd in self._plan.description.of("VBD"):
            if vbd.text("VM") == described.id:
                self._vbd(vbd, ref, find_disk)
        for vif in self._plan.description.of("VIF"):
            if vif.text("VM") == described.id:
                self._vif(vif, ref)
        return ref

    def _vm_record(self, described: Described, find_disk: FindDisk, before: VM | None) -> VM:
        plan = self._plan
        record = self._restored(VM, described, plan.vm_of)
        memory = next((d for d in plan.disks if d.is_memory and d.described.id == described.text("suspend_VDI")), None)
        if record.is_a_snapshot and self._lineage:
            kept = {name: getattr(record, name) for name in ("snapshot_time", "snapshot_info", "is_vmss_snapshot")}
            past = {**_ALONE, **kept, "is_a_snapshot": True, "is_a_template": True, "snapshot_of": record.snapshot_of}
        else:
            past = {**_ALONE, "snapshot_info": {} if self._lineage else record.snapshot_info}
        if self._lineage:
            past["parent"] = record.parent
        fields: dict[str, Any] = {
            **CLEARED,
            **past,
            "suspend_VDI": NULL if memory is None else memory.vdi,
            "power_state": VMPowerState.Halted if memory is None else VMPowerState.Suspended,
            "metrics": self._tx.create(VMMetrics()),
            "other_config": self._other_config(record),
            "platform": self._platform(record),
            "name_label": _shown(record.name_label),
            "version": min(record.version + 1, _LAST_VERSION) if plan.restore else 0,
            "generation_id": "" if record.is_a_template else new_uuid(),
        }
        fields["uuid"] = self._uuid(VM, described) if before is None else before.uuid
        if before is not None:
            fields["snapshot_schedule"] = before.snapshot_schedule
            fields["parent"] = before.parent
        return _with(record, fields)

    def _other_config(self, record: VM) -> dict[str, str]:
        kept = {key: value for key, value in without_figures(record.other_config).items() if key not in TEMPLATE_KEYS}
        if not self._plan.restore:
            kept["mac_seed"] = new_uuid()
        return {**kept, IMPORT_TASK: self._plan.task}

    def _platform(self, record: VM) -> Mapping[str, str]:
        return record.platform if self._plan.is_ours else {BUS_KEY: FOREIGN_BUS, **record.platform}

    def _vbd(self, described: Described, vm: Ref[VM], find_disk: FindDisk) -> None:
        record = self._restored(VBD, described, {})
        vdi = self._plan.description.find("VDI", described.text("VDI"))
        found: Ref[VDI] = NULL
        if record.type is VBDType.CD:
            found = self._medium(vdi)
        elif vdi is not None and not record.empty:
            disk = find_disk(vdi)
            if disk is None:
                if not self._plan.force:
                    raise disks_missing(vdi.text("name_label"))
                return
            found = disk
        is_disk = record.type is not VBDType.CD
        number = self._device(record, vm)
        fields: dict[str, Any] = {
            "uuid": self._uuid(VBD, described),
            "VM": vm,
            "VDI": found,
            "type": VBDType.Disk if is_disk else VBDType.CD,
            "userdevice": number,
            "device": record.device or device_name(number),
            "empty": found == NULL,
            "currently_attached": False,
            "other_config": {**record.other_config, "owner": ""} if is_disk else record.other_config,
            "metrics": NULL,
        }
        self._tx.create(_with(record, fields))

    def _device(self, record: VBD, vm: Ref[VM]) -> str:
        """The drive's number: the file's, unless it is none or taken."""
        taken = {self._tx.get(VBD, vbd).userdevice for vbd in self._tx.get(VM, vm).VBDs}
        number = record.userdevice
        if _DEVICE.fullmatch(number) and number not in taken:
            return number
        return next(str(free) for free in range(DEVICES + len(taken) + 1) if str(free) not in taken)

    def _medium(self, vdi: Described | None) -> Ref[VDI]:
        """The ISO of this engine with the name of the one in the file; the null ref: none, the drive is empty."""
        if vdi is None:
            return NULL
        isos = {ref for ref, sr in self._context.store.all(SR).items() if sr.content_type == "iso"}
        location = vdi.text("location")
        known = self._context.store.all(VDI).items()
        return next((ref for ref, iso in known if iso.SR in isos and iso.location == location), NULL)

    def _vif(self, described: Described, vm: Ref[VM]) -> None:
        record = self._restored(VIF, described, {})
        keeps = self._plan.restore and _MAC.fullmatch(record.MAC) is not None
        fields: dict[str, Any] = {
            "uuid": self._uuid(VIF, described),
            "VM": vm,
            "network": self._network(described),
            "MAC": record.MAC if keeps else random_mac(),
            "MAC_autogenerated": record.MAC_autogenerated if keeps else True,
            "currently_attached": False,
            "metrics": NULL,
        }
        self._tx.create(_with(record, fields))

    def _network(self, vif: Described) -> Ref[Network]:
        """The network here that has the name of the file's, else its bridge, else a new one."""
        identity = vif.text("network")
        if identity not in self._networks:
            described = self._plan.description.find("network", identity)
            self._networks[identity] = NULL if described is None else self._network_like(described)
        return self._networks[identity]

    def _network_like(self, described: Described) -> Ref[Network]:
        known = self._context.store.all(Network)
        for name in ("name_label", "bridge"):
            wanted = described.text(name)
            found = next((ref for ref, network in known.items() if wanted and getattr(network, name) == wanted), None)
            if found is not None:
                return found
        record = self._restored(Network, described, {})
        return self._tx.create(_with(record, {"uuid": "", "blobs": {}}), new_ref())

    def _restored(self, record: type[R], described: Described, ref_of: Mapping[str, str]) -> R:
        return ova.restored(record, described, lambda identity: ref_of.get(identity, NULL))

    def _uuid(self, record: type[Record], described: Described) -> str:
        if not self._plan.restore:
            return ""
        if record not in self._taken:
            self._taken[record] = {known.uuid for known in self._context.store.all(record).values()}
        return uuid_of(described, self._taken[record])


def _with(record: R, fields: Mapping[str, Any]) -> R:
    return msgspec.structs.replace(record, **fields)


def _shown(name: str) -> str:
    return "".join(character if character >= " " else " " for character in name)[:1024]
