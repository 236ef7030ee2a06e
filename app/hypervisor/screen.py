"""The guest's screen as a PNG.

QEMU writes a plain PPM, which keeps it busy for a third of the time its own PNG would (and old versions have no PNG);
the compression happens here, in one thread of its own: when a schedule takes a hundred snapshots, their pictures must
not fill the threads that make their overlays.
"""

from __future__ import annotations

import asyncio
import re
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.hypervisor.driver import DriverError
from app.hypervisor.guest import Guest

_HEADER = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s")
_LEVEL = 3


_painter = ThreadPoolExecutor(1, "picture")


async def screenshot(guest: Guest) -> bytes:
    """Take a picture.

    :raise DriverError: as `Guest.execute`; "qmp" if QEMU's picture cannot be read.
    """
    try:
        async with guest.screen_lock:
            return await _dump(guest)
    except (OSError, ValueError) as error:
        raise DriverError(f"QEMU's picture of the screen could not be read: {error}", cause="qmp") from error


async def _dump(guest: Guest) -> bytes:
    path = guest.run.screen
    try:
        await guest.execute("screendump", {"filename": str(path)})
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    painting = asyncio.get_running_loop().run_in_executor(_painter, _painted, path)
    try:
        return await asyncio.shield(painting)
    finally:
        # Also when nobody wants it any more: the next picture uses the same file.
        await asyncio.wait([painting])


def _painted(path: Path) -> bytes:
    try:
        return ppm_to_png(path.read_bytes())
    finally:
        path.unlink(missing_ok=True)


def ppm_to_png(ppm: bytes) -> bytes:
    """Convert a binary PPM of 8 bits per colour.

    :raise ValueError: it is not one.
    """
    header = _HEADER.match(ppm)
    if header is None:
        raise ValueError("not a binary PPM with 255 shades")
    width, height = int(header[1]), int(header[2])
    pixels = memoryview(ppm)[header.end() :]
    if len(pixels) < width * height * 3:
        raise ValueError("the PPM is cut short")
    return rgb_to_png(width, height, pixels)


def rgb_to_png(width: int, height: int, pixels: bytes | memoryview) -> bytes:
    """A PNG of rows of red, green and blue bytes (PNG specification, colour type 2, no filter)."""
    stride = width * 3
    rows = b"".join(b"\0" + bytes(pixels[start : start + stride]) for start in range(0, height * stride, stride))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, _LEVEL)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
