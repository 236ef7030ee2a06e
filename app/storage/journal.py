"""The journal: what multi-step disk changes intend, so that a crash in the middle can be completed or undone.

One JSON file per operation under way, named ``<sequence>-<op>-<id>.json``. Each is replaced as a whole and durable when
the call returns, so an entry never claims a step that was not recorded before.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

from app import crash_points
from app.storage import files
from app.storage.errors import StorageError

log = logging.getLogger(__name__)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

BEGUN = "begin"
BAD_SUFFIX = ".bad"

_NAME = re.compile(r"(\d{10})-([a-z0-9_.]+)-([0-9a-f-]{36})\.json")
_OP = re.compile(r"[a-z0-9_.]{1,100}")


class Entry:
    """One operation under way: its name, the last phase recorded, and the facts recovery needs."""

    def __init__(self, path: Path, op: str, entry_id: str, phase: str, facts: dict[str, Json]) -> None:
        self._path = path
        self._op = op
        self._id = entry_id
        self._phase = phase
        self._facts = facts
        self._ended = False

    def __repr__(self) -> str:
        return f"<Entry {self._op} {self._id} {self._phase}>"

    @property
    def op(self) -> str:
        """The operation, as given to `Journal.begin`."""
        return self._op

    @property
    def id(self) -> str:
        """A uuid of this entry's own."""
        return self._id

    @property
    def phase(self) -> str:
        """The phase recorded last; ``begin`` at first."""
        return self._phase

    @property
    def facts(self) -> Mapping[str, Json]:
        """All facts recorded so far; later ones replace earlier ones of the same name."""
        return self._facts

    @property
    def ended(self) -> bool:
        """Whether `end` was called; what the entry says must not be acted on any more."""
        return self._ended

    def record(self, phase: str, /, **facts: Json) -> None:
        """Record that *phase* is reached, adding *facts*; durable on return, unchanged if it fails.

        :raise StorageError: no_space or io.
        """
        merged = {**self._facts, **facts}
        _write(self._path, self._op, self._id, phase, merged)
        self._phase, self._facts = phase, merged

    def end(self) -> None:
        """Forget the operation: it is complete, or fully undone. A second call does nothing.

        Not synced: an entry that a power cut brings back is only settled once more, and every recovery is repeatable.

        :raise StorageError: io.
        """
        try:
            self._path.unlink(missing_ok=True)
            self._ended = True
            crash_points.reach("storage.journal_ended")
        except OSError as error:
            raise StorageError.from_os_error(error, "remove the journal entry", self._path) from error


class Journal:
    """The operations under way in *folder*, which is created if needed. One process at a time."""

    def __init__(self, folder: Path) -> None:
        files.make_private_folder(folder)
        self._folder = folder
        self._bad: list[Path] = []
        self._sequence = self._last_sequence()

    @property
    def bad(self) -> tuple[Path, ...]:
        """Files set aside because they could not be understood, for a message to the administrator."""
        return tuple(self._bad)

    def begin(self, op: str, /, **facts: Json) -> Entry:
        """Write down that *op* starts now, with what is needed to complete or undo it. Durable on return.

        *op* consists of lower-case letters, digits, dots and underscores.

        :raise StorageError: no_space or io; nothing is left then.
        """
        if not _OP.fullmatch(op):
            raise ValueError(f"not a journal operation: {op!r}")
        entry_id = str(uuid.uuid4())
        self._sequence += 1
        path = self._folder / f"{self._sequence:010d}-{op}-{entry_id}.json"
        try:
            _write(path, op, entry_id, BEGUN, dict(facts))
        except StorageError:
            files.remove_quietly(path)
            raise
        return Entry(path, op, entry_id, BEGUN, dict(facts))

    def pending(self) -> list[Entry]:
        """All entries that have begun and not ended, oldest first. Files not understood are set aside as ``*.bad``.

        :raise StorageError: io, if the folder itself cannot be read.
        """
        entries = []
        for path in self._paths():
            try:
                entries.append(_read(path))
            except (StorageError, ValueError) as error:
                self._set_aside(path, error)
        return entries

    def _paths(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".json" and path.name[0] != ".")
        except OSError as error:
            raise StorageError.from_os_error(error, "read the journal", self._folder) from error

    def _last_sequence(self) -> int:
        # Files set aside count too, so that a new entry never takes the name of one of them.
        return max((int(path.name[:10]) for path in self._folder.glob("[0-9]" * 10 + "-*")), default=0)

    def _set_aside(self, path: Path, error: Exception) -> None:
        bad = path.with_name(path.name + BAD_SUFFIX)
        log.error("The journal entry %s cannot be read and is set aside: %s", path, error)
        try:
            path.replace(bad)
            files.sync_folder(self._folder)
        except OSError as failure:
            log.error("It could not be renamed either: %s", failure)
            bad = path
        if bad not in self._bad:
            self._bad.append(bad)


def _write(path: Path, op: str, entry_id: str, phase: str, facts: dict[str, Json]) -> None:
    content = {"format": 1, "op": op, "id": entry_id, "phase": phase, "facts": facts}
    data = json.dumps(content, allow_nan=False).encode()
    try:
        crash_points.reach("storage.journal_write")
        files.write_atomically(path, data)
        crash_points.reach("storage.journal_written")
    except OSError as error:
        raise StorageError.from_os_error(error, "write the journal entry", path) from error


def _read(path: Path) -> Entry:
    """:raise ValueError: if the file is not an entry; :raise StorageError: if it cannot be read."""
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise ValueError("its name is not that of an entry")
    with files.open_regular(path) as file:
        try:
            content = json.loads(files.read_at(file, 0, 64 << 20))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict) or content.get("format") != 1:
        raise ValueError("it is of an unknown format")
    phase, facts = content.get("phase"), content.get("facts")
    if (content.get("op"), content.get("id")) != name.group(2, 3):
        raise ValueError("its fields contradict its name")
    if not isinstance(phase, str) or not isinstance(facts, dict):
        raise ValueError("its phase or facts are missing")
    return Entry(path, name[2], name[3], phase, facts)
