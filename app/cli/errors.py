"""What can go wrong on a command line, each with the lines that xe prints for it."""

from __future__ import annotations

from collections.abc import Sequence

USAGE_HINT = "For usage run: 'xe help'"


class CommandError(Exception):
    """The command was refused before the server was asked to change anything; the text says why."""

    def lines(self) -> list[str]:
        """What goes to the standard error."""
        return [f"Error: {self}"]


class UsageError(CommandError):
    """The command line itself is wrong."""

    def lines(self) -> list[str]:
        return [str(self), USAGE_HINT]


class MissingParameter(UsageError):
    """A parameter that the command cannot do without."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Required parameter not found: {name}")


class AuthenticationFailed(UsageError):
    """The server does not know this user, or not with this password."""

    def __init__(self) -> None:
        super().__init__("Authentication failed")


class BadFile(CommandError):
    """A file of ours that cannot be made or read."""

    def lines(self) -> list[str]:
        return [f"Operation failed. Error: {self}"]


class MissingField(CommandError):
    """`param-name` names nothing that the class has."""

    def lines(self) -> list[str]:
        return ["Error code: Missing parameter", f"Error parameters: {self}"]


class Unreachable(Exception):
    """No server answers. The first line is what xe has always said; the rest says what to do."""

    def __init__(self, first: str, *advice: str) -> None:
        super().__init__(first)
        self.lines = [first, *advice]


class ServerFailure(Exception):
    """The server's refusal: a XenAPI error code and its parameters."""

    def __init__(self, code: str, params: Sequence[str]) -> None:
        super().__init__(f"{code}: [ {'; '.join(params)} ]")
        self.code = code
        self.params = tuple(params)


class SomeFailed(Exception):
    """With --multiple: what went wrong, one line for each object. They go to the standard output."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(f"{len(lines)} failed")
        self.lines = list(lines)


class LostInput(Exception):
    """The input ended where an answer was expected."""
