"""Descriptors of appliances: whatever they say is read as it is meant, or refused."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api import Failure
from app.client.ovf import Ovf, parse

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TOP = 64 << 40
UNITS = {"byte": 0, "": 0, "kilobytes": 10, "MB": 20, " GigaBytes ": 30, "byte * 2^20": 20, "byte*2 ^ 9": 9}


def descriptor(items: str = "", disks: str = "", files: str = "", inside: str = "", before: str = "") -> bytes:
    """An .ovf of one machine, without namespaces: these do not matter to the reader."""
    hardware = f"<VirtualHardwareSection>{items}</VirtualHardwareSection>"
    return (
        f"<Envelope><References>{files}</References><DiskSection>{disks}</DiskSection>{before}"
        f'<VirtualSystem id="vm">{inside}{hardware}</VirtualSystem></Envelope>'
    ).encode()


def item(kind: int, **fields: object) -> str:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f"<Item><ResourceType>{kind}</ResourceType>{inner}</Item>"


def disk(capacity: object, units: str = "byte", more: str = "") -> bytes:
    told = f"<Disk diskId='d' capacity={quoteattr(str(capacity))} capacityAllocationUnits={quoteattr(units)} {more}/>"
    return descriptor(item(17, HostResource="ovf:/disk/d"), told, "<File id='f' href='a.vmdk'/>")


def refusal(document: bytes) -> str:
    with pytest.raises(Failure) as caught:
        parse(document)
    assert caught.value.code == "IMPORT_ERROR_GENERIC"
    return caught.value.params[0]


@QUICK
@given(st.integers(0, TOP), st.sampled_from(sorted(UNITS)))
def test_sizes_are_read_in_their_units_or_refused(number: int, units: str) -> None:
    size = number << UNITS[units]
    if size > TOP:
        assert "too much" in refusal(disk(number, units))
    else:
        assert [one.capacity for one in parse(disk(number, units)).disks] == [size]


@pytest.mark.parametrize("number", ["-1", "", "1.5", "1e9", "0x10", "1_000", "²", "٣", "9" * 21, "9" * 5000, "many"])
def test_what_is_no_number_is_refused(number: str) -> None:
    assert "where a number should be" in refusal(disk(number))
    if number:
        for kind in (3, 4):
            assert "where a number should be" in refusal(descriptor(item(kind, VirtualQuantity=number)))


def test_unknown_units_are_refused() -> None:
    assert "counts in" in refusal(disk(1, "furlongs"))
    assert "counts in" in refusal(descriptor(item(4, VirtualQuantity=1, AllocationUnits="byte * 10^6")))
    assert "too much" in refusal(disk(1, "byte * 2^99"))


@QUICK
@given(st.lists(st.integers(0, 64), max_size=3), st.lists(st.integers(0, 1 << 20), max_size=3))
def test_processors_and_memory_are_added_up(processors: list[int], memory: list[int]) -> None:
    items = "".join(item(3, VirtualQuantity=n) for n in processors) + "".join(
        item(4, VirtualQuantity=n) for n in memory
    )
    found = parse(descriptor(items))
    assert (found.vcpus, found.memory) == (max(1, sum(processors)), sum(memory) << 20)


@QUICK
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=30))
def test_only_plain_file_names_are_followed(name: str) -> None:
    document = descriptor(
        item(17, HostResource="/disk/d"),
        "<Disk diskId='d' capacity='1' fileRef='f'/>",
        f"<File id='f' href={quoteattr(name)}/>",
    )
    if "/" in name or "\\" in name or name in (".", ".."):
        assert "no plain file name" in refusal(document)
    else:
        assert parse(document).disks[0].file == name


def test_what_a_disk_refers_to_must_be_there() -> None:
    assert "names the disk" in refusal(descriptor(item(17, HostResource="/disk/other")))
    assert "cannot be read" in refusal(disk(1, more="fileRef='missing'"))
    assert "overlay" in refusal(disk(1, more="parentRef='base'"))
    assert parse(disk(1, more="fileRef='f'")).disks[0].file == "a.vmdk"
    assert parse(disk(1)).disks[0].file == ""


def test_names_and_notes() -> None:
    assert parse(descriptor(inside="<Name>a&#10;b </Name>")).name == "a b"
    assert parse(descriptor()).name == "vm"
    bare = b"<Envelope><VirtualSystem id='a&#10;b'/></Envelope>"
    assert parse(bare) == Ovf("a b", 1, 0, (), (), ())
    several = parse(descriptor(before="<VirtualSystem/>", inside="<Config key='firmware' value='EFI'/>"))
    assert several.notes and "several" in several.notes[0]
    assert any("UEFI" in note for note in parse(descriptor(inside="<C key='firmware' value='efi'/>")).notes)
    assert "no virtual machine" in refusal(b"<Envelope/>")
    assert "document type" in refusal(b"<!doctype a><Envelope/>")


@QUICK
@given(st.binary(max_size=300) | st.text(max_size=60).map(lambda text: descriptor(text)))
def test_any_bytes(document: bytes) -> None:
    try:
        parse(document)
    except Failure as failure:
        assert failure.code == "IMPORT_ERROR_GENERIC"
