"""Our own reader and writer of qcow2 headers."""

from __future__ import annotations

import stat
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.storage import qcow2
from app.storage.errors import StorageError

GIB = 1 << 30
HEADER_SIZE = 4096
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.qcow2"
    qcow2.write_image(path, virtual_size=GIB, backing_file="base.qcow2")
    return path


def _patch(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _features(path: Path, *bits: int) -> None:
    _patch(path, 72, struct.pack(">Q", sum(1 << bit for bit in bits)))


@pytest.mark.parametrize("size", [512, 1 << 20, GIB, GIB + 512, 16 << 40, 64 << 40])
@pytest.mark.parametrize("backing", [None, "base.qcow2"])
def test_reads_what_it_writes(tmp_path: Path, size: int, backing: str | None) -> None:
    path = tmp_path / "disk.qcow2"
    qcow2.write_image(path, virtual_size=size, backing_file=backing)
    header = qcow2.read_header(path)
    assert (header.version, header.virtual_size, header.cluster_size) == (3, size, 128 << 10)
    assert (header.backing_file, header.backing_format) == (backing, "qcow2" if backing else None)
    assert header.extended_l2
    assert not (header.data_file or header.dirty or header.corrupt or header.encrypted)
    assert (header.snapshot_count, header.unknown_features) == (0, ())
    qcow2.check_mappings(path)


def test_an_image_is_private_small_and_alone(image: Path) -> None:
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    assert image.stat().st_blocks * 512 <= 64 << 10
    assert image.stat().st_nlink == 1
    assert list(image.parent.iterdir()) == [image]


def test_the_longest_parent_name_fits(tmp_path: Path) -> None:
    path, name = tmp_path / "disk.qcow2", "é" * 511 + "x"
    qcow2.write_image(path, virtual_size=GIB, backing_file=name)
    assert qcow2.read_header(path).backing_file == name
    with pytest.raises(StorageError, match="too long"):
        qcow2.write_image(tmp_path / "other.qcow2", virtual_size=GIB, backing_file=name + "x")


def test_an_existing_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(b"precious")
    with pytest.raises(StorageError, match="exists already") as caught:
        qcow2.write_image(path, virtual_size=GIB)
    assert caught.value.cause == "in_use"
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_the_remains_of_an_interrupted_try_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".disk.qcow2.part").write_bytes(b"half")
    path = tmp_path / "disk.qcow2"
    qcow2.write_image(path, virtual_size=GIB)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", [-512, 0, 511, 513, (64 << 40) + 512])
def test_impossible_sizes_are_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(StorageError, match="multiple of 512") as caught:
        qcow2.write_image(tmp_path / "disk.qcow2", virtual_size=size)
    assert caught.value.cause == "unsupported"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "nbd:localhost", "a\\b"])
def test_a_parent_is_a_bare_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="same folder"):
        qcow2.write_image(tmp_path / "disk.qcow2", virtual_size=GIB, backing_file=name)


@pytest.mark.parametrize("point", ["storage.image_body_written", "storage.image_written", "storage.published"])
def test_a_full_disk_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, point: str) -> None:
    monkeypatch.setenv("STILLFRAME_FAIL_AT", f"{point}:enospc")
    with pytest.raises(StorageError, match="No space left") as caught:
        qcow2.write_image(tmp_path / "disk.qcow2", virtual_size=GIB)
    assert caught.value.cause == "no_space"
    assert not list(tmp_path.iterdir())


def test_tells_feature_bits(image: Path) -> None:
    _features(image, 0, 1, 2)
    header = qcow2.read_header(image)
    assert (header.dirty, header.corrupt, header.data_file, header.extended_l2) == (True, True, True, False)


def test_names_unknown_features_by_the_table_in_the_file(image: Path) -> None:
    text = image.read_bytes()[:HEADER_SIZE]
    name_at = text.index(b"extended L2 entries")
    _patch(image, name_at - 1, bytes([9]) + b"time travel".ljust(46, b"\0"))
    _features(image, 4, 9, 40)
    assert qcow2.read_header(image).unknown_features == ("time travel", "feature bit 40")


def test_tells_encryption_and_snapshots(image: Path) -> None:
    _patch(image, 32, struct.pack(">I", 2))
    _patch(image, 60, struct.pack(">I", 7))
    header = qcow2.read_header(image)
    assert header.encrypted
    assert header.snapshot_count == 7


