"""SR, PBD, VDI and VBD: where disks live, what they are, and how VMs hold them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from app.api.enums import OnBoot, SROperation, VBDMode, VBDOperation, VBDType, VDIOperation, VDIType
from app.api.types import (
    EPOCH,
    NO_MAP,
    NO_REFS,
    NO_STRINGS,
    NULL,
    Calls,
    Record,
    Ref,
    StringMap,
    message,
    rc,
    reverse,
    ro,
    rw,
    xen_class,
)

if TYPE_CHECKING:
    from app.api.control import Blob
    from app.api.pool import Host, Pool
    from app.api.vm import VM


_HELD = ("VDI_IN_USE", "OTHER_OPERATION_IN_PROGRESS", "SR_BACKEND_FAILURE_38", "SR_BACKEND_FAILURE_44")


class SRCalls(Calls):
    """The messages of a storage repository."""

    @message(errors=("SR_HAS_NO_PBDS", "SR_BACKEND_FAILURE_46"))
    async def scan(self, sr: Ref["SR"]) -> None:
        """Look at the files: find new and missing ones, free what nothing uses, and refresh sizes."""

    @message()
    async def update(self, sr: Ref["SR"]) -> None:
        """Refresh the space figures."""

    @message(errors=("SR_OPERATION_NOT_SUPPORTED",), read_only=True, extension=True)
    async def get_pending_merges(self, sr: Ref["SR"]) -> Mapping[str, StringMap]:
        """By VDI (a base copy that nothing needs any more) what its merge waits for or how far it is.

        `state` is `waiting`, `running` or `blocked`, `reason` says why it waits, `size` is the bytes to move at most,
        `task` the task of a running one, `vm` the VM whose chain it is.
        """

    @message(errors=("SR_OPERATION_NOT_SUPPORTED",), read_only=True, extension=True)
    async def get_chain_health(self, sr: Ref["SR"]) -> Mapping[str, StringMap]:
        """How the chains of a repository are, by ref: of the repository itself, and of each VM or template in it.

        Of each: `depth` of its deepest chain, `depth-limit`, `snapshots` and `images` that it has here, `missing`
        images, `pending-merges`; in bytes `exclusive`, what deleting it with its snapshots frees, and `snapshots-size`,
        what deleting the snapshots alone frees at once. Snapshots of VMs that are gone stand under the ref they were
        of. Of the repository itself also `base-copies` and their bytes, `base-copies-size`, and `space-free`.
        """

    @message(errors=("SR_OPERATION_NOT_SUPPORTED",), extension=True)
    async def coalesce(self, sr: Ref["SR"]) -> None:
        """Merge now what waits to be merged, without the usual delay, and return when it is done."""


@xen_class("SR", SRCalls)
class SR(Record, frozen=True, kw_only=True):
    """A storage repository: a folder of disk images, or of ISO files."""

    name_label: Annotated[str, rw("name")] = ""
    name_description: Annotated[str, rw("description")] = ""
    allowed_operations: Annotated[frozenset[SROperation], ro("operations possible now", volatile=True)] = frozenset()
    current_operations: Annotated[Mapping[str, SROperation], ro("operations under way", volatile=True)] = {}
    VDIs: Annotated[frozenset[Ref["VDI"]], reverse("VDI.SR", "its disks")] = NO_REFS
    PBDs: Annotated[frozenset[Ref["PBD"]], reverse("PBD.SR", "how hosts reach it")] = NO_REFS
    virtual_allocation: Annotated[int, ro("sum of its disks' virtual sizes, bytes")] = 0
    physical_utilisation: Annotated[int, ro("space in use, bytes; -1 if unknown")] = 0
    physical_size: Annotated[int, ro("space in all, bytes; -1 if unknown")] = 0
    type: Annotated[str, rc("`file` or `iso`")] = ""
    content_type: Annotated[str, rc("`user` or `iso`")] = ""
    shared: Annotated[bool, rc("reached by several hosts")] = False
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    tags: Annotated[frozenset[str], rw("user's labels")] = NO_STRINGS
    sm_config: Annotated[StringMap, rc("settings of the storage driver")] = {}
    blobs: Annotated[Mapping[str, Ref["Blob"]], ro("binary data kept with it, by name")] = {}
    local_cache_enabled: Annotated[bool, ro("unused")] = False
    introduced_by: Annotated[Ref["SR"], ro("unused")] = NULL
    clustered: Annotated[bool, ro("unused")] = False
    is_tools_sr: Annotated[bool, ro("holds the guest tools")] = False


@xen_class("PBD")
class PBD(Record, frozen=True, kw_only=True):
    """How a host reaches a storage repository."""

    host: Annotated[Ref["Host"], rc("the host")] = NULL
    SR: Annotated[Ref["SR"], rc("the storage repository")] = NULL
    device_config: Annotated[StringMap, rc("`location`: the folder")] = {}
    currently_attached: Annotated[bool, ro("reachable now")] = False
    other_config: Annotated[StringMap, rw("additional settings")] = {}


class VDICalls(Calls):
    """The messages of a disk."""

    @message(errors=("INVALID_VALUE", "SR_BACKEND_FAILURE_44", "SR_BACKEND_FAILURE_79", "SR_OPERATION_NOT_SUPPORTED"))
    async def create(self, record: Mapping[str, Any]) -> Ref["VDI"]:
        """Make an empty disk from `SR`, `virtual_size` (bytes), `name_label` and other settable fields."""

    @message(errors=("VDI_IN_USE", "OTHER_OPERATION_IN_PROGRESS", "OPERATION_BLOCKED", "SR_OPERATION_NOT_SUPPORTED"))
    async def destroy(self, vdi: Ref["VDI"]) -> None:
        """Delete a disk that nothing holds. An image that others build on stays, hidden, as their base copy."""

    @message(errors=(*_HELD, "VDI_NOT_MANAGED", "SR_BACKEND_FAILURE_109", "SR_OPERATION_NOT_SUPPORTED"))
    async def clone(self, vdi: Ref["VDI"], driver_params: StringMap = NO_MAP) -> Ref["VDI"]:
        """A disk of its own that shares what this one holds now; also of a snapshot's disk. No guest may use it."""

    @message(errors=(*_HELD, "VDI_NOT_MANAGED", "OPERATION_NOT_ALLOWED", "SR_OPERATION_NOT_SUPPORTED"))
    async def copy(self, vdi: Ref["VDI"], sr: Ref["SR"]) -> Ref["VDI"]:
        """A full copy in a repository of disks. No guest may use the disk meanwhile."""

    @message(errors=("OPERATION_NOT_ALLOWED", "SR_BACKEND_FAILURE_46"), extension=True, read_only=True)
    async def inspect_file(self, path: str) -> StringMap:
        """Look at a disk image on the host: `format`, `virtual_size`, `file_size`. Refuses what is not safe to read."""

    @message(errors=("OPERATION_NOT_ALLOWED", "SR_BACKEND_FAILURE_44", "SR_BACKEND_FAILURE_46"), extension=True)
    async def import_file(self, sr: Ref["SR"], path: str, new_name: str) -> Ref["VDI"]:
        """Convert a disk image on the host (qcow2, raw, vmdk, vhd, vhdx) into a new disk of the repository."""


