"""The fault sweep's own reader of qcow2 images shows what QEMU shows."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from app.storage import qcow2
from tests.support.qcow2_view import BLOCK, View, view

SIZE = 6 << 20


def qemu_io(path: Path, *commands: str) -> None:
    argv = ["qemu-io", "-f", "qcow2", *(word for command in commands for word in ("-c", command)), str(path)]
    subprocess.run(argv, check=True, capture_output=True)


def as_qemu_sees(path: Path) -> View:
    raw = path.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw], check=True)
    data = raw.read_bytes()
    raw.unlink()
    pieces = {offset: data[offset : offset + BLOCK] for offset in range(0, len(data), BLOCK)}
    return View(len(data), {offset: piece for offset, piece in pieces.items() if any(piece)})


def scribble(path: Path, dice: random.Random) -> None:
    commands = []
    for _ in range(12):
        offset, length = dice.randrange(SIZE // 512) * 512, 512 * dice.choice([1, 7, 8, 64, 300])
        length = min(length, SIZE - offset)
        verb = dice.choice([f"write -P {dice.randrange(1, 256)}", "write -z", "discard"])
        commands.append(f"{verb} {offset} {length}")
    qemu_io(path, *commands)


def test_a_chain_of_our_images_shows_what_qemu_shows(tmp_path: Path) -> None:
    dice, last = random.Random(7), ""
    for number in range(5):
        path = tmp_path / f"{number}.qcow2"
        qcow2.write_image(path, virtual_size=SIZE, backing_file=last or None)
        scribble(path, dice)
        assert view(path) == as_qemu_sees(path)
        last = path.name


def test_an_image_of_plain_clusters_shows_what_qemu_shows(tmp_path: Path) -> None:
    path = tmp_path / "plain.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(SIZE)], check=True)
    scribble(path, random.Random(8))
    assert view(path) == as_qemu_sees(path)
    assert view(path).digest() == as_qemu_sees(path).digest()
    assert (
        view(path).read(500, 9000)
        == b"".join(as_qemu_sees(path).blocks.get(at, bytes(BLOCK)) for at in range(0, 3 * BLOCK, BLOCK))[500:9500]
    )
