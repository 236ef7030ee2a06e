"""One place where cuts are made, one after the other, by a process that has everything loaded already.

For each cut a prepared data folder is put back, a child is forked that opens an engine over it, acts and is killed, and
the same folder is opened again and looked at. What needs no guest to run beforehand is prepared once and copied.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from app.hypervisor.findings import find_facts
from app.store import database
from tests.engine.vm.guests import processes_of
from tests.faults import acting
from tests.faults.arming import Cut
from tests.faults.checking import check
from tests.faults.folders import copy_folder
from tests.faults.scenarios import SCENARIOS, Facts
from tests.support.engine import open_bench

LIMIT = 120.0
"""Seconds for one child: only one that hangs takes that long."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cut.

    :ivar reached: the victim was hit while the operation was under way.
    :ivar guest: a guest ran in it.
    :ivar recovery: seconds that a new engine took to open.
    :ivar problem: what is wrong with what is left; "" if nothing is.
    """

    cut: Cut
    reached: bool
    guest: bool = False
    recovery: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Course:
    """An operation that nobody disturbs: the points it passes as `name:N`, its seconds, whether a guest runs in it,
    and by how many calls it changes files, if these can be refused.
    """

    scenario: str
    points: list[str] = field(default_factory=list)
    seconds: float = 0.0
    guest: bool = False
    calls: int = 0


def silence() -> None:
    """Keep what engines say out of the results of a process that opens many of them."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)


async def find_accelerators(folder: Path) -> Path:
    """Try the accelerators once; the file is copied into each data folder."""
    cache = folder / "hypervisor.json"
    await find_facts(cache)
    return cache


def roomy_folder() -> Path:
    """A new folder for workshops, in memory where the system has such a place: a kill loses nothing of either."""
    shm = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="sff-", dir=shm if os.access(shm, os.W_OK) else None))


class Workshop:
    """Makes cuts in a folder of its own. Not in a process that has threads: it forks."""

    def __init__(self, base: Path, findings: Path) -> None:
        self._base = base
        self._findings = findings
        self._kept: dict[str, Facts] = {}
        self.folder = base / "data"
        base.mkdir(parents=True, exist_ok=True)
        _share_compiled_sql()

    def course(self, name: str) -> Course:
        """How the scenario goes undisturbed. :raise AssertionError: it fails by itself."""
        facts = self._prepare(name)
        try:
            status, told = self._fork(lambda: acting.record(name, self.folder, facts))
            if status != 0:
                raise AssertionError(f"{name} fails without being disturbed: {told}")
            return Course(name, told["points"], told["seconds"], self._has_had_guests(), told["calls"])
        finally:
            self._clear()

    def cut(self, cut: Cut) -> Outcome:
        """Make one cut and look at what is left."""
        reached, recovery = False, 0.0
        try:
            facts = self._prepare(cut.scenario)
            status, told = self._fork(lambda: acting.disturb(cut, self.folder, facts))
            if status not in (0, -signal.SIGKILL, -signal.SIGALRM):
                raise AssertionError(f"the operation ended by itself: {told}")
            reached = status != 0 or told["reached"]
            if cut.again:
                self._fork(lambda: acting.reopen(cut, self.folder))
            recovery = _run(lambda: check(cut, self.folder, facts, died=acting.killed_mark(self.folder).exists()))
            return Outcome(cut, reached, self._has_had_guests(), recovery)
        except Exception:
            words = f"{traceback.format_exc()}\n{self._last_words()}"
            return Outcome(cut, reached, self._has_had_guests(), recovery, words)
        finally:
            self._clear()

    # Folders

    def _prepare(self, name: str) -> Facts:
        """The data folder as the scenario wants it, always at the same place, so that paths in the facts hold."""
        kept = self._base / "kept" / name
        if name in self._kept:
            copy_folder(kept, self.folder)
            return json_copy(self._kept[name])
        self.folder.mkdir(mode=0o700)
        (self.folder / "journal").mkdir(mode=0o700)
        shutil.copy(self._findings, self.folder / "hypervisor.json")
        facts = json_copy(_run(lambda: self._prepared(name)))
        if not processes_of(self.folder):
            copy_folder(self.folder, kept)
            self._kept[name] = json_copy(facts)
        return facts

    async def _prepared(self, name: str) -> Facts:
        async with open_bench(self.folder, kill_guests=False) as bench:
            return await SCENARIOS[name].prepare(bench, self.folder)

    def _has_had_guests(self) -> bool:
        return (self.folder / "vm").exists()

    def _clear(self) -> None:
        if self._has_had_guests():
            for pid in processes_of(self.folder):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # guests started here stay as zombies until they are asked for
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)
        acting.killed_mark(self.folder).unlink(missing_ok=True)

    # The child

    def _fork(self, act: Callable[[], Awaitable[dict[str, Any]]]) -> tuple[int, Any]:
        """Run it in a child; answer how that ended, and what it told.

        :raise AssertionError: it hangs.
        """
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _be_the_child(act, write, self._base / "words")
        os.close(write)
        try:
            told = _read_all(read, time.monotonic() + LIMIT)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise AssertionError("the operation hangs") from None
        finally:
            os.close(read)
            _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), json.loads(told) if told else {}

    def _last_words(self) -> str:
        try:
            return (self._base / "words").read_text(errors="replace")[-3000:]
        except OSError:
            return ""


def _be_the_child(act: Callable[[], Awaitable[dict[str, Any]]], told: int, words: Path) -> NoReturn:
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        log = os.open(words, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.write(told, json.dumps(_run(act)).encode())
        status = 0
    except BaseException:
        os.write(told, json.dumps(traceback.format_exc()).encode())
    finally:
        os._exit(status)


def _read_all(descriptor: int, until: float) -> bytes:
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, until - time.monotonic())):
                raise TimeoutError
            piece = os.read(descriptor, 65536)
            if not piece:
                return data
            data += piece


def _run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def awaited() -> Any:
        return await work()

    # As the engine's own thread: a plain loop, whatever the policy.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(awaited())


def json_copy(facts: Facts) -> Facts:
    """Facts as they come back from a file."""
    copied: Facts = json.loads(json.dumps(facts))
    return copied


def _share_compiled_sql() -> None:
    """Compiling the statements takes longer than all else an engine does to open; here one opens thousands of times."""
    real = vars(database)["create_engine"]
    first: list[Any] = []

    def create(*args: Any, **more: Any) -> Any:
        made = real(*args, **more)
        first.append(made)
        made.dialect, made._compiled_cache = first[0].dialect, first[0]._compiled_cache
        del first[1:]
        return made

    vars(database)["create_engine"] = create
