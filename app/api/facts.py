"""What a pool tells of itself and never changes: roles, storage drivers, processors; and classes without objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, cast

import msgspec

from app.api.types import NO_REFS, NO_STRINGS, NULL, Record, Ref, StringMap, ro, rw, xen_class

if TYPE_CHECKING:
    from app.api.pool import Host


@xen_class("role", persistent=False)
class Role(Record, frozen=True, kw_only=True):
    """What a user may do. There is one role, which may do everything."""

    name_label: Annotated[str, ro("name")] = ""
    name_description: Annotated[str, ro("description")] = ""
    subroles: Annotated[frozenset[Ref["Role"]], ro("permissions in it")] = NO_REFS
    is_internal: Annotated[bool, ro("not for users")] = False


@xen_class("SM", persistent=False)
class SM(Record, frozen=True, kw_only=True):
    """A kind of storage repository."""

    name_label: Annotated[str, ro("name")] = ""
    name_description: Annotated[str, ro("description")] = ""
    type: Annotated[str, ro("as SR.type names it")] = ""
    vendor: Annotated[str, ro("who made it")] = ""
    copyright: Annotated[str, ro("unused")] = ""
    version: Annotated[str, ro("version")] = ""
    required_api_version: Annotated[str, ro("unused")] = "1.0"
    configuration: Annotated[StringMap, ro("what a PBD's device_config may hold")] = {}
    capabilities: Annotated[frozenset[str], ro("what it can do")] = NO_STRINGS
    features: Annotated[StringMap, ro("what it can do, with versions")] = {}
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    driver_filename: Annotated[str, ro("unused")] = ""
    required_cluster_stack: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    supported_image_formats: Annotated[frozenset[str], ro("formats of its images")] = NO_STRINGS


@xen_class("host_cpu", persistent=False)
class HostCPU(Record, frozen=True, kw_only=True):
    """A processor of a host."""

    host: Annotated[Ref["Host"], ro("the host")] = NULL
    number: Annotated[int, ro("counted from 0")] = 0
    vendor: Annotated[str, ro("maker")] = ""
    speed: Annotated[int, ro("MHz; 0 if unknown")] = 0
    modelname: Annotated[str, ro("what it calls itself")] = ""
    family: Annotated[int, ro("unused")] = 0
    model: Annotated[int, ro("unused")] = 0
    stepping: Annotated[str, ro("unused")] = ""
    flags: Annotated[str, ro("unused")] = ""
    features: Annotated[str, ro("unused")] = ""
    utilisation: Annotated[float, ro("unused")] = 0.0
    other_config: Annotated[StringMap, rw("additional settings")] = {}


ABSENT: Final = (
    "Bond", "Certificate", "Cluster", "Cluster_host", "DR_task", "Feature", "GPU_group", "PCI", "PGPU", "PIF_metrics",
    "PUSB", "PVS_cache_storage", "PVS_proxy", "PVS_server", "PVS_site", "Repository", "SDN_controller", "USB_group",
    "VGPU", "VGPU_type", "VLAN", "VM_appliance", "VM_group", "VTPM", "VUSB", "crashdump", "host_crashdump",
    "host_patch", "network_sriov", "pool_patch", "pool_update", "secret", "subject", "tunnel",
)  # fmt: skip
"""Classes of XenServer that have no objects here. Clients read all of them when they connect."""


def _declare(name: str) -> None:
    made = msgspec.defstruct(f"{name}Record", [], bases=(Record,), frozen=True, kw_only=True)
    record = cast("type[Record]", made)
    record.__doc__ = "A class of XenServer of which there are no objects here."
    xen_class(name, persistent=False)(record)


for _name in ABSENT:
    _declare(_name)
