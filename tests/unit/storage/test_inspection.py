"""What files from outside are, and which are refused, on images put together here byte by byte."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.storage import qcow2
from app.storage.errors import StorageError
from app.storage.inspection import inspect

MIB = 1 << 20
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)

DESCRIPTOR = b"""# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="monolithicSparse"
RW 2048 SPARSE "disk.vmdk"
"""


def make_vmdk(
    descriptor: bytes = DESCRIPTOR, *, version: int = 1, capacity: int = 2048, offset: int = 1, directory: int = 21
) -> bytes:
    header = struct.pack("<4sIIQQQQIQQ", b"KDMV", version, 3, capacity, 128, offset, 20, 512, 26, directory)
    return (header.ljust(512, b"\0") + descriptor.ljust(20 * 512, b"\0")).ljust(64 << 10, b"\0")


def make_stream_optimised(footer_capacity: int = 2048, footer_directory: int = 21, magic: bytes = b"KDMV") -> bytes:
    body = make_vmdk(DESCRIPTOR.replace(b"monolithicSparse", b"streamOptimized"), version=3, directory=(1 << 64) - 1)
    footer = struct.pack("<4sIIQQQQIQQ", magic, 3, 3, footer_capacity, 128, 1, 20, 512, 26, footer_directory)
    return body + footer.ljust(512, b"\0") + bytes(512)


def _with_sum(data: bytes, position: int) -> bytes:
    zeroed = data[:position] + bytes(4) + data[position + 4 :]
    return zeroed[:position] + struct.pack(">I", ~sum(zeroed) & 0xFFFFFFFF) + zeroed[position + 4 :]


def make_vhd_footer(kind: int, size: int = MIB, offset: int = 0xFFFFFFFFFFFFFFFF) -> bytes:
    fields = struct.pack(">8sIIQI4sI4sQQ", b"conectix", 2, 0x10000, offset, 0, b"tap\0", 0, b"Wi2k", size, size)
    footer = fields + struct.pack(">HBBII", 30, 4, 17, kind, 0) + bytes(16)
    return _with_sum(footer.ljust(512, b"\0"), 64)


def make_dynamic_vhd(*, kind: int = 3, entries: int = 1, block: int = 2 * MIB, table: int = 1536) -> bytes:
    footer = make_vhd_footer(kind, offset=512)
    header = struct.pack(">8sQQIIII", b"cxsparse", 0xFFFFFFFFFFFFFFFF, table, 0x10000, entries, block, 0)
    blocks = b"\xff" * 512 + bytes(2 * MIB)
    return footer + _with_sum(header.ljust(1024, b"\0"), 36) + blocks + footer


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[[bytes, str, str], None]:
    def check(content: bytes, cause: str, sentence: str) -> None:
        path = tmp_path / "disk.img"
        path.write_bytes(content)
        with pytest.raises(StorageError, match=sentence) as caught:
            inspect(path)
        assert caught.value.cause == cause
        assert str(path) in caught.value.message

    return check


@pytest.fixture
def accept(tmp_path: Path) -> Callable[[bytes, str, int], str]:
    def check(content: bytes, image_format: str, size: int) -> str:
        path = tmp_path / "disk.img"
        path.write_bytes(content)
        facts = inspect(path)
        assert (facts.format, facts.virtual_size, facts.file_size, facts.problem) == (
            *(image_format, size),
            *(len(content), ""),
        )
        return facts.note

    return check


Refuse = Callable[[bytes, str, str], None]
Accept = Callable[[bytes, str, int], str]


def test_raw_is_what_is_nothing_else(accept: Accept) -> None:
    assert accept(b"\xeb\x3c" + bytes(1022), "raw", 1024) == ""
    assert "412 zero bytes" in accept(b"x" * 100, "raw", 512)


@pytest.mark.parametrize(
    ("name", "raw"),
    [("a.img", True), ("a", True), ("a-flat.vmdk", True), ("a.VHD", False), ("a.qcow2", False), ("a.vmdk", False)],
)
def test_a_name_that_tells_another_format_is_believed(tmp_path: Path, name: str, raw: bool) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(MIB))
    if raw:
        assert inspect(path).format == "raw"
    else:
        with pytest.raises(StorageError, match="not what its name says") as caught:
            inspect(path)
        assert caught.value.cause == "corrupt"


def test_the_images_accepted_here(accept: Accept) -> None:
    accept(make_vmdk(), "vmdk", MIB)
    accept(make_stream_optimised(), "vmdk", MIB)
    accept(bytes(MIB) + make_vhd_footer(2), "vpc", MIB)
    accept(make_dynamic_vhd(), "vpc", MIB)


def test_empty_files_and_folders(refuse: Refuse, tmp_path: Path) -> None:
    refuse(b"", "corrupt", "is empty")
    with pytest.raises(StorageError, match="is a folder"):
        inspect(tmp_path)
    with pytest.raises(StorageError, match="does not exist") as caught:
        inspect(tmp_path / "absent")
    assert caught.value.cause == "missing"
    with pytest.raises(StorageError, match="not a file name"):
        inspect(tmp_path / "a\0b")


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="not a regular file"):
        inspect(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(512))
    path.chmod(0o600)
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom app.storage.inspection import inspect\n"
        "from app.storage.errors import StorageError\n"
        "path = Path(sys.argv[1])\nos.chdir(path.parent)\nos.setuid(65534)\n"
        "try:\n    inspect(Path(path.name))\nexcept StorageError as error:\n    print(error.cause, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "io No permission to read disk.img."


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b"QED\0", "QED"),
        (b"\0" * 64 + b"\x7f\x10\xda\xbe", "VDI"),
        (b"WithoutFreeSpace", "Parallels"),
        (b"LUKS\xba\xbe\0\1", "encrypted"),
        (b"COWD", "old kind"),
        (b"\xbe\xba\xfe\xca\0\0\0\0", "seSparse"),
        (b"\x1f\x8b\x08", "gzip archive.*Unpack"),
        (b"\xfd7zXZ\0", "xz archive"),
        (b"BZh9", "bzip2"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"disk.ovf".ljust(257, b"\0") + b"ustar", "OVA"),
    ],
)
def test_other_kinds_of_files_are_named(refuse: Refuse, head: bytes, sentence: str) -> None:
    refuse(head.ljust(2048, b"\0"), "unsupported", sentence)


@pytest.mark.parametrize(
    ("features", "cause", "sentence"),
    [
        (1 << 0, "unsupported", "not closed cleanly"),
        (1 << 1, "corrupt", "marked as damaged"),
        (1 << 2, "unsupported", "another file"),
        (1 << 17, "unsupported", "feature bit 17"),
    ],
)
def test_qcow2_features(tmp_path: Path, features: int, cause: str, sentence: str) -> None:
    path = tmp_path / "disk.qcow2"
    qcow2.write_image(path, virtual_size=MIB)
    content = bytearray(path.read_bytes())
    struct.pack_into(">Q", content, 72, features | 1 << 4)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=sentence) as caught:
        inspect(path)
    assert caught.value.cause == cause


@pytest.mark.parametrize(
    ("offset", "data", "sentence"),
    [
        (32, struct.pack(">I", 1), "encrypted"),
        (24, struct.pack(">Q", 0), "no size"),
        (24, struct.pack(">Q", 1000), "sectors"),
        (4, struct.pack(">I", 1), "version 1"),
    ],
)
def test_qcow2_headers(tmp_path: Path, offset: int, data: bytes, sentence: str) -> None:
    path = tmp_path / "disk.qcow2"
    qcow2.write_image(path, virtual_size=MIB)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    with pytest.raises(StorageError, match=sentence):
        inspect(path)


def test_a_qcow2_overlay_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qcow2.write_image(path, virtual_size=MIB, backing_file="base.qcow2")
    with pytest.raises(StorageError, match=r"needs its parent 'base\.qcow2'.*Flatten") as caught:
        inspect(path)
    assert caught.value.cause == "unsupported"


def test_a_qcow2_file_with_snapshots_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    qcow2.write_image(path, virtual_size=MIB)
    assert inspect(path).note == ""
    with path.open("r+b") as file:
        file.seek(60)
        file.write(struct.pack(">I", 2))
    assert "not the snapshots" in inspect(path).note


def test_disks_over_64_tib_are_refused(tmp_path: Path, refuse: Refuse) -> None:
    refuse(make_vmdk(capacity=(64 << 40) // 512 + 1), "unsupported", "more than 64 TiB")
    # A sparse file of that size, where the file system can hold one.
    path = tmp_path / "huge.raw"
    path.touch()
    try:
        os.truncate(path, (64 << 40) + 512)
    except OSError:
        return
    with pytest.raises(StorageError, match="more than 64 TiB"):
        inspect(path)


def test_vmdk_refusals(refuse: Refuse) -> None:
    refuse(DESCRIPTOR, "unsupported", "in other files.*Convert")
    refuse(b"\n  " + DESCRIPTOR, "unsupported", "in other files")
    refuse(make_vmdk(capacity=0), "unsupported", "in other files")
    refuse(make_vmdk(offset=0), "unsupported", "in other files")
    refuse(make_vmdk(version=4), "unsupported", "version 4")
    refuse(make_vmdk(DESCRIPTOR.replace(b"monolithicSparse", b"twoGbMaxExtentSparse")), "unsupported", "in other files")
    refuse(make_vmdk(DESCRIPTOR.replace(b"ffffffff", b"0badcafe")), "unsupported", "parent")
    refuse(make_vmdk(DESCRIPTOR + b'parentFileNameHint="/etc/passwd"\n'), "unsupported", "parent")
    # A hint where QEMU looks, although the header says that the description is elsewhere.
    hidden = bytearray(make_vmdk(DESCRIPTOR + b'\0parentFileNameHint="/etc/passwd"', offset=30))
    hidden[30 * 512 : 30 * 512 + len(DESCRIPTOR)] = DESCRIPTOR
    refuse(bytes(hidden), "unsupported", "parent")
    refuse(make_vmdk(b""), "unsupported", "only one part")
    refuse(make_vmdk(directory=1 << 40), "corrupt", "directory")
    refuse(make_vmdk()[:200], "corrupt", "cut short")
    refuse(make_stream_optimised(magic=b"\0\0\0\0"), "corrupt", "cut short")
    refuse(make_stream_optimised(footer_capacity=0), "corrupt", "directory")
    refuse(make_stream_optimised(footer_directory=(1 << 64) - 1), "corrupt", "directory")


def test_vhd_refusals(refuse: Refuse) -> None:
    refuse(make_dynamic_vhd(kind=4), "unsupported", "differencing")
    refuse(make_dynamic_vhd()[:-512], "corrupt", "footer is missing")
    refuse(bytes(MIB - 512) + make_vhd_footer(2), "corrupt", "cut short")
    refuse(bytes(MIB) + make_vhd_footer(2)[:-1] + b"x", "corrupt", "checksum")
    refuse(make_dynamic_vhd(entries=0), "corrupt", "block table")
    refuse(make_dynamic_vhd(block=3 * MIB), "corrupt", "block table")
    refuse(make_dynamic_vhd(block=256), "corrupt", "block table")
    refuse(make_dynamic_vhd(table=1 << 60), "corrupt", "outside the file")
    refuse(make_dynamic_vhd(entries=1 << 29), "corrupt", "outside the file")
    # A guest that writes a VHD header into its own fixed disk must not choose what QEMU reads.
    inner = make_dynamic_vhd()[:1536]
    refuse(inner.ljust(MIB, b"\0") + make_vhd_footer(2), "corrupt", "differ")


def test_vhd_blocks_that_are_missing_are_found(refuse: Refuse) -> None:
    content = bytearray(make_dynamic_vhd())
    struct.pack_into(">I", content, 1536, 4000)
    refuse(bytes(content), "corrupt", "blocks at its end")


MAKERS = (make_vmdk(), make_stream_optimised(), make_dynamic_vhd(), bytes(MIB) + make_vhd_footer(2))


@in_one_folder
@given(
    image=st.sampled_from(range(len(MAKERS))),
    changes=st.lists(st.tuples(st.integers(-600, 2000), st.integers(0, 255)), max_size=4),
    length=st.integers(0, 3 * MIB) | st.none(),
)
def test_damaged_images_give_facts_or_a_storage_error(
    tmp_path: Path, image: int, changes: list[tuple[int, int]], length: int | None
) -> None:
    content = bytearray(MAKERS[image])
    for position, value in changes:
        content[position] = value
    _inspect_quietly(tmp_path, bytes(content if length is None else content[:length]))


@in_one_folder
@given(magic=st.sampled_from([b"", b"KDMV", b"vhdxfile", b"conectix", b"QFI\xfb"]), data=st.binary(max_size=1200))
def test_any_bytes_give_facts_or_a_storage_error(tmp_path: Path, magic: bytes, data: bytes) -> None:
    _inspect_quietly(tmp_path, magic + data)
    _inspect_quietly(tmp_path, data + magic.ljust(512, b"\0"))


def _inspect_quietly(folder: Path, content: bytes) -> None:
    path = folder / "any.img"
    path.write_bytes(content)
    try:
        facts = inspect(path)
    except StorageError:
        return
    assert 0 < facts.virtual_size <= 64 << 40
    assert facts.virtual_size % 512 == 0
