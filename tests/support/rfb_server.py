"""The server's end of an RFB connection, which says exactly what a test tells it, right or wrong."""

from __future__ import annotations

import asyncio
import socket
import struct

DESKTOP_SIZE, EXTENDED_KEY = -223, -258


class RfbServer:
    """The other end of a socket pair: bytes out, bytes in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    async def hear(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), 10)

    async def greet(self, width: int, height: int, name: bytes = b"web1") -> None:
        """The whole handshake of 3.8, then what the client asks for; leaves nothing unread."""
        self.say(b"RFB 003.008\n")
        assert await self.hear(12) == b"RFB 003.008\n"
        self.say(b"\x01\x01")
        assert await self.hear(1) == b"\x01"
        self.say(b"\0\0\0\0")
        assert await self.hear(1) == b"\x01", "shared"
        self.say(struct.pack(">HH16xI", width, height, len(name)), name)
        await self.hear(20)
        _, count = struct.unpack(">BxH", await self.hear(4))
        self.encodings = struct.unpack(f">{count}i", await self.hear(4 * count))

    async def request(self) -> tuple[int, ...]:
        """The client's next update request: incremental, x, y, width, height."""
        kind, *rest = struct.unpack(">BBHHHH", await self.hear(10))
        assert kind == 3
        return tuple(rest)

    def update(self, *rects: bytes) -> None:
        self.say(struct.pack(">BxH", 0, len(rects)), *rects)


def rect(x: int, y: int, width: int, height: int, encoding: int, body: bytes = b"") -> bytes:
    return struct.pack(">HHHHi", x, y, width, height, encoding) + body


async def connected_pair() -> tuple[RfbServer, asyncio.StreamReader, asyncio.StreamWriter]:
    """A server, and the streams of the client it is connected with."""
    ours, theirs = socket.socketpair()
    server = RfbServer(*await asyncio.open_connection(sock=theirs))
    reader, writer = await asyncio.open_connection(sock=ours)
    return server, reader, writer
