"""Commands on tasks, messages and events."""

from __future__ import annotations

from typing import Final

from app.cli.command import Command
from app.cli.errors import CommandError
from app.cli.filters import filters_in, matches
from app.cli.invocation import Invocation
from app.cli.kinds import KINDS, Kind

WAIT_SECONDS: Final = 30.0
_OBJECTS: Final = {"vm-uuid": "VM", "host-uuid": "Host", "sr-uuid": "SR", "pool-uuid": "Pool"}
_DIFFERS: Final = "/"
"""`field=/=value` waits until the field has another value: the first of its equals signs belongs to the word."""


def _cancel(invocation: Invocation) -> None:
    invocation.change("task.cancel", invocation.inventory.by_uuid("task", invocation.words.required("uuid")))


def _leave_message(invocation: Invocation) -> None:
    words = invocation.words
    name, body = words.required("name"), words.required("body")
    priority = words.size("priority")
    found = next((key for key in _OBJECTS if words.has(key)), None)
    if found is None:
        raise CommandError("Need one of: vm-uuid, host-uuid, sr-uuid or pool-uuid")
    invocation.change("message.create", name, priority, _OBJECTS[found], words.get(found), body)


def _dismiss(invocation: Invocation) -> None:
    words = invocation.words
    uuids = words.get("uuids").split(",") if words.has("uuids") else [words.required("uuid")]
    for message in [invocation.inventory.by_uuid("message", uuid) for uuid in uuids if uuid]:
        invocation.change("message.destroy", message)


def _wait(invocation: Invocation) -> None:
    name = invocation.words.required("class")
    kind = KINDS.get(name.lower()) or next((kind for kind in KINDS.values() if kind.cls.lower() == name.lower()), None)
    if kind is None:
        raise CommandError(f"Unknown class '{name}'")
    filters = filters_in(invocation.words.given, ("class",))
    for key, _ in filters:
        if kind.column(key) is None:
            raise CommandError(f"Unknown field '{key}'")
    token = ""
    while not _holds(invocation, kind, filters):
        token = invocation.ask("event.from", [kind.cls], token, WAIT_SECONDS)["token"]
        invocation.inventory.forget()


def _holds(invocation: Invocation, kind: Kind, filters: list[tuple[str, str]]) -> bool:
    """Whether one object has all these values, and none of those it must not have."""
    unlike = [(key, value[2:]) for key, value in filters if value.startswith(f"{_DIFFERS}=")]
    like = [(key, value) for key, value in filters if not value.startswith(f"{_DIFFERS}=")]
    return any(
        matches(kind, like, invocation.inventory, ref, record)
        and not any(matches(kind, [one], invocation.inventory, ref, record) for one in unlike)
        for ref, record in kind.objects(invocation.inventory)
    )


def commands() -> list[Command]:
    """All of them."""
    return [
        Command("task-cancel", _cancel, "Set a task to cancelling and return.", required=("uuid",)),
        Command(
            "message-create",
            _leave_message,
            "Create a message associated with a particular API object. Note exactly one of the optional parameters "
            "must be supplied.",
            required=("name", "priority", "body"),
            optional=tuple(_OBJECTS),
        ),
        Command(
            "pool-sync-database",
            lambda invocation: invocation.change("pool.sync_database"),
            "Synchronise the current database across all hosts in the pool.",
        ),
        Command("message-destroy", _dismiss, "Destroy one or more messages.", optional=("uuid", "uuids")),
        Command(
            "event-wait",
            _wait,
            "Wait for the event that satisfies the conditions given on the command line.",
            required=("class",),
        ),
    ]
