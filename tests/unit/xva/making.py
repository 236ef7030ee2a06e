"""Archives for tests, made of parts that can be wrong on purpose."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.api import SR, VBD, VDI, VM, Ref
from app.xva import ova, tar
from app.xva.blocks import digest
from app.xva.writer import DiskMember, archive

MIB = 1 << 20


@dataclass
class Content:
    """A disk in memory; blocks of zeros hold nothing."""

    data: bytes

    def holding(self, block_size: int) -> Iterator[int]:
        for number in range(-(-len(self.data) // block_size)):
            if any(self.data[number * block_size : (number + 1) * block_size]):
                yield number

    def read_into(self, offset: int, target: memoryview) -> None:
        target[:] = self.data[offset : offset + len(target)]


def description(sizes: Mapping[str, int]) -> bytes:
    """An `ova.xml` of one VM with disks of these ids and sizes."""
    objects: list[tuple[str, VM | VBD | VDI | SR]] = [("vm", VM(uuid="u", name_label="made", is_a_template=False))]
    ids = {"vm": "Ref:vm", "sr": "Ref:sr"}
    for number, (disk, size) in enumerate(sizes.items()):
        ids |= {disk: disk, f"vbd{number}": f"Ref:vbd{number}"}
        vbd = VBD(VM=Ref("vm"), VDI=Ref(disk), userdevice=str(number))
        objects += [(f"vbd{number}", vbd), (disk, VDI(uuid=disk, SR=Ref("sr"), virtual_size=size))]
    objects.append(("sr", SR(content_type="user")))
    return ova.written(ova.Version(product_brand="Test"), objects, ids)


def whole(disks: Mapping[str, bytes]) -> bytes:
    """A sound archive of these disks."""
    members = [DiskMember(name, len(data), Content(data)) for name, data in disks.items()]
    return b"".join(map(bytes, archive(description({n: len(d) for n, d in disks.items()}), members, mtime=0)))


def member(name: str, data: bytes) -> bytes:
    """A plain file in an archive."""
    return tar.pack(name, len(data)) + data + bytes(tar.padding(len(data)))


def block(name: str, data: bytes, told: str | None = None, suffix: str = "xxhash") -> bytes:
    """A block with its hash, or with another one."""
    return member(name, data) + member(f"{name}.{suffix}", (digest(data) if told is None else told).encode())


def file(content: bytes) -> io.BytesIO:
    """Something to read it from."""
    return io.BytesIO(content)
