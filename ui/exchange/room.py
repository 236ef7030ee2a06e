"""Whether a file fits where it is to go: worked out before the first byte is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from PySide6.QtCore import QStorageInfo

from app.client import exchange
from ui.base.sizes_and_dates import size
from ui.exchange.file_names import is_folder

Tone = Literal["good", "info", "attention", "bad"]

#: with less than this left over it is worth a word; XenCenter warns at the same margin
RESERVE: Final = 100 * 1024**2
#: what a file on FAT can have at most, and what such a file system is called on Linux, macOS and Windows
FAT_LIMIT: Final = 4 * 1024**3 - 1
_FAT: Final = frozenset({"vfat", "msdos", "fat", "fat32"})


@dataclass(frozen=True, slots=True)
class Place:
    """A folder as a place for a large file. Bytes; None where nobody knows, or where there is no such limit.

    :ivar problem: why nothing can be written there, "" if something can.
    """

    folder: Path
    free: int | None = None
    total: int | None = None
    largest_file: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a file in a place; `refuses`: it must not even be begun."""

    tone: Tone
    words: str
    refuses: bool = False


def place_of(folder: Path) -> Place:
    """Look at a folder."""
    if not is_folder(folder):
        return Place(folder, problem="There is no such folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Place(folder, problem="You may not write into this folder.")
    storage = QStorageInfo(str(folder))
    fat = bytes(storage.fileSystemType().data()).decode("ascii", "replace").casefold() in _FAT
    try:
        free: int | None = exchange.free_bytes(folder)
    except OSError:
        free = None
    total = storage.bytesTotal() if storage.isValid() and storage.bytesTotal() > 0 else None
    return Place(folder, free, total, FAT_LIMIT if fat else None)


def judge(place: Place, needed: int, *, compressed: bool) -> Verdict:
    """What to say of a file that takes about `needed` bytes as it is, and less if it is compressed."""
    if place.problem:
        return Verdict("bad", place.problem, refuses=True)
    limit = place.largest_file
    if limit is not None and needed > limit:
        return _too_large_for_fat(limit, compressed=compressed)
    if place.free is None:
        return Verdict("info", f"How much is free there is not known. The file takes about {size(needed)}.")
    if needed > place.free:
        return _too_large(place.free, needed, compressed=compressed)
    if place.free - needed < RESERVE:
        return Verdict("attention", f"It fits, and leaves only {size(place.free - needed)} free.")
    return Verdict("good", f"It fits: {size(place.free)} are free.")


def judge_all(place: Place, needed: Sequence[int], *, compressed: bool) -> Verdict:
    """What to say of several files in one place, each of about so many bytes as it is."""
    limit, largest = place.largest_file, max(needed, default=0)
    if limit is not None and largest > limit:
        return judge(place, largest, compressed=compressed)
    return judge(replace(place, largest_file=None), sum(needed), compressed=compressed)


def _too_large(free: int, needed: int, *, compressed: bool) -> Verdict:
    if compressed:
        words = f"It fits only if compression saves at least {size(needed - free)} of {size(needed)}."
        return Verdict("attention", f"{words} If it does not, the export ends and removes what it wrote.")
    words = f"It does not fit: {size(free)} are free, and {size(needed)} are needed."
    return Verdict("bad", f"{words} Choose another folder, or a compression.", refuses=True)


def _too_large_for_fat(limit: int, *, compressed: bool) -> Verdict:
    words = f"A file on this FAT drive can have {size(limit)} at most"
    if compressed:
        return Verdict("attention", f"{words}: it fits only if it is smaller than that once it is compressed.")
    return Verdict("bad", f"{words}. Choose another folder, or a compression.", refuses=True)
