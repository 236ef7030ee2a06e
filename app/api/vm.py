"""VM (also templates and snapshots), its metrics and its consoles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from app.api.enums import (
    ConsoleProtocol,
    DomainType,
    OnCrash,
    OnNormalExit,
    OnSoftReboot,
    TristateType,
    VMOperation,
    VMPowerState,
)
from app.api.types import (
    EPOCH,
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
    from app.api.network import VIF
    from app.api.pool import Host
    from app.api.schedule import VMSS
    from app.api.storage import SR, VBD, VDI


_POWER = ("VM_BAD_POWER_STATE", "OTHER_OPERATION_IN_PROGRESS", "OPERATION_NOT_ALLOWED", "VM_IS_TEMPLATE")
_START = (*_POWER, "HOST_NOT_ENOUGH_FREE_MEMORY", "SR_BACKEND_FAILURE_46", "VM_START_FAILED")
_CHECKPOINT = ("VM_NO_SUSPEND_SR", "VM_CHECKPOINT_SUSPEND_FAILED", "SR_OPERATION_NOT_SUPPORTED")
_DISKS = ("SR_BACKEND_FAILURE_38", "SR_BACKEND_FAILURE_44", "SR_BACKEND_FAILURE_46", "SR_BACKEND_FAILURE_109")
_KEPT = (*_DISKS, "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")


class VMCalls(Calls):
    """The messages of a VM. References are checked first: HANDLE_INVALID."""

    @message(errors=("INVALID_VALUE", "FIELD_TYPE_ERROR", "MEMORY_CONSTRAINT_VIOLATION_ORDER"))
    async def create(self, record: Mapping[str, Any]) -> Ref["VM"]:
        """Make a VM record, Halted and without disks, from the settable fields given."""

    @message(errors=(*_POWER, "VM_CANNOT_DELETE_DEFAULT_TEMPLATE", "OPERATION_BLOCKED"))
    async def destroy(self, vm: Ref["VM"]) -> None:
        """Remove the record with its VBDs, VIFs and metrics. Disks are left; children move to the parent."""

    @message(errors=(*_POWER, *_KEPT))
    async def snapshot(self, vm: Ref["VM"], new_name: str, ignore_vdis: Sequence[Ref["VDI"]] = ()) -> Ref["VM"]:
        """Freeze all disks at one instant, in any power state, and answer the snapshot."""

    @message(errors=(*_POWER, *_KEPT, *_CHECKPOINT))
    async def checkpoint(self, vm: Ref["VM"], new_name: str) -> Ref["VM"]:
        """Keep all disks and the memory of one instant; the guest stands still for milliseconds. Answers the snapshot.

        Of a Paused VM too; of a Suspended one the memory image it has. Not of a Halted one.
        """

    @message(errors=(*_POWER, *_KEPT, "VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED"))
    async def snapshot_with_quiesce(self, vm: Ref["VM"], new_name: str) -> Ref["VM"]:
        """As `snapshot` of a Running VM, with its file systems frozen by the guest's agent meanwhile."""

    @message(errors=("INVALID_VALUE",), read_only=True, extension=True)
    async def get_snapshot_readiness(self, vm: Ref["VM"], op: VMOperation) -> StringMap:
        """Whether the VM can be snapshotted safely now, by `snapshot`, `checkpoint` or `snapshot_with_quiesce`.

        `safe` is `true` or `false`; then `code`, `reason` and `advice` say why and what to do. `warning` and its
        `advice` are for what is near its limit. In bytes: `space-needed` with its parts `space-memory`, `space-disks`
        and `space-overhead`; `space-free`. Further `depth`, `depth-limit`, `pending-merges`, and for a checkpoint
        `pause-method`: `background`, `stop`, or `none` where no guest runs.
        """

    @message(read_only=True, extension=True)
    async def get_chain_health(self, vm: Ref["VM"]) -> Mapping[str, StringMap]:
        """How the chains of a VM are, by ref: of the VM itself, and of each of its snapshots.

        Of each: `depth`, the images in a row of its deepest disk, and `depth-limit`; in bytes `exclusive`, what
        deleting it frees at once, `shared`, what its disks build on and others need as well, and `merge`, what a merge
        afterwards has to move at most; `missing`, its disks with an image that is gone. Of the VM itself also
        `head-room`, how many more snapshots fit, `space-free` of its fullest repository in bytes, `pending-merges`,
        and `blocked`: a sentence saying why no snapshot can be taken, or nothing.
        """

    @message(errors=("OPERATION_NOT_ALLOWED", "INVALID_VALUE", "OTHER_OPERATION_IN_PROGRESS"), extension=True)
    async def lock_snapshot(self, snapshot: Ref["VM"], reason: str, owner: str, until: datetime) -> None:
        """Forbid to delete a snapshot, by hand, in bulk or by a schedule. `until` the epoch: with no end.

        `reason` is text of at most 500 characters, `owner` of at most 200, maybe none. A second lock replaces the
        first.
        """

    @message(errors=("OPERATION_NOT_ALLOWED",), extension=True)
    async def unlock_snapshot(self, snapshot: Ref["VM"]) -> None:
        """Allow to delete a locked snapshot again. Whoever has a session may; one that is not locked stays as it is."""

    @message(errors=(*_POWER, *_DISKS, "INVALID_VALUE"), extension=True)
    async def snapshot_group(self, vms: Sequence[Ref["VM"]], new_name: str) -> Sequence[Ref["VM"]]:
        """Snapshot several VMs as close to one instant as can be, all or none; the spread is kept on each snapshot."""

    @message(errors=(*_POWER, *_DISKS, "INVALID_VALUE", "VM_REVERT_FAILED"), extension=True)
    async def revert_group(self, snapshots: Sequence[Ref["VM"]]) -> None:
        """Put several VMs back to snapshots of one group; each either reverts or is as it was."""

    @message(errors=(*_POWER, *_DISKS, "REVERT_ONLY_ALLOWED_ON_SNAPSHOT", "VM_REVERT_FAILED"))
    async def revert(self, snapshot: Ref["VM"]) -> None:
        """Put the VM back to this snapshot. The current disks go only after the new ones are in place."""

    @message(errors=(*_POWER, *_DISKS))
    async def clone(self, vm: Ref["VM"], new_name: str) -> Ref["VM"]:
        """A copy that shares frozen disks with its source. A clone of a snapshot or template is a template."""

    @message(errors=(*_POWER, *_DISKS, "OPERATION_NOT_ALLOWED", "SR_OPERATION_NOT_SUPPORTED"))
    async def copy(self, vm: Ref["VM"], new_name: str, sr: Ref["SR"]) -> Ref["VM"]:
        """A copy with disks of its own, in `sr`, or for the null ref each in its source's repository."""

    @message(errors=("PROVISION_ONLY_ALLOWED_ON_TEMPLATE", *_DISKS))
    async def provision(self, vm: Ref["VM"]) -> None:
        """Turn the clone of a template into a VM and make the disks that the template asks for."""

    @message(errors=_START)
    async def start(self, vm: Ref["VM"], start_paused: bool = False, force: bool = False) -> None:
        """Start a Halted VM."""

    @message(errors=_START)
    async def start_on(self, vm: Ref["VM"], host: Ref["Host"], start_paused: bool = False, force: bool = False) -> None:
        """Start a Halted VM on a host."""

    @message(errors=_POWER)
    async def pause(self, vm: Ref["VM"]) -> None:
        """Stop the virtual CPUs; memory stays."""

    @message(errors=_POWER)
    async def unpause(self, vm: Ref["VM"]) -> None:
        """Let the virtual CPUs of a Paused VM run on."""

    @message(errors=(*_POWER, "VM_SHUTDOWN_TIMEOUT"))
    async def clean_shutdown(self, vm: Ref["VM"]) -> None:
        """Press the power button and wait for the guest to switch itself off."""

    @message(errors=_POWER)
    async def hard_shutdown(self, vm: Ref["VM"]) -> None:
        """Cut the power. On a suspended VM or checkpoint: drop its memory image."""

    @message(errors=(*_POWER, "VM_SHUTDOWN_TIMEOUT"))
    async def shutdown(self, vm: Ref["VM"]) -> None:
        """Shut down cleanly, and by force when the guest does not answer."""

    @message(errors=(*_START, "VM_SHUTDOWN_TIMEOUT"))
    async def clean_reboot(self, vm: Ref["VM"]) -> None:
        """Press the power button, wait for the guest to switch off, and start it again."""

    @message(errors=_POWER)
    async def hard_reboot(self, vm: Ref["VM"]) -> None:
        """Press the reset button."""

    @message(errors=(*_POWER, "SR_BACKEND_FAILURE_44", "VM_NO_SUSPEND_SR", *_KEPT[-1:]))
    async def suspend(self, vm: Ref["VM"]) -> None:
        """Write the memory of a Running VM to its suspend SR and free the host's."""

    @message(errors=_START)
    async def resume(self, vm: Ref["VM"], start_paused: bool = False, force: bool = False) -> None:
        """Bring a Suspended VM back to where it was."""

    @message(errors=("OPERATION_NOT_ALLOWED",))
    async def power_state_reset(self, vm: Ref["VM"]) -> None:
        """Record the VM as Halted, after making sure that no QEMU of it is left."""

    @message(errors=("VM_IS_TEMPLATE", "INVALID_VALUE"))
    async def set_snapshot_schedule(self, vm: Ref["VM"], value: Ref["VMSS"]) -> None:
        """Let a schedule protect the VM, in place of the one that does; the null ref: none."""

    @message(errors=("VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE", "VM_BAD_POWER_STATE"))
    async def set_is_a_template(self, vm: Ref["VM"], value: bool) -> None:
        """Make a Halted VM a template, or a template a VM."""

    @message(errors=("MEMORY_CONSTRAINT_VIOLATION_ORDER", "VM_BAD_POWER_STATE"))
    async def set_memory_limits(
        self, vm: Ref["VM"], static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
    ) -> None:
        """Set all four memory limits of a Halted VM, in bytes."""

    @message(errors=("MEMORY_CONSTRAINT_VIOLATION_ORDER", "VM_BAD_POWER_STATE"))
    async def set_memory(self, vm: Ref["VM"], value: int) -> None:
        """Set how much memory a Halted VM has, in bytes."""

    @message(errors=("MEMORY_CONSTRAINT_VIOLATION_ORDER", "VM_BAD_POWER_STATE"))
    async def set_memory_dynamic_range(self, vm: Ref["VM"], min: int, max: int) -> None:
        """Set the dynamic limits of a Halted VM, in bytes."""

    @message(errors=("INVALID_VALUE", "VM_BAD_POWER_STATE"))
    async def set_VCPUs_max(self, vm: Ref["VM"], value: int) -> None:
        """Set the most virtual CPUs that the VM may have."""

    @message(errors=("INVALID_VALUE", "VM_BAD_POWER_STATE"))
    async def set_VCPUs_at_startup(self, vm: Ref["VM"], value: int) -> None:
        """Set how many virtual CPUs the VM starts with."""

    @message(read_only=True)
    async def update_allowed_operations(self, vm: Ref["VM"]) -> None:
        """Work out allowed_operations again."""

    @message(errors=_POWER, read_only=True)
    async def assert_operation_valid(self, vm: Ref["VM"], op: VMOperation) -> None:
        """Answer the error that the operation would meet now, if any."""

    @message(read_only=True)
    async def get_allowed_VBD_devices(self, vm: Ref["VM"]) -> Sequence[str]:
        """The device numbers that no VBD of the VM uses yet."""

    @message(read_only=True)
    async def get_allowed_VIF_devices(self, vm: Ref["VM"]) -> Sequence[str]:
        """The device numbers that no VIF of the VM uses yet."""

    @message(read_only=True)
    async def get_possible_hosts(self, vm: Ref["VM"]) -> Sequence[Ref["Host"]]:
        """The hosts that could run the VM: the one there is."""

    @message(read_only=True)
    async def assert_can_boot_here(self, vm: Ref["VM"], host: Ref["Host"]) -> None:
        """Answer what would keep the VM from starting on a host. Its power state does not matter."""

    @message(errors=(*_POWER, *_DISKS, "OPERATION_BLOCKED"), extension=True)
    async def uninstall(self, vm: Ref["VM"], with_snapshots: bool = False) -> None:
        """Destroy the VM and the disks it owns in one go, and on request its snapshots; a leftover is swept later."""


