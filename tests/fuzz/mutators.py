"""What changes bytes and keeps their frame: checksums, hashes and compression right, so that damage gets behind them.

Blind changes end at the first checksum. So a mutator takes a file apart, damages some of its parts, and seals it again,
most of the time; now and then it leaves a seal broken, or changes the bytes blindly after all.
"""

from __future__ import annotations

import copy
import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from random import Random
from typing import Final

import zstandard
from lxml import etree

from app.xva import blocks, tar
from app.xva.compression import compressed, kind_of

Change = Callable[[bytes, int], bytes]
"""libFuzzer's own: other bytes in place of these, at most so many."""
Mutator = Callable[[bytes, int, Random, Change], bytes]
"""A file, how long its successor may be, where decisions come from, and the blind change."""
_LARGEST: Final = 1 << 18
_SIZE: Final = slice(124, 136)
_SUM: Final = slice(148, 156)
_TEXTS: Final = (
    *("", "0", "-1", "1", "2", "64", "3.5", "1e400", "nan", "9" * 25, "9" * 5000, "18446744073709551615", "²", "true"),
    *("20260101T00:00:00Z", "0001-01-01T00:00:00Z", "OpaqueRef:NULL", "Ref:0", "Ref:1", "iso", "CD", "Suspended"),
    *("..", "../x", "/disk/disk1", "byte * 2^99", "byte*2^0", "gigabytes", "17", "efi", "VM", "VDI", "SR", "network"),
)


@dataclass(frozen=True)
class Member:
    """A part of an archive: its header of 512 bytes, and its content without the zeros behind it."""

    header: bytes
    content: bytes

    @property
    def name(self) -> str:
        return self.header[:100].split(b"\0")[0].decode("latin-1")


def archive(data: bytes, longest: int, random: Random, change: Change) -> bytes:
    """An .xva with something else in its members, or with other members; its sums and hashes are mostly right."""
    members = apart(unpacked(data))
    if not members or random.random() < 0.1:
        return change(data, longest)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        deed = random.choice((_other_content, _other_content, _other_order, _other_header))
        members = deed(members, random, change) or members
    sealed = _sealed(members, random) + random.choice((bytes(1024), bytes(1024), b"", change(bytes(1024), 2048)))
    kind = kind_of(data) or "none"
    whole = b"".join(map(bytes, compressed([sealed], kind)))
    return whole if len(whole) <= longest else change(data, longest)


def unpacked(data: bytes) -> bytes:
    """What a stream holds, as far as it can be read."""
    kind = kind_of(data)
    try:
        if kind == "gzip":
            return zlib.decompressobj(31).decompress(data, _LARGEST)
        if kind == "zstd":
            reader = zstandard.ZstdDecompressor(max_window_size=1 << 24).stream_reader(
                BytesIO(data), read_across_frames=True
            )
            return bytes(reader.read(_LARGEST))
    except (zlib.error, zstandard.ZstdError):
        return b""
    return data


def apart(plain: bytes) -> list[Member]:
    """The members of an archive; sizes that cannot be are taken for 0."""
    found, position = [], 0
    while len(header := plain[position : position + tar.BLOCK]) == tar.BLOCK and not tar.is_end(header):
        digits = header[_SIZE].strip(b" \0")
        size = int(digits, 8) if digits and not digits.strip(b"01234567") else 0
        start = position + tar.BLOCK
        found.append(Member(header, plain[start : start + size]))
        position = start + size + tar.padding(size)
    return found


