"""What a terminal would be told in place of the commands on storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.api import SR, VBD, VDI, Ref
from ui.base.commands import Selection, XeLine
from ui.base.workspace import Workspace
from ui.base.xe_lines import line, of_each


def _insert(workspace: Workspace, selection: Selection) -> str:
    media = (workspace.cache.get(VDI, Ref(ref)) for cls, ref in selection if cls == "VDI")
    uuid = next((vdi.uuid for vdi in media if vdi is not None), "ISO")
    return of_each(VBD, lambda vbd: line("vbd-insert", uuid=vbd.uuid, vdi_uuid=uuid))(workspace, selection)


LINES: Final[Mapping[str, XeLine]] = {
    "sr.scan": of_each(SR, lambda sr: line("sr-scan", uuid=sr.uuid)),
    "sr.coalesce": of_each(SR, lambda sr: line("sr-coalesce", uuid=sr.uuid)),
    "vdi.destroy": of_each(VDI, lambda vdi: line("vdi-destroy", uuid=vdi.uuid)),
    "vbd.insert": _insert,
    "vbd.eject": of_each(VBD, lambda vbd: line("vbd-eject", uuid=vbd.uuid)),
}
