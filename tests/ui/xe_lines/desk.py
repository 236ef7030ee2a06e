"""A desk with a terminal beside it: what a button sends, and what the line that it offers sends, side by side."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from PySide6.QtWidgets import QDialog

from app.api import SR, VBD, VDI, VM, VMSS, Network, Record, Ref, Task
from app.api.wire import plain
from app.config import load
from app.hypervisor.simulated import SimulatedDriver
from app.server.local import LocalServer
from tests.e2e.shell import Shell
from tests.support.engine import Bench, open_bench
from tests.ui.machines.windows import open_dialogs, until
from ui.base.commands import Selection
from ui.base.dialogs import Dialog, ErrorDialog
from ui.base.settings import Settings
from ui.base.wizard import Wizard
from ui.base.workspace import Workspace
from ui.exchange import commands as exchange
from ui.machines import commands as machines
from ui.schedules import commands as schedules
from ui.snapshots import commands as snapshots
from ui.storage import commands as storage

#: a message or a transfer, with names in place of references
Sent = tuple[str, ...]
Answer = Callable[[Any], None]

_NAMED: Final[tuple[type[Any], ...]] = (VM, VDI, VMSS, SR, Network, Task)
#: what is done to "web a" by the button is done to "web b" by the line
_TWINS: Final = re.compile(r"\b(web|mail) [ab]\b")
_READS: Final = re.compile(r"(\w+\.(get|assert)_|event\.|session\.|system\.|task\.(?!cancel)|VDI\.inspect_file)")
_MARK: Final = "\x01"
_UNSAID: Final = ("session_id", "task_id")


class XeDesk:
    """An engine with simulated guests, a workspace with the commands of all features, and xe."""

    def __init__(self, bench: Bench, workspace: Workspace, shell: Shell) -> None:
        self.bench, self.workspace, self.shell = bench, workspace, shell
        self._sent: list[Sent] = []
        self._listen()

    # ---- what is sent -----------------------------------------------------------------------------------------

    def _listen(self) -> None:
        engine = self.bench.engine
        call, get, put = engine.dispatcher.call, engine.handlers.get, engine.handlers.put

        async def heard(session: str, method: str, params: Sequence[Any]) -> Any:
            name = method.removeprefix("Async.")
            if not _READS.match(name):
                self._sent.append((name, *map(self._named, _given(params))))
            return await call(session, method, params)

        async def got(session: str, path: str, query: Mapping[str, str]) -> Any:
            self._sent.append(("GET", path, self._named(_said(query))))
            return await get(session, path, query)

        async def took(session: str, path: str, query: Mapping[str, str], body: Any, length: int | None) -> Any:
            self._sent.append(("PUT", path, self._named(_said(query))))
            return await put(session, path, query, body, length)

        engine.dispatcher.call = heard  # type: ignore[method-assign]
        engine.handlers.get = got  # type: ignore[method-assign]
        engine.handlers.put = took  # type: ignore[method-assign]

    def _named(self, value: Any) -> str:
        """A value in which references are names, and the twins are alike."""
        text = repr(_sorted(plain(value)))
        for ref in set(re.findall(r"OpaqueRef:[0-9a-f-]{36}", text)):
            text = text.replace(ref, self._name(ref))
        return _TWINS.sub(r"\1", text)

    def _name(self, ref: str) -> str:
        store = self.bench.store
        for cls in _NAMED:
            record = store.find(cls, Ref(ref))
            if record is not None:
                return f"<{cls.__name__} {record.name_label}>"
        vbd = store.find(VBD, Ref(ref))
        return f"<VBD {vbd.userdevice} of {self._name(vbd.VM)}>" if vbd is not None else "<gone>"

    # ---- the two ways -----------------------------------------------------------------------------------------

    async def press(self, command: str, chosen: Selection, *answers: Answer) -> list[Sent]:
        """Run a command, answer each of its dialogs, press its button, and wait for the end; what was sent."""
        self._sent.clear()
        await self._begin(command, chosen)
        for answer in answers:
            dialog = await self._opened()
            answer(dialog)
            await self._accept(dialog)
        await self.idle()
        return sorted(self._sent)

    async def offered(self, command: str, chosen: Selection, answer: Answer) -> str:
        """The line that the button of a command's dialog offers, answered like that. The dialog is closed again."""
        await self._begin(command, chosen)
        dialog = await self._opened()
        answer(dialog)
        await self._to_the_end(dialog)
        assert isinstance(dialog, Dialog | Wizard)
        line = dialog.xe_line()
        dialog.reject()
        await self.idle()
        return line

    async def typed(self, text: str) -> list[Sent]:
        """Run lines as a shell would; what was sent."""
        self._sent.clear()
        await asyncio.to_thread(self._run, text)
        return sorted(self._sent)

    async def same(self, command: str, button: Selection, line: Selection, *answers: Answer) -> str:
        """Do it to one by the button and to its twin by the line; the line, which was proven to send the same."""
        text = await self.offered(command, line, answers[0]) if answers else self.line(command, line)
        pressed = await self.press(command, button, *answers)
        assert pressed, f"{command} sent nothing"
        assert await self.typed(text) == pressed, text
        return text

    def line(self, command: str, chosen: Selection) -> str:
        """The line of a command."""
        return self.workspace.commands.xe_line(command, chosen)

    def _run(self, text: str) -> None:
        for _ in taken_apart(text, lambda words: self.shell.said(*words, stdin="yes\n")):
            pass

    # ---- waiting ----------------------------------------------------------------------------------------------

    async def _begin(self, command: str, chosen: Selection) -> None:
        commands = self.workspace.commands
        await until(lambda: commands.state(command, chosen).enabled)
        commands.run(command, chosen)

    async def _opened(self) -> QDialog:
        found: list[QDialog] = await until(lambda: [*open_dialogs(Dialog), *open_dialogs(Wizard)])
        _no_error()
        return found[0]

    async def _to_the_end(self, dialog: QDialog) -> None:
        while isinstance(dialog, Wizard) and not dialog.is_last():
            await until(dialog.page.is_complete)
            dialog.go_next()
        if isinstance(dialog, Dialog) and dialog.primary is not None:
            await until(dialog.primary.isEnabled)

    async def _accept(self, dialog: QDialog) -> None:
        await self._to_the_end(dialog)
        button = dialog.next if isinstance(dialog, Wizard) else dialog.primary if isinstance(dialog, Dialog) else None
        assert button is not None
        button.click()
        await until(lambda: not dialog.isVisible())

    async def idle(self) -> None:
        """Wait until nothing is under way, and the cache has heard of all of it."""

        def is_idle() -> bool:
            _no_error()
            for dialog in open_dialogs(Dialog):
                if dialog.primary is None:  # it only tells of those that were left out
                    dialog.reject()
            space = self.workspace
            return not (space.commands.running or space._tasks or space.history.running())

        await until(is_idle)
        assert [entry.error for entry in self.workspace.history.failed()] == []

    async def heard(self, cls: type[Record], ref: str, holds: Callable[[Any], object]) -> None:
        """Wait until the cache knows a record of which something holds."""
        await until(lambda: (record := self.bench.cache.get(cls, Ref(ref))) is not None and holds(record))

    # ---- twins ------------------------------------------------------------------------------------------------

    async def twins(self, name: str = "web", **given: Any) -> tuple[Ref[VM], Ref[VM]]:
        """Two Halted VMs that are alike."""
        made = [await self.bench.sample_vm(f"{name} {which}", **given) for which in "ab"]
        for vm in made:
            await self.heard(VM, vm, lambda record: record.allowed_operations)
        return made[0], made[1]

    async def started(self, *vms: Ref[VM]) -> None:
        """Start these."""
        for vm in vms:
            await self.bench.session.VM.start(vm)
            await self.heard(VM, vm, lambda record: record.power_state.value == "Running" and record.allowed_operations)

    async def snapshots(self, vms: Sequence[Ref[VM]], name: str, *, memory: bool = False) -> list[Ref[VM]]:
        """A snapshot of each."""
        calls = self.bench.session.VM
        made = [await (calls.checkpoint if memory else calls.snapshot)(vm, name) for vm in vms]
        for snapshot in made:
            await self.heard(VM, snapshot, lambda record: record.allowed_operations)
        return made


