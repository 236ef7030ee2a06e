"""What an .xva holds, from its description: the disks that have to follow it, and what a user wants to know."""

from __future__ import annotations

from app.xva.ova import Described, Description
from app.xva.refusals import not_understood

_LARGEST_DISK = 64 << 40
_ISO = "iso"


def drives_of(description: Description) -> list[tuple[Described, Described]]:
    """The disks of the file's VMs, each with the VBD that holds it; drives for discs and empty ones are left out."""
    found = []
    for vbd in description.of("VBD"):
        vdi = description.find("VDI", vbd.text("VDI"))
        if vdi is not None and vbd.text("type") != "CD" and vbd.fields.get("empty") is not True:
            sr = description.find("SR", vdi.text("SR"))
            if sr is None or sr.text("content_type") != _ISO:
                found.append((vbd, vdi))
    return found


def memory_image_of(description: Description, vm: Described) -> Described | None:
    """The memory image that goes along with a suspended VM."""
    return description.find("VDI", vm.text("suspend_VDI")) if vm.text("power_state") == "Suspended" else None


def disks_of(description: Description) -> dict[str, Described]:
    """All that has to follow the description, by id. :raise Failure: IMPORT_ERROR_GENERIC: a size cannot be."""
    found = {vdi.id: vdi for _, vdi in drives_of(description)}
    for vm in description.of("VM"):
        image = memory_image_of(description, vm)
        if image is not None:
            found[image.id] = image
    for vdi in found.values():
        if vdi.number("virtual_size") > _LARGEST_DISK:
            raise not_understood(f"The disk {vdi.id} is larger than 64 TiB.")
    return found


def sizes_of(description: Description) -> dict[str, int]:
    """The sizes in bytes of all that has to follow the description, by id. :raise Failure: as `disks_of`."""
    return {identity: vdi.number("virtual_size") for identity, vdi in disks_of(description).items()}


def vm_of(description: Description) -> Described:
    """The VM that the file is about: of several the one that is no snapshot. :raise Failure: there is none."""
    vms = description.of("VM")
    if not vms:
        raise not_understood("The archive describes no VM.")
    return next((vm for vm in vms if vm.fields.get("is_a_snapshot") is not True), vms[0])
