"""What a terminal would be told in place of the commands of export and import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.api import VDI, VM
from ui.base.commands import XeLine
from ui.base.xe_lines import always, line, of_each


def _file(name: str, ending: str) -> str:
    """A file's name that a person will change anyway, without what would make a folder of it."""
    return f"{name.replace('/', '-') or 'export'}.{ending}"


LINES: Final[Mapping[str, XeLine]] = {
    "pool.import": always(line("vm-import", filename="FILE.xva")),
    "vm.export": of_each(VM, lambda vm: line("vm-export", uuid=vm.uuid, filename=_file(vm.name_label, "xva"))),
    "template.export": of_each(
        VM, lambda vm: line("template-export", template_uuid=vm.uuid, filename=_file(vm.name_label, "xva"))
    ),
    "snapshot.export": of_each(
        VM, lambda vm: line("snapshot-export-to-template", snapshot_uuid=vm.uuid, filename=_file(vm.name_label, "xva"))
    ),
    "vdi.export": of_each(
        VDI, lambda vdi: line("vdi-export", uuid=vdi.uuid, format="qcow2", filename=_file(vdi.name_label, "qcow2"))
    ),
}