@xen_class("VM", VMCalls)
class VM(Record, frozen=True, kw_only=True):
    """A virtual machine, a template or a snapshot; the flags tell which."""

    name_label: Annotated[str, rw("name")] = ""
    name_description: Annotated[str, rw("description")] = ""
    allowed_operations: Annotated[frozenset[VMOperation], ro("operations possible now", volatile=True)] = frozenset()
    current_operations: Annotated[Mapping[str, VMOperation], ro("operations under way, by task", volatile=True)] = {}
    power_state: Annotated[VMPowerState, rc("Halted, Paused, Running or Suspended")] = VMPowerState.Halted
    user_version: Annotated[int, rw("a version number for the creators' use")] = 1
    is_a_template: Annotated[bool, rc("true of templates and of snapshots")] = False
    is_default_template: Annotated[bool, ro("true of the templates that come with the product")] = False
    is_a_snapshot: Annotated[bool, ro("true of snapshots")] = False
    snapshot_of: Annotated[Ref["VM"], ro("the VM this is a snapshot of")] = NULL
    snapshots: Annotated[frozenset[Ref["VM"]], reverse("VM.snapshot_of", "its snapshots")] = NO_REFS
    snapshot_time: Annotated[datetime, ro("when the disks were frozen, UTC")] = EPOCH
    transportable_snapshot_id: Annotated[str, ro("unused")] = ""
    snapshot_info: Annotated[StringMap, ro("power state and consistency at the snapshot")] = {}
    snapshot_metadata: Annotated[str, ro("the VM's fields at the snapshot, for revert")] = ""
    parent: Annotated[Ref["VM"], ro("the snapshot that the current state grew from")] = NULL
    children: Annotated[frozenset[Ref["VM"]], reverse("VM.parent", "states grown from this snapshot")] = NO_REFS
    is_control_domain: Annotated[bool, ro("true of the host's own domain")] = False
    is_snapshot_from_vmpp: Annotated[bool, ro("unused")] = False
    is_vmss_snapshot: Annotated[bool, ro("true of snapshots made by a schedule")] = False
    protection_policy: Annotated[Ref["VM"], ro("unused")] = NULL
    snapshot_schedule: Annotated[Ref["VMSS"], ro("the schedule that protects this VM")] = NULL
    suspend_VDI: Annotated[Ref["VDI"], rc("the memory image of a suspended VM or checkpoint")] = NULL
    suspend_SR: Annotated[Ref["SR"], rw("where memory images go")] = NULL
    resident_on: Annotated[Ref["Host"], ro("the host it runs on")] = NULL
    scheduled_to_be_resident_on: Annotated[Ref["Host"], ro("the host it is about to run on")] = NULL
    affinity: Annotated[Ref["Host"], rw("the host it prefers")] = NULL
    memory_overhead: Annotated[int, ro("memory needed beside the guest's, bytes")] = 0
    memory_target: Annotated[int, rc("memory aimed at, bytes")] = 0
    memory_static_max: Annotated[int, rc("the most memory, fixed while running, bytes")] = 0
    memory_dynamic_max: Annotated[int, rc("the most memory it may be given while running, bytes")] = 0
    memory_dynamic_min: Annotated[int, rc("the least memory it may be given while running, bytes")] = 0
    memory_static_min: Annotated[int, rc("the least memory, fixed while running, bytes")] = 0
    VCPUs_params: Annotated[StringMap, rw("virtual CPU parameters")] = {}
    VCPUs_max: Annotated[int, rc("the most virtual CPUs")] = 1
    VCPUs_at_startup: Annotated[int, rc("virtual CPUs at start")] = 1
    actions_after_softreboot: Annotated[OnSoftReboot, rw("what follows a soft reboot")] = OnSoftReboot.soft_reboot
    actions_after_shutdown: Annotated[OnNormalExit, rw("what follows a shutdown")] = OnNormalExit.destroy
    actions_after_reboot: Annotated[OnNormalExit, rw("what follows a reboot")] = OnNormalExit.restart
    actions_after_crash: Annotated[OnCrash, rw("what follows a crash")] = OnCrash.restart
    consoles: Annotated[frozenset[Ref["Console"]], reverse("console.VM", "its consoles")] = NO_REFS
    VIFs: Annotated[frozenset[Ref["VIF"]], reverse("VIF.VM", "network interfaces")] = NO_REFS
    VBDs: Annotated[frozenset[Ref["VBD"]], reverse("VBD.VM", "block devices")] = NO_REFS
    VUSBs: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    crash_dumps: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    VTPMs: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    VGPUs: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    attached_PCIs: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    groups: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    PV_bootloader: Annotated[str, rw("boot loader of a paravirtual guest")] = ""
    PV_kernel: Annotated[str, rw("kernel of a paravirtual guest")] = ""
    PV_ramdisk: Annotated[str, rw("initial ramdisk of a paravirtual guest")] = ""
    PV_args: Annotated[str, rw("kernel arguments of a paravirtual guest")] = ""
    PV_bootloader_args: Annotated[str, rw("boot loader arguments of a paravirtual guest")] = ""
    PV_legacy_args: Annotated[str, rw("arguments of an old paravirtual guest")] = ""
    HVM_boot_policy: Annotated[str, rw("how the guest boots")] = "BIOS order"
    HVM_boot_params: Annotated[StringMap, rw("`order` of boot devices and `firmware`")] = {}
    HVM_shadow_multiplier: Annotated[float, rc("shadow memory multiplier")] = 1.0
    platform: Annotated[StringMap, rw("virtual hardware settings; `disk-bus` chooses virtio, sata or ide")] = {}
    PCI_bus: Annotated[str, rw("unused")] = ""
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    domid: Annotated[int, ro("domain number, -1 when down")] = -1
    domarch: Annotated[str, ro("domain architecture")] = ""
    last_boot_CPU_flags: Annotated[StringMap, ro("CPU features at the last boot")] = {}
    metrics: Annotated[Ref["VMMetrics"], ro("figures of the VM")] = NULL
    guest_metrics: Annotated[Ref["VMGuestMetrics"], ro("figures that the guest reports")] = NULL
    last_booted_record: Annotated[str, ro("the record at the last boot")] = ""
    recommendations: Annotated[str, rw("XML with recommended settings")] = ""
    xenstore_data: Annotated[StringMap, rw("data for the guest")] = {}
    ha_always_run: Annotated[bool, ro("unused")] = False
    ha_restart_priority: Annotated[str, rw("unused")] = ""
    blobs: Annotated[Mapping[str, Ref["Blob"]], ro("binary data kept with the VM, by name")] = {}
    blocked_operations: Annotated[StringMap, rw("operations refused, with the error to answer")] = {}
    tags: Annotated[frozenset[str], rw("user's labels")] = NO_STRINGS
    bios_strings: Annotated[StringMap, ro("strings shown by the BIOS")] = {}
    start_delay: Annotated[int, rw("seconds to wait after starting it")] = 0
    shutdown_delay: Annotated[int, rw("seconds to wait after shutting it down")] = 0
    order: Annotated[int, rw("place in a start sequence")] = 0
    appliance: Annotated[Ref["VM"], ro("unused")] = NULL
    version: Annotated[int, rc("times this VM was recovered")] = 0
    generation_id: Annotated[str, ro("changes when the guest goes back in time")] = ""
    hardware_platform_version: Annotated[int, rw("virtual hardware version")] = 0
    has_vendor_device: Annotated[bool, rc("unused")] = False
    requires_reboot: Annotated[bool, ro("true if the guest must restart for a change to show")] = False
    reference_label: Annotated[str, ro("where the template came from")] = ""
    domain_type: Annotated[DomainType, rc("kind of virtualisation")] = DomainType.hvm
    NVRAM: Annotated[StringMap, rc("firmware variables")] = {}
    pending_guidances: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    pending_guidances_recommended: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    pending_guidances_full: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    secureboot_certificates_state: Annotated[str, ro("unused")] = "ok"


