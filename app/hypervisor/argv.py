"""A guest's QEMU command line, from its spec alone: the same spec gives the same devices at the same addresses.

That matters beyond tidiness: a memory image can only be loaded into a machine built exactly alike, and some guests
install their drivers again when a device moves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.hypervisor.driver import DiskSpec, DriverError, DriverFacts, GuestSpec, NicSpec
from app.hypervisor.layout import RunPaths

MIB = 1024 * 1024

# PCI slots of the i440fx machine. Slot 0 is the host bridge, slot 1 the south bridge with the IDE controller.
_VGA_SLOT = 0x02
_USB_SLOT = 0x03
_SERIAL_BUS_SLOT = 0x04
_SATA_SLOT = 0x05
_NIC_SLOTS = range(0x08, 0x10)
_DISK_SLOTS = range(0x10, 0x20)
_IDE_PLACES = range(4)
_SATA_PLACES = range(6)

_DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,14}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORD = re.compile(r"[A-Za-z0-9_.,=+-]+")

AGENT_CHANNEL = "agent0"
AGENT_PORT = "agentport0"
_AGENT_NAME = "org.qemu.guest_agent.0"  # where qemu-ga looks, in every guest system

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
DISCARD = {"discard": "unmap", "detect-zeroes": "unmap"}


def build_argv(
    spec: GuestSpec, facts: DriverFacts, run: RunPaths, *, descriptors: Mapping[str, int], incoming: bool = False
) -> list[str]:
    """The whole command line.

    :param descriptors: "engine", "rescue", "serial", "agent" -> number of a listening socket in QEMU.
    :param incoming: wait for a memory image.
    :raise DriverError: "unsupported", if the spec cannot be built.
    """
    check(spec)
    argv = [str(facts.binary), "-no-user-config", "-nodefaults", "-display", "none"]
    argv += ["-name", f"guest={escape(spec.name)},debug-threads=on", "-uuid", spec.uuid]
    argv += ["-machine", f"{spec.machine or facts.machine},usb=off", "-accel", facts.accelerator]
    argv += ["-cpu", spec.cpu or cpu_model(facts.accelerator)]
    argv += ["-smp", f"{spec.vcpus},sockets=1,cores={spec.vcpus},threads=1", "-m", f"size={spec.memory // MIB}M"]
    argv += ["-rtc", "base=utc,driftfix=slew", "-boot", "strict=on,menu=off", "-S"]
    if "sandbox" in facts.features:
        argv += ["-sandbox", SANDBOX]
    argv += ["-pidfile", str(run.pid), "-vnc", f"unix:{escape(str(run.vnc))},share=ignore"]
    argv += _channels(spec, descriptors)
    argv += ["-device", f"VGA,id=video0,vgamem_mb=16,addr={_VGA_SLOT:#x}"]
    argv += ["-device", f"qemu-xhci,id=usb0,addr={_USB_SLOT:#x}", "-device", "usb-tablet,id=tablet0,bus=usb0.0"]
    argv += _drives(spec)
    argv += _nics(spec)
    if incoming:
        argv += ["-incoming", "defer"]
    return argv


def cpu_model(accelerator: str) -> str:
    """The CPU a new guest gets.

    Under emulation five-level paging is left out: it costs each memory access a level and few guests expect it.
    """
    return "max,la57=off" if accelerator == "tcg" else "host"


def check(spec: GuestSpec) -> None:
    """Refuse what would let a value become an option of its own, or what QEMU answers with a riddle.

    :raise DriverError: "unsupported", naming the value.
    """
    if not _UUID.fullmatch(spec.uuid):
        _refuse(f"“{spec.uuid}” is not a UUID")
    if spec.memory < MIB or spec.memory % MIB:
        _refuse("the memory size must be a multiple of 1 MiB")
    if not 1 <= spec.vcpus <= 255:
        _refuse(f"{spec.vcpus} virtual CPUs are not possible")
    if any(letter not in "cdn" for letter in spec.boot_order):
        _refuse(f"the boot order “{spec.boot_order}” has letters other than c, d and n")
    for value in (spec.machine, spec.cpu):
        if value is not None and not _WORD.fullmatch(value):
            _refuse(f"“{value}” is not the name of a machine type or CPU")
    devices = [disk.device for disk in spec.disks] + [nic.device for nic in spec.nics]
    for device in devices:
        if not _DEVICE.fullmatch(device):
            _refuse(f"“{device}” is not a device name")
    if len(set(devices)) != len(devices):
        _refuse("two devices have the same name")
    for nic in spec.nics:
        if not _MAC.fullmatch(nic.mac) or not _DEVICE.fullmatch(nic.model[:15]) or not _WORD.fullmatch(nic.model):
            _refuse(f"the network card {nic.device} has a bad address or model")
    for disk in spec.disks:
        if disk.kind == "disk" and disk.path is None:
            _refuse(f"{disk.device} has no image file")


def escape(text: str) -> str:
    """A value inside one of QEMU's comma-separated options."""
    return text.replace(",", ",,")


