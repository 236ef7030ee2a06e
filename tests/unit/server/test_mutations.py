"""Recorded calls, damaged at random: each is answered, by no error of ours."""

from __future__ import annotations

import contextlib
import os
import random
import re
from typing import Any, Final

import pytest

from app.api.failure import Failure
from app.server import console, json_rpc, xml_rpc
from app.server.desk import Desk, NoRequest
from app.server.visitors import Stranger, _basic
from tests.support.engine import Bench
from tests.support.recordings import body_of, exchanges

ROUNDS: Final = int(os.environ.get("STILLFRAME_MUTATIONS", "400"))
"""More of them by hand: STILLFRAME_MUTATIONS=100000."""
_PIECES: Final = (
    b"", b"\0", b"\r", b"<", b">", b"&", b"&amp;", b"'", b'"', b"]", b"}", b"[", b"{", b",", b":", b"-1", b"1e999",
    b"true", b"null", b"9" * 25, b"OpaqueRef:NULL", b"\xff\xfe", b"\xf0\x9f\x92\xa9", b"\\ud800", b"<nil/>", b"NaN",
    b"</value>", b"<value>", b"<int>", b"<struct>", b"<array><data>", b"Async.", b".", b"_", b"<![CDATA[", b"<?x?>",
)  # fmt: skip
_HARMFUL: Final = re.compile(rb"event\.(from|next)|login|logout|snapshot_now")
"""What waits, costs patience or ends the session."""


def mutated(chance: random.Random, body: bytes) -> bytes:
    """The body with a few pieces cut out, put in, doubled or moved."""
    content = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        start, length = chance.randrange(len(content) + 1), chance.choice((0, 1, 1, 4, 20))
        piece = chance.choice((*_PIECES, bytes(content[start : start + length]) * 2))
        where = chance.choice((start, chance.randrange(len(content) + 1)))
        del content[start : start + length]
        content[where:where] = piece
    return bytes(content)


def replaced(chance: random.Random, body: bytes, refs: list[bytes]) -> bytes:
    """The body with other values, well-formed as it was."""
    values = re.finditer(rb"<(?:string|i4|double)>([^<]*)<|\"([^\"]*)\"(?=[],}])", body)
    spans = [match.span(match.lastindex or 0) for match in values][1:]
    for start, end in sorted(chance.sample(spans, min(len(spans), 2)), reverse=True):
        other = chance.choice(
            (*refs, b"", b"0", b"-1", b"9" * 25, b"x" * 3000, b"true", b"20260101T00:00:00Z", b"\xc3\xa9")
        )
        body = body[:start] + other + body[end:]
    return body


async def test_damaged_calls(bench: Bench) -> None:
    chance = random.Random(6)
    vm = await bench.sample_vm(disks=2, nic=True)
    desk = Desk(bench.engine, None)
    session = bench.session.ref.encode()
    requests = [(name, body_of(request)) for name, (request, _) in exchanges().items() if b"OpaqueRef" in request]
    calls = [(name, body) for name, body in requests if not _HARMFUL.search(body)]
    refs = [ref.encode() for name in ("VM", "VDI", "SR", "VBD", "host", "task") for ref in bench.store.of_class(name)]
    for number in range(ROUNDS):
        name, body = chance.choice(calls)
        ours = re.sub(rb"OpaqueRef:ba90f6fa[0-9a-f-]+", vm.encode(), body)
        ours = re.sub(rb"OpaqueRef:(?:fec9c9da|364f00d1|ea390a9e)[0-9a-f-]+", session, ours)
        damaged = mutated(chance, ours) if number % 2 else replaced(chance, ours, refs)
        answer: Any = json_rpc.answer if "json" in name else xml_rpc.answer
        if _HARMFUL.search(damaged):
            continue
        with contextlib.suppress(NoRequest):
            reply = await answer(desk, damaged, "")
            assert b"INTERNAL_ERROR" not in reply, (number, name, damaged, reply[:500])


@pytest.mark.parametrize("seed", range(3))
def test_damaged_heads(seed: int) -> None:
    chance = random.Random(seed)
    head = b"CONNECT /console?ref=OpaqueRef:x&session_id=y HTTP/1.0\r\nCookie: session_id=a; b=c\r\n"
    head += b"Authorization: Basic YTpi"
    for _ in range(ROUNDS // 4):
        path, query, headers = console._parsed(mutated(chance, head))
        assert isinstance(path, str) and all(isinstance(text, str) for text in (*query.values(), *headers.values()))
        assert isinstance(console._cookie(headers.get("cookie", "")), str)
        with contextlib.suppress(Stranger, Failure):
            _basic(headers.get("authorization", ""))
