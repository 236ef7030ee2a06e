"""`stillframe`: the desktop, and its commands that need no window of their own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app import __version__, log
from app.config import Config, ConfigError, load
from app.garbage import what_is_loaded_stays

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from app.engine.local import Counter

COMMANDS: Final = ("open", "serve", "tour")
_WITH_VALUE: Final = ("--data-dir",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and answer its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(naming_a_file(given))
    if options.command == "tour":
        from ui.tour.program import main as tour

        return tour(options.dir, options.data_dir)
    try:
        config = load(options.data_dir)
    except ConfigError as error:
        print(f"stillframe: {error}", file=sys.stderr)
        return 1
    log.setup(config, options.debug)
    if options.command == "serve":
        from app.server.serve import Network
        from app.server.serve import main as serve

        network = Network(
            listen=options.listen,
            plain=options.http,
            user=options.user,
            password_file=options.password_file,
            certificate=options.certificate,
        )
        return serve(config, network)
    file: Path | None = options.file if options.command == "open" else None
    if file is not None and not file.is_file():
        print(f"stillframe: there is no file {file}", file=sys.stderr)
        return 2
    # Here and not above: commands without a window must not load Qt.
    with what_is_loaded_stays():
        from ui.application import run

    return run(config, lambda engine: _counter(engine, config), file)


def _counter(engine: Engine, config: Config) -> Counter:
    # Here and not above: aiohttp takes a sixth of the time until the window is there, and is of use only then.
    from app.server.local import LocalServer

    return LocalServer(engine, config.engine_socket)


def naming_a_file(arguments: Sequence[str]) -> Sequence[str]:
    """`FILE` as `open FILE`: a double click on a file names nothing else."""
    is_value = False
    for place, word in enumerate(arguments):
        if not is_value and not word.startswith("-"):
            return arguments if word in COMMANDS else [*arguments[:place], "open", *arguments[place:]]
        is_value = not is_value and word in _WITH_VALUE
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stillframe", description="A desktop manager for VM snapshots.", parents=[_common_options()]
    )
    parser.set_defaults(data_dir=None, debug=False)
    common = _common_options()
    parser.add_argument("--version", action="version", version=f"stillframe {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    opening = commands.add_parser(
        "open",
        parents=[common],
        help="open the window with the import of a file, as does FILE alone",
        description="Opens the import wizard on an .xva, .ova, .ovf or disk image, in the window there is if one is.",
    )
    opening.add_argument("file", type=Path, metavar="FILE", help="what is to be imported")
    serve = commands.add_parser(
        "serve",
        parents=[common],
        help="run the engine without a window",
        description="Runs the engine and its schedules until it is told to end; windows and xe connect to it.",
    )
    _add_network_options(serve)
    tour = commands.add_parser(
        "tour",
        parents=[common],
        help="take the tour of the main job without a screen, and write a picture of each step",
        description="Drives the real window and the real engine through the main job in a temporary data folder.",
    )
    tour.add_argument("dir", type=Path, metavar="DIR", help="where the pictures go")
    return parser


def _common_options() -> argparse.ArgumentParser:
    """Options that stand before a command or behind it. Anew for each use: set_defaults changes the options themselves,
    and a command that was not given one would put the default in place of what stood before it."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--data-dir", type=Path, metavar="DIR", default=argparse.SUPPRESS, help="keep VMs, disks and settings in DIR"
    )
    common.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="log more, also to the terminal"
    )
    return common


def _add_network_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--listen", metavar="HOST:PORT", default="", help="answer other machines, too: HTTPS with a certificate of ours"
    )
    serve.add_argument("--certificate", type=Path, metavar="FILE", help="use this certificate, PEM with its key")
    serve.add_argument("--http", action="store_true", help="plain HTTP instead, on an address of this machine only")
    serve.add_argument("--user", metavar="NAME", default="", help="who may log in; needs to be given once only")
    serve.add_argument(
        "--password-file", type=Path, metavar="FILE", help="holds that user's password in its first line; - reads it"
    )


if __name__ == "__main__":
    sys.exit(main())
