"""libvirt to compare with: a daemon of its own for one user, in a private folder, ended with its guests afterwards.

A session daemon (https://libvirt.org/daemons.html) keeps everything below the XDG folders, so an installed libvirt and
its guests are left alone. Started by root it would be the system's daemon; therefore root hands it to `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from tests.bench.benchmark import Options, Unavailable

PACKAGES = ("libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients")
DAEMONS = ("virtqemud", "libvirtd")
START_SECONDS = 30.0
COMMAND_SECONDS = 60.0
_CONFIG = 'stdio_handler = "file"\nsecurity_driver = "none"\nremember_owner = 0\n'
_SYSTEM_PROGRAMS = "/usr/sbin:/usr/local/sbin:/sbin"

_DOMAIN = """<domain type='{kind}'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <devices>
    <emulator>{emulator}</emulator>
{disks}
    <serial type='file'><source path='{serial}'/></serial>
    <video><model type='vga'/></video>
  </devices>
</domain>
"""
_DISK = """    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap' detect_zeroes='unmap' error_policy='stop'/>
      <source file='{path}'/><target dev='vd{letter}' bus='virtio'/>
    </disk>"""


def ensure(options: Options) -> None:
    """Have libvirt, installing it if that was asked for. :raise Unavailable: it is missing, and what to do."""
    missing = _missing()
    if missing and options.install_peers:
        _install()
        missing = _missing()
    if missing:
        raise Unavailable(
            f"libvirt is not installed ({', '.join(missing)} missing): run with --install-peers, "
            f"or: sudo apt-get install {' '.join(PACKAGES)}"
        )


def _missing() -> list[str]:
    missing = [] if shutil.which("virsh") else ["virsh"]
    return missing if _daemon() else [*missing, " or ".join(DAEMONS)]


def _daemon() -> str | None:
    path = f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PROGRAMS}"
    return next((found for name in DAEMONS if (found := shutil.which(name, path=path))), None)


def _install() -> None:
    if shutil.which("apt-get") is None:
        raise Unavailable("libvirt is not installed, and --install-peers knows only Debian's and Ubuntu's apt-get")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        argv = [*sudo, "apt-get", "--quiet", *command]
        print(f"installing libvirt: {' '.join(argv)}", flush=True)
        done = subprocess.run(argv, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False)
        if done.returncode:
            raise Unavailable(f"libvirt could not be installed: {' '.join(argv)} ended with status {done.returncode}")


class Account(NamedTuple):
    """Whom the daemon runs as."""

    user: int
    group: int


class Libvirt:
    """A running session daemon. Made by `opened`. Without an account it runs as the caller."""

    def __init__(self, folder: Path, account: Account | None, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._account = account
        self._environment = environment
        self._socket = Path()

    def start(self, daemon: str) -> subprocess.Popen[bytes]:
        """Start the daemon and wait for its socket. :raise Unavailable: it ended, or none came; with its words."""
        log = self.folder / "daemon.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [daemon, "--timeout", "3600"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                user=self._account.user if self._account else None,
                group=self._account.group if self._account else None,
                extra_groups=[] if self._account else None,
            )
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            sockets = [*(self.folder / "run" / "libvirt").glob("*-sock")]
            chosen = [path for path in sockets if path.name in ("libvirt-sock", "virtqemud-sock")]
            if chosen:
                self._socket = chosen[0]
                return process
            time.sleep(0.05)
        process.kill()
        process.wait()
        raise Unavailable(f"{daemon} did not start: {log.read_text(errors='replace')[-500:]}")

    def virsh(self, *arguments: str) -> str:
        """One virsh process from start to end. :raise RuntimeError: it failed; with its words."""
        done = subprocess.run(
            self.command(*arguments), env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"virsh {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def command(self, *arguments: str) -> list[str]:
        """The command line of virsh with these arguments, speaking to this daemon."""
        # Runs as the caller: changing the account would make Python fork where it can do with the quicker vfork.
        return ["virsh", "--connect", f"qemu+unix:///session?socket={self._socket}", *arguments]

    @contextmanager
    def shell(self) -> Iterator[VirshShell]:
        """A virsh that stays connected."""
        process = subprocess.Popen(
            self.command(),
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            yield VirshShell(process)
        finally:
            process.kill()
            process.communicate()

    def own(self, path: Path) -> None:
        """Give a file to the daemon's account."""
        if self._account:
            os.chown(path, *self._account)

    def start_guest(self, name: str, disks: Sequence[Path], memory: int, accelerator: str, emulator: Path) -> None:
        """Define and start a guest over copies of these images; `memory` in MiB."""
        copies = []
        for number, disk in enumerate(disks):
            copy = self.folder / "disks" / f"{name}-{number}.qcow2"
            shutil.copyfile(disk, copy)
            self.own(copy)
            copies.append(_DISK.format(path=escape(str(copy)), letter="abcd"[number]))
        definition = self.folder / f"{name}.xml"
        definition.write_text(
            _DOMAIN.format(
                kind="kvm" if accelerator == "kvm" else "qemu",
                name=name,
                memory=memory,
                emulator=emulator,
                disks="\n".join(copies),
                serial=self.serial(name),
            ),
            encoding="utf-8",
        )
        self.virsh("define", str(definition))
        self.virsh("start", name)

    def serial(self, name: str) -> Path:
        """The file that gets what the guest writes to its serial line."""
        return self.folder / "disks" / f"{name}.serial"

    def guest_pids(self) -> list[int]:
        """The QEMU processes that the daemon knows of."""
        files = (self.folder / "run" / "libvirt" / "qemu" / "run").glob("*.pid")
        return [int(path.read_text()) for path in files if path.name != "driver.pid"]


