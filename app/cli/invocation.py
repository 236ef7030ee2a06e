"""One command being carried out: what it was given, whom it talks to, and where it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from app.cli import layout
from app.cli.channel import Channel
from app.cli.errors import CommandError, LostInput, ServerFailure, SomeFailed
from app.cli.failures import reference
from app.cli.filters import chosen_vms, filters_in
from app.cli.inventory import NULL, Inventory, Object
from app.cli.progress import follow
from app.cli.words import Words

if TYPE_CHECKING:
    from app.cli.transfers import Transfers

NO_MATCH: Final = "No matching VMs found"
SEVERAL: Final = "Multiple matches VMs found. --multiple required to complete the operation"


class Invocation:
    """What a command works with.

    :param connect: reaches the server, at the first message; a command that sends none needs no server.
    :param load_transfers: makes what exports and imports need.
    """

    def __init__(
        self,
        words: Words,
        connect: Callable[[], Channel],
        streams: tuple[TextIO, TextIO, TextIO],
        load_transfers: Callable[[], Transfers],
    ) -> None:
        self.words = words
        self.inventory = Inventory(self.ask)
        self.minimal = words.flag("minimal")
        self.as_json = words.flag("json")
        self.dry_run = words.flag("dry-run")
        self.input, self.out, self.error = streams
        self._connect = connect
        self._load_transfers = load_transfers
        self._channel: Channel | None = None
        self._results: list[Any] = []

    @property
    def channel(self) -> Channel:
        """The connection to the server. :raise Unreachable: :raise AuthenticationFailed:"""
        if self._channel is None:
            self._channel = self._connect()
        return self._channel

    @property
    def transfers(self) -> Transfers:
        """What moves files; loaded when it is first needed."""
        return self._load_transfers()

    def ask(self, method: str, *params: Any) -> Any:
        """Send a message that changes nothing."""
        return self.channel.call(method, *params)

    def change(self, method: str, *params: Any, progress: bool = False) -> Any:
        """Send a message that changes something; with --dry-run only say which, and answer the null reference.

        :param progress: show how far it is meanwhile, if the command line wants that.
        """
        if self.dry_run:
            call = f"{method}({', '.join(self._described(param) for param in params)})"
            self.result(call if self.as_json else f"Would call {call}")
            return NULL
        try:
            if progress and self.words.flag("progress"):
                return follow(self.channel, self.error, method, params)
            return self.channel.call(method, *params)
        finally:
            self.inventory.forget()

    def _described(self, param: Any) -> str:
        return reference(param, self.inventory) if isinstance(param, str) and param else repr(param)

    def print(self, text: str) -> None:
        """A line on the standard output; where that is for JSON, on the standard error."""
        print(text, file=self.error if self.as_json else self.out)

    def note(self, text: str) -> None:
        """A line that is there for a person only."""
        if not (self.minimal or self.as_json or self.dry_run):
            self.print(text)

    def result(self, value: Any) -> None:
        """A value that the command was run for: on a line, or kept for the JSON at the end."""
        if self.as_json:
            self._results.append(value)
        else:
            self.print(str(value))

    def created(self, cls: str, ref: str) -> None:
        """The uuid of a new object."""
        if ref != NULL:
            self.result(self.inventory.uuid(cls, ref))

    def rows(self, rows: Iterable[layout.Row]) -> None:
        """A list of records."""
        if self.as_json:
            self._results.extend(layout.as_object(shown) for shown in rows)
        elif self.minimal:
            self.print(layout.minimal(layout.first(shown) for shown in rows))
        else:
            for shown in rows:
                self.out.write(layout.page(shown))

    def finish(self) -> None:
        """Print what was kept back."""
        if self.as_json:
            print(layout.as_json(self._results), file=self.out)

    def confirmed(self) -> bool:
        """Whether a person types the word yes. :raise LostInput: nobody is there."""
        self.print("Type 'yes' to continue")
        self.out.flush()
        answer = self.input.readline()
        if not answer:
            raise LostInput
        answer = answer.rstrip("\n")
        if answer.strip().lower() == "yes":
            return True
        self.print(f"Aborted (you typed: '{answer}')")
        return False

    def on_vms(self, known: Sequence[str], act: Callable[[str, Object], None], *, templates: bool = False) -> None:
        """Do something with the VM that the selectors mean, or with --multiple with each of them.

        :param known: parameters of the command that are no selectors.
        :raise CommandError: none is meant, or several. :raise SomeFailed: with --multiple.
        """
        found = chosen_vms(filters_in(self.words.given, known), self.inventory, templates=templates)
        if not found:
            raise CommandError(NO_MATCH)
        if len(found) == 1:
            act(*found[0])
        elif self.words.flag("multiple"):
            self._on_each(found, act)
        else:
            raise CommandError(SEVERAL)

    def _on_each(self, found: Sequence[tuple[str, Object]], act: Callable[[str, Object], None]) -> None:
        failed = []
        for ref, record in found:
            try:
                act(ref, record)
            except (ServerFailure, CommandError) as error:
                failed.append(f"operation failed on {record['uuid']}: {error}")
        if failed:
            raise SomeFailed(failed)

    def close(self) -> None:
        """Let go of the server."""
        if self._channel is not None:
            self._channel.close()
