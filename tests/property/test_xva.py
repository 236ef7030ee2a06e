"""Whatever the bytes are, the reader answers what was written or one of XenServer's errors, and reads no further."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api import Failure
from app.xva import blocks, ova, values
from app.xva.blocks import MemberName, Places
from app.xva.contents import sizes_of
from app.xva.reader import Reader
from tests.unit.xva.making import block, description, file, member

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DISK = "Ref:1"


def outcome(content: bytes) -> dict[str, bytes] | Failure:
    """The disks of an archive, or why not; anything else than a Failure is a bug."""
    try:
        reader = Reader(file(content))
        sizes = sizes_of(ova.parse(reader.ova()))
        if sum(sizes.values()) > 1 << 20:
            return Failure("TOO_LARGE_FOR_A_TEST")
        found = {disk: bytearray(size) for disk, size in sizes.items()}
        for one in reader.blocks(sizes):
            found[one.disk][one.offset : one.offset + len(one.data)] = one.data
    except Failure as failure:
        assert failure.code.startswith("IMPORT_")
        return failure
    return {disk: bytes(data) for disk, data in found.items()}


def small(pieces: list[bytes]) -> bytes:
    """An archive whose blocks are small: the reader takes any size."""
    sizes = {DISK: sum(map(len, pieces))}
    parts = [block(str(MemberName(DISK, number)), piece) for number, piece in enumerate(pieces)]
    return member("ova.xml", description(sizes)) + b"".join(parts) + bytes(1024)


PIECES = st.lists(st.binary(min_size=64, max_size=64), min_size=1, max_size=5)


@QUICK
@given(PIECES)
def test_sound_archives_are_read(pieces: list[bytes]) -> None:
    assert outcome(small(pieces)) == {DISK: b"".join(pieces)}


@QUICK
@given(PIECES, st.data())
def test_damage_is_never_read_as_something_else(pieces: list[bytes], data: st.DataObject) -> None:
    """One byte of a block, its hash or a header changed: an error, or nothing that matters."""
    content = bytearray(small(pieces))
    start = content.index(b"Ref:1/00000000")
    at = data.draw(st.integers(start, len(content) - 1025))
    content[at] ^= data.draw(st.integers(1, 255))
    found = outcome(bytes(content))
    assert isinstance(found, Failure) or found == {DISK: b"".join(pieces)}


@QUICK
@given(PIECES, st.data())
def test_cuts_anywhere(pieces: list[bytes], data: st.DataObject) -> None:
    content = small(pieces)
    found = outcome(content[: data.draw(st.integers(0, len(content) - 1025))])
    assert isinstance(found, Failure)


@QUICK
@given(PIECES, st.data())
def test_moved_members(pieces: list[bytes], data: st.DataObject) -> None:
    """Blocks of 512 bytes left out, repeated or swapped."""
    content = small(pieces)
    parts = [content[at : at + 512] for at in range(0, len(content) - 1024, 512)]
    one, other = (data.draw(st.integers(0, len(parts) - 1)) for _ in range(2))
    match data.draw(st.sampled_from(["drop", "repeat", "swap"])):
        case "drop":
            del parts[one]
        case "repeat":
            parts.insert(other, parts[one])
        case _:
            parts[one], parts[other] = parts[other], parts[one]
    found = outcome(b"".join(parts))
    assert isinstance(found, Failure) or found == {DISK: b"".join(pieces)} or b"".join(parts) == content[:-1024]


@QUICK
@given(st.binary(max_size=3000), st.sampled_from([b"", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"ova.xml\0"]))
def test_any_bytes(content: bytes, magic: bytes) -> None:
    assert isinstance(outcome(magic + content), Failure)


_TEXT = st.text(st.characters(codec="utf-8", include_characters="\r\n\t", exclude_categories=["Cc", "Cs", "Cn", "Co"]))
_DATES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(
    lambda t: t.replace(microsecond=0)
)
_VALUES = st.recursive(
    _TEXT | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | _DATES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@QUICK
@given(_VALUES)
def test_values_come_back(value: object) -> None:
    assert values.read(values.written(value).encode()) == value


@QUICK
@given(st.binary(max_size=400) | _TEXT.map(lambda text: f"<value>{text}</value>".encode()))
def test_any_document(document: bytes) -> None:
    try:
        ova.parse(document)
    except Failure as failure:
        assert failure.code.startswith("IMPORT_")


@QUICK
@given(st.sets(st.integers(0, 30)), st.integers(0, 31 << 20))
def test_every_block_that_is_written_finds_its_place(holding: set[int], size: int) -> None:
    places = Places(DISK, size)
    for number in blocks.wanted((n for n in sorted(holding) if n < blocks.count(size)), size):
        assert places.place(MemberName(DISK, number), blocks.length(number, size)) == number * blocks.SIZE
    assert places.complete