def taken_apart(text: str, run: Callable[[list[str]], str]) -> Iterator[tuple[str, list[str]]]:
    """Run lines as a shell would: the variable that each keeps its answer in, and its words without `xe`."""
    kept: dict[str, str] = {}
    for line in commands_in(text):
        keeping = re.fullmatch(r"(\w+)=\$\((.*)\)", line, re.DOTALL)
        program, *words = (_expanded(word, kept) for word in _words(keeping[2] if keeping else line))
        assert program == "xe", line
        said = run(words)
        if keeping:
            kept[keeping[1]] = said.strip()
        yield keeping[1] if keeping else "", words


def _words(line: str) -> list[str]:
    """The words, in which a variable that the shell looks into is marked."""
    return shlex.split(re.sub(r'="\$(\w+)"', rf"={_MARK}\1", line))


def commands_in(text: str) -> list[str]:
    """The lines, put together where a quoted value has several."""
    found, pending = list[str](), ""
    for line in text.splitlines(keepends=True):
        pending += line
        try:
            shlex.split(pending)
        except ValueError:
            continue
        found.append(pending.rstrip("\n"))
        pending = ""
    assert not pending, text
    return found


def vms(*refs: str) -> Selection:
    """VMs, templates or snapshots as what is chosen."""
    return tuple(("VM", ref) for ref in refs)


def nothing(_dialog: Any) -> None:
    """The answers as they are proposed."""


def _given(params: Sequence[Any]) -> list[Any]:
    """Parameters without those at the end that only say what goes without saying."""
    found = [plain(value) for value in params]
    while found and (found[-1] in (False, "OpaqueRef:NULL", "") or found[-1] == []):
        found.pop()
    return found


def _said(query: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in query.items() if key not in _UNSAID}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value) if value[key] not in ("", False, {}, [])}
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value


def _expanded(word: str, kept: Mapping[str, str]) -> str:
    key, mark, name = word.partition(f"={_MARK}")
    return f"{key}={kept[name]}" if mark else word


def _no_error() -> None:
    shown = [(dialog.heading.text(), dialog.accessibleDescription()) for dialog in open_dialogs(ErrorDialog)]
    assert shown == [], shown


@asynccontextmanager
async def open_desk(data_dir: Path) -> AsyncIterator[XeDesk]:
    """Open an engine, a workspace with all commands, and the socket that xe asks."""
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        server = LocalServer(bench.engine, load(data_dir).engine_socket)
        await server.open()
        workspace = Workspace(bench.session, bench.cache, Settings(data_dir.parent / "settings.ini"))
        for feature in (machines, snapshots, schedules, storage, exchange):
            feature.register(workspace)
        try:
            yield XeDesk(bench, workspace, Shell(data_dir))
        finally:
            await workspace.commands.stop()
            await workspace.close()
            await server.close()


__all__ = ["Answer", "XeDesk", "nothing", "open_desk", "taken_apart", "until", "vms"]
