"""Commands on the drives, disks and network interfaces of VMs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.cli import layout
from app.cli.command import VM_SELECTORS, Command
from app.cli.errors import CommandError
from app.cli.generated import wanted
from app.cli.inventory import NULL, Inventory, Object
from app.cli.invocation import Invocation
from app.cli.kinds import KINDS

_VIF_PARAMS: Final = "uuid,device,MAC,network-uuid,network-name-label"


def _media(inventory: Inventory) -> list[tuple[str, Object]]:
    """The discs in the ISO libraries."""
    libraries = {ref for ref, sr in inventory.all("SR").items() if sr["content_type"] == "iso"}
    return [(ref, vdi) for ref, vdi in inventory.all("VDI").items() if vdi["SR"] in libraries]


def _medium(invocation: Invocation) -> str:
    name = invocation.words.required("cd-name")
    found = [ref for ref, vdi in _media(invocation.inventory) if name in (vdi["name_label"], vdi["uuid"])]
    if len(found) != 1:
        raise CommandError(f"{'No' if not found else 'More than one'} CD is called {name}")
    return found[0]


def _drives(invocation: Invocation, vm: Object) -> list[tuple[str, Object]]:
    inventory = invocation.inventory
    vbds = [(ref, vbd) for ref in vm["VBDs"] if (vbd := inventory.get("VBD", ref)) is not None]
    return [(ref, vbd) for ref, vbd in vbds if vbd["type"] == "CD"]


def _list_media(invocation: Invocation) -> None:
    words = invocation.words
    columns = wanted(KINDS["vdi"], words.get("params") if words.has("params") else "uuid,name-label")
    found = _media(invocation.inventory)
    invocation.rows(layout.row(columns, invocation.inventory, ref, vdi) for ref, vdi in found)


def _insert(invocation: Invocation) -> None:
    medium = _medium(invocation)

    def act(_ref: str, vm: Object) -> None:
        free = [ref for ref, vbd in _drives(invocation, vm) if vbd["empty"]]
        if len(free) != 1:
            raise CommandError(f"The VM has {'no' if not free else 'more than one'} empty CD drive")
        invocation.change("VBD.insert", free[0], medium)

    invocation.on_vms(("cd-name",), act)


def _eject(invocation: Invocation) -> None:
    def act(_ref: str, vm: Object) -> None:
        full = [ref for ref, vbd in _drives(invocation, vm) if not vbd["empty"]]
        if len(full) != 1:
            raise CommandError(f"The VM has {'no' if not full else 'more than one'} CD drive with a CD in it")
        invocation.change("VBD.eject", full[0])

    invocation.on_vms((), act)


def _add_drive(invocation: Invocation) -> None:
    medium, device = _medium(invocation), invocation.words.required("device")

    def act(ref: str, _vm: Object) -> None:
        drive = {"VM": ref, "VDI": medium, "userdevice": device, "type": "CD", "mode": "RO", "empty": False}
        invocation.change("VBD.create", {**drive, "bootable": True, "unpluggable": True, "other_config": {}})

    invocation.on_vms(("cd-name", "device"), act)


def _remove_drive(invocation: Invocation) -> None:
    medium = _medium(invocation)

    def act(_ref: str, vm: Object) -> None:
        for ref in [ref for ref, vbd in _drives(invocation, vm) if vbd["VDI"] == medium]:
            invocation.change("VBD.destroy", ref)

    invocation.on_vms(("cd-name",), act)


def _remove_disk(invocation: Invocation) -> None:
    device = invocation.words.required("device")

    def act(_ref: str, vm: Object) -> None:
        vbds = [(ref, vbd) for ref in vm["VBDs"] if (vbd := invocation.inventory.get("VBD", ref)) is not None]
        found = [(ref, vbd) for ref, vbd in vbds if vbd["type"] == "Disk" and vbd["userdevice"] == device]
        if not found:
            raise CommandError(f"No disk is attached as device {device}")
        ref, vbd = found[0]
        invocation.change("VBD.destroy", ref)
        invocation.change("VDI.destroy", vbd["VDI"])

    invocation.on_vms(("device",), act)


def _list_interfaces(invocation: Invocation) -> None:
    words = invocation.words
    columns = wanted(KINDS["vif"], words.get("params") if words.has("params") else _VIF_PARAMS)
    rows: list[layout.Row] = []

    def act(_ref: str, vm: Object) -> None:
        for ref in vm["VIFs"]:
            vif = invocation.inventory.get("VIF", ref)
            if vif is not None:
                rows.append(layout.row(columns, invocation.inventory, ref, vif))

    invocation.on_vms(("params",), act)
    invocation.rows(rows)


def _create_interface(invocation: Invocation) -> None:
    words, inventory = invocation.words, invocation.inventory
    record = {
        "VM": inventory.by_uuid("VM", words.required("vm-uuid")),
        "network": inventory.by_uuid("network", words.required("network-uuid")),
        "device": words.required("device"),
        "MAC": "" if words.get("mac") == "random" else words.get("mac"),
        "MTU": words.size("mtu") if words.has("mtu") else 1500,
        "other_config": {},
    }
    made = str(invocation.change("VIF.create", record))
    if made != NULL:
        invocation.created("VIF", made)


def _destroy_interface(invocation: Invocation) -> None:
    invocation.change("VIF.destroy", invocation.inventory.by_uuid("VIF", invocation.words.required("uuid")))


def _selecting(
    name: str, run: Callable[[Invocation], None], about: str, *required: str, params: bool = False
) -> Command:
    optional = ("params", VM_SELECTORS) if params else (VM_SELECTORS,)
    return Command(name, run, about, required, optional, common=True)


def commands() -> list[Command]:
    """All of them."""
    one = "the selected VM(s)."
    return [
        Command("cd-list", _list_media, "List CDs available to be attached to VMs.", optional=("params",), common=True),
        _selecting("vm-cd-insert", _insert, f"Insert a CD into the one empty drive of {one}", "cd-name"),
        _selecting("vm-cd-eject", _eject, f"Eject a CD from the one drive with a CD of {one}"),
        _selecting("vm-cd-add", _add_drive, f"Add a CD with its drive to {one}", "cd-name", "device"),
        _selecting("vm-cd-remove", _remove_drive, f"Remove a CD with its drive from {one}", "cd-name"),
        _selecting("vm-disk-remove", _remove_disk, f"Remove a disk from {one} and destroy it.", "device"),
        _selecting("vm-vif-list", _list_interfaces, f"List the VIFs present on {one}", params=True),
        Command(
            "vif-create",
            _create_interface,
            "Create a VIF. Appropriate values for the device are listed in the VM's field allowed-VIF-devices. The MAC "
            "is made up where none, or 'random', is given.",
            required=("device", "network-uuid", "vm-uuid"),
            optional=("mac", "mtu"),
        ),
        Command("vif-destroy", _destroy_interface, "Destroy a VIF.", required=("uuid",)),
    ]
