"""Interrupted exports that go on, signed manifests, and files that are not what they should be."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.api import VM, ConnectionLost, Failure, Ref
from app.api.streams import Chunk, Download
from app.client.exchange import MANIFEST_SUFFIX, ExportOptions, ImportOptions, export_vm, import_xva, inspect_xva
from app.client.manifests import ManifestError
from app.ops import vm_export
from tests.engine.vm.guests import contents, images_of, snapshot
from tests.engine.xva.archives import MIB, fill, members
from tests.engine.xva.test_export import two_disks
from tests.support.engine import Bench

Change = Callable[[bytes], bytes | None]


def through(bench: Bench, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every chunk of a download pass through `change`; None is a lost connection."""
    download = type(bench.session).download

    @asynccontextmanager
    async def changed(session: object, path: str, query: Mapping[str, str]) -> AsyncIterator[Download]:
        async with download(bench.session, path, query) as given:
            yield replace(given, chunks=_changed(given.chunks, change), pieces=None)

    monkeypatch.setattr(bench.session, "download", lambda path, query: changed(None, path, query))


async def _changed(chunks: AsyncIterator[Chunk], change: Change) -> AsyncIterator[Chunk]:
    async for chunk in chunks:
        found = change(bytes(chunk))
        if found is None:
            raise ConnectionLost("gone")
        yield found


def breaking_after(count: int) -> Change:
    """The connection is lost after so many bytes."""
    left = count

    def change(chunk: bytes) -> bytes | None:
        nonlocal left
        if left <= 0:
            return None
        taken, left = chunk[:left], left - len(chunk)
        return taken

    return change


async def broken_off(bench: Bench, vm: Ref[VM], path: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export whose connection is lost after so many bytes."""
    monkeypatch.setattr(vm_export, "BLOCKS_AT_ONCE", 1)
    with monkeypatch.context() as patched:
        through(bench, breaking_after(after), patched)
        with pytest.raises(ConnectionLost):
            await export_vm(bench.session, vm, path)
    assert [file.name for file in path.parent.iterdir()] == [f"{path.name}.part"]


async def test_an_interrupted_export_goes_on(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = await two_disks(bench)
    snap = await snapshot(bench, vm)
    whole = tmp_path / "whole.xva"
    await export_vm(bench.session, snap, whole)
    content = whole.read_bytes()
    whole.unlink()
    path = tmp_path / "a.xva"
    for after in (3 * MIB, len(content) - 1500):
        await broken_off(bench, snap, path, after, monkeypatch)
        await snapshot(bench, vm, "meanwhile")
        result = await export_vm(bench.session, snap, path)
        assert after - 2 * MIB < result.resumed_at <= after
        assert (result.verified, result.note, result.bytes) == (True, "", len(content))
        found, expected = members(path.read_bytes()), members(content)
        assert list(found) == list(expected)
        assert all(found[name] == expected[name] for name in expected if name != "ova.xml")
        path.unlink()


async def test_what_cannot_go_on_begins_anew(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = await two_disks(bench)
    snap = await snapshot(bench, vm)
    path = tmp_path / "a.xva"
    await broken_off(bench, snap, path, 4 * MIB, monkeypatch)
    for other in (await snapshot(bench, vm, "other"), vm):
        part = path.with_name("a.xva.part")
        kept = part.read_bytes()
        result = await export_vm(bench.session, other, path)
        assert (result.resumed_at, result.verified) == (0, True)
        assert "began anew" in result.note
        path.unlink()
        part.write_bytes(kept)
    part.write_bytes(os.urandom(100_000))
    assert "began anew" in (await export_vm(bench.session, snap, path)).note
    path.unlink()
    part.write_bytes(kept)
    assert (await export_vm(bench.session, snap, path, ExportOptions(compression="zstd"))).resumed_at == 0


async def test_blocks_that_are_lost_on_the_way_are_noticed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hash in the file is right, yet a block with its hash is not there: only the engine's own count tells."""
    vm = await two_disks(bench)
    fill(bench.image(vm, "1"), {MIB: os.urandom(MIB)})
    monkeypatch.setattr(vm_export, "BLOCKS_AT_ONCE", 1)
    through(bench, lambda chunk: b"" if b"/00000001" in chunk[:512] else chunk, monkeypatch)
    with pytest.raises(Failure, match="IMPORT_ERROR_SOME_CHECKSUMS_FAILED"):
        await export_vm(bench.session, vm, tmp_path / "a.xva")
    assert list(tmp_path.iterdir()) == []
    result = await export_vm(bench.session, vm, tmp_path / "a.xva", ExportOptions(verify=False))
    assert not result.verified


async def test_a_signed_manifest(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    key, path = tmp_path / "keys" / "key.pem", tmp_path / "a.xva"
    result = await export_vm(bench.session, vm, path, ExportOptions(manifest=True, key_file=key))
    assert result.manifest_path == tmp_path / f"a.xva{MANIFEST_SUFFIX}"
    assert key.stat().st_mode & 0o777 == 0o600
    inspected = await inspect_xva(path)
    assert (inspected.manifest, len(inspected.signer)) == ("signed", 39)
    (made,) = await import_xva(bench.session, path, ImportOptions(name="again"))
    assert contents(bench, made, ["0", "1"]) == contents(bench, vm, ["0", "1"])

    again = tmp_path / "b.xva"
    await export_vm(bench.session, vm, again, ExportOptions(manifest=True, key_file=key))
    assert (await inspect_xva(again)).signer == inspected.signer


async def test_a_manifest_that_does_not_fit_keeps_the_file_out(bench: Bench, tmp_path: Path) -> None:
    vm = await two_disks(bench)
    path = tmp_path / "a.xva"
    result = await export_vm(bench.session, vm, path, ExportOptions(manifest=True, key_file=tmp_path / "key"))
    manifest = result.manifest_path
    assert manifest is not None
    vms, images, whole, signed = set(bench.store.all(VM)), images_of(bench), path.read_bytes(), manifest.read_bytes()
    at = whole.index(b"sample")
    path.write_bytes(whole[:at] + b"simple" + whole[at + 6 :])
    with pytest.raises(ManifestError):
        await import_xva(bench.session, path)
    path.write_bytes(whole)
    told = json.loads(signed)
    told["manifest"]["vm"]["name"] = "another"
    manifest.write_text(json.dumps(told))
    assert (await inspect_xva(path)).manifest == "wrong"
    with pytest.raises(ManifestError):
        await import_xva(bench.session, path)
    assert (set(bench.store.all(VM)), images_of(bench)) == (vms, images)
    manifest.write_bytes(b"[]")
    assert (await inspect_xva(path)).manifest == "wrong"
