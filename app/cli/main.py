"""`xe`: the command line of XenServer, for the engine on this machine or a server elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from app import __version__
from app.cli import failures, layout, usage
from app.cli.channel import Channel, to_engine
from app.cli.command import Command
from app.cli.completion import Completer, for_bash, split
from app.cli.errors import CommandError, LostInput, MissingParameter, ServerFailure, SomeFailed, Unreachable, UsageError
from app.cli.inventory import Inventory
from app.cli.invocation import Invocation
from app.cli.table import COMMANDS
from app.cli.words import Words, parse
from app.config import default_data_dir, engine_socket_in

if TYPE_CHECKING:
    from app.cli.transfers import Transfers

Streams = tuple[TextIO, TextIO, TextIO]

COMPLETE: Final = "--complete"
INTERRUPTED: Final = 130
"""What a shell gives for a program that Ctrl+C ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit status: 0, or 1 for whatever went wrong."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        status = run(given, os.environ, Path.home(), (sys.stdin, sys.stdout, sys.stderr))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has read enough. Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    home: Path,
    streams: Streams,
    data_dir: Path | None = None,
) -> int:
    """The same, with all that surrounds it given. :param data_dir: whose engine to ask, unless the words say."""
    error = streams[2]
    if len(arguments) == 3 and arguments[0] == COMPLETE:
        # Nobody is to be asked for a password there.
        return _complete(arguments[1], arguments[2], parse([], environment, home), (io.StringIO(), *streams[1:]))
    try:
        words = parse(arguments, environment, home)
        if data_dir is not None:
            words.server.setdefault("data-dir", str(data_dir))
        if not words.command or words.command in ("--help", "--version", "help"):
            return _about_ourselves(words, streams)
        command = _found(words)
        for name in command.required:
            if not words.has(name):
                raise MissingParameter(name)
        return _carry_out(command, words, streams)
    except CommandError as failure:
        print(*failure.lines(), sep="\n", file=error)
    return 1


def _complete(shell: str, line: str, words: Words, streams: Streams) -> int:
    """What may come next, a word on each line."""
    with contextlib.suppress(CommandError):
        words.server.update(parse(split(line)[1:-1], {}, Path()).server)
    connected: list[Channel] = []

    def inventory() -> Inventory:
        if not connected:
            connected.append(_connected(words, streams))
        return Inventory(connected[0].call)

    try:
        found = Completer(COMMANDS, inventory).words(line)
        print(*(for_bash(line, found) if shell == "bash" else found), sep="\n", file=streams[1])
    finally:
        for channel in connected:
            channel.close()
    return 0


def _found(words: Words) -> Command:
    name = words.command
    if name == "snapshot-export-to" and words.rest[:1] == ["template"]:
        name = "snapshot-export-to-template"  # the documentation's own slip
    if name not in COMMANDS:
        raise UsageError(f"Unknown command: {name}")
    return COMMANDS[name]


def _about_ourselves(words: Words, streams: Streams) -> int:
    _, out, error = streams
    if words.command == "--version":
        print(f"xe of Stillframe {__version__}", file=out)
    elif words.command != "help":
        error.write(usage.BRIEF)
    elif words.rest:
        for name in words.rest:
            out.write(COMMANDS[name].help() if name in COMMANDS else f"Unknown command '{name}'\n")
    elif words.flag("minimal"):
        print(layout.minimal(sorted(COMMANDS)), file=out)
    else:
        out.write(usage.overview(COMMANDS.values(), every=words.flag("all")))
    return 0


def _carry_out(command: Command, words: Words, streams: Streams) -> int:
    _, out, error = streams
    invocation = Invocation(words, lambda: _connected(words, streams), streams, lambda: _transfers(words, streams))
    try:
        command.run(invocation)
        invocation.finish()
    except ServerFailure as failure:
        print(*failures.lines(failure, invocation.inventory), sep="\n", file=error)
    except SomeFailed as failure:
        print(*failure.lines, sep="\n", file=out)
    except Unreachable as failure:
        print(*failure.lines, sep="\n", file=error)
    except LostInput:
        print("Lost connection to the server.", file=error)
    else:
        return 0
    finally:
        invocation.close()
    return 1


def _data_dir(words: Words) -> Path:
    return Path(words.server["data-dir"]) if "data-dir" in words.server else default_data_dir()


def _connected(words: Words, streams: Streams) -> Channel:
    data_dir = _data_dir(words)
    path = engine_socket_in(data_dir)
    if "server" not in words.server and path.is_socket():
        channel = to_engine(path, data_dir)
        channel.login("", "")
        return channel
    # Here and in the next and not above: a command for the engine on this machine need not wait for TLS to load.
    from app.cli import remote

    if "server" not in words.server:
        channel = remote.to_loopback(path, data_dir)
        channel.login("", "")
        return channel
    user, password = remote.credentials(words.server, streams)
    channel = remote.to_server(remote.address_of(words.server), remote.trust_of(data_dir, streams[2]))
    channel.login(user, password)
    return channel


def _transfers(words: Words, streams: Streams) -> Transfers:
    from app.cli import remote, transfers

    data_dir = _data_dir(words)
    bar = streams[2] if words.flag("progress") else None
    if "server" not in words.server:
        return transfers.Transfers(transfers.to_engine(engine_socket_in(data_dir)), bar)
    user, password = remote.credentials(words.server, streams)
    address, trust = remote.address_of(words.server), remote.trust_of(data_dir, streams[2])
    return transfers.Transfers(transfers.to_server(address, trust, user, password), bar)


if __name__ == "__main__":
    sys.exit(main())
