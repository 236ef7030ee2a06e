"""The records that go into an .xva, as they leave: without what holds only here, under ids of the file's own."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from app.api import (
    NULL,
    SR,
    VBD,
    VDI,
    VIF,
    VM,
    Host,
    Network,
    Record,
    VBDType,
    VMGuestMetrics,
    VMMetrics,
    VMPowerState,
)
from app.api.types import EPOCH, is_null
from app.ops.context import Context
from app.ops.locks import unlocked_fields
from app.ops.snapshot_metadata import without_figures
from app.xva import blocks, ova

MEMORY_SIZE: Final = "memory-size"
"""In the sm_config of a memory image in a file: its size as we know it. What is in the file may be compressed."""
_IDLE: Final[Mapping[str, Any]] = {"allowed_operations": frozenset(), "current_operations": {}}
_DETACHED: Final[Mapping[str, Any]] = {**_IDLE, "currently_attached": False}
_STANDING: Final[Mapping[str, Any]] = {
    **_IDLE,
    "power_state": VMPowerState.Halted,
    "suspend_VDI": NULL,
    "resident_on": NULL,
    "scheduled_to_be_resident_on": NULL,
    "domid": -1,
    "domarch": "",
    "consoles": frozenset(),
    "crash_dumps": frozenset(),
    "blobs": {},
    "transportable_snapshot_id": "",
}
_ALONE: Final[Mapping[str, Any]] = {
    "is_a_snapshot": False,
    "is_vmss_snapshot": False,
    "snapshot_of": NULL,
    "snapshots": frozenset(),
    "snapshot_time": EPOCH,
    "parent": NULL,
    "children": frozenset(),
    "snapshot_schedule": NULL,
}
"""A VM without its snapshots has none and is none; what was a snapshot is a template."""


@dataclass(frozen=True)
class Exported:
    """What goes into a file: the description, and the id in it of each reference."""

    ova: bytes
    id_of: Mapping[str, str]


def describe(
    context: Context,
    vms: Sequence[str],
    *,
    lineage: bool,
    memory: Mapping[str, int],
    product: ova.Version | None = None,
    excluded: Container[str] = (),
) -> Exported:
    """The description of these VMs with all that hangs on them.

    :param lineage: of a metadata export: snapshots stay snapshots.
    :param memory: the memory images that go along, with the sizes of their files in bytes.
    :param excluded: "VBD", "VIF": the devices that stay behind, with the disks or networks that only these lead to.
    """
    records = _collected(context, vms, lineage=lineage, memory=memory, excluded=excluded)
    id_of = _numbered(records)
    listed = [(ref, record) for cls in ova.CLASSES for ref, record in records[cls].items()]
    return Exported(ova.written(product or version(context), listed, id_of), id_of)


def version(context: Context) -> ova.Version:
    """What this engine says of itself in a file."""
    host = context.store.get(Host, context.host)
    about = host.software_version
    return ova.Version(
        hostname=host.hostname or "localhost",
        date=context.now(),
        product_version=about.get("product_version", ""),
        product_brand=about.get("product_brand", ""),
        build_number=about.get("build_number", ""),
    )


_Records = dict[str, dict[str, Record]]


def _collected(
    context: Context, vms: Sequence[str], *, lineage: bool, memory: Mapping[str, int], excluded: Container[str]
) -> _Records:
    store = context.store
    found: _Records = {cls: {} for cls in ova.CLASSES}
    for ref in vms:
        vm = store.get(VM, ref)
        found["VM"][ref] = _vm(vm, lineage=lineage, with_memory=vm.suspend_VDI in memory)
        for cls, kind, held in (
            ("VM_metrics", VMMetrics, vm.metrics),
            ("VM_guest_metrics", VMGuestMetrics, vm.guest_metrics),
        ):
            metrics = store.find(kind, held)
            if metrics is not None:
                found[cls][held] = metrics
        vbds = () if "VBD" in excluded else vm.VBDs
        for vbd_ref in sorted(vbds, key=lambda r: store.get(VBD, r).userdevice):
            _add_drive(context, found, vbd_ref)
        vifs = () if "VIF" in excluded else vm.VIFs
        for vif_ref in sorted(vifs, key=lambda r: store.get(VIF, r).device):
            _add_interface(context, found, vif_ref)
        if vm.suspend_VDI in memory:
            _add_disk(
                context, found, vm.suspend_VDI, _memory_fields(store.get(VDI, vm.suspend_VDI), memory[vm.suspend_VDI])
            )
    return found


def _vm(vm: VM, *, lineage: bool, with_memory: bool) -> VM:
    own: dict[str, Any] = {**_STANDING, "other_config": without_figures(vm.other_config)}
    own["blocked_operations"] = unlocked_fields(vm)["blocked_operations"]
    if with_memory:
        own |= {"power_state": VMPowerState.Suspended, "suspend_VDI": vm.suspend_VDI}
    if not lineage:
        own |= _ALONE
    return msgspec.structs.replace(vm, **own)


def _add_drive(context: Context, found: _Records, ref: str) -> None:
    vbd = context.store.get(VBD, ref)
    found["VBD"][ref] = msgspec.structs.replace(vbd, **_DETACHED)
    if not is_null(vbd.VDI) and not vbd.empty:
        _add_disk(context, found, vbd.VDI, {"is_a_snapshot": False} if vbd.type is VBDType.CD else {})


def _add_interface(context: Context, found: _Records, ref: str) -> None:
    vif = context.store.get(VIF, ref)
    found["VIF"][ref] = msgspec.structs.replace(vif, **_DETACHED)
    network = context.store.find(Network, vif.network)
    if network is not None:
        bare = msgspec.structs.replace(network, allowed_operations=frozenset(), blobs={})
        found["network"][vif.network] = bare


def _add_disk(context: Context, found: _Records, ref: str, fields: Mapping[str, Any]) -> None:
    vdi = context.store.get(VDI, ref)
    found["VDI"][ref] = msgspec.structs.replace(vdi, **{**_IDLE, "crash_dumps": frozenset(), **fields})
    sr = context.store.find(SR, vdi.SR)
    if sr is not None:
        found["SR"][vdi.SR] = msgspec.structs.replace(sr, **_IDLE, PBDs=frozenset(), blobs={})


def _memory_fields(vdi: VDI, size: int) -> dict[str, Any]:
    return {"virtual_size": size, "sm_config": {**vdi.sm_config, MEMORY_SIZE: str(vdi.virtual_size)}}


def _numbered(records: _Records) -> dict[str, str]:
    """An id for each reference, the same for the same objects: an interrupted export can go on under them.

    A XenServer takes the first block of the file's first disk for the measure of all blocks, so a disk of less than
    one block does not come first.
    """
    id_of: dict[str, str] = {}
    for cls in ova.CLASSES:
        refs = sorted(records[cls], key=lambda ref: _place(records[cls][ref]))
        ids = [f"Ref:{len(id_of) + number}" for number in range(len(refs))]
        id_of |= zip(refs, sorted(ids) if cls == "VDI" else ids, strict=True)
    return id_of


def _place(record: Record) -> tuple[bool, str]:
    return isinstance(record, VDI) and record.virtual_size < blocks.SIZE, record.uuid
