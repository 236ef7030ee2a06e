"""The Console tab connects while it is seen, passes keys and mouse on, and says why there is no picture."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QColor, QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.api import VM, ConnectionLost, Console, Failure, Ref, VMOperation, VMPowerState
from app.client.keys import NAMED
from tests.support.rfb_server import DESKTOP_SIZE, EXTENDED_KEY, RfbServer, connected_pair, rect
from tests.ui.machines.windows import opened, until
from tests.ui.machines.world import World
from ui.machines.console_tab import ConsoleTab

GREEN = b"\0\xff\0\0"


class Consoles:
    """Servers for the connections a test expects."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ends: list[asyncio.StreamWriter] = []

    async def offer(self) -> RfbServer:
        """The next console the engine opens is this one's."""
        server, reader, writer = await connected_pair()
        self._world.engine.consoles.append((reader, writer))
        self._ends += [server.writer, writer]
        return server

    async def serving(self, width: int = 40, height: int = 30) -> asyncio.Task[RfbServer]:
        """A server that will have shaken hands and shown a green screen, and takes scancodes."""
        return asyncio.ensure_future(self._serve(await self.offer(), width, height))

    async def _serve(self, server: RfbServer, width: int, height: int) -> RfbServer:
        await server.greet(width, height)
        await server.request()
        server.update(rect(0, 0, 0, 0, EXTENDED_KEY), rect(0, 0, width, height, 0, GREEN * width * height))
        await server.request()
        return server

    async def close(self) -> None:
        for end in self._ends:
            end.close()
        await asyncio.gather(*(end.wait_closed() for end in self._ends), return_exceptions=True)


@pytest.fixture
async def consoles(world: World) -> AsyncIterator[Consoles]:
    made = Consoles(world)
    yield made
    await made.close()


def running(world: World, state: VMPowerState = VMPowerState.Running) -> Ref[VM]:
    ref = world.add_vm("web1", state)
    console: Ref[Console] = world.engine.put(Console(VM=ref))
    world.engine.change(VM, ref, consoles=frozenset({console}))
    return ref


def shown(world: World, qtbot: QtBot, ref: str) -> ConsoleTab:
    tab = ConsoleTab(world.workspace)
    qtbot.addWidget(tab)
    tab.resize(400, 400)
    tab.show()
    tab.activateWindow()
    tab.show_object("VM", ref)
    return tab


async def live(tab: ConsoleTab) -> None:
    await until(lambda: tab.link.client)
    tab.screen_view.setFocus()
    assert tab.screen_view.hasFocus()


def opens(world: World) -> int:
    return sum(method == "open_console" for method, _ in world.engine.calls)


def sentence(tab: ConsoleTab) -> str:
    return tab.empty.sentence.text() if tab.empty.isVisible() else tab.notice.sentence()