@xen_class("VM_metrics")
class VMMetrics(Record, frozen=True, kw_only=True):
    """Figures of a VM that the host measures."""

    memory_actual: Annotated[int, ro("memory in use, bytes")] = 0
    VCPUs_number: Annotated[int, ro("virtual CPUs now")] = 0
    VCPUs_utilisation: Annotated[Mapping[int, float], ro("share of each virtual CPU in use")] = {}
    VCPUs_CPU: Annotated[Mapping[int, int], ro("the host CPU of each virtual CPU")] = {}
    VCPUs_params: Annotated[StringMap, ro("virtual CPU parameters")] = {}
    VCPUs_flags: Annotated[StringMap, ro("virtual CPU states")] = {}
    state: Annotated[frozenset[str], ro("states of the domain")] = NO_STRINGS
    start_time: Annotated[datetime, ro("last start, UTC")] = EPOCH
    install_time: Annotated[datetime, ro("when it was made from a template, UTC")] = EPOCH
    last_updated: Annotated[datetime, ro("when these figures were taken, UTC")] = EPOCH
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    hvm: Annotated[bool, ro("fully virtualised")] = True
    nested_virt: Annotated[bool, ro("may run guests of its own")] = False
    nomigrate: Annotated[bool, ro("cannot be moved or suspended")] = False
    current_domain_type: Annotated[DomainType, ro("kind of virtualisation now")] = DomainType.hvm
    numa_optimised: Annotated[bool, ro("unused")] = False
    numa_nodes: Annotated[int, ro("unused")] = 0
    numa_node_memory: Annotated[Mapping[int, int], ro("unused")] = {}


