"""What the driver finds out about QEMU: by trying, once, and with clear words when there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.hypervisor.driver import DriverError
from app.hypervisor.probe import BOOT_SECTOR, SLOW, boot, try_accelerators
from app.hypervisor.program import BINARY_VARIABLE, find_binary
from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import processes_of


def program(path: Path, script: str) -> Path:
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return path


async def test_an_accelerator_is_found_by_booting(tmp_path: Path) -> None:
    facts = await QemuDriver(tmp_path).facts()
    assert facts.tried[facts.accelerator] == "works"
    assert facts.tried["tcg"] == "works"
    assert facts.version_tuple >= (6, 0)
    assert facts.version.startswith(f"{facts.version_tuple[0]}.")
    assert facts.machine.startswith("pc-i440fx-")
    assert facts.binary == find_binary()


async def test_the_second_time_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await QemuDriver(tmp_path).facts()

    async def refuse(*arguments: object, **options: object) -> dict[str, str]:
        raise AssertionError("it was tried again")

    monkeypatch.setattr("app.hypervisor.findings.try_accelerators", refuse)
    assert await QemuDriver(tmp_path).facts() == first


async def test_another_program_is_tried_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_binary()
    await QemuDriver(tmp_path).facts()
    wrapper = program(tmp_path / "wrapper", f'exec {real} "$@"')
    monkeypatch.setenv(BINARY_VARIABLE, str(wrapper))
    assert (await QemuDriver(tmp_path).facts()).binary == wrapper


async def test_slowness_is_believed_for_a_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await QemuDriver(tmp_path).facts()
    cache = tmp_path / "hypervisor.json"
    data = {**json.loads(cache.read_text()), "tried": {"kvm": SLOW, "tcg": "works"}, "accelerator": "tcg"}
    cache.write_text(json.dumps(data))
    assert (await QemuDriver(tmp_path).facts()).tried["kvm"] == SLOW
    cache.write_text(json.dumps({**data, "found_at": data["found_at"] - 8 * 24 * 3600}))

    async def tried(*arguments: object, **options: object) -> dict[str, str]:
        return {"kvm": "works", "tcg": "works"}

    monkeypatch.setattr("app.hypervisor.findings.try_accelerators", tried)
    assert (await QemuDriver(tmp_path).facts()).accelerator == "kvm"


@pytest.mark.parametrize("content", ["", "not json", "{}", '{"key": 1}'])
async def test_damaged_findings_are_found_again(tmp_path: Path, content: str) -> None:
    cache = tmp_path / "hypervisor.json"
    cache.write_text(content)
    facts = await QemuDriver(tmp_path).facts()
    assert json.loads(cache.read_text())["accelerator"] == facts.accelerator


async def test_no_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(DriverError) as caught:
        await QemuDriver(tmp_path).facts()
    assert caught.value.cause == "absent"
    assert str(tmp_path / "nothing") in caught.value.message


async def test_no_qemu_in_the_path_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BINARY_VARIABLE, raising=False)
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(DriverError) as caught:
        await QemuDriver(tmp_path).facts()
    assert caught.value.cause == "absent"
    assert caught.value.message.startswith("QEMU is not installed. Install ")


@pytest.mark.parametrize(
    ("script", "cause", "words"),
    [
        ("echo QEMU emulator version 5.2.0", "too_old", "5.2.0 is too old: 6.0 or newer"),
        ("echo something else", "absent", "is not QEMU"),
        ("echo QEMU emulator version 8.0.1; [ $1 = --version ] || exit 1", "unsupported", "cannot emulate a PC"),
    ],
)
async def test_wrong_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, cause: str, words: str
) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, str(program(tmp_path / "qemu", script)))
    with pytest.raises(DriverError) as caught:
        await QemuDriver(tmp_path).facts()
    assert caught.value.cause == cause
    assert words in caught.value.message
    assert not (tmp_path / "hypervisor.json").exists()


async def test_a_qemu_that_boots_nothing_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_binary()
    script = f'case "$*" in *-nodefaults*) echo "qemu: the moon is wrong" >&2; exit 1;; esac; exec {real} "$@"'
    monkeypatch.setenv(BINARY_VARIABLE, str(program(tmp_path / "qemu", script)))
    with pytest.raises(DriverError) as caught:
        await QemuDriver(tmp_path).facts()
    assert caught.value.cause == "no_accelerator"
    assert "tcg: the moon is wrong" in caught.value.detail


async def test_a_qemu_without_sandbox_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_binary()
    refusal = "-sandbox support is not enabled in this QEMU binary"
    script = f'case "$*" in *-sandbox*) echo "qemu: {refusal}" >&2; exit 1;; esac; exec {real} "$@"'
    monkeypatch.setenv(BINARY_VARIABLE, str(program(tmp_path / "qemu", script)))
    facts = await QemuDriver(tmp_path).facts()
    assert "sandbox" not in facts.features
    assert facts.accelerator


async def test_a_broken_accelerator_is_not_used(tmp_path: Path) -> None:
    real = find_binary()
    script = f'case "$*" in *"-accel kvm"*) echo "qemu: no virtualisation today" >&2; exit 1;; esac; exec {real} "$@"'
    tried = await try_accelerators(program(tmp_path / "qemu", script), ("tcg", "kvm"), sandbox=True)
    assert tried == {"kvm": "no virtualisation today.", "tcg": "works"}


async def test_an_accelerator_that_hangs_is_not_used(tmp_path: Path) -> None:
    real = find_binary()
    script = f'case "$*" in *"-accel kvm"*) exec sleep 100;; esac; exec {real} "$@"'
    tried = await try_accelerators(program(tmp_path / "qemu", script), ("tcg", "kvm"), sandbox=True)
    assert tried == {"kvm": SLOW, "tcg": "works"}


async def test_a_trial_leaves_no_process_and_no_descriptor(tmp_path: Path) -> None:
    image = tmp_path / "probe.img"
    image.write_bytes(BOOT_SECTOR)
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    trial = await boot(find_binary(), "tcg", image, sandbox=True)
    assert trial.problem == ""
    assert sorted(path.name for path in Path("/proc/self/fd").iterdir()) == before
    assert not processes_of(tmp_path)


PROBING = """
import asyncio, sys
from pathlib import Path
from app.hypervisor.probe import boot
asyncio.run(boot(Path(sys.argv[1]), "kvm", Path(sys.argv[2]), sandbox=False))
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_a_trial_does_not_outlive_us(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    silent = program(tmp_path / "qemu", f"echo $$ > {told}.new; mv {told}.new {told}; exec sleep 1000\n")
    ours = subprocess.Popen([sys.executable, "-c", PROBING, str(silent), str(tmp_path / "probe.img")])
    while not told.exists():
        assert ours.poll() is None
        time.sleep(0.01)
    ours.kill()
    ours.wait()
    while lives(int(told.read_text())):
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Whether it is a process and no zombie that waits for somebody to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
