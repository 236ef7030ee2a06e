"""Commands on disks: the disks of VMs and snapshots, and disks by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.cli import layout
from app.cli.command import VM_SELECTORS, Command
from app.cli.generated import wanted
from app.cli.inventory import NULL, Object
from app.cli.invocation import Invocation
from app.cli.kinds import KINDS
from app.cli.snapshot_commands import snapshot
from app.cli.words import whole

_VBD_PARAMS: Final = "uuid,vm-name-label,userdevice"
_VDI_PARAMS: Final = "uuid,name-label,sr-name-label,virtual-size"
_OPTIONS: Final = ("vbd-params", "vdi-params")


class _DiskList:
    """Disks with what attaches them, in the order they are found."""

    def __init__(self, invocation: Invocation) -> None:
        words = invocation.words
        self._invocation = invocation
        self._vbd = wanted(KINDS["vbd"], words.get("vbd-params", _VBD_PARAMS))
        self._vdi = wanted(KINDS["vdi"], words.get("vdi-params", _VDI_PARAMS))
        self._minimal: list[str] = []

    def add(self, vm: Object, kind: str = "Disk") -> None:
        inventory = self._invocation.inventory
        found = [(ref, vbd) for ref in vm["VBDs"] if (vbd := inventory.get("VBD", ref)) is not None]
        for at, (ref, vbd) in enumerate((ref, vbd) for ref, vbd in found if vbd["type"] == kind):
            vdi = inventory.get("VDI", vbd["VDI"])
            holder = layout.row(self._vbd, inventory, ref, vbd)
            disk = layout.row(self._vdi, inventory, vbd["VDI"], vdi) if vdi is not None else []
            self._show(f"{kind} {at}", holder, disk)

    def _show(self, title: str, holder: layout.Row, disk: layout.Row) -> None:
        invocation = self._invocation
        if invocation.as_json:
            invocation.result({"VBD": layout.as_object(holder), "VDI": layout.as_object(disk)})
        elif invocation.minimal:
            self._minimal += [layout.first(holder), layout.first(disk)] if disk else [layout.first(holder)]
        else:
            invocation.out.write(f"{title} VBD:\n{layout.page(holder)}")
            if disk:
                invocation.out.write(f"{title} VDI:\n{layout.page(disk)}")

    def end(self) -> None:
        if self._invocation.minimal and not self._invocation.as_json:
            # From the end to the beginning, as it has always been.
            self._invocation.print(layout.minimal(reversed(self._minimal)))


def _vm_disks(invocation: Invocation, kind: str) -> None:
    shown = _DiskList(invocation)
    invocation.on_vms(_OPTIONS, lambda _ref, record: shown.add(record, kind))
    shown.end()


def _snapshot_disks(invocation: Invocation) -> None:
    ref = snapshot(invocation)
    shown = _DiskList(invocation)
    shown.add(invocation.inventory.get("VM", ref) or {})
    shown.end()


def _create(invocation: Invocation) -> None:
    words = invocation.words
    record = {
        "SR": invocation.inventory.by_uuid("SR", words.required("sr-uuid")),
        "name_label": words.required("name-label"),
        "name_description": words.get("name-description"),
        "virtual_size": words.size("virtual-size"),
        "type": words.get("type", "user").lower(),
        "sharable": words.flag("sharable"),
        "read_only": words.flag("read-only"),
        "other_config": words.under("other-config"),
        "sm_config": words.under("sm-config"),
        "tags": [tag for tag in words.get("tags").split(",") if tag],
    }
    invocation.created("VDI", str(invocation.change("VDI.create", record)))


def _vdi(invocation: Invocation) -> str:
    return invocation.inventory.by_uuid("VDI", invocation.words.required("uuid"))


def _copy(invocation: Invocation) -> None:
    sr = invocation.inventory.by_uuid("SR", invocation.words.required("sr-uuid"))
    made = str(invocation.change("VDI.copy", _vdi(invocation), sr, progress=True))
    invocation.created("VDI", made)


def _clone(invocation: Invocation) -> None:
    made = str(invocation.change("VDI.clone", _vdi(invocation), {}))
    name = invocation.words.get("new-name-label")
    if name and made != NULL:
        invocation.change("VDI.set_name_label", made, name)
    invocation.created("VDI", made)


def _attach(invocation: Invocation) -> None:
    words, inventory = invocation.words, invocation.inventory
    empty = not words.has("vdi-uuid")
    record = {
        "VM": inventory.by_uuid("VM", words.required("vm-uuid")),
        "VDI": NULL if empty else inventory.by_uuid("VDI", words.get("vdi-uuid")),
        "userdevice": words.required("device"),
        "bootable": words.flag("bootable"),
        "mode": words.get("mode", "RW").upper(),
        "type": words.get("type", "CD" if empty else "Disk"),
        "unpluggable": words.flag("unpluggable", True),
        "empty": empty,
        "other_config": {},
    }
    invocation.created("VBD", str(invocation.change("VBD.create", record)))


def _vbd(invocation: Invocation) -> str:
    return invocation.inventory.by_uuid("VBD", invocation.words.required("uuid"))


def _add_disk(invocation: Invocation) -> None:
    words, inventory = invocation.words, invocation.inventory
    device, size = words.required("device"), whole("disk-size", words.required("disk-size"))
    sr = inventory.by_uuid("SR", words.get("sr-uuid")) if words.has("sr-uuid") else str(inventory.pool()["default_SR"])

    def act(ref: str, record: Object) -> None:
        disk = {"SR": sr, "name_label": f"{record['name_label']} {device}", "virtual_size": size, "type": "user"}
        vdi = str(invocation.change("VDI.create", disk))
        holder = {"VM": ref, "VDI": vdi, "userdevice": device, "type": "Disk", "mode": "RW"}
        invocation.change("VBD.create", {**holder, "other_config": {"owner": ""}})
        invocation.created("VDI", vdi)

    invocation.on_vms(("device", "disk-size", "sr-uuid"), act)


def _refresh(invocation: Invocation) -> None:
    invocation.change("SR.update", invocation.inventory.by_uuid("SR", invocation.words.required("uuid")))


def _scan(invocation: Invocation) -> None:
    invocation.change("SR.scan", invocation.inventory.by_uuid("SR", invocation.words.required("uuid")))


def commands() -> list[Command]:
    """All of them."""
    return [*_lists(), *_vdi_commands(), *_vbd_commands()]


def _lists() -> Sequence[Command]:
    about = "on the selected VM(s)."
    return (
        Command(
            "vm-disk-list",
            lambda invocation: _vm_disks(invocation, "Disk"),
            f"List the disks {about}",
            optional=(*_OPTIONS, VM_SELECTORS),
            common=True,
        ),
        Command(
            "vm-cd-list",
            lambda invocation: _vm_disks(invocation, "CD"),
            f"List the CDs currently attached {about}",
            optional=(*_OPTIONS, VM_SELECTORS),
            common=True,
        ),
        Command(
            "snapshot-disk-list",
            _snapshot_disks,
            f"List the disks {about}",
            optional=("uuid", "snapshot-uuid", *_OPTIONS, VM_SELECTORS),
            common=True,
        ),
        Command(
            "vm-disk-add",
            _add_disk,
            "Add a new disk to the selected VM(s), on the pool's default SR unless one is given.",
            required=("disk-size", "device"),
            optional=("sr-uuid", VM_SELECTORS),
            common=True,
        ),
    )


def _vdi_commands() -> Sequence[Command]:
    return (
        Command(
            "vdi-create",
            _create,
            "Create a VDI.",
            required=("sr-uuid", "name-label", "virtual-size"),
            optional=("name-description", "type", "sharable", "read-only", "other-config:", "sm-config:", "tags"),
        ),
        Command(
            "vdi-destroy",
            lambda invocation: invocation.change("VDI.destroy", _vdi(invocation)) and None,
            "Destroy a VDI.",
            required=("uuid",),
        ),
        Command("vdi-clone", _clone, "Clone a VDI.", required=("uuid",), optional=("new-name-label", "driver-params:")),
        Command("vdi-copy", _copy, "Copy a VDI to an SR.", required=("uuid", "sr-uuid"), optional=("progress",)),
        Command("sr-update", _refresh, "Refresh the fields of the SR object in the database.", ("uuid",)),
        Command("sr-scan", _scan, "Force an SR scan, syncing database with VDIs present in storage.", ("uuid",)),
    )


def _vbd_commands() -> Sequence[Command]:
    def insert(invocation: Invocation) -> None:
        vdi = invocation.inventory.by_uuid("VDI", invocation.words.required("vdi-uuid"))
        invocation.change("VBD.insert", _vbd(invocation), vdi)

    return (
        Command(
            "vbd-create",
            _attach,
            "Create a VBD. Appropriate values for the device field are listed in the VM's field allowed-VBD-devices. "
            "If no VDI is given, an empty drive is made.",
            required=("vm-uuid", "device"),
            optional=("vdi-uuid", "bootable", "type", "mode", "unpluggable"),
        ),
        Command(
            "vbd-destroy",
            lambda invocation: invocation.change("VBD.destroy", _vbd(invocation)) and None,
            "Destroy a VBD.",
            required=("uuid",),
        ),
        Command("vbd-insert", insert, "Insert new media into the drive represented by a VBD.", ("uuid", "vdi-uuid")),
        Command(
            "vbd-eject",
            lambda invocation: invocation.change("VBD.eject", _vbd(invocation)) and None,
            "Remove the media from the drive represented by a VBD.",
            required=("uuid",),
        ),
    )
