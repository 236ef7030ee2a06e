"""The bar on the standard error, and a task that is followed and stopped."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, cast

import pytest

from app.cli.channel import Channel
from app.cli.errors import ServerFailure
from app.cli.progress import Bar, follow
from app.cli.transfers import _words
from app.client.exchange import Progress
from tests.unit.cli.recorded import rows


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Tasks:
    """A server with one task, whose records are given one after another."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self.records = list(records)
        self.sent: list[str] = []
        self.on_wait: Callable[[], None] = lambda: None

    def call(self, method: str, *_params: Any) -> Any:
        self.sent.append(method)
        if method == "task.get_record":
            return {"result": "", "error_info": [], **self.records.pop(0)}
        if method == "event.from":
            self.on_wait()
            return {"token": "1"}
        return "OpaqueRef:task"


def followed(tasks: Tasks) -> tuple[Any, str]:
    out = io.StringIO()
    try:
        return follow(cast("Channel", tasks), out, "VM.clean_shutdown", ["vm"]), out.getvalue()
    except ServerFailure as failure:
        return failure, out.getvalue()


def test_a_task_is_followed_as_recorded() -> None:
    running, done = {"status": "pending", "progress": 0.0}, {"status": "success", "progress": 1.0}
    result, shown = followed(Tasks(running, running, running, {**done, "result": "<value>OpaqueRef:x</value>"}))
    assert result == "OpaqueRef:x"
    assert shown == rows()[367].stderr


def test_its_failure_is_ours() -> None:
    result, _ = followed(Tasks({"status": "failure", "progress": 1.0, "error_info": ["VDI_IN_USE", "vdi", "copy"]}))
    assert isinstance(result, ServerFailure) and (result.code, result.params) == ("VDI_IN_USE", ("vdi", "copy"))


def test_interrupted_it_asks_the_task_to_stop_and_waits() -> None:
    tasks = Tasks({"status": "pending", "progress": 0.5}, {"status": "cancelled", "progress": 1.0})

    def interrupt() -> None:
        raise KeyboardInterrupt

    tasks.on_wait = interrupt
    result, _ = followed(tasks)
    assert isinstance(result, ServerFailure) and result.code == "TASK_CANCELLED"
    assert tasks.sent == [
        *("Async.VM.clean_shutdown", "task.get_record", "event.from", "task.cancel", "task.get_record", "task.destroy")
    ]


def test_on_a_terminal_one_line_changes() -> None:
    terminal = Terminal()
    bar = Bar(terminal)
    bar.show(0.1, "with many words")
    bar.show(0.2)
    assert terminal.getvalue().count("\n") == 0
    first, second = terminal.getvalue().split("\r")[1:]
    assert len(second) == len(first), "what was longer is wiped"


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress("writing", 5 << 20, None, 0.0, None), "writing 5 MiB"),
        (Progress("verifying", 5 << 20, 10 << 20, 2.4 * (1 << 20), 3.2), "verifying 5 MiB, 2 MiB/s, 3 s left"),
    ],
)
def test_a_transfer_in_words(progress: Progress, words: str) -> None:
    assert _words(progress) == words
