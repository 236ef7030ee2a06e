"""Reading OVF descriptors: what virtual machine they describe, as far as it can be made here.

The format: DMTF DSP0243, "Open Virtualization Format Specification"; the numbers of resource types are those of CIM's
CIM_ResourceAllocationSettingData. Nothing in a descriptor is trusted: no document type, no entities, plain file names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from app.xva.refusals import not_understood

_CPU: Final = "3"
_MEMORY: Final = "4"
_NETWORK: Final = "10"
_DISK: Final = "17"
_FORBIDDEN: Final = (b"<!DOCTYPE", b"<!ENTITY", b"\0")
_NAME: Final = re.compile(r"[^/\\\x00-\x1f]{1,200}")
_POWER: Final = re.compile(r"byte\s*\*\s*2\s*\^\s*([0-9]{1,2})")
_NAMED_UNITS: Final = {
    "kilobytes": 10,
    "kb": 10,
    "megabytes": 20,
    "mb": 20,
    "gigabytes": 30,
    "gb": 30,
    "": 0,
    "byte": 0,
}
_MOST_DISKS: Final = 64
_MOST_DIGITS: Final = 20
_LARGEST: Final = 64 << 40
"""Bytes: of a disk, as in an .xva, and of memory all the more."""


@dataclass(frozen=True, slots=True)
class OvfDisk:
    """A disk: the file that holds it ("" of an empty one), and its size as a guest sees it, in bytes."""

    file: str
    capacity: int


@dataclass(frozen=True, slots=True)
class Ovf:
    """A virtual machine. Disks and networks in the order of its devices; sizes in bytes."""

    name: str
    vcpus: int
    memory: int
    disks: tuple[OvfDisk, ...]
    networks: tuple[str, ...]
    notes: tuple[str, ...]


def parse(document: bytes) -> Ovf:
    """Read a descriptor. :raise Failure: IMPORT_ERROR_GENERIC."""
    upper = document.upper()
    if any(word in upper for word in _FORBIDDEN):
        raise not_understood("The descriptor has a document type or entities, which it must not have.")
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return _Reader(etree.fromstring(document, parser)).read()
    except (etree.XMLSyntaxError, ValueError, KeyError, OverflowError) as error:
        raise not_understood(f"The descriptor cannot be read: {error}.") from error


class _Reader:
    def __init__(self, envelope: etree._Element) -> None:
        self._envelope = envelope
        self._files = {_attribute(f, "id"): _attribute(f, "href") for f in _below(envelope, "File")}
        self._disks = {_attribute(d, "diskId"): d for d in _below(envelope, "Disk")}

    def read(self) -> Ovf:
        systems = list(_below(self._envelope, "VirtualSystem"))
        if not systems:
            raise not_understood("The descriptor describes no virtual machine.")
        system = systems[0]
        items = [item for kind in ("Item", "StorageItem", "EthernetPortItem") for item in _below(system, kind)]
        by_type: dict[str, list[etree._Element]] = {}
        for item in items:
            by_type.setdefault(_text(item, "ResourceType"), []).append(item)
        return Ovf(
            name=next((_clean(e.text or "") for e in system if _local(e) == "Name"), "")
            or _clean(_attribute(system, "id")),
            vcpus=max(1, sum(_scaled(cpu, "1", "", 0) for cpu in by_type.get(_CPU, []))),
            memory=sum(_scaled(item, "0", _text(item, "AllocationUnits"), 20) for item in by_type.get(_MEMORY, [])),
            disks=tuple(self._disk(item) for item in by_type.get(_DISK, [])[:_MOST_DISKS]),
            networks=tuple(_text(item, "Connection") for item in by_type.get(_NETWORK, [])),
            notes=tuple(self._notes(system, len(systems))),
        )

    def _disk(self, item: etree._Element) -> OvfDisk:
        where = _text(item, "HostResource").removeprefix("ovf:").strip("/").rpartition("/")[2]
        disk = self._disks.get(where)
        if disk is None:
            raise not_understood(f"The descriptor names the disk {where!a}, which it does not describe.")
        if _attribute(disk, "parentRef"):
            raise not_understood("A disk of the appliance is an overlay on another one, which is not supported.")
        reference = _attribute(disk, "fileRef")
        file = self._files[reference] if reference else ""
        if file and (_NAME.fullmatch(file) is None or file in (".", "..")):
            raise not_understood(f"{file!a} in the descriptor is no plain file name.")
        units = _attribute(disk, "capacityAllocationUnits")
        return OvfDisk(file, _number(_attribute(disk, "capacity"), _shift(units, 0)))

    def _notes(self, system: etree._Element, count: int) -> Iterator[str]:
        if count > 1:
            yield "It holds several virtual machines; only the first is imported."
        firmware = [_attribute(e, "value").lower() for e in system.iter() if _attribute(e, "key") == "firmware"]
        if "efi" in firmware:
            yield "Its firmware is UEFI. Here it starts with a BIOS, which its system may not support."


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _below(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return (found for found in element.iter() if _local(found) == name)


def _attribute(element: etree._Element, name: str) -> str:
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return ""


def _text(item: etree._Element, name: str) -> str:
    return next(((child.text or "").strip() for child in item if _local(child) == name), "")


def _scaled(item: etree._Element, missing: str, units: str, default: int) -> int:
    return _number(_text(item, "VirtualQuantity") or missing, _shift(units, default))


def _number(text: str, shift: int) -> int:
    """A whole number, 0 or more, in units of a power of two. :raise Failure: it is none, or no machine has so much."""
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise not_understood(f"The descriptor has {text[:100]!a} where a number should be.")
    number = int(text) << shift
    if number > _LARGEST:
        raise not_understood(f"The descriptor asks for {text} times 2^{shift}, which is too much.")
    return number


def _shift(units: str, default: int) -> int:
    """Units as a power of two. :raise Failure: they are of no kind that we know."""
    if not units.strip():
        return default
    plain = units.strip().lower()
    match = _POWER.fullmatch(plain)
    if match is not None:
        return int(match[1])
    if plain not in _NAMED_UNITS:
        raise not_understood(f"The descriptor counts in {units!a}, which is not known.")
    return _NAMED_UNITS[plain]


def _clean(text: str) -> str:
    return "".join(character if character >= " " else " " for character in text).strip()[:1024]
