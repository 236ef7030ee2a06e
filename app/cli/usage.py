"""What `xe` says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from app.cli.command import Command

WIDTH: Final = 76
_INDENT: Final = "    "

_HEAD: Final = """Usage:
  xe <command>
    [ -s <server> ]            XenServer host
    [ -p <port> ]              XenServer port number
    [ -u <username> -pw <password> | -pwf <password file> ]
                               User authentication (password or file)
    [ --nossl ]                Disable SSL/TLS
    [ --debug ]                Enable debug output
    [ --debug-on-fail ]        Enable debug output only on failure
"""
_ARGUMENTS: Final = "    [ <other arguments> ... ]  Command-specific options\n"

BRIEF: Final = f"""{_HEAD}    [ --minimal ]              Output only values in a comma-separated lists
    [ --traceparent <value> ]  Distributed tracing context
    [ --trace ]                Show task stacktrace on failure
{_ARGUMENTS}
A full list of commands can be obtained by running
  xe help -s <server> -p <port>
"""
"""What `xe` alone prints, on the standard error."""

_LIST_HEAD: Final = f"""{_HEAD}    [ --traceparent <value> ]  Distributed tracing context
{_ARGUMENTS}
To get help on a specific command:
  xe help <command>

"""


def overview(commands: Iterable[Command], *, every: bool) -> str:
    """The list of commands. :param every: not only the common ones."""
    shown = sorted(command.name for command in commands if every or command.common)
    if not every:
        return f"{_LIST_HEAD}To get a full listing of commands:\n  xe help --all\n\n{_titled('Common', shown)}"
    groups = [
        [name for name in shown if name.startswith("host-")],
        [name for name in shown if name.startswith("vm-")],
        [name for name in shown if not name.startswith(("host-", "vm-"))],
    ]
    return _LIST_HEAD + _titled("Full", *groups)


def _titled(word: str, *groups: Sequence[str]) -> str:
    title = f"{word} command list"
    listed = f"\n{_INDENT}\n".join(wrapped(group) for group in groups)
    return f"{title}\n{'-' * len(title)}\n\n{listed}\n"


def wrapped(names: Iterable[str]) -> str:
    """Names with commas between, as many as fit on a line; there is no comma where a line ends."""
    lines: list[str] = []
    for name in names:
        if lines and len(lines[-1]) + 2 + len(name) <= WIDTH:
            lines[-1] += f", {name}"
        else:
            lines.append(_INDENT + name)
    return "\n".join(lines)
