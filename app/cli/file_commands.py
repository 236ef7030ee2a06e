"""Commands that write files and read them: exports and imports."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from app.cli.command import VM_SELECTORS, Command
from app.cli.errors import BadFile, CommandError, MissingParameter
from app.cli.inventory import NULL, Object
from app.cli.invocation import Invocation
from app.cli.setting import one_of
from app.cli.snapshot_commands import snapshot

FORMATS: Final = ("raw", "vhd", "qcow2")
_COMPRESSION: Final = {"true": "gzip", "gzip": "gzip", "zstd": "zstd"}
_EXPORT: Final = ("preserve-power-state", "compress", "metadata", "excluded-device-types")
_UNLISTED: Final = ("progress", "verify", "manifest", "resume")


def _destination(name: str) -> Path:
    """A file that is not there yet. :raise BadFile: it is, or its folder is not."""
    path = Path(name)
    if path.exists() or path.is_symlink():
        raise BadFile(f'Sys_error("{name}: File exists")')
    if not path.parent.is_dir():
        raise BadFile(f'Sys_error("{name}: No such file or directory")')
    return path


def _export(invocation: Invocation, ref: str, name: str) -> None:
    words = invocation.words
    compression = _COMPRESSION.get(words.get("compress").lower(), "none")
    metadata, preserve = words.flag("metadata"), words.flag("preserve-power-state")
    excluded = tuple(words.get("excluded-device-types").split(",")) if words.get("excluded-device-types") else ()
    if excluded and not metadata:
        # As a XenServer's, the export goes on; but whoever asked should know.
        print("excluded-device-types counts with metadata=true only.", file=invocation.error)
    if invocation.dry_run:
        invocation.change("GET /export_metadata" if metadata else "GET /export", ref, name)
        return
    if not name:
        _to_standard_output(invocation, _query(invocation, ref, compression, excluded, preserve=preserve))
        return
    invocation.transfers.export_vm(
        ref,
        _destination(name),
        compression=compression,
        metadata=metadata,
        preserve_power_state=preserve,
        include_snapshots=words.flag("include-snapshots"),
        excluded_device_types=excluded,
        verify=words.flag("verify", True),
        manifest=words.flag("manifest"),
        resume=words.flag("resume", True),
    )
    invocation.note("Export succeeded")


def _query(
    invocation: Invocation, ref: str, compression: str, excluded: tuple[str, ...], *, preserve: bool
) -> dict[str, str]:
    """What the export handlers are asked; each looks at what concerns it."""
    return {
        "ref": ref,
        "use_compression": compression if compression != "none" else "false",
        "preserve_power_state": "true" if preserve else "false",
        "export_snapshots": "true" if invocation.words.flag("include-snapshots") else "false",
        "excluded_device_types": ",".join(excluded),
    }


def _to_standard_output(invocation: Invocation, query: dict[str, str]) -> None:
    out = sys.stdout.buffer
    path = "/export_metadata" if invocation.words.flag("metadata") else "/export"
    invocation.transfers.stream(path, query, out.write)
    out.flush()


def _export_vms(invocation: Invocation) -> None:
    words = invocation.words
    name = words.required("filename")
    number = 0

    def act(ref: str, _record: Object) -> None:
        nonlocal number
        number += 1
        _export(invocation, ref, f"{name}{number}" if name and words.flag("multiple") and number > 1 else name)

    invocation.on_vms((*_EXPORT, "include-snapshots", "filename", *_UNLISTED), act)


def _export_snapshot(invocation: Invocation) -> None:
    name = invocation.words.required("filename")
    _export(invocation, snapshot(invocation), name)


def _export_template(invocation: Invocation) -> None:
    name = invocation.words.required("filename")
    ref = invocation.inventory.by_uuid("VM", invocation.words.required("template-uuid"))
    _export(invocation, ref, name)


def _source(invocation: Invocation) -> Path:
    words = invocation.words
    if words.has("url"):
        raise CommandError("Importing from a url is not supported; fetch the file first.")
    if not words.has("filename"):
        raise MissingParameter("filename")
    path = Path(words.get("filename"))
    if not path.exists():
        raise BadFile(f"file '{path}' does not exist")
    return path


def _import(invocation: Invocation) -> None:
    words, inventory = invocation.words, invocation.inventory
    path = _source(invocation)
    sr = inventory.by_uuid("SR", words.get("sr-uuid")) if words.has("sr-uuid") else ""
    if not sr and inventory.pool()["default_SR"] == NULL and not words.flag("metadata"):
        raise CommandError("No SR specified and Pool default SR is null")
    if invocation.dry_run:
        invocation.change("PUT /import", sr, str(path))
        return
    networks = {name: inventory.by_uuid("network", uuid) for name, uuid in words.under("network").items()}
    made = invocation.transfers.import_vm(
        path,
        sr,
        restore=words.flag("preserve"),
        force=words.flag("force"),
        networks=networks,
        name=words.get("new-name-label"),
    )
    inventory.forget()
    uuids = inventory.uuids("VM", made)
    invocation.result(uuids if invocation.as_json else ",".join(uuids))


def _disk(invocation: Invocation) -> tuple[str, str]:
    words = invocation.words
    return invocation.inventory.by_uuid("VDI", words.required("uuid")), one_of(FORMATS, words.get("format", "raw"))


def _export_disk(invocation: Invocation) -> None:
    name = invocation.words.required("filename")
    vdi, disk_format = _disk(invocation)
    if invocation.dry_run:
        invocation.change("GET /export_raw_vdi", vdi, name)
        return
    invocation.transfers.export_disk(vdi, _destination(name), disk_format)
    invocation.note("Export succeeded")


def _import_disk(invocation: Invocation) -> None:
    vdi, disk_format = _disk(invocation)
    path = _source(invocation)
    if invocation.dry_run:
        invocation.change("PUT /import_raw_vdi", vdi, os.fspath(path))
        return
    invocation.transfers.fill_disk(vdi, path, disk_format)


def commands() -> list[Command]:
    """All of them."""
    return [*_exports(), *_imports()]


def _exports() -> list[Command]:
    return [
        Command(
            "vm-export",
            _export_vms,
            "Export a VM to <filename>.",
            required=("filename",),
            optional=(*_EXPORT, "include-snapshots", VM_SELECTORS),
            common=True,
            unlisted=_UNLISTED,
        ),
        Command(
            "snapshot-export-to-template",
            _export_snapshot,
            "Export a snapshot to <filename>.",
            required=("filename", "snapshot-uuid"),
            optional=_EXPORT,
            common=True,
            unlisted=_UNLISTED,
        ),
        Command(
            "template-export",
            _export_template,
            "Export a template to <filename>.",
            required=("filename", "template-uuid"),
            optional=_EXPORT[1:],
            common=True,
            unlisted=_UNLISTED,
        ),
        Command(
            "vdi-export",
            _export_disk,
            "Export a VDI.",
            required=("uuid", "filename"),
            optional=("format", "base", "progress"),
        ),
    ]


def _imports() -> list[Command]:
    return [
        Command(
            "vm-import",
            _import,
            "Import a VM from an .xva file, or from an .ova or .ovf appliance. With preserve=true its uuids and MAC "
            "addresses are kept; otherwise it becomes a new VM. Its disks go to the pool's default SR unless another "
            "is given. With --force, damaged blocks and an existing VM of the same uuid are no obstacle.",
            optional=("filename", "preserve", "sr-uuid", "force", "metadata", "dry-run"),
            common=True,
            unlisted=("progress", "new-name-label", "network:"),
        ),
        Command(
            "vdi-import",
            _import_disk,
            "Import a VDI.",
            required=("uuid", "filename"),
            optional=("format", "progress"),
        ),
    ]
