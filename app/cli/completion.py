"""What may come next on a command line: for the shells, which ask with every press of the Tab key.

resources/completion has the few lines that each shell needs; they pass the line on and take words back.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from app.cli.command import Command
from app.cli.control_columns import VMSS_FREQUENCIES, VMSS_TYPES
from app.cli.errors import CommandError, ServerFailure, Unreachable
from app.cli.inventory import Inventory
from app.cli.kinds import KINDS, VM, Kind
from app.cli.words import WITH_VALUE

FLAGS: Final = ("--minimal", "--multiple", "--force", "--progress", "--json", "--dry-run")
SPECIAL: Final = re.compile(r"([^\w@%+=:,./-])")
"""What a shell would take for something else than itself."""
_REFERRED: Final = {
    "snapshot-uuid": "snapshot",
    "snapshot-uuids": "snapshot",
    "template-uuid": "template",
    "vm-uuid": "vm",
    "vm-uuids": "vm",
    "sr-uuid": "sr",
    "vdi-uuid": "vdi",
    "host-uuid": "host",
    "network-uuid": "network",
    "pool-uuid": "pool",
    "snapshot-schedule": "vmss",
    "on": "host",
}
_TRUTHS: Final = ("true", "false")
_FLAGGED: Final = (
    *("keep-snapshots", "preserve", "preserve-power-state", "metadata", "include-snapshots", "verify", "manifest"),
    *("resume", "bootable", "unpluggable", "sharable", "read-only", "paused"),
)
"""Parameters that are true or false, and no fields."""
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_FLAGGED, _TRUTHS),
    "compress": ("true", "gzip", "zstd"),
    "format": ("raw", "vhd", "qcow2"),
    "operation": ("snapshot", "checkpoint", "snapshot_with_quiesce"),
    "power-state": ("halted", "paused", "running", "suspended"),
}


class Completer:
    """Finds words. :param inventory: reaches the server; that it cannot is no error here."""

    def __init__(self, commands: Mapping[str, Command], inventory: Callable[[], Inventory]) -> None:
        self._commands = commands
        self._inventory = inventory

    def words(self, line: str) -> list[str]:
        """The words that the last one of the line may become, quoted for a shell; complete ones end with a space."""
        given = split(line)
        current = given.pop() if given else ""
        found = self._found(given[1:], current)
        return [_quoted(word) for word in dict.fromkeys(found) if word.removesuffix(" ").startswith(current)]

    def _found(self, given: list[str], current: str) -> Iterable[str]:
        named = _named(given)
        if not named or named[0] == "help":
            return [f"{name} " for name in (*sorted(self._commands), *(() if named else ("help",)))]
        command = self._commands.get(named[0])
        if command is None:
            return []
        key, equals, value = current.partition("=")
        if equals:
            return (f"{key}={word}" for word in self._values(command, given, key, value))
        return _keys(command)

    def _values(self, command: Command, given: list[str], key: str, value: str) -> Iterable[str]:
        kind = _kind_of(command)
        if key in ("params", "vbd-params", "vdi-params"):
            return _list_words(kind if key == "params" else KINDS[key.partition("-")[0]], value)
        if key == "filename":
            return _files(value)
        if key == "param-name":
            return [f"{column.name} " for column in kind.columns]
        if key in _CHOICES or command.name == "vmss-create":
            choices = {"type": VMSS_TYPES, "frequency": VMSS_FREQUENCIES, "enabled": _TRUTHS, **_CHOICES}
            return [f"{choice} " for choice in choices.get(key, ())]
        try:
            return [f"{word} " for word in self._objects(kind, key)]
        except (CommandError, ServerFailure, Unreachable):
            return []

    def _objects(self, kind: Kind, key: str) -> Iterable[str]:
        """Names and uuids of what is there."""
        if key in ("vm", "template", "template-name", "name-label"):
            wanted = KINDS["template"] if key.startswith("template") else kind
            return [str(record.get("name_label", "")) for _, record in wanted.objects(self._inventory())]
        referred = kind if key == "uuid" else KINDS.get(_REFERRED.get(key, ""))
        if referred is not None:
            return [str(record["uuid"]) for _, record in referred.objects(self._inventory())]
        column = kind.column(key)
        if column is None:
            return []
        return column.choices or (_TRUTHS if column.holds == "bool" else ())


def _named(given: Iterable[str]) -> list[str]:
    """The words that are no parameters, switches, or values of switches: the command, and what help is of."""
    found, is_value = [], False
    for word in given:
        if not is_value and "=" not in word and not word.startswith("-"):
            found.append(word)
        is_value = not is_value and word in WITH_VALUE
    return found


def split(line: str) -> list[str]:
    """The words of a line, of which the last one may be half typed or empty."""
    for ending in ("", '"', "'"):
        try:
            words = shlex.split(line + ending)
        except ValueError:
            continue
        is_new = not line or (line[-1].isspace() and not line.endswith("\\ "))
        return [*words, ""] if not ending and is_new else words
    return []


def _quoted(word: str) -> str:
    ending = " " if word.endswith(" ") else ""
    return SPECIAL.sub(r"\\\1", word.removesuffix(" ")) + ending


def _keys(command: Command) -> list[str]:
    keys = [name if name.endswith(":") else f"{name}=" for name in command.parameters if name not in ("force",)]
    if command.selects_vms:
        keys += ["vm=", *(f"{column.name}=" for column in VM.columns)]
    return [*keys, *(f"{flag} " for flag in FLAGS)]


def _kind_of(command: Command) -> Kind:
    """The kind of object that a command is about, by how its name begins; the longest wins."""
    found = [kind for name, kind in KINDS.items() if command.name.startswith(f"{name}-")]
    return max(found, key=lambda kind: len(kind.name), default=VM)


def _list_words(kind: Kind, value: str) -> list[str]:
    """Names with commas between, of which the last one is being typed."""
    before = value.rpartition(",")[0]
    start = f"{before}," if before else ""
    return [*(() if before else ("all ",)), *(f"{start}{column.name}" for column in kind.columns)]


def _files(value: str) -> list[str]:
    folder = Path(value.rpartition("/")[0] + "/") if "/" in value else Path()
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    start = value.rpartition("/")[0] + "/" if "/" in value else ""
    return [f"{start}{path.name}{'/' if path.is_dir() else ' '}" for path in found]


def for_bash(line: str, words: Iterable[str]) -> list[str]:
    """What bash wants in place of words: it takes a word apart at = and :, and completes the last part alone.

    Within quotes it does not, and closes them by itself.
    """
    given = split(line)
    quote, typed = _open_quote(line)
    if quote:
        before = len(given[-1]) - len(_ESCAPED.sub(r"\1", typed) if quote == '"' else typed)
        return [_within(quote, _ESCAPED.sub(r"\1", word).removesuffix(" ")[before:]) for word in words]
    current = _quoted(given[-1]) if given else ""
    start = max(current.rfind("="), current.rfind(":")) + 1
    return [word[start:] for word in words]


_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def _open_quote(line: str) -> tuple[str, str]:
    """The quotation mark that is still open at the end of a line, and what stands after it; "" and "" for none."""
    quote, begins, escaped = "", 0, False
    for place, letter in enumerate(line):
        if escaped:
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote, begins = letter, place + 1
    return quote, line[begins:] if quote else ""


def _within(quote: str, text: str) -> str:
    """Text as it stands between such quotation marks."""
    return text.replace("'", r"'\''") if quote == "'" else re.sub(r'(["$`\\])', r"\\\1", text)
