"""A small real Linux for tests: Debian's cloud kernel, busybox and an initial root file system of our own.

Ask `available()` first and skip the test with the reason it gives. Machines need 256 MiB of memory.

In the guest, once started: the file system labelled `stillframe` is mounted on /data, the line
`stillframe-linux ready kernel=… data=…` goes to COM1, then /autorun runs there, and after it a root shell; the screen
has one from the start. The power button shuts down cleanly (`stillframe-linux bye`). With `agent=True` qemu-ga
answers on the virtio-serial port org.qemu.guest_agent.0. A network card, if there is one, has the address ADDRESS.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import lzma
import os
import platform
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.cpio import CpioArchive
from tests.support.debian_packages import (
    Unavailable,
    cache,
    cached,
    dependencies,
    fetch,
    run,
    unpacked,
    with_dependencies,
    write_whole,
)

MIB = 1 << 20
LABEL = "stillframe"
COMMAND_LINE = "console=tty0 console=ttyS0,115200 panic=-1 loglevel=4"
MEMORY_MIB = 256
ADDRESS = "10.0.2.15"

_HERE = Path(__file__).resolve().parent
_KERNEL_PACKAGE = "linux-image-cloud-amd64"
_AGENT_PACKAGE = "qemu-guest-agent"
_MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix", "ahci", "ext4"),
    *("virtio_console", "virtio_net", "button", "evdev"),
)

_FIRST_SECTOR = 128  # of the kernel; linux_loader.asm reads the sectors before it in one go
_LOW_ADDRESS = 0x10000
_COMMAND_LINE_AT = 0xE000  # within the low block, above the setup code's heap
_KERNEL_ADDRESS = 0x100000
_INITRD_ADDRESS = 128 * MIB  # above all the kernel needs while it unpacks itself
_PARTS_AT = 400  # the loader's table


@dataclass(frozen=True)
class LinuxGuest:
    """Files for QEMU's -kernel and -initrd, with COMMAND_LINE for -append."""

    kernel: Path
    initrd: Path


@functools.cache
def available(*, agent: bool = False) -> str | None:
    """Why the guest cannot be had on this machine, or None when it can. The first call may download 30 MB."""
    try:
        linux_guest(agent=agent)
        _mkfs()
    except Unavailable as error:
        return str(error)
    return None


@functools.cache
def linux_guest(*, agent: bool = False) -> LinuxGuest:
    """Kernel and initrd, from the cache or made now. :raise Unavailable: the packages cannot be had."""
    if platform.machine() not in ("x86_64", "AMD64"):
        raise Unavailable("the Linux guest is made from amd64 packages and busybox is run while making it")
    package = _kernel_package()
    root = unpacked(package)
    kernel = next((root / "boot").glob("vmlinuz-*"))
    recipe = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in ("linux_guest.py", "cpio.py")))
    initrd = cache() / f"initrd-{package}-{'agent-' if agent else ''}{recipe.hexdigest()[:16]}.gz"
    if not initrd.exists():
        write_whole(initrd, gzip.compress(_root_archive(root, agent=agent).data(), 6, mtime=0))
    return LinuxGuest(kernel, initrd)


def autorun_archive(script: str) -> bytes:
    """What to append to the initrd so that `script` (a shell script without its first line) runs as /autorun."""
    archive = CpioArchive()
    archive.add_file("autorun", f"#!/bin/sh\n{script}\n", executable=True)
    return archive.data()


def make_ext4(path: Path, size: int, files: Mapping[str, bytes | str] | None = None, *, label: str = LABEL) -> None:
    """Make a raw image of `size` bytes at `path` holding one ext4 file system with `files` in it (name to content).

    :raise Unavailable: e2fsprogs is not installed.
    """
    with path.open("wb") as file:
        file.truncate(size)
    _format(path, 0, size, files or {}, label)