@pytest.mark.parametrize(
    ("offset", "data", "cause"),
    [
        (0, b"QFI\xfa", "corrupt"),
        (4, struct.pack(">I", 1), "unsupported"),
        (4, struct.pack(">I", 4), "unsupported"),
        (16, struct.pack(">I", 1024), "corrupt"),
        (8, struct.pack(">Q", 1 << 40), "corrupt"),
        (20, struct.pack(">I", 8), "corrupt"),
        (20, struct.pack(">I", 200), "corrupt"),
        (24, struct.pack(">Q", 1 << 63), "corrupt"),
        (24, struct.pack(">Q", 1 << 50), "corrupt"),
        (36, struct.pack(">I", 0), "corrupt"),
        (36, struct.pack(">I", 0xFFFFFFFF), "corrupt"),
        (40, struct.pack(">Q", 513), "corrupt"),
        (40, struct.pack(">Q", 0), "corrupt"),
        (40, struct.pack(">Q", 1 << 40), "corrupt"),
        (48, struct.pack(">Q", 1 << 40), "corrupt"),
        (48, struct.pack(">Q", 0), "corrupt"),
        (96, struct.pack(">I", 7), "corrupt"),
        (100, struct.pack(">I", 96), "corrupt"),
        (100, struct.pack(">I", 105), "corrupt"),
        (100, struct.pack(">I", 0xFFFFFFF8), "corrupt"),
        (116, struct.pack(">I", 0xFFFFFFFF), "corrupt"),
    ],
)
def test_contradictions_are_refused(image: Path, offset: int, data: bytes, cause: str) -> None:
    _patch(image, offset, data)
    with pytest.raises(StorageError) as caught:
        qcow2.read_header(image)
    assert caught.value.cause == cause
    assert str(image) in caught.value.message


def test_a_mapping_outside_the_file_is_found(image: Path) -> None:
    header = qcow2.read_header(image)
    _patch(image, header.l1_offset, struct.pack(">Q", 1 << 63 | header.file_size))
    with pytest.raises(StorageError, match="cut short") as caught:
        qcow2.check_mappings(image)
    assert caught.value.cause == "corrupt"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist") as caught:
        qcow2.read_header(tmp_path / "absent")
    assert caught.value.cause == "missing"
    with pytest.raises(StorageError, match="is a folder") as caught:
        qcow2.read_header(tmp_path)
    assert caught.value.cause == "unsupported"


@in_one_folder
@given(data=st.binary(max_size=2000))
def test_any_bytes_give_a_header_or_a_storage_error(tmp_path: Path, data: bytes) -> None:
    _read_quietly(tmp_path, data)
    _read_quietly(tmp_path, qcow2.MAGIC + data)


@in_one_folder
@given(
    numbers=st.tuples(
        st.sampled_from([2, 3]),
        st.integers(0, 1 << 18),
        st.integers(0, 2000),
        st.sampled_from([9, 16, 17, 21]),
        st.integers(0, (1 << 64) - 1),
        st.integers(0, 3),
        st.integers(0, 5000),
        st.sampled_from([0, 1 << 16, 1 << 17, 3 << 17, (1 << 64) - 512]),
        st.sampled_from([0, 1 << 16, 1 << 17, (1 << 64) - 512]),
        st.integers(0, 5),
        st.integers(0, 9),
        st.integers(0, (1 << 64) - 1),
    ),
    tail=st.tuples(st.integers(0, (1 << 64) - 1), st.just(0), st.just(0), st.integers(0, 8), st.integers(96, 200)),
    rest=st.binary(max_size=600),
    size=st.integers(0, 1 << 20),
)
def test_any_header_gives_a_header_or_a_storage_error(
    tmp_path: Path, numbers: tuple[int, ...], tail: tuple[int, ...], rest: bytes, size: int
) -> None:
    data = struct.pack(">4sIQIIQIIQQIIQ", qcow2.MAGIC, *numbers) + struct.pack(">QQQII", *tail) + rest
    _read_quietly(tmp_path, data, size)


@in_one_folder
@given(
    changes=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=6),
    size=st.integers(0, 600 << 10) | st.none(),
)
def test_a_damaged_image_gives_a_header_or_a_storage_error(
    tmp_path: Path, changes: list[tuple[int, int]], size: int | None
) -> None:
    path = tmp_path / "good.qcow2"
    if not path.exists():
        qcow2.write_image(path, virtual_size=GIB, backing_file="base.qcow2")
    data = bytearray(path.read_bytes()[:HEADER_SIZE])
    for position, value in changes:
        data[position] = value
    _read_quietly(tmp_path, bytes(data), path.stat().st_size if size is None else size)


def _read_quietly(folder: Path, data: bytes, size: int | None = None) -> None:
    path = folder / "any.qcow2"
    with path.open("wb") as file:
        file.write(data)
        if size is not None:
            file.truncate(size)
    try:
        header = qcow2.read_header(path)
        qcow2.check_mappings(path)
    except StorageError:
        return
    assert 0 <= header.virtual_size < 1 << 63
    assert header.backing_file is None or isinstance(header.backing_file, str)
