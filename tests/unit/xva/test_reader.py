"""The reader: where blocks belong, and XenServer's error for each thing that can be wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import zlib

import pytest
import zstandard

from app.api import Failure
from app.xva import ova, tar
from app.xva.blocks import LARGEST
from app.xva.contents import sizes_of
from app.xva.reader import LARGEST_OVA, Reader
from tests.unit.xva.making import MIB, block, description, file, member, whole

A, B = b"a" * MIB, b"b" * MIB
TAIL = b"t" * 524800
DISK = {"Ref:1": 4 * MIB}


def read(content: bytes, *, force: bool = False) -> dict[str, bytes]:
    """The disks of an archive."""
    reader = Reader(file(content))
    sizes = sizes_of(ova.parse(reader.ova()))
    found = {disk: bytearray(size) for disk, size in sizes.items()}
    for one in reader.blocks(sizes, force=force):
        found[one.disk][one.offset : one.offset + len(one.data)] = one.data
    return {disk: bytes(data) for disk, data in found.items()}


def head(sizes: dict[str, int]) -> bytes:
    return member("ova.xml", description(sizes))


def refused(content: bytes) -> list[str]:
    with pytest.raises(Failure) as failure:
        read(content)
    return failure.value.description()


def test_what_is_written_is_read() -> None:
    disks = {"Ref:1": A + bytes(2 * MIB) + TAIL, "Ref:2": bytes(3 * MIB), "Ref:3": b"short" + bytes(507)}
    content = whole(disks)
    for packed in (content, gzip.compress(content), zstandard.compress(content), content[:-1024]):
        assert read(packed) == disks
    assert read(gzip.compress(content[:MIB]) + gzip.compress(content[MIB:])) == disks
    assert read(zstandard.compress(content[:MIB]) + zstandard.compress(content[MIB:])) == disks


def test_old_hashes_and_forced_wrong_ones() -> None:
    old = block("Ref:1/00000000", A, hashlib.sha1(A).hexdigest(), "checksum")
    rest = block("Ref:1/00000003", B)
    assert read(head(DISK) + old + rest)["Ref:1"] == A + bytes(2 * MIB) + B
    wrong = head(DISK) + block("Ref:1/00000000", A, "0" * 16) + rest
    code, text = refused(wrong)
    assert code == "IMPORT_ERROR"
    assert 'Invalid_checksum("Block Ref:1/00000000 checksum failed: original = 0000000000000000; recomputed = ' in text
    assert read(wrong, force=True)["Ref:1"][:MIB] == A


def test_empty_blocks_take_a_number_and_no_place() -> None:
    content = head(DISK) + block("Ref:1/00000000", A) + block("Ref:1/00000001", b"") + block("Ref:1/00000002", b"")
    content += block("Ref:1/00000004", B) + block("Ref:1/00000005", B) + block("Ref:1/00000006", b"")
    assert read(content)["Ref:1"] == A + bytes(MIB) + B + B


def test_a_first_disk_of_less_than_a_block_does_not_shrink_the_others() -> None:
    sizes = {"Ref:1": 512, "Ref:2": 3 * MIB}
    content = head(sizes) + block("Ref:1/00000000", b"x" * 512)
    content += block("Ref:2/00000000", A) + block("Ref:2/00000002", B)
    assert read(content) == {"Ref:1": b"x" * 512, "Ref:2": A + bytes(MIB) + B}


FIRST = block("Ref:1/00000000", A)
LAST = block("Ref:1/00000003", B)
WRONG = {
    "empty": (b"", ["IMPORT_ERROR_PREMATURE_EOF"]),
    "garbage": (b"x" * 2048, ["IMPORT_ERROR_PREMATURE_EOF"]),
    "cut in the description": (head(DISK)[:3000], ["IMPORT_ERROR_PREMATURE_EOF"]),
    "another member first": (member("other", b"") + head(DISK), ["IMPORT_ERROR_UNEXPECTED_FILE", "ova.xml", "other"]),
    "cut in a block": (head(DISK) + FIRST[:5000], ["IMPORT_ERROR_PREMATURE_EOF"]),
    "cut in a header": (head(DISK) + FIRST + LAST[:100], ["IMPORT_ERROR_PREMATURE_EOF"]),
    "cut after a block": (head(DISK) + FIRST, ["IMPORT_ERROR_PREMATURE_EOF"]),
    "no disk at all": (head(DISK) + tar.END, ["IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND", "Ref:1"]),
    "ended in a disk": (head(DISK) + FIRST + tar.END, ["IMPORT_ERROR_PREMATURE_EOF"]),
    "twice": (
        head(DISK) + FIRST + FIRST,
        ["IMPORT_ERROR_UNEXPECTED_FILE", "Ref:1/00000001", "Ref:1/00000000"],
    ),
    "out of order": (
        head(DISK) + FIRST + block("Ref:1/00000002", A) + block("Ref:1/00000001", A),
        ["IMPORT_ERROR_UNEXPECTED_FILE", "Ref:1/00000003", "Ref:1/00000001"],
    ),
    "no first block": (
        head(DISK) + block("Ref:1/00000001", A),
        ["IMPORT_ERROR_UNEXPECTED_FILE", "Ref:1/00000000", "Ref:1/00000001"],
    ),
    "no last block": (
        head(DISK) + FIRST + member("more", b""),
        ["IMPORT_ERROR_UNEXPECTED_FILE", "Ref:1/00000001", "more"],
    ),
    "another disk": (
        head(DISK) + block("Ref:9/00000000", A),
        ["IMPORT_ERROR_UNEXPECTED_FILE", "Ref:1/00000000", "Ref:9/00000000"],
    ),
    "no hash": (
        head(DISK) + member("Ref:1/00000000", A) + LAST,
        ["IMPORT_ERROR_UNEXPECTED_FILE", "Ref:1/00000000.xxhash", "Ref:1/00000003"],
    ),
    "a hash of another block": (
        head(DISK) + member("Ref:1/00000000", A) + member("Ref:1/00000001.xxhash", b""),
        ["IMPORT_ERROR_UNEXPECTED_FILE", "Ref:1/00000000.xxhash", "Ref:1/00000001.xxhash"],
    ),
    "more after the end": (
        head(DISK) + FIRST + LAST + member("more", b"data"),
        ["IMPORT_ERROR_UNEXPECTED_FILE", "", "more"],
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_each_error_is_xenservers(wrong: str) -> None:
    content, expected = WRONG[wrong]
    assert refused(content) == expected


def tarred(**fields: object) -> bytes:
    """A member made by Python's tarfile, with these fields, in front of a description."""
    info = tarfile.TarInfo("ova.xml")
    for name, value in fields.items():
        setattr(info, name, value)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(info)
    return out.getvalue()


