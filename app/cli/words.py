"""The words of a command line: the command, its parameters and flags, and how to reach the server.

What is not said on the command line is taken from $XE_EXTRA_ARGS, and then from ~/.xe.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.cli.errors import CommandError, MissingParameter, UsageError

EXTRA_VARIABLE: Final = "XE_EXTRA_ARGS"
FILE_NAME: Final = ".xe"

WITH_VALUE: Final = {
    "-s": "server",
    "-h": "server",
    "-p": "port",
    "-u": "username",
    "-pw": "password",
    "-pwf": "passwordfile",
    "--data-dir": "data-dir",
    "--traceparent": "",
}
_SERVER_KEYS: Final = frozenset({"server", "port", "username", "password", "passwordfile", "nossl", "data-dir"})
_CLIENT_FLAGS: Final = {"--nossl": "nossl", "--debug": "debug", "--debug-on-fail": "debugonfail"}
_DROPPED: Final = frozenset({"debug", "debugonfail", "traceparent"})
_TRUE: Final = ("true", "t", "yes", "y", "1")
_FALSE: Final = ("false", "f", "no", "n", "0")
_UNITS: Final = {"bytes": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}


@dataclass
class Words:
    """A command line taken apart.

    :ivar command: "" where none is given.
    :ivar rest: words that are neither the command nor `key=value` nor a flag.
    :ivar given: parameters and flags in their order; a flag is `name=true`.
    :ivar server: how to reach the server, by the names that ~/.xe has for it.
    """

    command: str = ""
    rest: list[str] = field(default_factory=list)
    given: list[tuple[str, str]] = field(default_factory=list)
    server: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """The value of a parameter; of one given twice, the first."""
        return next((value for key, value in self.given if key == name), default)

    def has(self, name: str) -> bool:
        """Whether the parameter is given."""
        return any(key == name for key, _ in self.given)

    def required(self, name: str) -> str:
        """The value of a parameter. :raise MissingParameter:"""
        if not self.has(name):
            raise MissingParameter(name)
        return self.get(name)

    def flag(self, name: str, default: bool = False) -> bool:
        """A parameter that is true or false. :raise CommandError: it is neither."""
        return truth(name, self.get(name)) if self.has(name) else default

    def size(self, name: str) -> int:
        """A whole number that must be given. :raise MissingParameter: :raise CommandError: it is none."""
        return whole(name, self.required(name))

    def under(self, prefix: str) -> dict[str, str]:
        """What is given as `prefix:key=value`, by key."""
        return {key.removeprefix(f"{prefix}:"): value for key, value in self.given if key.startswith(f"{prefix}:")}


def truth(name: str, text: str) -> bool:
    """Text as true or false. :raise CommandError: it is neither."""
    if text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    expected = ",".join(f"'{word}'" for word in (*_TRUE, *_FALSE))
    raise CommandError(f"Failed to parse parameter '{name}': Expected {expected} got {text}")


def whole(name: str, text: str) -> int:
    """Text as a whole number, with one of the units KiB to TiB if need be. :raise CommandError: it is none."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = _UNITS.get(text[len(digits) :].lower() or "bytes")
    try:
        if unit is None:
            raise ValueError(text)
        return int(digits.strip()) * unit
    except ValueError:
        raise CommandError(f"Failed to parse parameter '{name}': expecting an integer") from None


def parse(arguments: Sequence[str], environment: Mapping[str, str], home: Path) -> Words:
    """Take a command line apart, with what the environment and ~/.xe add.

    :raise UsageError: a switch that does not exist or lacks its value. :raise CommandError: a password file.
    """
    words = Words()
    waiting = list(arguments)
    while waiting:
        _take(words, waiting)
    for key, value in (*_extra(environment.get(EXTRA_VARIABLE, "")), *_from_file(home / FILE_NAME)):
        if key in _SERVER_KEYS:
            words.server.setdefault(key, value)
        elif key not in _DROPPED and not words.has(key):
            words.given.append((key, value))
    _apply_password_file(words.server)
    return words


def _take(words: Words, waiting: list[str]) -> None:
    # Documentation breaks lines with a backslash. Joined again, such lines leave a space in the word after it.
    word = waiting.pop(0).lstrip()
    if word in WITH_VALUE:
        if not waiting:
            raise UsageError(f"{word} needs a value")
        value = waiting.pop(0)
        if WITH_VALUE[word]:
            words.server[WITH_VALUE[word]] = value
    elif word in _CLIENT_FLAGS:
        name = _CLIENT_FLAGS[word]
        if name in _SERVER_KEYS:
            words.server[name] = "true"
    elif word.startswith("--") and word not in ("--help", "--version", "--"):
        key, equals, value = word[2:].partition("=")
        _give(words, key, value if equals else "true")
    elif words.command and "=" in word and not word.startswith("-"):
        _give(words, *word.split("=", 1))
    elif word.startswith("-") and word not in ("--help", "--version"):
        raise UsageError(f"Unknown switch: {word}")
    elif not words.command:
        words.command = word
    else:
        words.rest.append(word)


def _give(words: Words, key: str, value: str) -> None:
    if key == "data-dir":
        words.server[key] = value
    else:
        words.given.append((key, value))


def _extra(text: str) -> Iterable[tuple[str, str]]:
    """`key=value` with commas between; a backslash takes the meaning from the character after it."""
    items, current, escaped = [], "", False
    for character in text:
        if escaped or character not in ",\\":
            current, escaped = current + character, False
        elif character == "\\":
            escaped = True
        else:
            items.append(current)
            current = ""
    return _pairs([*items, current])


def _from_file(path: Path) -> Iterable[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    return _pairs(line.strip() for line in lines if not line.lstrip().startswith("#"))


def _pairs(items: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    for item in items:
        key, equals, value = item.removeprefix("--").partition("=")
        if key:
            found.append((key.strip(), value.strip() if equals else "true"))
    return found


def _apply_password_file(server: dict[str, str]) -> None:
    """The user is the first line of the file, the password the second."""
    name = server.pop("passwordfile", "")
    if not name:
        return
    try:
        lines = Path(os.path.expanduser(name)).read_text(encoding="utf-8").splitlines()  # noqa: PTH111 (~user too)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The password file {name} cannot be read: {error}") from error
    if len(lines) < 2:
        raise CommandError(f"The password file {name} needs two lines: the user and the password.")
    server["username"], server["password"] = lines[0], lines[1]
