"""The two commands: what they say, and what they would install, on machines made of stand-ins for apt and sudo."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.tree import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the scripts set up Debian and Ubuntu")

SCRIPTS = ("installer/run.sh", "installer/test.sh", "installer/lock.sh", "installer/linux/add-to-menu.sh", ".ci/run")
QT_ON_NEWER_SUITES, QT_ON_OLDER_SUITES = "libglib2.0-0t64", "libglib2.0-0"


class Machine:
    """A copy of the installer, in a folder with a space, and a PATH of stand-ins that write down their calls."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "still frame"
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        shutil.copytree(ROOT / "installer", self.project / "installer")
        for name in ("requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, self.project)
        self.bin.mkdir()
        self.calls.touch()
        for name in ["bash", "cat", "cut", "dirname", "flock", "grep", "sed", "sha256sum", "uname"]:
            self.link(name)
        self.stand_in("id", "echo 1000")
        self.stand_in("dpkg-query", "exit 1")
        self.stand_in("python3", f'exec {sys.executable} "$@"')
        self.stand_in("apt-get", f'echo "apt-get $*" >> {self.calls}; [ "${{@: -1}}" = update ] || exit 100')
        self.stand_in("apt-cache", f'[ "$2" = {QT_ON_NEWER_SUITES} ] || echo "  Candidate: 1.0"')

    def link(self, name: str) -> None:
        found = shutil.which(name)
        assert found is not None, name
        (self.bin / name).symlink_to(found)

    def stand_in(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def with_sudo(self, allowed: bool = True) -> None:
        self.link("env")
        body = '[ "$1" != -n ] || exit 0; [ "$1" != -v ] || exit 0; exec "$@"' if allowed else "exit 1"
        self.stand_in("sudo", body)

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.project / "installer" / script, *arguments],
            cwd="/",
            env={"PATH": str(self.bin), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_strict_and_executable(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in path.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", path], check=True)


def test_the_build_server_runs_the_test_command() -> None:
    *_, last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert last == 'exec ./installer/test.sh "$@"'


@pytest.mark.parametrize("script", ["run.sh", "test.sh"])
def test_help_sets_nothing_up(machine: Machine, script: str) -> None:
    done = machine.run(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: ./installer/{script}" in done.stdout
    assert machine.calls.read_text() == ""


@pytest.mark.parametrize("arguments", [(), ("--data-dir", "tour"), ("--debug",)])
def test_a_window_needs_a_screen(machine: Machine, arguments: tuple[str, ...]) -> None:
    done = machine.run("run.sh", *arguments)
    assert done.returncode == 1
    assert "no screen" in done.stderr
    assert "./installer/run.sh tour DIR" in done.stderr
    assert machine.calls.read_text() == "", "said before anything is installed"


@pytest.mark.parametrize("arguments", [("--version",), ("tour", "pictures"), ("--data-dir", "there", "serve")])
def test_other_commands_need_no_screen(machine: Machine, arguments: tuple[str, ...]) -> None:
    assert "no screen" not in machine.run("run.sh", *arguments).stderr


@pytest.mark.parametrize("variable", ["DISPLAY=:0", "WAYLAND_DISPLAY=wayland-0", "QT_QPA_PLATFORM=offscreen"])
def test_a_screen_is_recognised(machine: Machine, variable: str) -> None:
    name, value = variable.split("=")
    assert "no screen" not in machine.run("run.sh", **{name: value}).stderr


def test_without_sudo_the_command_is_shown(machine: Machine) -> None:
    done = machine.run("run.sh", "--version")
    assert done.returncode == 1
    assert "no sudo" in done.stderr
    (command,) = [line.strip() for line in done.stderr.splitlines() if line.startswith("  ")]
    begin = "apt-get update && apt-get install --no-install-recommends ca-certificates qemu-system-x86 qemu-utils "
    assert command.startswith(begin)
    assert QT_ON_OLDER_SUITES in command.split()
    assert QT_ON_NEWER_SUITES not in command.split()
    assert machine.calls.read_text() == ""


def test_sudo_that_refuses_is_not_tried_further(machine: Machine) -> None:
    machine.with_sudo(allowed=False)
    done = machine.run("run.sh", "--version")
    assert done.returncode == 1
    assert "sudo does not let you" in done.stderr
    assert "  apt-get update && apt-get install" in done.stderr
    assert machine.calls.read_text() == ""


def test_sudo_is_announced_before_it_is_used(machine: Machine) -> None:
    machine.with_sudo()
    machine.stand_in("apt-cache", 'echo "  Candidate: 1.0"; printf "     a long table of versions %s\\n" {1..20000}')
    done = machine.run("test.sh")
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert "with sudo" in said[0]
    update, install = machine.calls.read_text().splitlines()
    assert update.endswith(" update")
    assert " install -y --no-install-recommends ca-certificates " in install
    assert {QT_ON_NEWER_SUITES, "nasm", "xvfb", "git"} <= set(install.split())
    assert "apt-get's own words are above" in done.stderr, "this apt-get fails, and that is not passed over"
    assert not (machine.project / ".venv").exists()


def test_an_old_python_is_refused_before_anything_is_installed(machine: Machine) -> None:
    machine.with_sudo()
    machine.stand_in("python3", 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')
    done = machine.run("run.sh", "--version")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed, and this machine has Python 3.9.2" in done.stderr
    assert machine.calls.read_text() == ""


def test_another_system_is_told_so(machine: Machine) -> None:
    (machine.bin / "uname").unlink()
    machine.stand_in("uname", "echo Darwin")
    done = machine.run("run.sh", "--version")
    assert done.returncode == 1
    assert "cannot set up Darwin" in done.stderr
