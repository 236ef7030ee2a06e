"""The sample guest keeps the promises of resources/sample_guest/README.md on real QEMU."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.engine.sample_guest.conftest import MakeDisks
from tests.engine.sample_guest.machine import Machine
from tests.support.guest_disk import GuestSector, read_counter

PLACES = [("pc", "virtio"), ("pc", "ide"), ("q35", "virtio"), ("q35", "ide")]


def sector(disk: Path) -> GuestSector:
    return read_counter(disk, "raw")


@pytest.mark.parametrize(("kind", "interface"), PLACES)
async def test_counts_on_its_disk(folder: Path, make_disks: MakeDisks, kind: str, interface: str) -> None:
    disks = make_disks(1)
    async with Machine(folder, disks, interface, kind) as machine:
        boot = await machine.line(r"^stillframe boot=(\d+) disks=(\d+) n=(\d+)$")
        assert boot.groups() == ("1", "1", "0")
        first = await machine.tick()
        assert (first.counter, first.ticks) == (1, 1)
        seen = await machine.ticks_until(5)
        await machine.execute("stop")
        kept = sector(disks[0])
        assert kept.magic_ok
        assert kept.counter >= seen.counter
        assert kept.ticks == kept.counter
        assert (kept.boot, kept.disk, kept.note, kept.broken) == (1, 0, "", False)
        await machine.execute("cont")
        await machine.ticks_until(kept.ticks + 3)
        await machine.execute("stop")
        assert sector(disks[0]).counter >= kept.counter + 3


@pytest.mark.parametrize("interface", ["virtio", "ide"])
@pytest.mark.parametrize("count", [2, 4])
async def test_all_disks_carry_one_count(folder: Path, make_disks: MakeDisks, interface: str, count: int) -> None:
    disks = make_disks(count)
    async with Machine(folder, disks, interface) as machine:
        assert (await machine.line("^stillframe boot=.* disks=(.) "))[1] == str(count)
        for ticks in range(3, 13):
            seen = await machine.ticks_until(ticks)
            await machine.execute("stop")
            kept = [sector(disk) for disk in disks]
            await machine.execute("cont")
            assert [one.disk for one in kept] == list(range(count))
            counters = [one.counter for one in kept]
            assert counters == sorted(counters, reverse=True)
            assert counters[0] - counters[-1] in (0, 1)
            assert counters[-1] >= seen.counter


async def test_a_fifth_and_a_tiny_disk_are_left_alone(folder: Path, make_disks: MakeDisks) -> None:
    disks = make_disks(5)
    with disks[1].open("r+b") as file:
        file.truncate(64 * 512)
    before = disks[1].read_bytes()
    async with Machine(folder, disks) as machine:
        assert (await machine.line("^stillframe boot=.* disks=(.) "))[1] == "3"
        await machine.ticks_until(3)
        await machine.execute("stop")
        assert [sector(disks[index]).magic_ok for index in (0, 2, 3, 4)] == [True, True, True, False]
        assert disks[1].read_bytes() == before


async def test_power_button_ends_it_cleanly_and_it_goes_on_from_the_disk(folder: Path, make_disks: MakeDisks) -> None:
    disks = make_disks(2)
    async with Machine(folder, disks) as machine:
        await machine.ticks_until(4)
        await machine.execute("system_powerdown")
        last = int((await machine.line(r"^stillframe bye n=(\d+)$"))[1])
        told = await machine.event("SHUTDOWN")
        assert (told["guest"], told["reason"]) == (True, "guest-shutdown")
        assert await machine.exited() == 0
    assert [sector(disk).counter for disk in disks] == [last, last]
    async with Machine(folder, disks) as machine:
        boot = await machine.line(r"^stillframe boot=(\d+) disks=2 n=(\d+)$")
        assert boot.groups() == ("2", str(last))
        first = await machine.tick()
        assert (first.counter, first.ticks) == (last + 1, 1)


@pytest.mark.parametrize("kind", ["pc", "q35"])
async def test_power_button_works_on(folder: Path, make_disks: MakeDisks, kind: str) -> None:
    async with Machine(folder, make_disks(1), machine=kind) as machine:
        await machine.ticks_until(2)
        await machine.execute("system_powerdown")
        await machine.line("^stillframe bye n=")
        assert await machine.exited() == 0


async def test_a_reset_goes_on_from_the_disk(folder: Path, make_disks: MakeDisks) -> None:
    async with Machine(folder, make_disks(1)) as machine:
        seen = await machine.ticks_until(4)
        await machine.execute("system_reset")
        boot = await machine.line(r"^stillframe boot=2 disks=1 n=(\d+)$")
        assert int(boot[1]) >= seen.counter
        assert (await machine.tick()).ticks == 1


async def test_memory_goes_on_through_a_saved_state(folder: Path, make_disks: MakeDisks) -> None:
    """Saved, left to run far ahead, and restored: ticks and counter go on where they were saved."""
    disks = make_disks(1)
    saved = folder / "state"
    async with Machine(folder, disks) as machine:
        await machine.ticks_until(4)
        await machine.execute("stop")
        at = sector(disks[0])
        frozen = disks[0].read_bytes()
        await save(machine, f"exec:cat > {saved}")
        await machine.execute("cont")
        await machine.ticks_until(at.ticks + 10)
    disks[0].write_bytes(frozen)
    async with Machine(folder, disks, extra=["-incoming", "defer"]) as machine:
        await restore(machine, f"exec:cat {saved}")
        await machine.execute("cont")
        first = await machine.tick()
        # The tick in flight may have been written already when the machine was stopped.
        assert first.ticks in (at.ticks, at.ticks + 1)
        assert first.counter == first.ticks
        second = await machine.tick()
        assert (second.counter, second.ticks) == (first.counter + 1, first.ticks + 1)


async def save(machine: Machine, uri: str) -> None:
    await tell_migration(machine)
    await machine.execute("migrate", uri=uri)
    await machine.event("MIGRATION", status="completed")
    # QEMU 10 tells of the end a moment before it lets the guest go on.
    while (await machine.execute("query-status"))["status"] != "postmigrate":  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def restore(machine: Machine, uri: str) -> None:
    await tell_migration(machine)
    await machine.execute("migrate-incoming", uri=uri)
    await machine.event("MIGRATION", status="completed")


async def tell_migration(machine: Machine) -> None:
    wanted = [{"capability": "events", "state": True}]
    await machine.execute("migrate-set-capabilities", capabilities=wanted)


async def test_the_note_is_kept_and_cleared(folder: Path, make_disks: MakeDisks) -> None:
    disks = make_disks(2)
    async with Machine(folder, disks) as machine:
        await machine.ticks_until(2)
        for names in (["shift", "h"], ["i"], ["spc"], ["x"], ["backspace"], ["1"]):
            await machine.key(*names)
        await note_becomes(machine, disks, "Hi 1")
        await machine.execute("system_reset")
        await machine.line("^stillframe boot=2 ")
        await note_becomes(machine, disks, "Hi 1")
        await machine.key("ret")
        await note_becomes(machine, disks, "")


async def note_becomes(machine: Machine, disks: list[Path], wanted: str) -> None:
    """Looks after each tick; the machine's own time limit ends a vain wait."""
    notes: list[str] = []
    for _ in range(200):
        await machine.tick()
        await machine.execute("stop")
        notes = [sector(disk).note for disk in disks]
        await machine.execute("cont")
        if notes == [wanted] * len(disks):
            return
    raise AssertionError(f"the notes are {notes}, not {wanted!r}")


