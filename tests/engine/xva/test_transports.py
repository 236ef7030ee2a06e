"""Exports and imports over the transports that the desktop and xe use, with a guest that boots from what came back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.api import VM, Failure, Ref, VMPowerState
from app.client import Session
from app.client.exchange import ExportOptions, ImportOptions, export_disk, export_vm, import_disk, import_xva
from app.client.manifests import ManifestError
from app.client.unix_transport import UnixTransport
from app.config import load
from app.engine.engine import Engine
from app.engine.local import EngineThread, LocalTransport
from app.hypervisor.simulated import SimulatedDriver
from app.server.local import LocalServer
from tests.engine.vm.conftest import folder, found_facts
from tests.engine.vm.guests import SMALL, contents, go_on, in_state, snapshot, some_ticks
from tests.support.engine import Bench, open_bench
from tests.support.guest_disk import read_counter

__all__ = ["folder", "found_facts"]


async def _sample(session: Session) -> Ref[VM]:
    vm = await session.VM.clone(await session.by_name(VM, "Sample guest"), "sample")
    await session.VM.provision(vm)
    return vm


async def _around(session: Session, folder: Path) -> None:
    """Out, in, a cancellation, a manifest that does not fit, and a disk out and in."""
    vm = await _sample(session)
    folder.mkdir()
    path = folder / "a.xva"
    options = ExportOptions(manifest=True, key_file=folder / "key")
    assert (await export_vm(session, vm, path, options)).verified
    (made,) = await import_xva(session, path, ImportOptions(name="again"))
    assert (await session.get_record(VM, made)).name_label == "again"
    known = set(await session.get_all_records(VM))
    reading = asyncio.Event()
    work = asyncio.ensure_future(import_xva(session, path, None, lambda _: reading.set()))
    await reading.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    path.write_bytes(path.read_bytes().replace(b">sample<", b">simple<", 1))
    with pytest.raises(ManifestError):
        await import_xva(session, path)
    path.write_bytes(path.read_bytes()[:100_000])
    (folder / "a.xva.manifest").unlink()
    with pytest.raises(Failure, match="IMPORT_ERROR_PREMATURE_EOF"):
        await import_xva(session, path)
    assert set(await session.get_all_records(VM)) == known
    disks = [vbd.VDI for vbd in (await session.call("VBD.get_all_records")).values() if vm == vbd.VM]
    await export_disk(session, disks[0], folder / "disk")
    await session.VDI.destroy(await import_disk(session, folder / "disk", "raw"))


@asynccontextmanager
async def _service(data_dir: Path) -> AsyncIterator[Session]:
    config = load(data_dir)
    engine = Engine(config, SimulatedDriver())
    await engine.open()
    server = LocalServer(engine, config.engine_socket)
    await server.open()
    session = await Session.open(UnixTransport(config.engine_socket))
    try:
        yield session
    finally:
        await session.close()
        await server.close()
        await engine.close()


async def test_in_this_process(data_dir: Path, tmp_path: Path) -> None:
    thread = EngineThread(load(data_dir), SimulatedDriver())
    await thread.open()
    try:
        session = await Session.open(LocalTransport(thread))
        await _around(session, tmp_path / "files")
        await session.close()
    finally:
        await thread.close()


async def test_over_the_socket(data_dir: Path, tmp_path: Path) -> None:
    async with _service(data_dir) as session:
        await _around(session, tmp_path / "files")


async def test_a_guest_boots_from_an_imported_snapshot(folder: Path, tmp_path: Path) -> None:
    async with open_bench(folder) as bench:
        await _boots(bench, tmp_path / "a.xva")


async def _boots(bench: Bench, path: Path) -> None:
    """Exported while the guest runs on, the snapshot comes back as it was and its guest starts from there."""
    vm = await bench.sample_vm(disks=2, size=SMALL)
    await in_state(bench, vm, VMPowerState.Running)
    snap = await snapshot(bench, vm)
    frozen = read_counter(bench.image(snap)).counter
    await some_ticks(bench, vm)
    assert (await export_vm(bench.session, snap, path, ExportOptions(compression="zstd"))).verified
    (template,) = await import_xva(bench.session, path)
    assert contents(bench, template, ["0", "1"]) == contents(bench, snap, ["0", "1"])
    made = await bench.session.VM.clone(template, "new")
    await bench.session.VM.provision(made)
    assert (await go_on(bench, made)).counter > frozen
    await bench.session.VM.hard_shutdown(made)
    await bench.session.VM.hard_shutdown(vm)
