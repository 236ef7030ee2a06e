"""task, event, message, session and blob: what carries work and news."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from app.api.enums import EventOperation, MessageClass, TaskOperation, TaskStatus
from app.api.types import (
    EPOCH,
    NO_STRINGS,
    NULL,
    Calls,
    Record,
    Ref,
    StringMap,
    message,
    rc,
    reverse,
    ro,
    rw,
    xen_class,
)

if TYPE_CHECKING:
    from app.api.pool import Host


class TaskCalls(Calls):
    """The messages of a task."""

    @message(read_only=True)
    async def create(self, label: str, description: str) -> Ref["Task"]:
        """Make a task that a client drives by itself."""

    @message(read_only=True)
    async def destroy(self, task: Ref["Task"]) -> None:
        """Forget a finished task; a pending one is only marked."""

    @message(read_only=True)
    async def cancel(self, task: Ref["Task"]) -> None:
        """Ask a task to stop. It ends `cancelled`, or runs on if it is past the point of no return."""

    @message(errors=("OPERATION_NOT_ALLOWED",), read_only=True)
    async def set_status(self, task: Ref["Task"], value: TaskStatus) -> None:
        """Say how a task stands that a client drives by itself."""

    @message(errors=("OPERATION_NOT_ALLOWED", "INVALID_VALUE"), read_only=True)
    async def set_progress(self, task: Ref["Task"], value: float) -> None:
        """Say how far such a task is, 0 to 1."""

    @message(errors=("OPERATION_NOT_ALLOWED",), read_only=True)
    async def set_result(self, task: Ref["Task"], value: str) -> None:
        """Say what such a task has resulted in."""

    @message(errors=("OPERATION_NOT_ALLOWED",), read_only=True)
    async def set_error_info(self, task: Ref["Task"], value: Sequence[str]) -> None:
        """Say why such a task failed: error code and parameters."""


@xen_class("task", TaskCalls, persistent=False)
class Task(Record, frozen=True, kw_only=True):
    """A piece of work under way or done."""

    name_label: Annotated[str, ro("the message, as `Async.VM.snapshot`")] = ""
    name_description: Annotated[str, ro("what it waits for or does now, in words")] = ""
    allowed_operations: Annotated[frozenset[TaskOperation], ro("`cancel` while it can be cancelled")] = frozenset()
    current_operations: Annotated[Mapping[str, TaskOperation], ro("requests on the task")] = {}
    created: Annotated[datetime, ro("when it began, UTC")] = EPOCH
    finished: Annotated[datetime, ro("when it ended, UTC")] = EPOCH
    status: Annotated[TaskStatus, ro("how it stands")] = TaskStatus.pending
    resident_on: Annotated[Ref["Host"], ro("the host that does it")] = NULL
    progress: Annotated[float, ro("0 to 1")] = 0.0
    type: Annotated[str, ro("kind of the result")] = "<none/>"
    result: Annotated[str, ro("the result as an XML-RPC value")] = ""
    error_info: Annotated[tuple[str, ...], ro("error code and parameters")] = ()
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    subtask_of: Annotated[Ref["Task"], ro("the task it is part of")] = NULL
    subtasks: Annotated[frozenset[Ref["Task"]], reverse("task.subtask_of", "its parts")] = frozenset()
    backtrace: Annotated[str, ro("unused")] = "()"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one object, with the whole record unless it is gone."""

    id: str
    timestamp: str
    cls: str
    operation: EventOperation
    ref: str
    snapshot: Any = None


class EventBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of event.from: what changed since the token, and the token to ask with next."""

    events: tuple[Event, ...]
    valid_ref_counts: Mapping[str, int]
    token: str


class EventCalls(Calls):
    """The messages of the event feed."""

    @message(errors=("EVENT_FROM_TOKEN_PARSE_FAILURE", "EVENT_SUBSCRIPTION_PARSE_FAILURE"), read_only=True, name="from")
    async def from_(self, classes: Sequence[str], token: str, timeout: float) -> EventBatch:
        """Wait until something changed after `token` (empty: from the beginning) or `timeout` seconds have passed."""

    @message(read_only=True)
    async def inject(self, cls: str, ref: str) -> str:
        """Add a change of an object that did not change, and answer the token after it."""

    @message(read_only=True)
    async def register(self, classes: Sequence[str]) -> None:
        """Begin to gather events for `next`, as clients did before there was `from`."""

    @message(read_only=True)
    async def unregister(self, classes: Sequence[str]) -> None:
        """Gather events of these classes no more."""

    @message(errors=("SESSION_NOT_REGISTERED", "EVENTS_LOST"), read_only=True)
    async def next(self) -> Sequence[Event]:
        """Wait until something happened that was registered for, and answer it. Each event comes once."""

    @message(read_only=True)
    async def get_current_id(self) -> int:
        """The number of the newest event."""


@xen_class("event", EventCalls, persistent=False)
class EventRecord(Record, frozen=True, kw_only=True):
    """The event feed has messages but no objects of its own."""


class MessageCalls(Calls):
    """The messages of a message."""

    @message(errors=("INVALID_VALUE", "UUID_INVALID"), read_only=True)
    async def create(self, name: str, priority: int, cls: MessageClass, obj_uuid: str, body: str) -> Ref["Message"]:
        """Leave a message about an object."""

    @message(read_only=True)
    async def destroy(self, message: Ref["Message"]) -> None:
        """Dismiss a message."""

    @message(read_only=True)
    async def destroy_many(self, messages: Sequence[Ref["Message"]]) -> None:
        """Dismiss several messages."""

    @message(read_only=True)
    async def get(self, cls: MessageClass, obj_uuid: str, since: datetime) -> Mapping[str, Any]:
        """The messages about one object from a time on."""

    @message(read_only=True)
    async def get_since(self, since: datetime) -> Mapping[str, Any]:
        """The messages about anything from a time on."""


@xen_class("message", MessageCalls)
class Message(Record, frozen=True, kw_only=True):
    """News about an object, kept until dismissed."""

    name: Annotated[str, ro("kind of message, as VM_SNAPSHOTTED")] = ""
    priority: Annotated[int, ro("1 (worst) to 5 (information)")] = 5
    cls: Annotated[MessageClass, ro("class of the object")] = MessageClass.VM
    obj_uuid: Annotated[str, ro("uuid of the object")] = ""
    timestamp: Annotated[datetime, ro("when, UTC")] = EPOCH
    body: Annotated[str, ro("the text")] = ""


class SessionCalls(Calls):
    """The messages that begin and end a session. Those that log in take no session of their own."""

    @message(errors=("SESSION_AUTHENTICATION_FAILED",), read_only=True)
    async def login_with_password(
        self, uname: str, pwd: str, version: str = "1.0", originator: str = ""
    ) -> Ref["SessionRecord"]:
        """Begin a session."""

    @message(errors=("SESSION_AUTHENTICATION_FAILED",), read_only=True)
    async def slave_local_login_with_password(self, uname: str, pwd: str) -> Ref["SessionRecord"]:
        """Begin a session; there is one host only, so it is like any other."""

    @message(read_only=True)
    async def logout(self) -> None:
        """End the session."""

    @message(read_only=True)
    async def local_logout(self) -> None:
        """End the session."""

    @message(errors=("SESSION_AUTHENTICATION_FAILED", "CHANGE_PASSWORD_REJECTED"), read_only=True)
    async def change_password(self, old_pwd: str, new_pwd: str) -> None:
        """Change the password of the session's user. Sessions that are open stay so."""

    @message(read_only=True)
    async def get_all_subject_identifiers(self) -> Sequence[str]:
        """Users of a directory that have sessions: none."""


@xen_class("session", SessionCalls, persistent=False)
class SessionRecord(Record, frozen=True, kw_only=True):
    """A client's session."""

    this_host: Annotated[Ref["Host"], ro("the host that answers")] = NULL
    this_user: Annotated[Ref["SessionRecord"], ro("unused")] = NULL
    last_active: Annotated[datetime, ro("last call, UTC")] = EPOCH
    pool: Annotated[bool, ro("made by another host of the pool")] = False
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    is_local_superuser: Annotated[bool, ro("came over a private channel of this machine")] = False
    subject: Annotated[Ref["SessionRecord"], ro("unused")] = NULL
    validation_time: Annotated[datetime, ro("when the user was last checked, UTC")] = EPOCH
    auth_user_sid: Annotated[str, ro("unused")] = ""
    auth_user_name: Annotated[str, ro("the user")] = ""
    rbac_permissions: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    tasks: Annotated[frozenset[Ref["Task"]], ro("unused")] = frozenset()
    parent: Annotated[Ref["SessionRecord"], ro("unused")] = NULL
    originator: Annotated[str, ro("the program that logged in")] = ""
    client_certificate: Annotated[bool, ro("logged in by certificate")] = False


@xen_class("blob")
class Blob(Record, frozen=True, kw_only=True):
    """Binary data kept with an object, such as the picture of a guest's screen."""

    name_label: Annotated[str, rw("name")] = ""
    name_description: Annotated[str, rw("description")] = ""
    size: Annotated[int, ro("bytes")] = 0
    public: Annotated[bool, rw("readable without a session; the engine never allows it")] = False
    last_updated: Annotated[datetime, ro("when it was written, UTC")] = EPOCH
    mime_type: Annotated[str, rc("kind of data")] = ""
