"""What a terminal would be told in place of the commands on storage, and of their dialogs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from app.api import SR, VBD, VDI
from app.client import ObjectCache
from ui.base.commands import Selection, XeLine
from ui.base.workspace import Workspace
from ui.base.xe_lines import line, of_each, records_of, together, uuid_of
from ui.storage.health import SPEED_KEY
from ui.storage.unowned import deletable, orphaned


def insert_lines(cache: ObjectCache, vbd: VBD, iso: str) -> str:
    """A disc into a drive, in place of the one that is in it. :param iso: its reference."""
    ejected = "" if vbd.empty else line("vbd-eject", uuid=vbd.uuid)
    return together(ejected, line("vbd-insert", uuid=vbd.uuid, vdi_uuid=uuid_of(cache, VDI, iso) or "ISO"))


def destroy_lines(cache: ObjectCache, disks: Iterable[str]) -> str:
    """Disks that no VM has."""
    return together(*(line("vdi-destroy", uuid=vdi.uuid) for vdi in records_of(cache, VDI, disks)))


def speed_line(sr: SR, octets: int) -> str:
    """How fast a repository's merges may be, in bytes a second; 0 takes the limit away."""
    if octets:
        return line("sr-param-set", uuid=sr.uuid, **{f"other-config:{SPEED_KEY}": str(octets)})
    return line("sr-param-remove", uuid=sr.uuid, param_name="other-config", param_key=SPEED_KEY)


def _insert(workspace: Workspace, selection: Selection) -> str:
    iso = next((ref for cls, ref in selection if cls == "VDI"), "")
    return of_each(VBD, lambda vbd: insert_lines(workspace.cache, vbd, iso))(workspace, selection)


def _clean(workspace: Workspace, selection: Selection) -> str:
    """As it is now: what no VM has is looked for when it is asked for."""
    repositories = [ref for cls, ref in selection if cls == "SR"]
    return together(*(destroy_lines(workspace.cache, orphaned(workspace.cache, sr)) for sr in repositories))


def _destroy(workspace: Workspace, selection: Selection) -> str:
    disks = [ref for cls, ref in selection if cls == "VDI"]
    return destroy_lines(workspace.cache, deletable(workspace.cache, disks) or disks)


LINES: Final[Mapping[str, XeLine]] = {
    "sr.scan": of_each(SR, lambda sr: line("sr-scan", uuid=sr.uuid)),
    "sr.coalesce": of_each(SR, lambda sr: line("sr-coalesce", uuid=sr.uuid)),
    "sr.clean": _clean,
    "vdi.destroy": _destroy,
    "vbd.insert": _insert,
    "vbd.eject": of_each(VBD, lambda vbd: line("vbd-eject", uuid=vbd.uuid)),
}