def make_disk(
    path: Path,
    *,
    autorun: str = "",
    files: Mapping[str, bytes | str] | None = None,
    data_size: int = 64 * MIB,
    agent: bool = False,
) -> None:
    """Make a raw disk at `path` that starts the Linux guest from a PC BIOS, as any disk would.

    Its one partition is an ext4 file system of `data_size` bytes with `files` in it, mounted on /data; `autorun` is a
    shell script that runs at each start.

    :raise Unavailable: the packages or e2fsprogs cannot be had.
    """
    guest = linux_guest(agent=agent)
    kernel = guest.kernel.read_bytes()
    initrd = guest.initrd.read_bytes()
    initrd += bytes(-len(initrd) % 4) + (autorun_archive(autorun) if autorun else b"")
    setup, code = _split(kernel, len(initrd))
    initrd_sector = _FIRST_SECTOR + _sectors(len(code))
    data_at = _round_up((initrd_sector + _sectors(len(initrd))) * 512, MIB)
    parts = [_FIRST_SECTOR, _sectors(len(code)), _KERNEL_ADDRESS]
    parts += [initrd_sector, _sectors(len(initrd)), _INITRD_ADDRESS]
    with path.open("wb") as file:
        file.truncate(data_at + data_size)
        file.write(_boot_sector(parts, data_at, data_size))
        file.write(setup)
        file.seek(512 + _COMMAND_LINE_AT)
        file.write(COMMAND_LINE.encode() + b"\0")
        file.seek(_FIRST_SECTOR * 512)
        file.write(code)
        file.seek(initrd_sector * 512)
        file.write(initrd)
    _format(path, data_at, data_size, files or {}, LABEL)


def _kernel_package() -> str:
    """The package with the kernel itself: the newest in the cache, else what Debian's empty package depends on."""
    found = cached("linux-image-*-cloud-amd64") or dependencies(_KERNEL_PACKAGE)
    if not found:
        raise Unavailable(f"the package lists have no {_KERNEL_PACKAGE} (apt-get update, or no Debian)")
    return found[-1]


# The boot disk


def _split(kernel: bytes, initrd_size: int) -> tuple[bytes, bytes]:
    """The kernel's real-mode setup, told where all is, and the rest, which goes to one MiB."""
    if kernel[0x202:0x206] != b"HdrS":
        raise Unavailable("the kernel has no boot header")
    size = ((kernel[0x1F1] or 4) + 1) * 512
    setup = bytearray(kernel[:size])
    setup[0x210] = 0xFF  # a loader without a number of its own
    setup[0x211] |= 0x80  # heap_end_ptr is valid
    struct.pack_into("<II", setup, 0x218, _INITRD_ADDRESS, initrd_size)
    struct.pack_into("<H", setup, 0x224, _COMMAND_LINE_AT - 0x200)
    struct.pack_into("<I", setup, 0x228, _LOW_ADDRESS + _COMMAND_LINE_AT)
    return bytes(setup), kernel[size:]