def image_node(node: str, path: Path, image_format: str, *, read_only: bool, overlay: bool = False) -> dict[str, Any]:
    """The block node of an image: its format over a file, both named.

    The format is always given, so QEMU never guesses it from bytes a guest may have written.

    :param overlay: leave out the backing file the header names: `blockdev-snapshot` attaches the active node instead.
    """
    file: dict[str, Any] = {"driver": "file", "node-name": file_node(node), "filename": str(path), "discard": "unmap"}
    options: dict[str, Any] = {"driver": image_format, "node-name": node, "read-only": read_only, "file": file}
    if read_only:
        file["read-only"] = True
    else:
        options |= DISCARD
    if overlay:
        options["backing"] = None
    return options


def first_node(device: str) -> str:
    """The node name of the image a device starts with."""
    return f"{device}-0"


def file_node(node: str) -> str:
    """The node name of the file under an image's node."""
    return f"{node}-file"


def _refuse(reason: str) -> None:
    raise DriverError(f"This guest cannot be built: {reason}.", cause="unsupported")


def _channels(spec: GuestSpec, descriptors: Mapping[str, int]) -> list[str]:
    """Two monitors, the serial port and the guest agent's channel.

    The sockets are ours and already listening: QEMU cannot fail to make them, and we can connect before it is up.
    """
    argv: list[str] = []
    for role in ("engine", "rescue"):
        argv += ["-chardev", f"socket,id=mon-{role},fd={descriptors[role]},server=on,wait=off"]
        argv += ["-mon", f"chardev=mon-{role},mode=control"]
    serial = f"socket,id=serial0,fd={descriptors['serial']},server=on,wait=off"
    if spec.serial_log is not None:
        serial += f",logfile={escape(str(spec.serial_log))},logappend=on"
    argv += ["-chardev", serial, "-device", "isa-serial,chardev=serial0,index=0"]
    argv += ["-device", f"virtio-serial-pci,id=vserial0,addr={_SERIAL_BUS_SLOT:#x}"]
    argv += ["-chardev", f"socket,id={AGENT_CHANNEL},fd={descriptors['agent']},server=on,wait=off"]
    # With an id QEMU tells when the guest opens or closes the port. Memory images do not depend on it.
    argv += ["-device", f"virtserialport,id={AGENT_PORT},bus=vserial0.0,chardev={AGENT_CHANNEL},name={_AGENT_NAME}"]
    return argv