class VirshShell:
    """A virsh that reads its commands from us."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._count = 0

    def run(self, command: str) -> str:
        """Run a command and wait for its end. :raise RuntimeError: it failed, or virsh ended; with its words."""
        guard = threading.Timer(COMMAND_SECONDS, self._process.kill)
        guard.start()
        try:
            return self._run(command)
        finally:
            guard.cancel()

    def _run(self, command: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._count += 1
        mark = f"end-of-command-{self._count}"
        self._process.stdin.write(f"{command}\necho {mark}\n".encode())
        self._process.stdin.flush()
        said: list[str] = []
        while (line := self._process.stdout.readline().decode().strip()) != mark:
            if not line and self._process.poll() is not None:
                raise RuntimeError(f"virsh ended: {' '.join(said)}")
            said.append(line)
        if any(line.startswith("error:") for line in said):
            raise RuntimeError(f"virsh {command}: {' '.join(said)}")
        return "\n".join(said)


@contextmanager
def opened(options: Options) -> Iterator[Libvirt]:
    """A daemon for the time of the block; its guests end with it. :raise Unavailable: libvirt is not there."""
    ensure(options)
    daemon = _daemon()
    assert daemon is not None
    folder = Path(tempfile.mkdtemp(prefix="sfl-", dir=options.folder))
    try:
        peer = _prepare(folder)
        process = peer.start(daemon)
        try:
            yield peer
        finally:
            _end(peer, process)
    finally:
        shutil.rmtree(folder)


def _prepare(folder: Path) -> Libvirt:
    account = None
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        account = Account(nobody.pw_uid, nobody.pw_gid)
        _require_reachable(folder)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LIBVIRT_AUTOSTART": "0", "LANG": "C.UTF-8"}
    names = {"HOME": "home", "XDG_RUNTIME_DIR": "run", "XDG_CONFIG_HOME": "config"}
    names |= {"XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data"}
    environment |= {variable: str(folder / name) for variable, name in names.items()}
    peer = Libvirt(folder, account, environment)
    for path in (*(folder / name for name in (*names.values(), "disks")), folder / "config" / "libvirt"):
        path.mkdir(mode=0o700)
        peer.own(path)
    (folder / "config" / "libvirt" / "qemu.conf").write_text(_CONFIG, encoding="ascii")
    peer.own(folder)
    return peer


def _require_reachable(folder: Path) -> None:
    closed = next((parent for parent in folder.parents if not parent.stat().st_mode & 0o001), None)
    if closed is not None:
        raise Unavailable(f"libvirt runs as nobody here, who may not pass {closed}: choose another --folder")


def _end(peer: Libvirt, process: subprocess.Popen[bytes]) -> None:
    for pid in peer.guest_pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
