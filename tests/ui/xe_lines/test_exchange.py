"""The lines of exports and imports send what their buttons send, and write the same files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.api import VBD, VDI, VM
from app.client import exchange
from tests.ui.xe_lines.desk import Answer, Sent, XeDesk, nothing, vms
from ui.base.commands import Selection


def into(folder: Path, name: str, more: Answer = nothing) -> Answer:
    """Write there."""

    def answer(dialog: Any) -> None:
        target = dialog.target if hasattr(dialog, "target") else dialog.file.target
        target.folder.setText(str(folder))
        target.name.setText(name)
        more(dialog)

    return answer


async def same_file(
    desk: XeDesk, command: str, chosen: Sequence[Selection], folder: Path, end: str, more: Answer = nothing
) -> tuple[str, list[Sent]]:
    """Export one by the button and its twin by the line."""
    text = await desk.offered(command, chosen[1], into(folder, f"line{end}", more))
    pressed = await desk.press(command, chosen[0], into(folder, f"button{end}", more))
    assert pressed and await desk.typed(text) == pressed, text
    assert all((folder / f"{way}{end}").stat().st_size for way in ("line", "button"))
    return text, pressed


@pytest.mark.parametrize("command", ["vm.export", "snapshot.export", "template.export"])
async def test_exports(desk: XeDesk, tmp_path: Path, command: str) -> None:
    found: Sequence[Any] = await desk.twins()
    if command == "snapshot.export":
        found = await desk.snapshots(found, "web")
    if command == "template.export":
        for vm in found:
            await desk.bench.session.VM.set_is_a_template(vm, True)
            await desk.heard(VM, vm, lambda record: record.is_a_template)
    chosen = [vms(ref) for ref in found]

    def packed(wizard: Any) -> None:
        wizard.packing.cards["zstd"].setChecked(True)
        wizard.packing.verify.setChecked(False)

    text, _ = await same_file(desk, command, chosen, tmp_path, ".xva", packed)
    assert "compress=zstd" in text and "verify=false" in text


async def test_several_of_which_one_runs(desk: XeDesk, tmp_path: Path) -> None:
    web, mail = await desk.twins(), await desk.twins("mail")
    await desk.started(*web)

    def answer(name: str) -> Answer:
        (tmp_path / name).mkdir()
        return lambda wizard: wizard.files.folder.setText(str(tmp_path / name))

    text = await desk.offered("vm.export", vms(web[1], mail[1]), answer("line"))
    pressed = await desk.press("vm.export", vms(web[0], mail[0]), answer("button"))
    assert [name for name, *_ in pressed] == ["GET", "GET", "VM.snapshot"]
    assert await desk.typed(text) == pressed, text
    assert [len(list((tmp_path / way).iterdir())) for way in ("line", "button")] == [2, 2]


async def test_a_disk(desk: XeDesk, tmp_path: Path) -> None:
    found = []
    for vm in await desk.twins():
        vbd = next(iter(desk.bench.vm(vm).VBDs))
        found.append(desk.bench.store.get(VBD, vbd).VDI)
    for vdi in found:
        await desk.heard(VDI, vdi, lambda record: record.allowed_operations)
    chosen = [(("VDI", ref),) for ref in found]
    await same_file(desk, "vdi.export", chosen, tmp_path, ".vhd", lambda dialog: dialog.cards["vhd"].setChecked(True))


async def test_imports(desk: XeDesk, tmp_path: Path) -> None:
    a, _ = await desk.twins(nic=True)
    path = tmp_path / "it's a file.xva"
    await exchange.export_vm(desk.bench.session, a, path, exchange.ExportOptions(), lambda _progress: None)

    def named(name: str) -> Answer:
        def answer(wizard: Any) -> None:
            wizard.identity.name.setText(name)
            wizard.finish_page.start.setChecked(True)

        return answer

    chosen = (("file", str(path)),)
    text = await desk.offered("pool.import", chosen, named("mail b"))
    pressed = await desk.press("pool.import", chosen, named("mail a"))
    assert {name for name, *_ in pressed} >= {"PUT", "VM.start"}
    assert await desk.typed(text) == pressed, text
    twins = [vm for vm in desk.bench.store.all(VM).values() if vm.name_label.startswith("mail ")]
    assert len(twins) == 2


@pytest.mark.parametrize("end", ["qcow2", "vmdk"])
async def test_a_disk_by_itself(desk: XeDesk, tmp_path: Path, end: str) -> None:
    path = tmp_path / f"disk.{end}"
    await _image(path, end)
    chosen = (("file", str(path)),)

    def answer(wizard: Any) -> None:
        wizard.identity.name.setText("made")

    text = await desk.offered("pool.import", chosen, answer)
    pressed = await desk.press("pool.import", chosen, answer)
    assert await desk.typed(text) == pressed, text
    assert ("vdi-import-file" in text) is (end == "vmdk")


async def _image(path: Path, end: str) -> None:
    import asyncio

    made = await asyncio.create_subprocess_exec("qemu-img", "create", "-q", "-f", end, str(path), "8M")
    assert await made.wait() == 0
