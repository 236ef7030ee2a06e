"""What is fuzzed: each target reads bytes as the program does, and says what may come of it."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.fuzz import mutators

Modules = Mapping[str, Any]
SEEDS: Final = Path(__file__).resolve().parents[1] / "data" / "fuzz"
MODULES: Final = (
    "app.api",
    "app.xva.reader",
    "app.xva.ova",
    "app.xva.contents",
    "app.xva.rewriting",
    "app.client.ovf",
    "app.storage.image_reader",
    "app.storage.errors",
    "app.storage.inspection",
    "app.storage.vhdx",
)
"""Imported by whoever runs a target: instrumented by the fuzzer, as they are by the suite."""
_LARGEST_DISK: Final = 1 << 22
_PIECE: Final = 1 << 20
_CONTAINER: Final = (1 << 20) + (1 << 17)


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    :ivar read: raises nothing, whatever the bytes are.
    :ivar longest: how long the files are that are bred, in bytes.
    :ivar kept: how long those are that become seeds.
    """

    read: Callable[[Modules, bytes], None]
    mutate: mutators.Mutator
    longest: int
    kept: int


def archive(modules: Modules, data: bytes) -> None:
    """An .xva: any bytes are read, or refused with a Failure."""
    reader, ova, contents = (modules[f"app.xva.{name}"] for name in ("reader", "ova", "contents"))
    with _refusing(modules):
        found = reader.Reader(io.BytesIO(data))
        sizes = contents.sizes_of(ova.parse(found.ova()))
        for block in found.blocks(sizes, force=len(data) % 2 == 0):
            assert block.offset + len(block.data) <= sizes[block.disk]
            assert block.sound or len(data) % 2 == 0


def description(modules: Modules, data: bytes) -> None:
    """An `ova.xml`: its disks, its records as they are restored, and what another name and network make of it."""
    ova, contents, rewriting = (modules[f"app.xva.{name}"] for name in ("ova", "contents", "rewriting"))
    classes = modules["app.api"].classes()
    changed = b""
    with _refusing(modules):
        found = ova.parse(data)
        ova.identity(found)
        with _refusing(modules):
            contents.sizes_of(found)
        for described in found.objects:
            if described.cls in classes:
                with _refusing(modules):
                    ova.restored(classes[described.cls].record, described, lambda identity: identity)
        changed = rewriting.changed(data, rewriting.Changes("another", {"LAN": ("Other", "xenbr0")}))
    if changed:
        assert len(ova.parse(changed).objects) == len(found.objects)


def appliance(modules: Modules, data: bytes) -> None:
    """An .ovf."""
    with _refusing(modules):
        found = modules["app.client.ovf"].parse(data)
        assert found.vcpus > 0 and found.memory >= 0
        assert all("/" not in disk.file and disk.capacity >= 0 for disk in found.disks)


@contextlib.contextmanager
def _refusing(modules: Modules) -> Iterator[None]:
    """What is in it may refuse the file, with an error of an import."""
    try:
        yield
    except modules["app.api"].Failure as failure:
        assert failure.code.startswith("IMPORT_"), failure


def image(modules: Modules, data: bytes) -> None:
    """A disk image: looked at, and read as a chain of one and of two."""
    error = modules["app.storage.errors"].StorageError
    with tempfile.NamedTemporaryFile(suffix=".img") as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        with contextlib.suppress(error):
            modules["app.storage.inspection"].inspect(path)
        for chain in ([path], [path, path]):
            with contextlib.suppress(error):
                _read_all(modules["app.storage.image_reader"].ImageReader(chain))


def container(modules: Modules, data: bytes) -> None:
    """A VHDX, from its few parts that decide: it keeps them in places that are far from each other.

    A bit of the last byte says of each part whether its sum stays as it is.
    """
    with tempfile.NamedTemporaryFile(suffix=".vhdx") as file:
        file.truncate(_CONTAINER)
        file.write(b"vhdxfile")
        for place, size, part in vhdx_parts(data):
            whole = bytearray(part.ljust(size, b"\0"))
            if size and not data[-1] >> (place >> 16) & 1:
                whole[4:8] = bytes(4)
                whole[4:8] = modules["app.storage.vhdx"]._crc32c(bytes(whole)).to_bytes(4, "little")
            file.seek(place)
            file.write(whole)
        file.flush()
        with contextlib.suppress(modules["app.storage.errors"].StorageError):
            modules["app.storage.inspection"].inspect(Path(file.name))


def vhdx_parts(data: bytes) -> list[tuple[int, int, bytes]]:
    """Where each part of a container goes, how long it is where it has a sum, and what is in it."""
    found, position = [], 0
    for place, size, length in (
        (64, 4, 80),
        (128, 4, 80),
        (192, 64, 144),
        (256, 64, 144),
        (1024, 0, 160),
        (1088, 0, 48),
    ):
        part = data[position : position + length]
        if any(part):
            found.append((place << 10, size << 10, part))
        position += length
    return found


def _read_all(reader: Any) -> None:
    with contextlib.closing(reader):
        if reader.size <= _LARGEST_DISK:
            for number in reader.holding(_PIECE):
                start = number * _PIECE
                reader.read_into(start, memoryview(bytearray(min(_PIECE, reader.size - start))))


TARGETS: Final[Mapping[str, Target]] = {
    "archive": Target(archive, mutators.archive, 12_000, 12_000),
    "description": Target(description, mutators.markup, 20_000, 4_000),
    "appliance": Target(appliance, mutators.markup, 4_000, 4_000),
    "image": Target(image, mutators.image, 66_000, 5_000),
    "container": Target(container, mutators.image, 657, 657),
}
