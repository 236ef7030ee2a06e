"""Following a task while it runs: `--progress`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TextIO

from app.cli.channel import Channel
from app.cli.errors import ServerFailure

BAR: Final = 70
WAIT_SECONDS: Final = 1.0
_VALUE: Final = re.compile(r"^<value>(.*)</value>$", re.DOTALL)


class Bar:
    """How far something is, on the standard error: one line that changes on a terminal, many elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._ending = "" if stream.isatty() else "\n"
        self._longest = 0

    def show(self, share: float, words: str = "") -> None:
        """:param share: 0 to 1."""
        hashes = "#" * int(share * BAR)
        text = f" {int(share * 100):3}% | {hashes}{f' {words}' if words else ''}"
        self._stream.write(f"\r{text.ljust(self._longest)}{self._ending}")
        if not self._ending:
            self._longest = max(self._longest, len(text))
        self._stream.flush()

    def end(self) -> None:
        """Leave it and begin a new line."""
        self._stream.write("\n\n")


def follow(channel: Channel, stream: TextIO, method: str, params: Sequence[Any]) -> Any:
    """Run a message as a task and show how far it is. Interrupted, it asks the task to stop and waits for that.

    :raise ServerFailure: the task's own failure.
    """
    task = str(channel.call(f"Async.{method}", *params))
    bar = Bar(stream)
    try:
        while True:
            try:
                record = _wait(channel, task, bar)
                bar.show(float(record["progress"]))
                break
            except KeyboardInterrupt:
                channel.call("task.cancel", task)
    finally:
        bar.end()
    channel.call("task.destroy", task)
    if record["status"] == "success":
        found = _VALUE.match(record["result"])
        return found[1] if found else record["result"]
    code, *rest = record["error_info"] or ["TASK_CANCELLED", task]
    raise ServerFailure(code, rest)


def _wait(channel: Channel, task: str, bar: Bar) -> dict[str, Any]:
    token = ""
    while True:
        record: dict[str, Any] = channel.call("task.get_record", task)
        bar.show(float(record["progress"]))
        if record["status"] not in ("pending", "cancelling"):
            return record
        token = channel.call("event.from", [f"task/{task}"], token, WAIT_SECONDS)["token"]
