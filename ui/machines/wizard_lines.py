"""What a terminal would be told in place of the New VM wizard and of a VM's properties: several lines, one a step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from app.api import SR, VDI, VM, Network
from app.client import ObjectCache
from ui.base.xe_lines import Variable, keeping, line, together, uuid_of
from ui.machines.creation import NewDisk, NewVM
from ui.machines.hardware import Wanted
from ui.machines.xe_lines import copy_line

MADE: Final = Variable("vm")
"""The VM that the first line makes."""
_DISK: Final = Variable("vdi")
_HOLDER: Final = Variable("vbd")


def new_vm_lines(cache: ObjectCache, plan: NewVM) -> str:
    """All that the wizard would do."""
    return together(
        _imported(cache, plan),
        keeping("vm", copy_line(cache, plan.template_record, plan.name, plan.way)),
        _settings(plan),
        line("vm-provision", uuid=MADE),
        *(_attached(True) if plan.image is not None else ()),
        *(part for number, disk in enumerate(plan.disks) for part in _added(cache, disk, plan, number)),
        _drive(cache, plan),
        _interface(cache, plan),
        line("vm-start", uuid=MADE) if plan.start else "",
    )


def _imported(cache: ObjectCache, plan: NewVM) -> str:
    image = plan.image
    if image is None:
        return ""
    sr = uuid_of(cache, SR, image.sr)
    return keeping("vdi", line("vdi-import-file", sr_uuid=sr, filename=image.path, name_label=image.name))


def _settings(plan: NewVM) -> str:
    record, wanted = plan.template_record, dict[str, str]()
    if plan.description != record.name_description:
        wanted["name_description"] = plan.description
    if plan.cpus is not None and (plan.cpus != record.VCPUs_at_startup or plan.cpus != record.VCPUs_max):
        wanted |= cpus(plan.cpus, record.VCPUs_max)
    if plan.memory is not None and plan.memory != record.memory_static_max:
        wanted |= memory(plan.memory)
    if plan.bus is not None and plan.bus != record.platform.get("disk-bus"):
        wanted["platform:disk-bus"] = plan.bus
    return line("template-param-set", uuid=MADE, **wanted) if wanted else ""


def cpus(wanted: int, most_now: int) -> dict[str, str]:
    """Both numbers, in the order that keeps the number at startup within the maximum."""
    found = {"VCPUs-max": str(wanted), "VCPUs-at-startup": str(wanted)}
    return found if wanted > most_now else dict(reversed(found.items()))


def memory(octets: int) -> dict[str, str]:
    """All four limits."""
    names = ("static-min", "static-max", "dynamic-min", "dynamic-max")
    return {f"memory-{name}": str(octets) for name in names}


def _attached(bootable: bool) -> tuple[str, str]:
    """The disk becomes the VM's own: uninstalling the VM removes it."""
    more = {"bootable": "true"} if bootable else {}
    return (
        keeping("vbd", line("vbd-create", vm_uuid=MADE, vdi_uuid=_DISK, device="autodetect", **more)),
        line("vbd-param-set", uuid=_HOLDER, **{"other-config:owner": ""}),
    )


def _added(cache: ObjectCache, disk: NewDisk, plan: NewVM, number: int) -> tuple[str, ...]:
    sr = uuid_of(cache, SR, disk.sr)
    made = line("vdi-create", sr_uuid=sr, virtual_size=str(disk.size), name_label=disk.name, type="user")
    return keeping("vdi", made), *_attached(number == 0 and plan.source == "iso")


def _drive(cache: ObjectCache, plan: NewVM) -> str:
    drive = {"vm_uuid": MADE, "device": "autodetect", "type": "CD", "mode": "RO"}
    if plan.source == "iso" and plan.iso is not None:
        return line("vbd-create", **drive, vdi_uuid=uuid_of(cache, VDI, plan.iso), bootable="true")
    return line("vbd-create", **drive) if plan.source == "image" else ""


def _interface(cache: ObjectCache, plan: NewVM) -> str:
    if plan.network is None:
        return ""
    chosen = {"network_uuid": uuid_of(cache, Network, plan.network), "mac": plan.mac or "random"}
    return line("vif-create", vm_uuid=MADE, device="0", **chosen)


def tag_lines(kind: str, uuid: str, before: Iterable[str], wanted: Iterable[str]) -> str:
    """What takes tags away and puts others on."""
    named = {"uuid": uuid, "param_name": "tags"}
    gone, new = sorted(set(before) - set(wanted)), sorted(set(wanted) - set(before))
    return together(
        *(line(f"{kind}-param-remove", **named, param_key=tag) for tag in gone),
        *(line(f"{kind}-param-add", **named, param_key=tag) for tag in new),
    )


def properties_lines(vm: VM, wanted: Wanted) -> str:
    """What a VM's properties are changed by, in the order in which the dialog sends it."""
    kind = "snapshot" if vm.is_a_snapshot else "template" if vm.is_a_template else "vm"
    hardware, words = dict[str, str](), dict[str, str]()
    if wanted.cpus != vm.VCPUs_at_startup:
        hardware |= cpus(wanted.cpus, vm.VCPUs_max)
    if wanted.memory != vm.memory_static_max:
        hardware |= memory(wanted.memory)
    if wanted.description != vm.name_description:
        words["name_description"] = wanted.description
    if wanted.name != vm.name_label:
        words["name_label"] = wanted.name
    return together(
        line(f"{kind}-param-set", uuid=vm.uuid, **hardware) if hardware else "",
        tag_lines(kind, vm.uuid, vm.tags, wanted.tags),
        line(f"{kind}-param-set", uuid=vm.uuid, **words) if words else "",
    )
