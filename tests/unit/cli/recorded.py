"""What a real xe printed, and a server that has the objects it printed them of."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.cli import main
from app.cli.errors import ServerFailure
from tests.support.recordings import DATA, records

__all__ = ["Printed", "RecordedServer", "records", "ref_of", "rows", "server", "xe"]

HOME = Path("/nonexistent")


class Row(NamedTuple):
    """A command line and what came of it."""

    n: int
    args: list[str]
    stdin: str
    stdout: str
    stderr: str
    status: int


class Printed(NamedTuple):
    """What our own xe makes of a command line."""

    stdout: str
    stderr: str
    status: int


@cache
def rows() -> Mapping[int, Row]:
    """The recording by number, without the time-outs."""
    lines = gzip.decompress((DATA / "xe.jsonl.gz").read_bytes()).decode().splitlines()
    found = [json.loads(line) for line in lines]
    return {
        row["n"]: Row(row["n"], row["args"], row["stdin"], row["stdout"], row["stderr"], row["rc"]) for row in found
    }


class RecordedServer:
    """Answers from the recording, and keeps what it is asked to change.

    :ivar sent: the messages that would change something, with their parameters.
    :ivar asked: every message, the others too.
    :ivar answers: by message, what it answers instead of the null reference, or the failure it raises.
    """

    def __init__(self, **answers: Any) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.asked: list[str] = []
        self.answers = answers

    def call(self, method: str, *params: Any) -> Any:
        cls, _, message = method.partition(".")
        objects = records().get(cls, {})
        self.asked.append(method)
        refusal = self.answers.get(method.replace(".", "_"))
        if isinstance(refusal, ServerFailure) and message == "get_all_records_where":
            raise refusal
        if message == "get_all_records":
            return objects
        if message == "get_all_records_where":
            wanted = [(field, value == "true") for field, value in re.findall(r'field "(\w+)" = "(\w+)"', params[0])]
            return {ref: record for ref, record in objects.items() if all(record[f] is v for f, v in wanted)}
        if message == "get_record":
            return self._one(cls, objects, params[0])
        if message == "get_by_uuid":
            return self._by_uuid(cls, objects, params[0])
        if message == "get_by_name_label":
            return [ref for ref, record in objects.items() if record.get("name_label") == params[0]]
        if message == "get_allowed_VBD_devices":
            return self._free_devices(params[0])
        self.sent.append((method, *params))
        answer = self.answers.get(method.replace(".", "_"), "OpaqueRef:NULL")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Nothing to let go of."""

    def _one(self, cls: str, objects: Mapping[str, Any], ref: str) -> Any:
        if ref not in objects:
            raise ServerFailure("HANDLE_INVALID", [cls, ref])
        return objects[ref]

    def _by_uuid(self, cls: str, objects: Mapping[str, Any], uuid: str) -> str:
        found = next((ref for ref, record in objects.items() if record["uuid"] == uuid), None)
        if found is None:
            raise ServerFailure("UUID_INVALID", [cls, uuid])
        return found

    def _free_devices(self, vm: str) -> list[str]:
        taken = {records()["VBD"][ref]["userdevice"] for ref in records()["VM"][vm]["VBDs"]}
        return [str(at) for at in range(255) if str(at) not in taken]


def ref_of(cls: str, name: str) -> str:
    """The object of that name."""
    return next(ref for ref, record in records()[cls].items() if record["name_label"] == name)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> RecordedServer:
    """The server that every command of the test reaches."""
    made = RecordedServer()
    monkeypatch.setattr(main, "_connected", lambda _words, _streams: made)
    return made


def xe(*args: str, stdin: str = "", environment: Mapping[str, str] | None = None, home: Path = HOME) -> Printed:
    """Run our xe."""
    out, error = io.StringIO(), io.StringIO()
    status = main.run(args, environment or {}, home, (io.StringIO(stdin), out, error))
    return Printed(out.getvalue(), error.getvalue(), status)
