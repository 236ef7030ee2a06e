"""Tar headers: written as XenServer writes them, and read strictly.

The format is that of POSIX.1-1988 "ustar", of which XenServer fills the fields that already its predecessor had: name,
mode, owner, size, time and checksum. Only regular files are read; links, devices and the extensions for long names are
refused, and what a name may be is the caller's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.xva.refusals import not_understood

BLOCK: Final = 512
"""Bytes. Headers are one, contents are padded to a multiple."""
END: Final = bytes(2 * BLOCK)
_MODE: Final = 0o400
_LONGEST_NAME: Final = 100
_OCTAL_LIMIT: Final = 8**11
_CHECKSUM: Final = slice(148, 156)
_REGULAR: Final = (b"\0", b"0")
_BINARY: Final = 0x80
_ZERO_BLOCK: Final = bytes(BLOCK)


@dataclass(frozen=True, slots=True)
class Header:
    """A regular file in an archive: its name, and its size in bytes."""

    name: str
    size: int


def pack(name: str, size: int, mtime: int = 0) -> bytes:
    """The header of a regular file. :raise ValueError: the name is too long, or the size too large, for one."""
    encoded = name.encode()
    if len(encoded) > _LONGEST_NAME or not 0 <= size < _OCTAL_LIMIT:
        raise ValueError(f"{name} of {size} bytes does not fit a header")
    header = bytearray(BLOCK)
    header[: len(encoded)] = encoded
    header[100:108] = b"%07o\0" % _MODE
    header[108:124] = b"0000000\0" * 2
    header[124:136] = b"%011o\0" % size
    header[136:148] = b"%011o\0" % mtime
    header[_CHECKSUM] = b" " * 8
    header[_CHECKSUM] = b"%07o\0" % sum(header)
    return bytes(header)


def padding(size: int) -> int:
    """How many zeros follow a content of `size` bytes."""
    return -size % BLOCK


def is_end(block: bytes) -> bool:
    """Whether a block is of those that end an archive."""
    return block == _ZERO_BLOCK


def unpack(block: bytes) -> Header:
    """Read a header of `BLOCK` bytes. :raise Failure: IMPORT_ERROR_GENERIC: it is none, or not of a regular file."""
    name = block[:_LONGEST_NAME].split(b"\0")[0]
    if not _checksum_fits(block):
        raise not_understood("A header in the archive is damaged.")
    shown = ascii(name.decode("latin-1"))[1:-1]
    if block[156:157] not in _REGULAR or block[157:257].strip(b"\0") or block[345:500].strip(b"\0"):
        raise not_understood(f"{shown} in the archive is not a plain file.")
    if not name.isascii():
        raise not_understood(f"{shown} is no name for a file in an .xva.")
    return Header(name.decode(), _size(block[124:136]))


def _checksum_fits(block: bytes) -> bool:
    try:
        stored = _octal(block[_CHECKSUM], "checksum")
    except Exception:
        return False
    return stored == sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" ")


def _size(field: bytes) -> int:
    """In octal digits, or as GNU tar writes what is too large for these: in binary, behind a bit that says so."""
    if field[0] == _BINARY:
        return int.from_bytes(field[1:])
    return _octal(field, "size")


def _octal(field: bytes, what: str) -> int:
    digits = field.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise not_understood(f"A header in the archive is damaged: its {what} is no number.")
    return int(digits, 8)
