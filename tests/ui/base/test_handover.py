"""A file that is opened goes to the window there is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.config import load
from tests.ui.machines.windows import until
from ui.base.handover import Door, hand_over


async def test_the_window_there_is_gets_the_file(data_dir: Path) -> None:
    named: list[str] = []
    door = load(data_dir).window_socket
    opened = Door(door, named.append)
    await opened.open()
    assert door.stat().st_mode & 0o777 == 0o600
    strange = Path("/srv/naïve name\udcff.xva")
    assert await asyncio.to_thread(hand_over, door, strange)
    await until(lambda: named)
    assert named == [str(strange)]
    await opened.close()
    assert not await asyncio.to_thread(hand_over, door, strange)


async def test_without_a_window_nobody_takes_it(data_dir: Path) -> None:
    assert not hand_over(load(data_dir).window_socket, Path("/srv/a.xva"))


async def test_a_second_window_leaves_the_door_to_the_first(data_dir: Path) -> None:
    first: list[str] = []
    second: list[str] = []
    path = load(data_dir).window_socket
    doors = [Door(path, first.append), Door(path, second.append)]
    for door in doors:
        await door.open()
    await doors[1].close()
    assert await asyncio.to_thread(hand_over, path, Path("/srv/a.xva"))
    await until(lambda: first)
    assert second == []
    await doors[0].close()


async def test_a_door_that_a_kill_left_is_replaced(data_dir: Path) -> None:
    path = load(data_dir).window_socket
    path.touch()
    door = Door(path, lambda _path: None)
    await door.open()
    assert await asyncio.to_thread(hand_over, path, Path("/srv/a.xva"))
    await door.close()


async def test_what_is_no_line_is_not_taken(data_dir: Path) -> None:
    named: list[str] = []
    path = load(data_dir).window_socket
    door = Door(path, named.append)
    await door.open()
    for said in (b"/srv/a.xva", b"x" * 20_000 + b"\n", b""):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(said)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    assert named == []
    await door.close()
