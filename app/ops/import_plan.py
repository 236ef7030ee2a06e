"""What an import is going to do, decided from the file's description before anything is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from app.api import SR, VDI, VM, Failure, Ref, VMPowerState
from app.api.failure import bad_power_state, not_allowed, other_operation
from app.api.types import new_ref
from app.ops.context import Context
from app.xva.contents import disks_of, memory_image_of
from app.xva.ova import Described, Description
from app.xva.refusals import not_understood

OUR_BRAND: Final = "Stillframe"
MACHINE_KEY: Final = "machine"
"""In a memory image's sm_config, if it is one of ours: no other can be resumed here."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SECTOR: Final = 512


@dataclass(frozen=True)
class PlannedDisk:
    """A disk or memory image that has to be written.

    :ivar size: what the file holds of it, in bytes; `virtual_size` is that in whole sectors.
    """

    described: Described
    vdi: Ref[VDI]
    image: str
    size: int
    is_memory: bool

    @property
    def virtual_size(self) -> int:
        return max(_SECTOR, -(-self.size // _SECTOR) * _SECTOR)


@dataclass(frozen=True)
class Plan:
    """An import: where its disks go, and which reference each object of the file will have.

    :ivar skipped: memory images that only a XenServer could resume.
    :ivar replaced: the VMs of this engine that the file's become again, by the id in the file.
    """

    description: Description
    sr: Ref[SR]
    restore: bool
    force: bool
    task: str
    disks: tuple[PlannedDisk, ...]
    skipped: frozenset[str]
    vm_of: Mapping[str, Ref[VM]]
    replaced: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_ours(self) -> bool:
        """Whether this program wrote the file."""
        return self.description.version.get("product_brand") == OUR_BRAND

    def sizes(self) -> dict[str, int]:
        """The size in bytes of everything that follows the description, by id."""
        return {identity: vdi.number("virtual_size") for identity, vdi in disks_of(self.description).items()}

    def images(self) -> list[tuple[str, str]]:
        """What will be made, as (SR, image)."""
        return [(self.sr, disk.image) for disk in self.disks]


def plan(context: Context, description: Description, sr: Ref[SR], task: str, *, restore: bool, force: bool) -> Plan:
    """Decide.

    :raise Failure: the import is refused, see `_replaced`; IMPORT_ERROR_FAILED_TO_FIND_OBJECT: a device is of a VM that
        is not in the file; IMPORT_ERROR_GENERIC.
    """
    vms = description.of("VM")
    if not vms:
        raise not_understood("The archive describes no VM.")
    for device in (*description.of("VBD"), *description.of("VIF")):
        description.get("VM", device.text("VM"))  # a disk of no VM would be written for nobody
    memory = {image.id: image for vm in vms if (image := memory_image_of(description, vm)) is not None}
    skipped = frozenset(identity for identity, image in memory.items() if not _is_resumable(image))
    wanted = {identity: vdi for identity, vdi in disks_of(description).items() if identity not in skipped}
    made = tuple(
        PlannedDisk(vdi, new_ref(), context.files(sr).new_id(), vdi.number("virtual_size"), identity in memory)
        for identity, vdi in wanted.items()
    )
    replaced = {vm.id: found for vm in vms if restore and (found := _replaced(context, vm, force=force)) is not None}
    if restore and not force:
        _require_own_seeds(context, vms, replaced)
    refs = {vm.id: replaced.get(vm.id) or new_ref() for vm in vms}
    return Plan(description, sr, restore, force, task, made, skipped, refs, frozenset(replaced))


def _is_resumable(image: Described) -> bool:
    config = image.fields.get("sm_config")
    return isinstance(config, dict) and bool(config.get(MACHINE_KEY))


def _replaced(context: Context, vm: Described, *, force: bool) -> Ref[VM] | None:
    """The VM here that has the uuid of one in the file.

    :raise Failure: it cannot be replaced: VM_BAD_POWER_STATE, VM_TO_IMPORT_IS_NOT_NEWER_VERSION, OPERATION_NOT_ALLOWED.
    """
    found = next((ref for ref, known in context.store.all(VM).items() if known.uuid == vm.text("uuid")), None)
    if found is None:
        return None
    known = context.store.get(VM, found)
    if known.is_a_snapshot or known.is_control_domain:
        raise not_allowed("A snapshot of this pool has the same identity: import it as a new VM")
    if known.power_state is not VMPowerState.Halted:
        raise bad_power_state(found, "halted", known.power_state.value)
    version = vm.number("version") if vm.text("version") else 0
    if known.version >= version and not force:
        raise Failure("VM_TO_IMPORT_IS_NOT_NEWER_VERSION", found, known.version, version)
    return found


def require_replaceable(context: Context, made: Plan) -> None:
    """Look again just before the records are made: the VMs to replace may have been started meanwhile.

    :raise Failure: HANDLE_INVALID, VM_BAD_POWER_STATE, OTHER_OPERATION_IN_PROGRESS.
    """
    for identity in made.replaced:
        ref = made.vm_of[identity]
        known = context.store.get(VM, ref)
        if known.power_state is not VMPowerState.Halted:
            raise bad_power_state(ref, "halted", known.power_state.value)
        for task, running in known.current_operations.items():
            raise other_operation("VM", ref, running.value, task)


def _require_own_seeds(context: Context, vms: list[Described], replaced: Mapping[str, Ref[VM]]) -> None:
    """:raise Failure: DUPLICATE_MAC_SEED: another VM makes its addresses of the same seed."""
    taken = {
        vm.other_config.get("mac_seed", "")
        for ref, vm in context.store.all(VM).items()
        if not vm.is_a_snapshot and ref not in replaced.values()
    }
    for vm in vms:
        config = vm.fields.get("other_config")
        seed = str(config.get("mac_seed", "")) if isinstance(config, dict) else ""
        if seed and seed in taken:
            raise Failure("DUPLICATE_MAC_SEED", seed)


def uuid_of(described: Described, taken: set[str]) -> str:
    """The uuid of an object to keep; "" where it is none, or taken."""
    uuid = described.text("uuid")
    if not _UUID.fullmatch(uuid) or uuid in taken:
        return ""
    taken.add(uuid)
    return uuid