@xen_class("VDI", VDICalls)
class VDI(Record, frozen=True, kw_only=True):
    """A virtual disk, an ISO or a memory image."""

    name_label: Annotated[str, rw("name")] = ""
    name_description: Annotated[str, rw("description")] = ""
    allowed_operations: Annotated[frozenset[VDIOperation], ro("operations possible now", volatile=True)] = frozenset()
    current_operations: Annotated[Mapping[str, VDIOperation], ro("operations under way", volatile=True)] = {}
    SR: Annotated[Ref["SR"], rc("where it lives")] = NULL
    VBDs: Annotated[frozenset[Ref["VBD"]], reverse("VBD.VDI", "who holds it")] = NO_REFS
    crash_dumps: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    virtual_size: Annotated[int, rc("size as the guest sees it, bytes")] = 0
    physical_utilisation: Annotated[int, ro("space its own file uses, bytes; shared parents not counted")] = 0
    type: Annotated[VDIType, rc("what it is for")] = VDIType.user
    sharable: Annotated[bool, rc("may be held by several VMs at once")] = False
    read_only: Annotated[bool, rc("is never written")] = False
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    storage_lock: Annotated[bool, ro("unused")] = False
    location: Annotated[str, ro("the image's id in its repository; the file's name for an ISO")] = ""
    managed: Annotated[bool, ro("false of hidden base copies")] = True
    missing: Annotated[bool, ro("its file was not found at the last scan")] = False
    parent: Annotated[Ref["VDI"], ro("unused")] = NULL
    xenstore_data: Annotated[StringMap, rw("data for the guest")] = {}
    sm_config: Annotated[StringMap, rw("settings of the storage driver; `vhd-parent`: the image it builds on")] = {}
    is_a_snapshot: Annotated[bool, ro("true of a snapshot's disk")] = False
    snapshot_of: Annotated[Ref["VDI"], ro("the disk this is a snapshot of")] = NULL
    snapshots: Annotated[frozenset[Ref["VDI"]], reverse("VDI.snapshot_of", "its snapshots")] = NO_REFS
    snapshot_time: Annotated[datetime, ro("when it was frozen, UTC")] = EPOCH
    tags: Annotated[frozenset[str], rw("user's labels")] = NO_STRINGS
    allow_caching: Annotated[bool, ro("unused")] = False
    on_boot: Annotated[OnBoot, ro("unused")] = OnBoot.persist
    metadata_of_pool: Annotated[Ref["Pool"], ro("unused")] = NULL
    metadata_latest: Annotated[bool, ro("unused")] = False
    is_tools_iso: Annotated[bool, ro("the guest tools' ISO")] = False
    cbt_enabled: Annotated[bool, ro("unused")] = False