@xen_class("VM_guest_metrics")
class VMGuestMetrics(Record, frozen=True, kw_only=True):
    """Figures that an agent inside the guest reports."""

    os_version: Annotated[StringMap, ro("operating system")] = {}
    netbios_name: Annotated[StringMap, ro("Windows network names")] = {}
    PV_drivers_version: Annotated[StringMap, ro("guest tools")] = {}
    PV_drivers_up_to_date: Annotated[bool, ro("guest tools found")] = False
    PV_drivers_detected: Annotated[bool, ro("a guest driver answers")] = False
    memory: Annotated[StringMap, ro("memory as the guest sees it")] = {}
    disks: Annotated[StringMap, ro("disks as the guest sees them")] = {}
    networks: Annotated[StringMap, ro("addresses, by `0/ip` and the like")] = {}
    services: Annotated[StringMap, ro("services of the guest")] = {}
    other: Annotated[StringMap, ro("features of the guest")] = {}
    last_updated: Annotated[datetime, ro("when these were reported, UTC")] = EPOCH
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    live: Annotated[bool, ro("the agent answers")] = False
    can_use_hotplug_vbd: Annotated[TristateType, ro("disks can be added while running")] = TristateType.unspecified
    can_use_hotplug_vif: Annotated[TristateType, ro("networks can be added while running")] = TristateType.unspecified


@xen_class("console")
class Console(Record, frozen=True, kw_only=True):
    """A way to see and type into a running VM."""

    protocol: Annotated[ConsoleProtocol, ro("rfb or vt100")] = ConsoleProtocol.rfb
    location: Annotated[str, ro("URL of the console")] = ""
    VM: Annotated[Ref["VM"], ro("the VM it belongs to")] = NULL
    other_config: Annotated[StringMap, rw("additional settings")] = {}
