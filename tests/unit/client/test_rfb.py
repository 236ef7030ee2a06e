"""The RFB client against a server in the test that says exactly what it is told, right or wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import zlib
from collections.abc import AsyncIterator

import pytest

from app.client.rfb import MOST_SIDE, Rect, RfbClient, RfbError, Update
from tests.support.rfb_server import DESKTOP_SIZE, EXTENDED_KEY, RfbServer, connected_pair, rect

RED, BLUE = b"\0\0\xff\0", b"\xff\0\0\0"


Ends = tuple[RfbServer, asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    server, reader, writer = await connected_pair()
    yield server, reader, writer
    for end in (server.writer, writer):
        end.close()
        # A test may have left more unread than the other end takes; newer Pythons tell of it here.
        with contextlib.suppress(ConnectionError):
            await end.wait_closed()


async def connected(
    ends: Ends, width: int = 4, height: int = 3, *, compressed: bool = False
) -> tuple[RfbServer, RfbClient]:
    server, reader, writer = ends
    client, _ = await asyncio.gather(RfbClient.open(reader, writer, compressed=compressed), server.greet(width, height))
    return server, client


async def first_update(client: RfbClient) -> Update:
    updates = client.updates()
    try:
        return await asyncio.wait_for(anext(updates), 10)
    finally:
        await updates.aclose()  # type: ignore[attr-defined]


def pixels(client: RfbClient, where: Rect) -> bytes:
    stride = client.width * 4
    rows = (where.y + row for row in range(where.height))
    return b"".join(bytes(client.framebuffer[r * stride + where.x * 4 :][: where.width * 4]) for r in rows)


async def test_the_handshake_asks_for_plain_pixels_and_scancodes(ends: Ends) -> None:
    server, client = await connected(ends, 720, 400)
    assert (client.width, client.height, client.name) == (720, 400, "web1")
    assert len(client.framebuffer) == 720 * 400 * 4
    assert server.encodings == (1, 0, DESKTOP_SIZE, EXTENDED_KEY)


@pytest.mark.parametrize(
    ("offered", "spoken"), [(b"003", b"003"), (b"007", b"007"), (b"889", b"008"), (b"005", b"003")]
)
async def test_older_servers_are_spoken_to_in_their_words(ends: Ends, offered: bytes, spoken: bytes) -> None:
    server, reader, writer = ends
    opening = asyncio.ensure_future(RfbClient.open(reader, writer))
    server.say(b"RFB 003." + offered + b"\n")
    assert await server.hear(12) == b"RFB 003." + spoken + b"\n"
    if spoken == b"003":
        server.say(struct.pack(">I", 1))
    else:
        server.say(b"\x02\x02\x01")
        assert await server.hear(1) == b"\x01"
        if spoken == b"008":
            server.say(b"\0\0\0\0")
    assert await server.hear(1) == b"\x01"
    server.say(struct.pack(">HH16xI", 8, 8, 0))
    assert (await opening).width == 8


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 400", "does not speak RFB"),
        (b"RFB 003.002\n", "too old"),
        (b"RFB 003.008\n\x01\x02", "password"),
        (b"RFB 003.003\n\0\0\0\x02", "password"),
        (b"RFB 003.008\n\0\0\0\0\x04busy", "busy"),
        (b"RFB 003.008\n\x01\x01\0\0\0\x01\0\0\0\x03no!", "no!"),
        (b"RFB 003.008\n\0\xff\xff\xff\xff", "too long"),
        (b"RFB 003.003\n\0\0\0\x01" + struct.pack(">HH16xI", MOST_SIDE + 1, 1, 0), "larger than any"),
        (b"RFB 003.003\n\0\0\0\x01" + struct.pack(">HH16xI", 8192, 8192, 0), "larger than any"),
        (b"RFB 003.003\n\0\0\0\x01" + struct.pack(">HH16xI", 8, 8, 1 << 31), "too long"),
    ],
)
async def test_a_bad_handshake_says_why_and_closes(ends: Ends, said: bytes, reason: str) -> None:
    server, reader, writer = ends
    server.say(said)
    with pytest.raises(RfbError, match=reason):
        await RfbClient.open(reader, writer)
    assert writer.is_closing()


async def test_a_connection_that_ends_in_the_handshake_is_no_protocol_error(ends: Ends) -> None:
    server, reader, writer = ends
    server.say(b"RFB 003")
    server.writer.write_eof()
    with pytest.raises(ConnectionError, match="ended the connection"):
        await RfbClient.open(reader, writer)


async def test_raw_pixels_go_where_they_belong(ends: Ends) -> None:
    server, client = await connected(ends)
    server.update(rect(0, 0, 4, 3, 0, BLUE * 12), rect(1, 1, 2, 2, 0, RED * 4))
    update = await first_update(client)
    assert update == Update((Rect(0, 0, 4, 3), Rect(1, 1, 2, 2)))
    assert bytes(client.framebuffer) == BLUE * 4 + (BLUE + RED * 2 + BLUE) * 2


async def test_a_screen_larger_than_a_band_is_whole(ends: Ends) -> None:
    server, client = await connected(ends, 500, 90)
    picture = b"".join(struct.pack("<I", n) for n in range(500 * 90))
    server.update(rect(0, 0, 500, 90, 0, picture))
    await first_update(client)
    assert bytes(client.framebuffer) == picture


@pytest.mark.parametrize("to", [(0, 1), (1, 0), (1, 1), (0, 0), (2, 2)])
async def test_a_copy_may_overlap_itself(ends: Ends, to: tuple[int, int]) -> None:
    server, client = await connected(ends, 6, 5)
    picture = b"".join(struct.pack("<I", n) for n in range(30))
    server.update(rect(0, 0, 6, 5, 0, picture), rect(*to, 4, 3, 1, struct.pack(">HH", 1, 1)))
    await first_update(client)
    rows = [picture[(1 + row) * 24 + 4 : (1 + row) * 24 + 20] for row in range(3)]
    assert pixels(client, Rect(*to, 4, 3)) == b"".join(rows)


async def test_compressed_pixels_are_one_stream(ends: Ends) -> None:
    server, client = await connected(ends, 300, 200, compressed=True)
    assert server.encodings[0] == 6
    stream = zlib.compressobj()
    updates = client.updates()
    for fill in (RED, BLUE):
        packed = stream.compress(fill * 60000) + stream.flush(zlib.Z_SYNC_FLUSH)
        server.update(rect(0, 0, 300, 200, 6, struct.pack(">I", len(packed)) + packed))
        await anext(updates)
        assert bytes(client.framebuffer) == fill * 60000


async def test_a_screen_that_changes_its_size_is_asked_for_anew(ends: Ends) -> None:
    server, client = await connected(ends)
    updates = client.updates()
    old = client.framebuffer
    waiting = asyncio.ensure_future(anext(updates))
    assert await server.request() == (0, 0, 0, 4, 3)
    server.update(rect(0, 0, 1, 1, 0, RED), rect(0, 0, 8, 2, DESKTOP_SIZE))
    assert await waiting == Update((), resized=True)
    assert (client.width, client.height, len(client.framebuffer)) == (8, 2, 64)
    assert client.framebuffer is not old
    waiting = asyncio.ensure_future(anext(updates))
    assert await server.request() == (0, 0, 0, 8, 2)
    server.update(rect(0, 0, 8, 2, 0, BLUE * 16))
    await waiting
    waiting = asyncio.ensure_future(anext(updates))
    assert await server.request() == (1, 0, 0, 8, 2), "what follows is incremental"
    waiting.cancel()


async def test_news_that_do_not_matter_are_passed_over(ends: Ends) -> None:
    server, client = await connected(ends)
    server.say(b"\x01\0" + struct.pack(">HH", 0, 2) + b"colour" * 2)
    server.say(b"\x03\0\0\0" + struct.pack(">I", 5) + b"hello")
    server.say(b"\x02")
    assert await first_update(client) == Update(bell=True)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (rect(3, 0, 2, 1, 0), "outside its own screen"),
        (rect(0, 0, 1, 1, 1, struct.pack(">HH", 4, 0)), "outside its own screen"),
        (rect(0, 0, 1, 1, 16), "encoding 16"),
        (rect(0, 0, 65535, 65535, DESKTOP_SIZE), "larger than any"),
        (rect(0, 0, 4, 3, 6, struct.pack(">I", 1 << 30)), "more compressed data"),
        (rect(0, 0, 4, 3, 6, struct.pack(">I", 4) + b"junk"), "damaged"),
        (rect(0, 0, 4, 3, 6, struct.pack(">I", len(z := zlib.compress(RED * 11))) + z), "too short"),
        (rect(0, 0, 4, 3, 6, struct.pack(">I", len(z := zlib.compress(RED * 13))) + z), "too long"),
    ],
)
async def test_a_hostile_picture_is_refused(ends: Ends, said: bytes, reason: str) -> None:
    server, client = await connected(ends)
    server.update(said)
    with pytest.raises(RfbError, match=reason):
        await first_update(client)


@pytest.mark.parametrize(("said", "reason"), [(b"\x07", "unknown kind 7"), (b"\x03\0\0\0\xff\xff\xff\xff", "too long")])
async def test_a_hostile_message_is_refused(ends: Ends, said: bytes, reason: str) -> None:
    server, client = await connected(ends)
    server.say(said)
    with pytest.raises(RfbError, match=reason):
        await first_update(client)


async def test_an_end_between_messages_ends_the_updates(ends: Ends) -> None:
    server, client = await connected(ends)
    server.update(rect(0, 0, 4, 3, 0, BLUE * 12))
    server.writer.write_eof()
    assert len([update async for update in client.updates()]) == 1


async def test_a_torn_message_is_a_lost_connection(ends: Ends) -> None:
    server, client = await connected(ends)
    server.say(struct.pack(">BxH", 0, 1), rect(0, 0, 4, 3, 0, BLUE * 5))
    server.writer.write_eof()
    with pytest.raises(ConnectionError, match="ended the connection"):
        await first_update(client)


async def test_keys_go_as_keysyms_until_scancodes_are_taken(ends: Ends) -> None:
    server, client = await connected(ends)
    client.key(0x61, 0x1E, True)
    assert await server.hear(8) == struct.pack(">BBHI", 4, 1, 0, 0x61)
    server.update(rect(0, 0, 0, 0, EXTENDED_KEY))
    await first_update(client)
    await server.request()
    client.key(0x61, 0x1E, False)
    assert await server.hear(12) == struct.pack(">BBHII", 255, 0, 0, 0x61, 0x1E)
    client.key(0xE9, 0, True)
    assert await server.hear(8) == struct.pack(">BBHI", 4, 1, 0, 0xE9), "a key whose place is not known"


async def test_the_pointer_stays_on_the_screen(ends: Ends) -> None:
    server, client = await connected(ends)
    for x, y, sent in ((2, 1, (2, 1)), (-5, 90, (0, 2)), (90, -1, (3, 0))):
        client.pointer(x, y, 1)
        assert await server.hear(6) == struct.pack(">BBHH", 5, 1, *sent)


async def test_a_server_that_does_not_read_is_not_flooded(ends: Ends) -> None:
    _, client = await connected(ends)
    client._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for _ in range(100_000):
        client.pointer(1, 1, 0)
    assert 0 < client._writer.transport.get_write_buffer_size() < 32 * 1024


async def test_closing_twice_and_sending_afterwards_is_harmless(ends: Ends) -> None:
    _, client = await connected(ends)
    await client.close()
    client.key(0x61, 0x1E, True)
    await client.close()
