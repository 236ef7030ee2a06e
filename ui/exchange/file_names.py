"""Names of files as people type them: nothing that is typed may do more than be refused."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from app.client.exchange import MANIFEST_SUFFIX, PART_SUFFIX

_FORBIDDEN: Final = '/\\:*?"<>|'
_LONGEST: Final = 255 - max(len(MANIFEST_SUFFIX), len(PART_SUFFIX))
"""Bytes of a name, with room for what stands beside it: every file system of ours takes 255."""


def typed_path(text: str) -> Path:
    """What was typed as a path, `~` for the person's home included."""
    path = Path(text.strip())
    try:
        return path.expanduser()
    except RuntimeError:  # the home of somebody who is unknown
        return path


def is_there(path: Path) -> bool:
    """Whether there is such a file; what no file can be called is not there."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def why_no_name(name: str, suffix: str) -> str:
    """Why a file cannot have this name, on one file system or another; "" where it can."""
    if not name.removesuffix(suffix).strip():
        return "The file needs a name."
    if wrong := next((letter for letter in name if letter in _FORBIDDEN or ord(letter) < 32), ""):
        return f"A file name cannot contain {wrong if wrong.isprintable() else 'control characters'}"
    return "This name is too long." if len(name.encode(errors="replace")) > _LONGEST else ""


def unused(folder: Path, name: str) -> str:
    """`name`, or with a number before its ending if there is such a file."""
    path, number = Path(name), 1
    found = path
    while is_there(folder / found):
        number += 1
        found = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return str(found)