@pytest.mark.parametrize("keys", [["f8"], ["ctrl", "b"]])
async def test_broken_stays_broken_until_told(folder: Path, make_disks: MakeDisks, keys: list[str]) -> None:
    disks = make_disks(2)
    async with Machine(folder, disks) as machine:
        await machine.ticks_until(3)
        await machine.key("a")
        await note_becomes(machine, disks, "a")
        await machine.key(*keys)
        await machine.line("^stillframe broken$")
        await machine.execute("stop")
        for disk in disks:
            assert sector(disk) == GuestSector(True, 0, sector(disks[0]).ticks, 1, "", disks.index(disk), True)
        await machine.execute("system_reset")
        await machine.execute("cont")
        await machine.line("^stillframe boot=2 disks=2 n=0$")
        await machine.key("ret")
        await machine.line("^stillframe again n=0$")
        assert (await machine.tick()).counter == 1
        await machine.execute("stop")
        assert [sector(disk).broken for disk in disks] == [False, False]


async def test_power_button_works_when_broken(folder: Path, make_disks: MakeDisks) -> None:
    async with Machine(folder, make_disks(1)) as machine:
        await machine.ticks_until(2)
        await machine.key("f8")
        await machine.line("^stillframe broken$")
        await machine.execute("system_powerdown")
        await machine.line("^stillframe bye n=0$")
        assert await machine.exited() == 0


async def test_a_refused_write_is_told_and_the_others_go_on(folder: Path, make_disks: MakeDisks) -> None:
    disks = make_disks(3)
    failing = f"if=virtio,index=1,driver=raw,file.driver=blkdebug,file.image.filename={disks[1]},file.image.driver=file"
    failing += ",werror=report,file.inject-error.0.event=none,file.inject-error.0.iotype=write"
    third = f"if=virtio,index=2,format=raw,file={disks[2]}"
    async with Machine(folder, disks[:1], extra=["-drive", failing, "-drive", third]) as machine:
        await machine.line("^stillframe boot=1 disks=3 n=0$")
        seen = await machine.line("^n=(\\d+) t=4 write-error$")
        await machine.execute("stop")
        assert [sector(disk).magic_ok for disk in disks] == [True, False, True]
        assert sector(disks[2]).counter >= int(seen[1])


async def test_the_counter_holds_64_bits(folder: Path, make_disks: MakeDisks) -> None:
    """A carry into the upper half, on disk and in the decimal figures."""
    disks = make_disks(1)
    start = (1 << 32) - 3
    with disks[0].open("r+b") as file:
        file.seek(64 * 512)
        file.write(b"STILLFRM" + start.to_bytes(8, "little"))
    async with Machine(folder, disks) as machine:
        await machine.line(f" n={start}$")
        seen = await machine.ticks_until(6)
        assert seen.counter == start + seen.ticks
        await machine.execute("stop")
        kept = sector(disks[0])
        assert kept.counter == start + kept.ticks


async def test_the_screen_is_drawn(folder: Path, make_disks: MakeDisks) -> None:
    """Text mode 3 with the guest's own colours: the background and the accent are where they belong."""
    picture = folder / "screen.ppm"
    async with Machine(folder, make_disks(1)) as machine:
        await machine.ticks_until(3)
        await machine.execute("screendump", filename=str(picture))
    kind, size, depth, pixels = picture.read_bytes().split(b"\n", 3)
    assert (kind, size, depth) == (b"P6", b"720 400", b"255")
    colours = [pixels[at : at + 3] for at in range(0, len(pixels), 3)]
    accent = max(set(colours[64 * 720 : 176 * 720]) - {colours[30 * 720]}, key=lambda colour: colour[1])
    assert max(colours[30 * 720]) < 48, "the background is dark"
    assert accent[1] > 140 > 80 > accent[0], "the counter is teal"