class VBDCalls(Calls):
    """The messages of a block device."""

    @message(errors=("DEVICE_ALREADY_EXISTS", "INVALID_VALUE", "VM_BAD_POWER_STATE", "VDI_IN_USE"))
    async def create(self, record: Mapping[str, Any]) -> Ref["VBD"]:
        """Give a VM a disk or a drive: `VM`, `VDI`, `userdevice` (a number or `autodetect`), `type`, `mode`."""

    @message(errors=("OPERATION_NOT_ALLOWED", "VM_BAD_POWER_STATE"))
    async def destroy(self, vbd: Ref["VBD"]) -> None:
        """Take a block device from its VM. The disk stays."""

    @message(errors=("VBD_NOT_EMPTY", "VBD_NOT_REMOVABLE_MEDIA", "SR_BACKEND_FAILURE_46"))
    async def insert(self, vbd: Ref["VBD"], vdi: Ref["VDI"]) -> None:
        """Put a medium into an empty drive, running or not."""

    @message(errors=("DEVICE_ALREADY_EXISTS", "INVALID_VALUE", "VM_BAD_POWER_STATE"))
    async def set_userdevice(self, vbd: Ref["VBD"], value: str) -> None:
        """Give a block device of a Halted VM another number."""

    @message(errors=("OPERATION_NOT_ALLOWED", "INVALID_VALUE", "VM_BAD_POWER_STATE"))
    async def set_type(self, vbd: Ref["VBD"], value: VBDType) -> None:
        """Make a block device of a Halted VM a disk or a drive; what it holds must go with that."""

    @message(errors=("VBD_IS_EMPTY", "VBD_NOT_REMOVABLE_MEDIA"))
    async def eject(self, vbd: Ref["VBD"]) -> None:
        """Take the medium out of a drive, running or not."""


@xen_class("VBD", VBDCalls)
class VBD(Record, frozen=True, kw_only=True):
    """A disk or drive of a VM."""

    allowed_operations: Annotated[frozenset[VBDOperation], ro("operations possible now", volatile=True)] = frozenset()
    current_operations: Annotated[Mapping[str, VBDOperation], ro("operations under way", volatile=True)] = {}
    VM: Annotated[Ref["VM"], rc("the VM")] = NULL
    VDI: Annotated[Ref["VDI"], rc("the disk, or the medium in the drive")] = NULL
    device: Annotated[str, rc("the device's name in the guest")] = ""
    userdevice: Annotated[str, rw("the device's number")] = ""
    bootable: Annotated[bool, rw("may be booted from")] = False
    mode: Annotated[VBDMode, rc("RO or RW")] = VBDMode.RW
    type: Annotated[VBDType, rw("Disk or CD")] = VBDType.Disk
    unpluggable: Annotated[bool, rw("may be taken out while running")] = False
    storage_lock: Annotated[bool, ro("unused")] = False
    empty: Annotated[bool, rc("a drive without a medium")] = False
    other_config: Annotated[StringMap, rw("additional settings; the key `owner` marks disks deleted with the VM")] = {}
    currently_attached: Annotated[bool, ro("in use by a running VM")] = False
    status_code: Annotated[int, ro("unused")] = 0
    status_detail: Annotated[str, ro("unused")] = ""
    runtime_properties: Annotated[StringMap, ro("unused")] = {}
    qos_algorithm_type: Annotated[str, rw("unused")] = ""
    qos_algorithm_params: Annotated[StringMap, rw("unused")] = {}
    qos_supported_algorithms: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    metrics: Annotated[Ref["VBD"], ro("unused")] = NULL