async def test_the_picture_is_shown_and_can_be_taken(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    assert sentence(tab) == "Connecting to the console…"
    await serving
    await live(tab)
    picture = tab.screen_view.picture()
    assert (picture.width(), picture.height()) == (40, 30)
    assert picture.pixelColor(20, 15) == QColor(0, 255, 0)
    centre = tab.screen_view.rect().center()
    assert tab.screen_view.grab().toImage().pixelColor(centre) == QColor(0, 255, 0)
    tab.copy_screenshot()
    assert QGuiApplication.clipboard().image().size() == picture.size()


async def test_it_connects_only_while_it_is_seen(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = ConsoleTab(world.workspace)
    qtbot.addWidget(tab)
    tab.show_object("VM", running(world))
    await asyncio.sleep(0)
    assert opens(world) == 0
    tab.show()
    server = await serving
    await until(lambda: tab.link.client)
    tab.hide()
    assert tab.link.client is None
    assert await server.reader.read() == b"", "it closed the connection"
    serving = await consoles.serving()
    tab.show()
    await serving
    await until(lambda: tab.link.client)
    assert opens(world) == 2
    tab.hide()


async def test_a_vm_that_is_off_can_be_started_here(world: World, qtbot: QtBot) -> None:
    ref = world.add_vm("web1", VMPowerState.Halted)
    tab = shown(world, qtbot, ref)
    assert (sentence(tab), tab.empty_act.text()) == ("This VM is off.", "Start")
    tab.empty_act.click()
    await until(lambda: world.engine.called("VM.start"))
    assert world.engine.called("VM.start") == [(ref,)]
    world.busy(ref, VMOperation.start)
    assert sentence(tab) == "This VM is starting…"
    assert not tab.empty_act.isVisible()
    assert opens(world) == 0


async def test_a_suspended_vm_can_be_resumed_here(world: World, qtbot: QtBot) -> None:
    ref = world.add_vm("web1", VMPowerState.Suspended)
    tab = shown(world, qtbot, ref)
    assert tab.empty_act.text() == "Resume"
    tab.empty_act.click()
    await until(lambda: world.engine.called("VM.resume"))


async def test_a_paused_screen_stays_and_can_go_on(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    ref = running(world, VMPowerState.Paused)
    tab = shown(world, qtbot, ref)
    await serving
    await live(tab)
    assert tab.screen_view.isVisible()
    assert sentence(tab) == "This VM is paused: its screen stands still."
    tab.notice.act.click()
    await until(lambda: world.engine.called("VM.unpause"))
    world.set(ref, power_state=VMPowerState.Running)
    assert not tab.notice.isVisible()


async def test_a_lost_console_is_connected_again(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    ref = running(world)
    tab = shown(world, qtbot, ref)
    server = await serving
    await live(tab)
    again = await consoles.serving()
    server.writer.write_eof()
    await until(lambda: tab.link.state == "lost")
    assert sentence(tab) == "The console ended the connection. Connecting again…"
    assert tab.screen_view.isVisible(), "the last picture stays"
    assert not tab.send_cad.isEnabled()
    await again
    await until(lambda: tab.link.client)
    assert not tab.notice.isVisible()
    world.set(ref, power_state=VMPowerState.Halted)
    assert sentence(tab) == "This VM is off."
    assert tab.screen_view.picture().isNull()


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Failure("OPERATION_NOT_ALLOWED", "Someone else is watching."), "Someone else is watching."),
        (ConnectionLost("no such socket"), "The console does not answer."),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
    ],
)
async def test_a_console_that_cannot_be_opened_says_why(
    world: World, qtbot: QtBot, failure: Exception, reason: str
) -> None:
    world.engine.consoles.append(failure)
    tab = shown(world, qtbot, running(world))
    await until(lambda: tab.link.state == "lost")
    assert sentence(tab) == f"{reason} Connecting again…"
    tab.hide()


async def test_another_vm_shows_nothing_of_the_first(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    await serving
    await live(tab)
    tab.show_object("VM", world.add_vm("off", VMPowerState.Halted))
    assert tab.screen_view.picture().isNull()
    assert tab.link.client is None


async def test_a_screen_may_change_its_size(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    server = await serving
    await live(tab)
    server.update(rect(0, 0, 80, 60, DESKTOP_SIZE))
    await server.request()
    await until(lambda: tab.screen_view.picture().width() == 80)
    server.update(rect(0, 0, 80, 60, 0, GREEN * 4800))
    await until(lambda: tab.screen_view.picture().pixelColor(79, 59) == QColor(0, 255, 0))


def extended(name: str, down: bool) -> bytes:
    return struct.pack(">BBHII", 255, 0, down, *NAMED[name])


async def heard(server: RfbServer, expected: bytes) -> None:
    assert await server.hear(len(expected)) == expected


async def test_every_key_is_the_guests(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    fired: list[str] = []
    action = QAction(tab)
    action.setShortcut(QKeySequence("Ctrl+B"))
    action.triggered.connect(lambda: fired.append("Ctrl+B"))
    tab.addAction(action)
    server = await serving
    await live(tab)
    for code, name in ((Qt.Key.Key_Tab, "Tab"), (Qt.Key.Key_Left, "Left"), (Qt.Key.Key_F5, "F5")):
        QTest.keyClick(tab.screen_view, code)
        await heard(server, extended(name, True) + extended(name, False))
    assert tab.screen_view.hasFocus()
    QTest.keyClick(tab.screen_view, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert fired == [], "the guest's Ctrl+B is not the window's"


async def test_control_and_alt_give_the_keyboard_back(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    server = await serving
    await live(tab)
    assert "Ctrl+Alt" in tab.hint.text()
    QTest.keyPress(tab.screen_view, Qt.Key.Key_Control)
    QTest.keyPress(tab.screen_view, Qt.Key.Key_Alt)
    QTest.keyRelease(tab.screen_view, Qt.Key.Key_Alt)
    assert not tab.screen_view.hasFocus()
    assert tab.send_cad.hasFocus()
    down = extended("Control_L", True) + extended("Alt_L", True)
    await heard(server, down + extended("Alt_L", False) + extended("Control_L", False))


async def test_leaving_lets_go_of_every_key(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    server = await serving
    await live(tab)
    QTest.keyPress(tab.screen_view, Qt.Key.Key_Shift)
    tab.send_cad.setFocus()
    await heard(server, extended("Shift_L", True) + extended("Shift_L", False))


async def test_control_alt_delete_is_sent(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    server = await serving
    await live(tab)
    tab.send_cad.click()
    names = ("Control_L", "Alt_L", "Delete")
    down, up = (b"".join(extended(n, d) for n in names[:: 1 if d else -1]) for d in (True, False))
    await heard(server, down + up)


async def test_the_mouse_is_where_it_is_in_the_picture(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    server = await serving
    await live(tab)
    shown_at = tab.screen_view.picture_rect()
    place = QPoint(
        round(shown_at.left() + shown_at.width() * 0.25) + 1, round(shown_at.top() + shown_at.height() * 0.5) + 1
    )
    QTest.mouseClick(tab.screen_view, Qt.MouseButton.RightButton, pos=place)
    await heard(server, struct.pack(">BBHH", 5, 4, 10, 15) + struct.pack(">BBHH", 5, 0, 10, 15))


async def test_whole_pixels_scroll_and_fit_does_not(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving(1000, 40)
    tab = shown(world, qtbot, running(world))
    await serving
    await live(tab)
    assert tab.screen_view.picture_rect().width() <= tab.width()
    tab.scale.chosen.emit("whole")
    await until(lambda: tab.screen_view.width() >= 1000)
    assert tab.screen_view.picture_rect().width() == 1000
    assert world.workspace.settings.get("console/scale", "") == "whole"


async def test_a_screenshot_is_saved(world: World, qtbot: QtBot, consoles: Consoles, tmp_path: Path) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    await serving
    await live(tab)
    tab._save_screenshot()
    dialog = await opened(QFileDialog)
    dialog.setDirectory(str(tmp_path))
    dialog.accept()
    await until(lambda: (tmp_path / "web1.png").exists())
    await until(lambda: not world.workspace._tasks or (tmp_path / "web1.png").stat().st_size)


async def test_a_still_screen_costs_nothing(world: World, qtbot: QtBot, consoles: Consoles) -> None:
    serving = await consoles.serving()
    tab = shown(world, qtbot, running(world))
    server = await serving
    await live(tab)
    painted: list[object] = []
    tab.link.updated.connect(painted.append)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(server.reader.read(1), 0.3)
    assert painted == []