def _drives(spec: GuestSpec) -> list[str]:
    argv: list[str] = []
    if any(disk.bus == "sata" for disk in spec.disks):
        argv += ["-device", f"ahci,id=sata0,addr={_SATA_SLOT:#x}"]
    boot = _boot_indexes(spec)
    places: dict[str, int] = {}
    for bus, available in (("virtio", _DISK_SLOTS), ("ide", _IDE_PLACES), ("sata", _SATA_PLACES)):
        places |= _places([disk.device for disk in spec.disks if disk.bus == bus], available, bus)
    for disk in spec.disks:
        if disk.path is not None:
            node = image_node(first_node(disk.device), disk.path, disk.format, read_only=_read_only(disk))
            argv += ["-blockdev", json.dumps(node)]
        argv += ["-device", _drive(disk, places[disk.device], boot.get(disk.device))]
    return argv


def _read_only(disk: DiskSpec) -> bool:
    return disk.read_only or disk.kind == "cd"


def _drive(disk: DiskSpec, place: int, boot_index: int | None) -> str:
    if disk.bus == "virtio":
        if disk.kind == "cd":
            _refuse(f"the CD drive {disk.device} needs an IDE or SATA bus")
        parts = ["virtio-blk-pci", f"addr={place:#x}"]
    elif disk.bus == "ide":
        parts = [f"ide-{'cd' if disk.kind == 'cd' else 'hd'}", f"bus=ide.{place // 2}", f"unit={place % 2}"]
    else:
        parts = [f"ide-{'cd' if disk.kind == 'cd' else 'hd'}", f"bus=sata0.{place}"]
    parts.append(f"id={disk.device}")
    if disk.path is not None:
        parts.append(f"drive={first_node(disk.device)}")
    if not _read_only(disk):
        # A full host disk must not become an error inside the guest: the guest waits until there is room again.
        parts += ["werror=stop", "rerror=report"]
    if boot_index is not None:
        parts.append(f"bootindex={boot_index}")
    return ",".join(parts)


def _nics(spec: GuestSpec) -> list[str]:
    argv: list[str] = []
    boot = _boot_indexes(spec)
    places = _places([nic.device for nic in spec.nics], _NIC_SLOTS, "network")
    for nic in spec.nics:
        argv += ["-netdev", f"user,id=net-{nic.device}", "-device", _nic(nic, places[nic.device], boot)]
    return argv


def _nic(nic: NicSpec, place: int, boot: Mapping[str, int]) -> str:
    parts = [nic.model, f"id={nic.device}", f"netdev=net-{nic.device}", f"mac={nic.mac}", f"addr={place:#x}"]
    if nic.device in boot:
        parts.append(f"bootindex={boot[nic.device]}")
    return ",".join(parts)


def _places(devices: Iterable[str], available: range, bus: str) -> dict[str, int]:
    """A place for each device: the one its number names if that is free, else the first free one.

    So "disk2" stays where it is when "disk1" is taken away.
    """
    free = list(available)
    places: dict[str, int] = {}
    homeless: list[str] = []
    for device in devices:
        number = re.search(r"\d+$", device)
        wanted = available.start + int(number.group()) if number else -1
        if wanted in free:
            free.remove(wanted)
            places[device] = wanted
        else:
            homeless.append(device)
    if len(homeless) > len(free):
        _refuse(f"there is no room for more than {len(available)} devices on the {bus} bus")
    return places | dict(zip(homeless, free, strict=False))


def _boot_indexes(spec: GuestSpec) -> dict[str, int]:
    """Device -> QEMU's bootindex, counted from 1 in the order the firmware shall try them."""

    def rank(disk: DiskSpec) -> tuple[bool, int]:
        return (disk.boot_index is None, disk.boot_index or 0)

    kinds = {
        "c": [disk.device for disk in sorted(spec.disks, key=rank) if disk.kind == "disk"],
        "d": [disk.device for disk in sorted(spec.disks, key=rank) if disk.kind == "cd"],
        "n": [nic.device for nic in spec.nics],
    }
    order = [device for letter in dict.fromkeys(spec.boot_order) for device in kinds[letter]]
    return {device: index for index, device in enumerate(order, start=1)}
