"""The RFB client against QEMU's own server, with the sample guest behind it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client.keys import NAMED, keysym_of_character, scancode_of_keysym
from app.client.rfb import RfbClient
from tests.engine.sample_guest.machine import QEMU, Machine
from tests.support.guest_disk import read_counter

IMAGE = Path(__file__).resolve().parents[3] / "resources" / "sample_guest" / "sample-guest.img"


@pytest.fixture
def folder() -> Iterator[Path]:
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} is not installed")
    with tempfile.TemporaryDirectory(prefix="sc") as name:
        yield Path(name)


def machine(folder: Path) -> Machine:
    disk = folder / "disk.raw"
    disk.write_bytes(IMAGE.read_bytes().ljust(1 << 20, b"\0"))
    return Machine(folder, [disk], extra=["-vnc", f"unix:{folder}/vnc"])


async def connect(folder: Path, *, compressed: bool = False) -> RfbClient:
    return await RfbClient.open(*await asyncio.open_unix_connection(f"{folder}/vnc"), compressed=compressed)


async def typed(client: RfbClient, text: str) -> None:
    for character in text:
        keysym = keysym_of_character(character)
        for down in (True, False):
            client.key(keysym, scancode_of_keysym(keysym), down)


def as_ppm(client: RfbClient) -> bytes:
    """The framebuffer as QEMU's screendump writes one."""
    picture = bytearray(client.width * client.height * 3)
    for channel in range(3):
        picture[channel::3] = client.framebuffer[2 - channel :: 4]
    return f"P6\n{client.width} {client.height}\n255\n".encode() + picture


@pytest.mark.parametrize("compressed", [False, True])
async def test_the_picture_is_that_of_qemus_screenshot(folder: Path, compressed: bool) -> None:
    async with machine(folder) as guest:
        await guest.ticks_until(20)
        await guest.execute("stop")
        await guest.execute("screendump", filename=f"{folder}/screen.ppm")
        client = await connect(folder, compressed=compressed)
        expected = (folder / "screen.ppm").read_bytes()
        async with asyncio.timeout(30):
            async for _ in client.updates():
                if as_ppm(client) == expected:
                    break
        await client.close()
        assert len(set(expected[20:])) > 1, "the screen is not blank"


async def test_keys_reach_the_guest_by_scancode(folder: Path) -> None:
    async with machine(folder) as guest:
        await guest.tick()
        client = await connect(folder)
        async with asyncio.timeout(30):
            async for _ in client.updates():
                if client.extended_keys:
                    break
        assert client.extended_keys
        await typed(client, "ab 1")
        client.key(*NAMED["BackSpace"], True)
        client.key(*NAMED["BackSpace"], False)
        await typed(client, "2")
        client.key(*NAMED["Shift_L"], True)
        await typed(client, "Z")
        client.key(*NAMED["Shift_L"], False)
        async with asyncio.timeout(30):
            while read_counter(folder / "disk.raw", "raw").note != "ab 2Z":
                await guest.tick()
        await client.close()


async def test_a_still_screen_sends_nothing(folder: Path) -> None:
    async with machine(folder) as guest:
        await guest.ticks_until(5)
        await guest.execute("stop")
        client = await connect(folder)
        updates = client.updates()
        async with asyncio.timeout(30):
            while not (await anext(updates)).rects:
                pass
        waiting = asyncio.ensure_future(anext(updates))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.5)
        await guest.execute("cont")
        assert (await asyncio.wait_for(waiting, 30)).rects
        await client.close()


async def test_a_guest_that_ends_ends_the_updates(folder: Path) -> None:
    async with machine(folder) as guest:
        await guest.tick()
        client = await connect(folder)
        seen = 0
        async with asyncio.timeout(30):
            async for _ in client.updates():
                seen += 1
                if seen == 1:
                    await guest.execute("quit")
        assert seen
        await client.close()