GENERIC = {
    "beyond the end": head(DISK) + FIRST + block("Ref:1/00000009", A),
    "a block that is too long": head({"Ref:1": 64 * MIB}) + tar.pack("Ref:1/00000000", LARGEST + 1),
    "a description that is too long": tar.pack("ova.xml", LARGEST_OVA + 1),
    "a link": tarred(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": tarred(type=tarfile.LNKTYPE, linkname="ova.xml"),
    "a device": tarred(type=tarfile.CHRTYPE),
    "a folder": tarred(type=tarfile.DIRTYPE),
    "a long name": tarred(name="o" * 200),
    "a wrong header": head(DISK)[:100] + b"9" + head(DISK)[101:],
    "entities": member("ova.xml", b'<!DOCTYPE v [<!ENTITY e SYSTEM "file:///etc/passwd">]><value>&e;</value>'),
    "no xml": member("ova.xml", b"<value>"),
    "another encoding": member("ova.xml", "<value/>".encode("utf-16")),
    "deep": member("ova.xml", b"<value><array><data>" * 5000),
    "no struct": member("ova.xml", b"<value>text</value>"),
    "an impossible size": head({"Ref:1": 1 << 60}),
}


@pytest.mark.parametrize("wrong", GENERIC)
def test_the_rest_is_told_in_a_sentence(wrong: str) -> None:
    code, sentence = refused(GENERIC[wrong])
    assert code == "IMPORT_ERROR_GENERIC"
    assert sentence.endswith(".")


@pytest.mark.parametrize("name", ["../Ref:1/00000000", "/Ref:1/00000000", "Ref:1/0", "Ref:1/00000000/x", "Ref:1"])
def test_names_are_taken_by_pattern_only(name: str) -> None:
    assert refused(head(DISK) + block(name, A))[:2] == ["IMPORT_ERROR_UNEXPECTED_FILE", "Ref:1/00000000"]


def test_damaged_compression_is_noticed() -> None:
    for packed in (gzip.compress(whole({"Ref:1": A})), zstandard.compress(whole({"Ref:1": A}))):
        middle = len(packed) // 2
        assert refused(packed[:middle] + b"\xff" * 20 + packed[middle + 20 :])[0].startswith("IMPORT_ERROR")
        assert refused(packed[:middle])[0] == "IMPORT_ERROR_PREMATURE_EOF"


def test_a_bomb_is_not_unpacked() -> None:
    """The declared size is the end of it, and a stream may not ask for any amount of memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(head({"Ref:1": 512}) + tar.pack("Ref:1/00000000", 512))
    bomb += b"".join(packer.compress(bytes(MIB)) for _ in range(40)) + packer.flush()
    assert refused(bomb)[0].startswith("IMPORT_ERROR")
    window = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    ).compressobj()
    large = window.compress(whole({"Ref:1": A})) + window.flush()
    assert refused(large)[0] == "IMPORT_ERROR_GENERIC"


def test_versions() -> None:
    for vsn, code in (
        ("3", "IMPORT_INCOMPATIBLE_VERSION"),
        ("0", "IMPORT_ERROR_GENERIC"),
        ("x", "IMPORT_ERROR_GENERIC"),
    ):
        document = description({}).replace(
            b"<name>export_vsn</name><value>2", f"<name>export_vsn</name><value>{vsn}".encode()
        )
        with pytest.raises(Failure) as failure:
            ova.parse(document)
        assert failure.value.code == code


def test_sizes_that_tar_writes_in_binary() -> None:
    huge = bytearray(tar.pack("disk.vmdk", 0))
    huge[124:136] = b"\x80" + bytes(3) + struct.pack(">Q", 9 << 33)
    huge[148:156] = b" " * 8
    huge[148:156] = b"%07o\0" % sum(huge)
    assert tar.unpack(bytes(huge)).size == 9 << 33
