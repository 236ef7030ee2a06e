"""Reading what QEMU says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.hypervisor.disks import parse_images
from app.hypervisor.guest import ActiveImage, guest_state
from app.hypervisor.launch import sentence
from app.hypervisor.program import parse_accelerators, parse_machine, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003", (7, 2, 22)),
        ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)", (10, 0, 2)),
        ("QEMU emulator version 5.2.0", (5, 2, 0)),
        ("qemu-img version 7.2", None),
        ("", None),
    ],
)
def test_version(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_version(text) == version


def test_machine() -> None:
    text = (
        "Supported machines are:\n"
        "microvm              microvm (i386)\n"
        "pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)\n"
        "pc-i440fx-7.2        Standard PC (i440FX + PIIX, 1996) (default)\n"
        "q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-7.2)\n"
    )
    assert parse_machine(text) == "pc-i440fx-7.2"
    assert parse_machine("Supported machines are:\nvirt   QEMU ARM Virtual Machine (alias of virt-7.2)\n") is None


def test_accelerators() -> None:
    assert parse_accelerators("Accelerators supported in QEMU binary:\ntcg\nkvm\n") == ("tcg", "kvm")
    assert parse_accelerators("") == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", ""),
        ("qemu-system-x86_64: warning: host doesn't support requested feature", ""),
        (
            'qemu-system-x86_64: -blockdev {"driver": "raw", "file": {}}: Could not open \'/x\': Permission denied',
            "Could not open '/x': Permission denied.",
        ),
        (
            "qemu-system-x86_64: -device warp,id=nic0: 'warp' is not a valid device model name",
            "'warp' is not a valid device model name.",
        ),
        (
            "/opt/qemu-system-x86_64: warning: slow\n/opt/qemu-system-x86_64: unsupported machine type\n"
            "Use -machine help to list supported machines",
            "unsupported machine type. Use -machine help to list supported machines.",
        ),
        (
            'qemu: -blockdev {"x": 1}: Failed to get "write" lock\nIs another process using the image [/a]?\n',
            'Failed to get "write" lock. Is another process using the image [/a]?',
        ),
        (
            "Could not access KVM kernel module: Permission denied\n"
            "qemu-system-x86_64: failed to initialize kvm: Permission denied",
            "Could not access KVM kernel module: Permission denied.",
        ),
        (
            "qemu-system-x86_64: Size mismatch: pc.ram: 0x4000000 != 0x2000000: Invalid argument\n"
            "qemu-system-x86_64: load of migration failed: Invalid argument",
            "Size mismatch: pc.ram: 0x4000000 != 0x2000000: Invalid argument.",
        ),
    ],
)
def test_sentence(words: str, expected: str) -> None:
    assert sentence(words) == expected


def test_images() -> None:
    blocks: list[dict[str, Any]] = [
        {
            "device": "",
            "qdev": "/machine/peripheral/disk0/virtio-backend",
            "inserted": {"node-name": "disk0-1a", "file": 'json:{"driver": "qcow2"}'},
        },
        {"device": "", "qdev": "disk1", "inserted": {"node-name": "foreign", "file": "/b"}},
        {"device": "", "qdev": "cd3"},
        {"device": "floppy", "inserted": {"node-name": "f", "file": "/f"}},
    ]
    nodes = [
        {"node-name": "disk0-1a", "file": 'json:{"driver": "qcow2"}'},
        {"node-name": "disk0-1a-file", "file": "/a"},
    ]
    assert parse_images(blocks, nodes) == {
        "disk0": ActiveImage("disk0-1a", Path("/a")),
        "disk1": ActiveImage("foreign", Path("/b")),
    }


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("running", "running"),
        ("paused", "paused"),
        ("prelaunch", "paused"),
        ("inmigrate", "suspended-incoming"),
        ("postmigrate", "saved"),
        ("io-error", "io-error"),
        ("internal-error", "crashed"),
        ("something new", "paused"),
    ],
)
def test_state(status: str, state: str) -> None:
    assert guest_state(status) == state