def _other_content(members: list[Member], random: Random, change: Change) -> list[Member]:
    at = random.randrange(len(members))
    old = members[at].content
    if members[at].name == "ova.xml":
        new = markup(old, max(len(old), 4096), random, change)
    else:
        new = random.choice((change(old or b"\0", 4096), old[: len(old) // 2], old + bytes(64), b""))
    return [*members[:at], replace(members[at], content=new), *members[at + 1 :]]


def _other_order(members: list[Member], random: Random, change: Change) -> list[Member]:
    at, to = random.randrange(len(members)), random.randrange(len(members))
    taken = members[at]
    rest = members if random.random() < 0.4 else members[:at] + members[at + 1 :]
    return rest if random.random() < 0.3 else [*rest[:to], taken, *rest[to:]]


def _other_header(members: list[Member], random: Random, change: Change) -> list[Member]:
    at = random.randrange(len(members))
    header, name = members[at].header, members[at].name
    disk, _, number = name.partition("/")
    digits = number[:8] if number[:8].isdigit() else "00000000"
    names = (
        f"{disk}/{int(digits) + 1:08d}",
        f"{disk}/{int(digits) + 1:08d}.xxhash",
        *(f"{disk}/{digits}.checksum", f"Ref:2/{digits}", f"Ref:2/{digits}.xxhash", "ova.xml", "../x", "é/00000000"),
    )
    if random.random() < 0.5:
        header = random.choice(names).encode("latin-1")[:100].ljust(100, b"\0") + header[100:]
    else:
        header = change(header, tar.BLOCK).ljust(tar.BLOCK, b"\0")
    return [*members[:at], replace(members[at], header=header), *members[at + 1 :]]


def _sealed(members: Sequence[Member], random: Random) -> bytes:
    """The archive of these members, mostly with the sizes, hashes and sums that belong there."""
    parts, previous = [], b""
    for member in members:
        content = member.content
        if random.random() < 0.95:
            content = _hash_of(member, previous)
        header = bytearray(member.header)
        if random.random() < 0.97:
            header[_SIZE] = b"%011o\0" % len(content)
        if random.random() < 0.98:
            header[_SUM] = b" " * 8
            header[_SUM] = b"%07o\0" % sum(header)
        parts.append(bytes(header) + content + bytes(tar.padding(len(content))))
        previous = content
    return b"".join(parts)


def _hash_of(member: Member, block: bytes) -> bytes:
    """What should stand in a member that holds a hash; of any other one what it holds."""
    if member.name.endswith(".xxhash"):
        return blocks.digest(block).encode()
    if member.name.endswith(".checksum"):
        return hashlib.sha1(block, usedforsecurity=False).hexdigest().encode()
    return member.content


def markup(data: bytes, longest: int, random: Random, change: Change) -> bytes:
    """An XML document with other elements, texts and attributes in it."""
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, recover=True, remove_blank_text=True))
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None or random.random() < 0.1:
        return change(data, longest)
    try:
        for _ in range(random.choice((1, 1, 2, 4))):
            _change_tree([element for element in root.iter() if isinstance(element.tag, str)], random, change)
        whole = etree.tostring(root)
    except (etree.LxmlError, ValueError):  # a name or a text that was damaged before
        whole = b""
    return whole if 0 < len(whole) <= longest else change(data, longest)


def _change_tree(elements: list[etree._Element], random: Random, change: Change) -> None:
    one, other = random.choice(elements), random.choice(elements)
    parent = one.getparent()
    deed = random.randrange(6)
    if deed == 0 and parent is not None:
        parent.remove(one)
    elif deed == 1 and len(one) <= 40:
        other.insert(random.randint(0, len(other)), copy.deepcopy(one))
    elif deed == 2:
        one.tag = other.tag
    elif deed == 3 and other.attrib:
        key = random.choice(sorted(map(str, other.attrib)))
        other.set(key, random.choice((*_TEXTS, "", str(random.choice(elements).get(key, "")))))
    elif deed == 4:
        one.text = _printable(change((one.text or "0").encode(), 64))
    else:
        one.text = random.choice((*_TEXTS, other.text or ""))


def _printable(text: bytes) -> str:
    return "".join(letter for letter in text.decode("latin-1") if letter >= " " and not 0x7F <= ord(letter) < 0xA0)


def image(data: bytes, longest: int, random: Random, change: Change) -> bytes:
    """A disk image with other numbers where numbers are; the sums of a VHD are mostly right."""
    if len(data) < 64 or random.random() < 0.2:
        return change(data, longest)
    whole = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        width = random.choice((1, 2, 4, 8))
        # Most of what decides is near the start of the file, or of a cluster.
        somewhere = random.randrange(len(data))
        base = random.choice((0, 0, somewhere & ~0xF, somewhere & ~0x1FF, max(0, len(data) - 512)))
        at = min(base + random.randrange(128) // width * width, len(data) - width)
        number = (_number(random, len(data)) % (1 << 8 * width)).to_bytes(width)
        whole[at : at + width] = number if random.random() < 0.7 else number[::-1]
    if random.random() < 0.9:
        for start, where in ((0, 64), (len(whole) - 512, 64), (512, 36)):
            _sum_vhd(whole, start, where)
    return bytes(whole)


def _number(random: Random, size: int) -> int:
    small = random.choice((0, 1, 2, 3, 4, 9, 16, 17, 21, 22, 30, 63, 104, 112, 255))
    large = 1 << random.randrange(64)
    return random.choice((small, small, large, large - 1, -small, size, size & ~0x1FF, random.randrange(128) << 9))


def _sum_vhd(whole: bytearray, start: int, where: int) -> None:
    """Put right the sum of a footer or of a dynamic disk's header."""
    length = 1024 if where == 36 else 512
    if start >= 0 and bytes(whole[start : start + 8]) in (b"conectix", b"cxsparse"):
        whole[start + where : start + where + 4] = bytes(4)
        total = ~sum(whole[start : start + length]) & 0xFFFF_FFFF
        whole[start + where : start + where + 4] = total.to_bytes(4)
