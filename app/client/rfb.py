"""A client of the remote framebuffer protocol, which guests' consoles speak: RFB 3.3 to 3.8 (RFC 6143), no security.

The picture is kept as rows of 32-bit pixels, bytes blue, green, red, unused. The server is not trusted: every size it
names is checked before memory is given to it, and whatever it may not say ends in RfbError::

    client = await RfbClient.open(reader, writer)
    try:
        async for update in client.updates():
            show(client.framebuffer, client.width, client.height, update.rects)
    finally:
        await client.close()

Encodings asked for: Raw and CopyRect, and Zlib where bytes are dearer than processor time. Hextile, ZRLE and Tight
would run a loop of Python for each tile; these three are moved by C code.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

#: a screen of 8K is the most that is believed
MOST_SIDE: Final = 8192
MOST_PIXELS: Final = 7680 * 4320
PIXEL: Final = 4
OPEN_SECONDS: Final = 15.0
#: at most so many updates a second are asked for
FRAMES: Final = 30

_RAW, _COPY_RECT, _ZLIB = 0, 1, 6
_DESKTOP_SIZE = -223
_QEMU_EXTENDED_KEY = -258
_FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
_MOST_TEXT = 4096
_MOST_CUT_TEXT = 16 * 1024 * 1024
_BAND = 64 * 1024
#: so many bytes are moved before other tasks get a turn
_TURN = 8 * 1024 * 1024
#: a server that does not read what people do is not sent more
_MOST_UNSENT = 16 * 1024


class RfbError(Exception):
    """The server broke the protocol, or speaks one that is not spoken here; the text says what, in a sentence."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A part of the screen, in its pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Update:
    """What one message of the server changed. `resized`: the screen has another size and a new framebuffer."""

    rects: tuple[Rect, ...] = ()
    resized: bool = False
    bell: bool = False


