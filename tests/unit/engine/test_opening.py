"""Opening a data folder: what a new one gets, what is swept, what is never swept, and who may come in."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.api import (
    NULL,
    PBD,
    SR,
    VDI,
    VM,
    Blob,
    ConnectionLost,
    Failure,
    Host,
    Network,
    Pool,
    SessionRecord,
    VMCalls,
    classes,
)
from app.client import Session
from app.client.unix_transport import UnixTransport
from app.config import engine_socket_in, load
from app.engine import sessions
from app.engine.engine import CannotOpen, DataFolderInUse, Engine
from app.engine.local import EngineThread, LocalTransport
from app.hypervisor.simulated import SimulatedDriver
from app.ops.found_images import FOUND_KEY
from app.server.local import LocalServer
from tests.engine.vm.guests import assert_tidy
from tests.support.engine import Bench, DirectTransport, open_bench
from tests.support.guest_disk import write_bytes


def stored(bench: Bench) -> dict[str, set[str]]:
    return {name: set(bench.store.of_class(name)) for name, declared in classes().items() if declared.persistent}


async def test_a_new_folder_has_what_is_needed(bench: Bench) -> None:
    (pool,) = bench.store.all(Pool).values()
    (host,) = bench.store.all(Host).values()
    assert bench.store.get(Host, pool.master) == host
    assert {sr.type: sr.content_type for sr in bench.store.all(SR).values()} == {"file": "user", "iso": "iso"}
    assert bench.store.get(SR, pool.default_SR).type == "file"
    assert all(pbd.currently_attached for pbd in bench.store.all(PBD).values())
    assert len(bench.store.all(Network)) == 1
    templates = {vm.name_label for vm in bench.store.all(VM).values() if vm.is_default_template}
    assert templates == {"Sample guest", "Other install media"}
    assert host.software_version["product_version"]
    for sr in bench.store.all(SR).values():
        if sr.type == "file":
            assert sr.physical_size > 0
            assert 0 < sr.physical_utilisation <= sr.physical_size


async def test_opening_again_makes_nothing_twice(data_dir: Path, driver: SimulatedDriver) -> None:
    async with open_bench(data_dir, driver) as bench:
        await bench.sample_vm()
        before = stored(bench)
    async with open_bench(data_dir, driver) as bench:
        assert stored(bench) == before


async def test_everything_is_private(data_dir: Path, bench: Bench) -> None:
    await bench.session.VM.snapshot(await bench.sample_vm(), "snap")
    for path in [data_dir, *data_dir.rglob("*")]:
        mode = path.lstat().st_mode
        assert mode & 0o077 == 0 or path.suffix == ".qcow2", (path, oct(mode))


async def test_what_nothing_needs_is_swept_and_what_holds_data_is_not(data_dir: Path, driver: SimulatedDriver) -> None:
    async with open_bench(data_dir, driver) as bench:
        vm = await bench.sample_vm()
        files = bench.engine.context.files(bench.sr())
        empty, written, alone = files.new_id(), files.new_id(), files.new_id()
        files.create_overlay(empty, bench.image(vm).stem)
        files.create_overlay(written, bench.image(vm).stem)
        write_bytes(files.image_path(written), 0, b"data")
        files.create(alone, 1 << 20)
        (files.root / "trash" / "rubbish.qcow2").write_bytes(b"x")
        (files.root / "img" / f".{alone}.qcow2.part").write_bytes(b"x")
        picture = bench.engine.context.screenshots / "00000000-0000-0000-0000-000000000000.png"
        picture.write_bytes(b"x")
    async with open_bench(data_dir, driver) as bench:
        assert not files.exists(empty)
        assert files.exists(alone) and files.exists(written)
        assert list((files.root / "trash").iterdir()) == []
        assert not list((files.root / "img").glob(".*"))
        assert not picture.exists()
        assert bench.vm(vm).VBDs
        found = {vdi.location: ref for ref, vdi in bench.store.all(VDI).items() if FOUND_KEY in vdi.other_config}
        assert set(found) == {alone, written}
        for ref in found.values():
            await bench.session.VDI.destroy(ref)
        assert_tidy(bench)


async def test_pictures_are_kept_with_their_snapshots(bench: Bench) -> None:
    vm = await bench.sample_vm()
    await bench.session.VM.start(vm)
    snap = await bench.session.VM.snapshot(vm, "snap")
    while not bench.vm(snap).blobs:  # noqa: ASYNC110
        await asyncio.sleep(0)
    (ref,) = bench.vm(snap).blobs.values()
    blob = bench.store.get(Blob, ref)
    data = await bench.session.read_blob(ref)
    assert data.startswith(b"\x89PNG")
    assert (blob.size, blob.mime_type, blob.public) == (len(data), "image/png", False)
    for bad in (NULL, "OpaqueRef:nothing", "../../stillframe.db"):
        with pytest.raises(Failure) as caught:
            await bench.session.read_blob(bad)  # type: ignore[arg-type]
        assert caught.value.code == "HANDLE_INVALID"
    await bench.run(VMCalls.uninstall, snap, False)
    assert list(bench.engine.context.screenshots.iterdir()) == []


async def test_a_folder_has_one_engine_and_is_free_afterwards(data_dir: Path, bench: Bench) -> None:
    with pytest.raises(DataFolderInUse) as caught:
        await Engine(load(data_dir), SimulatedDriver()).open()
    assert str(os.getpid()) in str(caught.value)
    assert (await bench.session.get_all_records(VM)) != {}


async def test_an_engine_that_cannot_open_lets_go_of_all(data_dir: Path) -> None:
    config = load(data_dir)
    config.database.write_bytes(b"no database".ljust(4096, b"!"))
    for _ in range(2):
        with pytest.raises(CannotOpen) as caught:
            await Engine(config, SimulatedDriver()).open()
        assert str(config.database) in str(caught.value)
    config.database.unlink()
    async with open_bench(data_dir, SimulatedDriver()):
        pass


async def test_a_repository_that_cannot_be_opened_is_named(data_dir: Path) -> None:
    async with open_bench(data_dir, SimulatedDriver()) as bench:
        folder = bench.engine.context.files(bench.sr()).root
    (folder / "img").rmdir()
    (folder / "img").write_text("a file in the way")
    with pytest.raises(CannotOpen) as caught:
        async with open_bench(data_dir, SimulatedDriver()):
            pass
    assert str(folder) in str(caught.value)


# Sessions


async def test_sessions_that_are_silent_the_longest_are_culled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 4)
    transport = DirectTransport(bench.engine)
    others = [await Session.open(transport, originator="tests") for _ in range(2)]
    await bench.session.get_all_records(Pool)
    third = await Session.open(transport, originator="tests")
    await others[0].get_all_records(Pool)
    fourth = await Session.open(transport, originator="tests")
    alive = set(bench.store.all(SessionRecord))
    assert len(alive) == 4
    assert {bench.session.ref, others[0].ref, fourth.ref} <= alive
    with pytest.raises(Failure) as caught:
        await others[1].get_all_records(Pool)
    assert caught.value.description() == ["SESSION_INVALID", others[1].ref]
    await third.close()
    with pytest.raises(Failure):
        await third.get_all_records(Pool)


async def test_sessions_are_counted_by_user_and_program(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 1)
    login = bench.engine.dispatcher.login
    first = [login("a", "one"), login("a", "two"), login("b", "one")]
    alive = set(bench.store.all(SessionRecord))
    assert {bench.session.ref, *first} == alive
    login("a", "one")
    assert alive - set(bench.store.all(SessionRecord)) == {first[0]}


async def test_a_session_that_is_not_used_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = bench.engine.dispatcher.login("a", "one")
    later = time.monotonic() + sessions.IDLE_SECONDS - 1
    monkeypatch.setattr(sessions, "monotonic", lambda: later)
    bench.engine.dispatcher.check_session(bench.session.ref)
    later += 2
    with pytest.raises(Failure) as caught:
        bench.engine.dispatcher.check_session(idle)
    assert caught.value.description() == ["SESSION_INVALID", idle]
    assert idle not in bench.store.all(SessionRecord)
    bench.engine.dispatcher.check_session(bench.session.ref)


async def test_a_session_tells_its_last_call_in_steps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def last_active() -> datetime:
        return bench.store.get(SessionRecord, bench.session.ref).last_active

    begun, later = last_active(), time.monotonic()
    monkeypatch.setattr(sessions, "monotonic", lambda: later)
    later += sessions.TELL_SECONDS - 1
    bench.engine.dispatcher.check_session(bench.session.ref)
    assert last_active() == begun
    later += 2
    bench.engine.dispatcher.check_session(bench.session.ref)
    told = last_active()
    assert told > begun
    bench.engine.dispatcher.check_session(bench.session.ref)
    assert last_active() == told


# The engine in a thread of its own


async def test_the_engine_answers_from_its_own_thread(data_dir: Path) -> None:
    thread = EngineThread(load(data_dir), SimulatedDriver())
    await thread.open()
    names = {t.name for t in threading.enumerate()}
    transport = LocalTransport(thread)
    session = await Session.open(transport)
    assert "engine" in names
    assert len(await session.get_all_records(Pool)) == 1
    with pytest.raises(Failure):
        await session.call("VM.explode")
    await session.close()
    await thread.close()
    await thread.close()
    assert "engine" not in {t.name for t in threading.enumerate()}
    with pytest.raises(ConnectionLost):
        await session.get_all_records(Pool)


async def test_other_programs_reach_the_engine_in_the_thread_while_it_is_open(data_dir: Path) -> None:
    config = load(data_dir)
    thread = EngineThread(
        config, SimulatedDriver(), serve=lambda engine: LocalServer(engine, engine_socket_in(data_dir))
    )
    await thread.open()
    await thread.serve()
    session = await Session.open(UnixTransport(config.engine_socket), originator="another program")
    assert len(await session.get_all_records(Pool)) == 1
    await session.close()
    await thread.close()
    assert not config.engine_socket.exists()


async def test_an_engine_that_cannot_be_reached_opens_all_the_same(data_dir: Path) -> None:
    thread = EngineThread(
        load(data_dir), SimulatedDriver(), serve=lambda engine: LocalServer(engine, data_dir / "none" / "engine.sock")
    )
    await thread.open()
    await thread.serve()
    assert len(await (await Session.open(LocalTransport(thread))).get_all_records(Pool)) == 1
    await thread.close()


async def test_a_thread_whose_engine_cannot_open_ends(data_dir: Path, bench: Bench) -> None:
    thread = EngineThread(load(data_dir), SimulatedDriver())
    with pytest.raises(DataFolderInUse):
        await thread.open()
    await thread.close()
    ended: Any = thread._thread
    ended.join(10)
    assert not ended.is_alive()
