"""The lines of storage, alerts and running operations send what their buttons send."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.api import SR, VBD, VDI, VM, Message, MessageClass, Ref
from app.config import load
from tests.ui.xe_lines.desk import XeDesk, nothing, until
from ui.base.xe_lines import cancel_lines
from ui.notifications.alerts_page import AlertsPage
from ui.storage.merges_card import MergesCard


async def loose(desk: XeDesk) -> tuple[Ref[VDI], Ref[VDI]]:
    """Two disks that no VM has."""
    fields = {"SR": desk.bench.sr(), "virtual_size": 8 << 20, "type": "user"}
    made = [await desk.bench.session.VDI.create({**fields, "name_label": f"web {which}"}) for which in "ab"]
    for vdi in made:
        await desk.heard(VDI, vdi, lambda record: record.allowed_operations)
    return made[0], made[1]


async def test_repositories(desk: XeDesk) -> None:
    sr = (("SR", desk.bench.sr()),)
    await desk.same("sr.scan", sr, sr)
    await desk.same("sr.coalesce", sr, sr)


async def test_disks_that_no_vm_has(desk: XeDesk) -> None:
    a, b = await loose(desk)
    await desk.same("vdi.destroy", (("VDI", a),), (("VDI", b),), nothing)
    a, b = await loose(desk)
    chosen = (("SR", desk.bench.sr()),)
    assert desk.line("sr.clean", chosen).count("vdi-destroy") == 2

    def only(which: Ref[VDI]) -> Any:
        return lambda dialog: [dialog.tick(ref, ref == which) for ref in (a, b)]

    text = await desk.offered("sr.clean", chosen, only(b))
    pressed = await desk.press("sr.clean", chosen, only(a))
    assert pressed and await desk.typed(text) == pressed


async def test_drives(desk: XeDesk, data_dir: Path) -> None:
    for name in ("one.iso", "two.iso"):
        (load(data_dir).iso_dir / name).write_bytes(bytes(1 << 20))
    library = next(ref for ref, record in desk.bench.store.all(SR).items() if record.content_type == "iso")
    await desk.bench.session.SR.scan(library)
    isos = {vdi.location: ref for ref, vdi in desk.bench.store.all(VDI).items() if library == vdi.SR}
    drives = []
    for vm in await desk.twins():
        fields = {"VM": vm, "VDI": "OpaqueRef:NULL", "userdevice": "3", "mode": "RO", "type": "CD", "empty": True}
        drives.append(await desk.bench.session.VBD.create({**fields, "other_config": {}}))
    for vbd in drives:
        await desk.heard(VBD, vbd, lambda record: record.allowed_operations)
    for iso in isos.values():
        await desk.heard(VDI, iso, lambda record: True)
    first, second = ((("VBD", vbd), ("VDI", isos["one.iso"])) for vbd in drives)
    assert "eject" not in await desk.same("vbd.insert", first, second)
    for vbd in drives:
        await desk.heard(VBD, vbd, lambda record: not record.empty)
    line = await desk.same("vbd.insert", (("VBD", drives[0]),), (("VBD", drives[1]),), nothing)
    assert line.count("vbd-eject") == line.count("vbd-insert") == 1
    for vbd in drives:
        await desk.heard(VBD, vbd, lambda record: not record.empty and not record.current_operations)
    await desk.same("vbd.eject", (("VBD", drives[0]),), (("VBD", drives[1]),))


async def test_the_speed_of_merges_comes_to_the_same(desk: XeDesk, qtbot: QtBot) -> None:
    sr = desk.bench.sr()
    card = MergesCard(desk.workspace)
    qtbot.addWidget(card)
    card.show_repository(sr)
    for place in (1, 0):
        card.speed.setCurrentIndex(place)
        text, before = card.speed_line(), desk.bench.store.get(SR, sr).other_config
        await desk.typed(text)
        by_line = desk.bench.store.get(SR, sr).other_config
        assert by_line != before, text
        await became(desk, sr, by_line)
        await desk.bench.session.set(SR, sr, other_config=before)
        await became(desk, sr, before)
        card.speed.setCurrentIndex(place)
        card.speed.activated.emit(place)
        await became(desk, sr, by_line)
        await desk.idle()


async def became(desk: XeDesk, sr: str, other_config: Mapping[str, str]) -> None:
    await desk.heard(SR, sr, lambda record: record.other_config == other_config)


async def test_alerts(desk: XeDesk, qtbot: QtBot) -> None:
    a, _ = await desk.twins()
    uuid = desk.bench.vm(a).uuid
    page = AlertsPage(desk.workspace)
    qtbot.addWidget(page)
    page.show()
    made = [await desk.bench.session.message.create(name, 3, MessageClass.VM, uuid, "") for name in ("WEB", "WEB")]
    await until(lambda: set(made) <= set(page.model.items))
    assert page._line([]) == ""
    text = page._line([made[1]])
    desk._sent.clear()
    page._dismiss([made[0]])
    await desk.idle()
    pressed = list(desk._sent)
    assert [name for name, *_ in pressed] == ["message.destroy"]
    assert [name for name, *_ in await desk.typed(text)] == ["message.destroy"]
    assert not [ref for ref in made if desk.bench.store.find(Message, ref)]
    assert page.dismiss.contextMenuPolicy() == Qt.ContextMenuPolicy.CustomContextMenu
    page.hide()


async def test_cancelling(desk: XeDesk) -> None:
    task = await desk.bench.session.task.create("web a", "")
    await until(lambda: cancel_lines(desk.bench.cache, [task]))
    text = cancel_lines(desk.bench.cache, [task, "no task of the engine's"])
    assert await desk.typed(text) == [("task.cancel", "'<Task web>'")]
    assert desk.bench.store.find(VM, Ref(task)) is None
