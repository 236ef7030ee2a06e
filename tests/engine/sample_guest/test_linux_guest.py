"""The Linux guest of the tests really starts from its disk, keeps files, obeys the power button and runs the agent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.engine.sample_guest.machine import LINE_LIMIT, Machine
from tests.support import linux_guest

# The first test that wants a Linux guest may have to download it.
pytestmark = pytest.mark.timeout(600)

COUNT = 'echo one >>/data/starts; sync; echo "start $(wc -l </data/starts) $(cat /data/deep/hello)"'


@pytest.fixture
def memory() -> int:
    if reason := linux_guest.available():
        pytest.skip(f"no Linux guest: {reason}")
    return linux_guest.MEMORY_MIB


@pytest.mark.parametrize("interface", ["virtio", "ide"])
async def test_starts_from_its_disk_and_keeps_files(folder: Path, memory: int, interface: str) -> None:
    disk = folder / "linux.raw"
    linux_guest.make_disk(disk, autorun=COUNT, files={"deep/hello": "hello there"})
    for start in ("1", "2"):
        async with Machine(folder, [disk], interface, memory=memory) as machine:
            ready = await machine.line(r"stillframe-linux ready kernel=(\S+) data=(\S+)$")
            assert ready[2] == {"virtio": "/dev/vda1", "ide": "/dev/sda1"}[interface]
            assert (await machine.line(r"^start (\d+) hello there$"))[1] == start
            await machine.execute("system_powerdown")
            await machine.line("stillframe-linux bye$")
            assert await machine.exited() == 0


async def test_has_a_shell_and_mounts_another_disk(folder: Path, memory: int) -> None:
    """From -kernel and -initrd, with a data disk of its own."""
    guest = linux_guest.linux_guest()
    disk = folder / "data.raw"
    linux_guest.make_ext4(disk, 16 * linux_guest.MIB, {"name": "a disk"})
    start = ["-kernel", str(guest.kernel), "-initrd", str(guest.initrd), "-append", linux_guest.COMMAND_LINE]
    async with Machine(folder, [disk], memory=memory, extra=start) as machine:
        await machine.line("stillframe-linux ready .* data=/dev/vda$")
        await machine.send("cat /data/name; echo $((6*7))\n")
        await machine.line("^a disk42$")


async def test_the_agent_freezes_and_thaws(folder: Path, memory: int) -> None:
    if reason := linux_guest.available(agent=True):
        pytest.skip(f"no guest agent: {reason}")
    disk = folder / "linux.raw"
    linux_guest.make_disk(disk, agent=True)
    channel = folder / "agent"
    port = ["-device", "virtio-serial", "-chardev", f"socket,id=agent,path={channel},server=on,wait=off"]
    port += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
    async with Machine(folder, [disk], memory=memory, extra=port) as machine:
        await machine.line("stillframe-linux ready ")
        reader, writer = await asyncio.open_unix_connection(str(channel))

        async def ask(command: str) -> object:
            writer.write(json.dumps({"execute": command}).encode() + b"\n")
            answer = json.loads(await asyncio.wait_for(reader.readline(), LINE_LIMIT))
            return answer["return"]

        assert await ask("guest-ping") == {}
        assert await ask("guest-fsfreeze-freeze") == 1
        assert await ask("guest-fsfreeze-status") == "frozen"
        assert await ask("guest-fsfreeze-thaw") == 1
        assert await ask("guest-fsfreeze-status") == "thawed"
        writer.close()
