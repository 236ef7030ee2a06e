"""The writer: which blocks are there, what tar makes of them, and how an interrupted archive goes on."""

from __future__ import annotations

import io
import tarfile

import pytest
import xxhash

from app.xva import blocks
from app.xva.blocks import MemberName
from app.xva.buffers import Buffers
from app.xva.writer import DiskMember, archive, written_size
from tests.unit.xva.making import MIB, Content, description

ODD = 4 * MIB + 524800


@pytest.mark.parametrize(
    ("size", "holding", "expected"),
    [
        (4 * MIB, [], [0, 3]),
        (4 * MIB, [1], [0, 1, 3]),
        (4 * MIB, [0, 3], [0, 3]),
        (MIB, [], [0]),
        (512, [0], [0]),
        (0, [], [0]),
        (ODD, [2, 4], [0, 2, 4]),
    ],
)
def test_first_and_last_are_always_there(size: int, holding: list[int], expected: list[int]) -> None:
    assert list(blocks.wanted(holding, size)) == expected


def test_tar_reads_it_and_the_size_is_known_before() -> None:
    data = b"x" * MIB + bytes(2 * MIB) + b"y" * (MIB + 524800)
    disks = [DiskMember("Ref:9", len(data), Content(data)), DiskMember("Ref:10", 8 * MIB, Content(b"z" * 8 * MIB))]
    ova = description({"Ref:9": len(data), "Ref:10": 8 * MIB})
    content = b"".join(map(bytes, archive(ova, disks, mtime=7)))
    assert len(content) == written_size(ova, disks)
    with tarfile.open(fileobj=io.BytesIO(content)) as found:
        names = [(m.name, m.size, m.mode, m.uid, m.mtime) for m in found.getmembers()]
        assert names[0] == ("ova.xml", len(ova), 0o400, 0, 7)
        assert [name for name, *_ in names[1::2]] == [f"Ref:10/{n:08d}" for n in range(8)] + [
            f"Ref:9/{n:08d}" for n in (0, 3, 4)
        ]
        for name, size, *_ in names[1::2]:
            block, digest = (found.extractfile(n) for n in (name, f"{name}.xxhash"))
            assert block is not None
            assert digest is not None
            assert digest.read().decode() == xxhash.xxh64_hexdigest(block.read()).upper()
            assert size == (524800 if name == "Ref:9/00000004" else MIB)


def test_an_interrupted_archive_goes_on_behind_any_block() -> None:
    data = {"Ref:1": b"a" * 3 * MIB, "Ref:2": bytes(3 * MIB), "Ref:3": b"c" * ODD}

    def made(after: MemberName | None) -> bytes:
        disks = [DiskMember(name, len(content), Content(content)) for name, content in data.items()]
        found = b"".join(map(bytes, archive(b"<ova/>", disks, mtime=0, after=after)))
        assert len(found) == written_size(b"<ova/>", disks, after)
        return found

    content = made(None)
    for disk, number in (("Ref:1", 0), ("Ref:1", 2), ("Ref:2", 0), ("Ref:2", 2), ("Ref:3", 1), ("Ref:3", 4)):
        rest = made(MemberName(disk, number))
        name = f"{disk}/{number:08d}.xxhash".encode()
        assert content.endswith(rest)
        assert content[: -len(rest)].rindex(name) + 1024 == len(content) - len(rest)


def test_a_buffer_goes_round_only_when_nobody_has_it() -> None:
    buffers = Buffers(10)
    first = buffers.take()
    view = memoryview(first)[2:4]
    place = id(first)
    del first
    assert id(buffers.take()) != place
    del view
    assert id(buffers.take()) == place
