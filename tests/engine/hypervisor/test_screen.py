"""Pictures of real screens, and the console's socket."""

from __future__ import annotations

import asyncio
import struct
import zlib

from app.hypervisor.qemu import QemuDriver
from tests.engine.hypervisor.guests import GuestFolder, ticks


def rows_of(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and pixels of a PNG with one IDAT chunk and no filters."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    (length,) = struct.unpack(">I", png[33:37])
    raw = zlib.decompress(png[41 : 41 + length])
    stride = width * 3 + 1
    return width, height, b"".join(raw[row * stride + 1 : (row + 1) * stride] for row in range(height))


async def test_screenshot_shows_the_guest(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    await ticks(driver, spec.uuid)
    width, height, pixels = rows_of(await driver.screenshot(spec.uuid))
    assert (width, height) == (720, 400)
    assert len(set(pixels)) > 4
    assert not (driver.console_socket(spec.uuid).parent / "screen.ppm").exists()


async def test_screenshots_at_the_same_time(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    await ticks(driver, spec.uuid)
    await driver.pause(spec.uuid)
    pictures = await asyncio.gather(*(driver.screenshot(spec.uuid) for _ in range(4)))
    assert len(set(pictures)) == 1


async def test_console_speaks_rfb_to_several_clients(driver: QemuDriver, folder: GuestFolder) -> None:
    spec = folder.spec()
    await driver.start(spec)
    for _ in range(2):
        reader, writer = await asyncio.open_unix_connection(driver.console_socket(spec.uuid))
        assert await reader.readexactly(12) == b"RFB 003.008\n"
        writer.close()
        await writer.wait_closed()