def _boot_sector(parts: list[int], data_at: int, data_size: int) -> bytes:
    sector = bytearray((_HERE / "linux_loader.bin").read_bytes())
    struct.pack_into("<6I", sector, _PARTS_AT, *parts)
    # Status, no CHS addresses, type Linux, first sector, sectors.
    struct.pack_into("<B3sB3sII", sector, 446, 0x80, b"\xff" * 3, 0x83, b"\xff" * 3, data_at // 512, data_size // 512)
    return bytes(sector)


def _sectors(size: int) -> int:
    return _round_up(size, 512) // 512


def _round_up(size: int, unit: int) -> int:
    return (size + unit - 1) // unit * unit


def _mkfs() -> str:
    found = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise Unavailable("mkfs.ext4 is not installed (Debian: e2fsprogs)")
    return found


def _format(path: Path, offset: int, size: int, files: Mapping[str, bytes | str], label: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        for inside, content in files.items():
            target = Path(name, inside.lstrip("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        options = f"offset={offset},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"
        run(_mkfs(), "-q", "-F", "-L", label, "-d", name, "-E", options, str(path), f"{size // 1024}k")


# The initial root file system


def _root_archive(kernel_root: Path, *, agent: bool) -> CpioArchive:
    archive = CpioArchive()
    archive.add_console()
    for folder in ("proc", "sys", "data", "run", "tmp", "var/log"):
        archive.add_folder(folder)
    archive.add_link("var/run", "/run")
    busybox = next(unpacked("busybox-static").rglob("bin/busybox"))
    archive.add_file("bin/busybox", busybox.read_bytes(), executable=True)
    for applet in run(str(busybox), "--list").split():
        if applet != "busybox":
            archive.add_link(f"bin/{applet}", "busybox")
    archive.add_link("init", "bin/busybox")
    for name, content in _SCRIPTS.items():
        archive.add_file(name, content, executable=True)
    order = []
    for name, data in _modules(kernel_root):
        archive.add_file(f"modules/{name}.ko", data)
        order.append(name)
    archive.add_file("modules/order", "\n".join(order))
    if agent:
        _add_agent(archive)
    return archive


def _modules(kernel_root: Path) -> Iterator[tuple[str, bytes]]:
    """The wanted modules, each after those it depends on. One that the kernel has built in has no file."""
    files = {}
    for file in kernel_root.rglob("*.ko*"):
        files[file.name.split(".ko")[0].replace("-", "_")] = file
    done: set[str] = set()

    def load(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or name not in files:
            return
        done.add(name)
        data = files[name].read_bytes()
        if files[name].suffix == ".xz":
            data = lzma.decompress(data)
        depends = re.search(rb"\0depends=([^\0]*)", data)
        for other in depends[1].decode().split(",") if depends else []:
            yield from load(other.replace("-", "_"))
        yield name, data

    for wanted in _MODULES:
        yield from load(wanted)


def _add_agent(archive: CpioArchive) -> None:
    """qemu-ga with its libraries, taken from the packages it depends on."""
    packages = with_dependencies(_AGENT_PACKAGE)
    fetch(packages)
    roots = [unpacked(package) for package in packages]
    libraries = {file.name: file for root in roots for file in root.rglob("*.so*") if file.exists()}
    program = next(file for root in roots for file in root.rglob("sbin/qemu-ga"))
    archive.add_file("bin/qemu-ga", program.read_bytes(), executable=True)
    waiting, done = [program], set[str]()
    while waiting:
        # Names of needed libraries stand in the string table; one too many does no harm.
        for found in re.findall(rb"\0((?:lib|ld-)[\w.+-]+\.so[.\d]*)(?=\0)", waiting.pop().read_bytes()):
            name = found.decode()
            if name in libraries and name not in done:
                done.add(name)
                waiting.append(libraries[name])
                archive.add_file(f"lib/{name}", libraries[name].read_bytes(), executable=True)
    archive.add_link("lib64", "lib")


_SCRIPTS = {
    "etc/inittab": (
        "::sysinit:/etc/start\nttyS0::respawn:/etc/serial\ntty1::respawn:-/bin/sh\n::shutdown:/etc/bye\n::restart:/init\n"
    ),
    "etc/start": f"""#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod /modules/$module.ko; done
mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do
  [ -s $port/name ] && ln -sf ../${{port##*/}} /dev/virtio-ports/$(cat $port/name)
done
acpid
hostname stillframe-linux
[ -e /sys/class/net/eth0 ] && ifconfig eth0 {ADDRESS} netmask 255.255.255.0
for try in 1 2 3 4 5 6 7 8; do
  disk=$(findfs LABEL={LABEL} 2>/dev/null) && break
  sleep 0.25
done
[ -n "$disk" ] && mount -t ext4 $disk /data
[ -e /dev/virtio-ports/org.qemu.guest_agent.0 ] && [ -x /bin/qemu-ga ] && qemu-ga -d -t /run -f /run/qemu-ga.pid
echo "stillframe-linux ready kernel=$(uname -r) data=$disk" >/dev/ttyS0
""",
    # Without echo busybox edits no lines and sends no terminal codes into the middle of what a test reads; a prompt
    # would stand before it.
    "etc/serial": """#!/bin/sh
stty -echo
if [ -x /autorun ] && [ ! -e /run/autorun ]; then
  touch /run/autorun
  /autorun
fi
exec env PS1= PS2= /bin/sh -l
""",
    "etc/bye": """#!/bin/sh
sync
umount /data 2>/dev/null || mount -o remount,ro /data 2>/dev/null
echo "stillframe-linux bye" >/dev/ttyS0
""",
    "etc/os-release": 'ID=stillframe\nPRETTY_NAME="Stillframe test Linux 1"\nVERSION_ID="1.0"\n',
    "etc/acpi/PWRF/00000080": "#!/bin/sh\npoweroff\n",
}
