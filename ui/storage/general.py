"""The General tab of a storage repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.api import PBD, SR, VDI, Host, Pool
from ui.base.sizes_and_dates import count, size
from ui.base.workspace import Workspace
from ui.models.looking import Looking
from ui.navigation.general_page import ABOUT, GeneralPage
from ui.widgets.cards import Card
from ui.widgets.facts import Fact
from ui.widgets.progress import CapacityBar

_TYPES = {"file": "Folder of disk images", "iso": "Folder of ISO files"}


class SRGeneralTab(GeneralPage):
    """What it is, how full it is, and which hosts reach it."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, SR, sr_facts, ((ABOUT,), ("Connections",)))
        self.capacity = CapacityBar("Space")
        self.space = Card("Space")
        self.space.content.addWidget(self.capacity)
        self.add_card(self.space, 1)

    def refresh(self, look: Looking) -> None:
        record = look.get(SR, self.ref)
        known = record is not None and record.physical_size > 0 and record.physical_utilisation >= 0
        self.space.setVisible(known)
        if record is not None and known:
            self.capacity.set_values(record.physical_utilisation, record.physical_size)


def sr_facts(look: Looking, ref: str) -> Mapping[str, Sequence[Fact]]:
    """Type, disks, whether new disks go here, folders and hosts."""
    record = look.get(SR, ref)
    if record is None:
        return {}
    inside = [vdi for vdi in look.all(VDI).values() if ref == vdi.SR]
    defaults = [pool.default_SR for pool in look.all(Pool).values()]
    what = "ISO" if record.content_type == "iso" else "disk"
    return {
        ABOUT: [
            ("Type", _TYPES.get(record.type, record.type)),
            ("Reached by", "several hosts" if record.shared else "one host"),
            ("New disks", "go here" if ref in defaults else ""),
            ("Holds", count(sum(1 for vdi in inside if vdi.managed), what)),
            ("Promised", size(record.virtual_allocation) if record.virtual_allocation > 0 else ""),
            ("Tags", ", ".join(sorted(record.tags))),
            ("UUID", record.uuid),
        ],
        "Connections": [_connection(look, pbd) for pbd in sorted(record.PBDs)],
    }


def _connection(look: Looking, ref: str) -> Fact:
    pbd = look.get(PBD, ref)
    host = None if pbd is None else look.get(Host, pbd.host)
    if pbd is None or host is None:
        return ("Unknown host", "")
    folder = pbd.device_config.get("location", "")
    state = "connected" if pbd.currently_attached else "not connected"
    return (host.name_label, " · ".join(filter(None, (state, folder))))