class RfbClient:
    """One connection. Made by `open`; `updates` is iterated by one task, the rest may be called at any time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._inflate = zlib.decompressobj()
        self._last_request = 0.0
        self._work = 0
        self.width = 0
        self.height = 0
        self.name = ""
        #: rows of pixels from the top, `width * 4` bytes each; another object after each resize, never resized itself
        self.framebuffer = bytearray()
        #: the server takes scancodes beside keysyms, so the guest's own keyboard layout holds
        self.extended_keys = False

    @classmethod
    async def open(
        cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, compressed: bool = False
    ) -> RfbClient:
        """Shake hands. The streams are closed if that fails.

        :param compressed: ask for Zlib, for a server that is far away.
        :raise RfbError: the server wants a password, speaks another protocol, or does not answer in 15 seconds.
        :raise ConnectionError: the connection broke.
        """
        client = cls(reader, writer)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await client._shake_hands()
                client._ask_for_encodings(compressed)
        except TimeoutError:
            await client.close()
            raise RfbError("The console does not answer.") from None
        except asyncio.IncompleteReadError:
            await client.close()
            raise ConnectionResetError("The console ended the connection.") from None
        except BaseException:
            await client.close()
            raise
        return client

    async def updates(self) -> AsyncIterator[Update]:
        """Each change of the screen, at most 30 a second; waits without any work while nothing changes.

        Ends when the server ends the connection between two messages.

        :raise RfbError: the server broke the protocol.
        :raise ConnectionError: the connection broke.
        """
        self._request(incremental=False)
        try:
            while first := await self._reader.read(1):
                kind = first[0]
                if kind == 0:
                    update = await self._framebuffer_update()
                    yield update
                    await self._pace()
                    self._request(incremental=not update.resized)
                elif kind == 2:
                    yield Update(bell=True)
                else:
                    await self._skip(kind)
        except asyncio.IncompleteReadError:
            raise ConnectionResetError("The console ended the connection.") from None

    def key(self, keysym: int, scancode: int, down: bool) -> None:
        """Press or release a key.

        :param keysym: the X11 keysym of what the key means here.
        :param scancode: the XT scancode of where the key is, 0 if unknown; see `app.client.keys`.
        """
        if self.extended_keys and scancode:
            self._send(struct.pack(">BBHII", 255, 0, down, keysym, scancode))
        else:
            self._send(struct.pack(">BB2xI", 4, down, keysym))

    def pointer(self, x: int, y: int, buttons: int) -> None:
        """Move the pointer to a pixel of the screen. Buttons are bits: left, middle, right, wheel up, wheel down."""
        if self._writer.transport.get_write_buffer_size() > _MOST_UNSENT:
            return
        x, y = min(max(x, 0), max(self.width - 1, 0)), min(max(y, 0), max(self.height - 1, 0))
        self._send(struct.pack(">BBHH", 5, buttons & 0xFF, x, y))

    async def close(self) -> None:
        """End the connection; never fails."""
        self._writer.close()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._writer.wait_closed()

    # ---- handshake --------------------------------------------------------------------------------------------

    async def _shake_hands(self) -> None:
        version = _version(await self._reader.readexactly(12))
        self._send(b"RFB 003.%03d\n" % version)
        if version == 3:
            (kind,) = await self._read(">I")
            if kind == 0:
                await self._refused()
            if kind != 1:
                _password_wanted()
        else:
            await self._choose_security(version)
        self._send(b"\x01")  # shared: others may watch too
        width, height, text = await self._read(">HH16xI")
        self._resize(width, height)
        self.name = (await self._text(text)).decode("utf-8", "replace")

    async def _choose_security(self, version: int) -> None:
        (count,) = await self._read(">B")
        if count == 0:
            await self._refused()
        if 1 not in await self._reader.readexactly(count):
            _password_wanted()
        self._send(b"\x01")
        if version >= 8 and (await self._read(">I"))[0] != 0:
            await self._refused()

    async def _refused(self) -> NoReturn:
        (length,) = await self._read(">I")
        reason = (await self._text(length)).decode("utf-8", "replace")
        raise RfbError(f"The console refused the connection: {reason}")

    async def _text(self, length: int) -> bytes:
        if length > _MOST_TEXT:
            raise RfbError("The console sent a name or reason that is too long.")
        return await self._reader.readexactly(length)

    def _ask_for_encodings(self, compressed: bool) -> None:
        wanted = [_COPY_RECT, _RAW, _DESKTOP_SIZE, _QEMU_EXTENDED_KEY]
        if compressed:
            wanted.insert(0, _ZLIB)
        self._send(b"\x00\0\0\0" + _FORMAT)
        self._send(struct.pack(f">BxH{len(wanted)}i", 2, len(wanted), *wanted))

    # ---- what the server says ---------------------------------------------------------------------------------

    async def _framebuffer_update(self) -> Update:
        (count,) = await self._read(">xH")
        rects: list[Rect] = []
        resized = False
        for _ in range(count):
            x, y, width, height, encoding = await self._read(">HHHHi")
            if encoding == _DESKTOP_SIZE:
                self._resize(width, height)
                rects, resized = [], True
            elif encoding == _QEMU_EXTENDED_KEY:
                self.extended_keys = True
            else:
                rect = self._within(Rect(x, y, width, height))
                await self._rectangle(rect, encoding)
                if width and height:
                    rects.append(rect)
        return Update(tuple(rects), resized)

    async def _rectangle(self, rect: Rect, encoding: int) -> None:
        if encoding == _RAW:
            await self._raw(rect)
        elif encoding == _COPY_RECT:
            x, y = await self._read(">HH")
            self._copy(rect, self._within(Rect(x, y, rect.width, rect.height)))
            await self._take_turns(rect.width * rect.height * PIXEL)
        elif encoding == _ZLIB:
            await self._zlib(rect)
        else:
            raise RfbError(f"The console uses the encoding {encoding}, which was not asked for.")

    async def _raw(self, rect: Rect) -> None:
        for band in _bands(rect):
            self._put(band, await self._reader.readexactly(band.width * band.height * PIXEL))

    async def _zlib(self, rect: Rect) -> None:
        (length,) = await self._read(">I")
        size = rect.width * rect.height * PIXEL
        if length > size + size // 8 + 1024:
            raise RfbError("The console sent more compressed data than its picture can need.")
        packed = await self._reader.readexactly(length)
        try:
            for band in _bands(rect):
                wanted = band.width * band.height * PIXEL
                pixels = self._inflate.decompress(packed, wanted)
                packed = self._inflate.unconsumed_tail
                if len(pixels) != wanted:
                    raise RfbError("The console sent compressed data that is too short.")
                self._put(band, pixels)
                await self._take_turns(wanted)
            if self._inflate.decompress(packed, 1):
                raise RfbError("The console sent compressed data that is too long.")
        except zlib.error as error:
            raise RfbError(f"The console sent compressed data that is damaged: {error}.") from None

    def _put(self, rect: Rect, pixels: bytes) -> None:
        stride, row = self.width * PIXEL, rect.width * PIXEL
        start = rect.y * stride + rect.x * PIXEL
        if row == stride:
            self.framebuffer[start : start + len(pixels)] = pixels
            return
        source = memoryview(pixels)
        for index in range(rect.height):
            self.framebuffer[start : start + row] = source[index * row : (index + 1) * row]
            start += stride

    def _copy(self, to: Rect, source: Rect) -> None:
        """Row by row, from the end that is not overwritten first; a slice is copied before it is put."""
        stride, row = self.width * PIXEL, to.width * PIXEL
        order = range(to.height) if to.y <= source.y else range(to.height - 1, -1, -1)
        for index in order:
            start = (source.y + index) * stride + source.x * PIXEL
            end = (to.y + index) * stride + to.x * PIXEL
            self.framebuffer[end : end + row] = self.framebuffer[start : start + row]

    async def _skip(self, kind: int) -> None:
        if kind == 1:  # colours of a palette; there is none in true colour
            _, count = await self._read(">xHH")
            await self._discard(count * 6)
        elif kind == 3:  # the guest's clipboard
            (length,) = await self._read(">3xI")
            if length > _MOST_CUT_TEXT:
                raise RfbError("The console sent a text that is too long.")
            await self._discard(length)
        else:
            raise RfbError(f"The console sent a message of the unknown kind {kind}.")

    async def _discard(self, length: int) -> None:
        while length:
            part = min(length, _BAND)
            await self._reader.readexactly(part)
            length -= part

    # ---- parts ------------------------------------------------------------------------------------------------

    def _resize(self, width: int, height: int) -> None:
        if width > MOST_SIDE or height > MOST_SIDE or width * height > MOST_PIXELS:
            raise RfbError(f"The console's screen of {width} x {height} is larger than any that is supported.")
        self.width, self.height = width, height
        self.framebuffer = bytearray(width * height * PIXEL)

    def _within(self, rect: Rect) -> Rect:
        if rect.x + rect.width > self.width or rect.y + rect.height > self.height:
            raise RfbError("The console draws outside its own screen.")
        return rect

    def _request(self, *, incremental: bool) -> None:
        self._last_request = asyncio.get_running_loop().time()
        self._send(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    async def _pace(self) -> None:
        wait = self._last_request + 1 / FRAMES - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)

    async def _take_turns(self, moved: int) -> None:
        """A server that has much to say must not hold the window up."""
        self._work += moved + 1024
        if self._work > _TURN:
            self._work = 0
            await asyncio.sleep(0)

    async def _read(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, await self._reader.readexactly(struct.calcsize(layout)))

    def _send(self, message: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(message)


def _bands(rect: Rect) -> Iterator[Rect]:
    """The rectangle in bands of some rows: a whole screen at once would be copied twice, and hold the loop up."""
    rows = max(1, _BAND // max(1, rect.width * PIXEL))
    for top in range(0, rect.height, rows):
        yield Rect(rect.x, rect.y + top, rect.width, min(rows, rect.height - top))


def _version(greeting: bytes) -> int:
    """The minor version to speak: the server's, or the next lower one that exists."""
    if not (greeting.startswith(b"RFB 003.") and greeting[8:11].isdigit() and greeting.endswith(b"\n")):
        raise RfbError("The console does not speak RFB 3.")
    offered = int(greeting[8:11])
    if offered < 3:
        raise RfbError(f"The console speaks RFB 3.{offered}, which is too old.")
    return 8 if offered >= 8 else 7 if offered == 7 else 3


def _password_wanted() -> NoReturn:
    raise RfbError("The console asks for a password or encryption, which is not supported.")
