"""What a terminal would be told in place of the commands of export and import, and of their dialogs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from app.api import SR, VDI, VM, Network
from app.client import ObjectCache
from app.client.exchange import DiskFormat, ExportOptions, ImportOptions
from ui.base.commands import Selection, XeLine
from ui.base.workspace import Workspace
from ui.base.xe_lines import Variable, always, into, keeping, line, of_each, records_of, together, uuid_of

_MADE: Final = Variable("vm")
_DISK: Final = Variable("vdi")
_TAKEN: Final = Variable("snapshot")


def export_line(vm: VM, path: str, options: ExportOptions) -> str:
    """A VM, template or snapshot as a file."""
    given = _export_parameters(path, options)
    if vm.is_a_snapshot:
        return line("snapshot-export-to-template", snapshot_uuid=vm.uuid, **given)
    if vm.is_a_template:
        return line("template-export", template_uuid=vm.uuid, **given)
    return line("vm-export", uuid=vm.uuid, **given)


def snapshot_and_export_lines(vm: VM, name: str, path: str, options: ExportOptions) -> str:
    """A snapshot of a VM, called so, and then that as a file."""
    given = _export_parameters(path, options)
    taken = keeping("snapshot", line("vm-snapshot", uuid=vm.uuid, new_name_label=name))
    return together(taken, line("snapshot-export-to-template", snapshot_uuid=_TAKEN, **given))


def _export_parameters(path: str, options: ExportOptions) -> dict[str, str]:
    given = {"filename": path}
    if options.compression != "none":
        given["compress"] = options.compression
    flags = {
        "metadata": options.metadata,
        "preserve_power_state": options.preserve_power_state,
        "include_snapshots": options.include_snapshots,
        "manifest": options.manifest,
    }
    given |= {name: "true" for name, on in flags.items() if on}
    if not options.verify:
        given["verify"] = "false"
    return given


def disk_line(vdi: VDI, path: str, kind: DiskFormat) -> str:
    """A disk as a file."""
    return line("vdi-export", uuid=vdi.uuid, format=kind, filename=path)


def import_lines(cache: ObjectCache, path: Path, options: ImportOptions, start: str) -> str:
    """A file as a VM or template. :param start: the command that starts or resumes it, "" for none."""
    given = into(cache, options.sr or "")
    if options.restore:
        given["preserve"] = "true"
    if options.name:
        given["new_name_label"] = options.name
    given |= {f"network:{name}": uuid_of(cache, Network, ref) for name, ref in options.networks.items()}
    taken_in = line("vm-import", filename=os.fspath(path), **given)
    return together(keeping("vm", taken_in), line(start, uuid=_MADE)) if start else taken_in


def import_disk_lines(
    cache: ObjectCache, path: Path, kind: DiskFormat | None, sr: str, name: str, virtual_size: int
) -> str:
    """A file as a disk. :param kind: None: the engine reads it where it lies."""
    if kind is None:
        given = {"sr_uuid": uuid_of(cache, SR, sr), "filename": os.fspath(path), "name_label": name}
        return line("vdi-import-file", **given)
    wanted = {"sr_uuid": uuid_of(cache, SR, sr), "virtual_size": str(virtual_size), "name_label": name, "type": "user"}
    filled = line("vdi-import", uuid=_DISK, filename=os.fspath(path), format=kind)
    return together(keeping("vdi", line("vdi-create", **wanted)), filled)


def _file(name: str, ending: str) -> str:
    """A file's name that a person will change anyway, without what would make a folder of it."""
    return f"{name.replace('/', '-') or 'export'}.{ending}"


def _export(workspace: Workspace, selection: Selection) -> str:
    """A line for each; `vm-export --multiple` would call all files after the first, with numbers."""
    found = records_of(workspace.cache, VM, (ref for cls, ref in selection if cls == "VM"))
    names = _different([vm.name_label for vm in found])
    options = ExportOptions(verify=True)
    return together(*(export_line(vm, _file(name, "xva"), options) for vm, name in zip(found, names, strict=True)))


def _different(names: Sequence[str]) -> list[str]:
    """The names, with a number where one was there before, in whatever capitals."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        times = seen[name.casefold()] = seen.get(name.casefold(), 0) + 1
        found.append(name if times == 1 else f"{name} ({times})")
    return found


LINES: Final[Mapping[str, XeLine]] = {
    "pool.import": always(line("vm-import", filename="FILE.xva")),
    "vm.export": _export,
    "template.export": _export,
    "snapshot.export": _export,
    "vdi.export": of_each(VDI, lambda vdi: disk_line(vdi, _file(vdi.name_label, "qcow2"), "qcow2")),
}
