"""What the engine tells of itself at each start: its one role, its kinds of storage, the host's processors."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

from app import __version__
from app.api import SM, Host, HostCPU, Ref, Role
from app.store import Transaction

LICENCE: Final = {
    "restrict_checkpoint": "false",
    "restrict_vmss": "false",
    "restrict_zstd_export": "false",
    "restrict_vss": "true",
    "restrict_ad": "true",
    "restrict_rbac": "true",
    "restrict_wlb": "true",
    "restrict_dr": "true",
    "restrict_vgpu": "true",
    "restrict_xen_motion": "true",
    "restrict_storage_xen_motion": "true",
    "enable_xha": "false",
    "regular_nag_dialog": "false",
}
"""What clients look for before they offer a feature, with XenServer's names."""
_MAKES: Final = ("VDI_CREATE", "VDI_DELETE", "VDI_CLONE", "VDI_SNAPSHOT")


def make_facts(tx: Transaction, host: Ref[Host]) -> None:
    """Make the objects, which are not stored."""
    tx.create(Role(name_label="pool-admin", name_description="May do everything"))
    tx.create(_store("file", "Files", "qcow2 images in a folder", _MAKES, ("qcow2",)))
    tx.create(_store("iso", "ISO", "A folder of ISO files", (), ()))
    vendor, model = platform.machine(), processor()
    for number in range(os.cpu_count() or 1):
        tx.create(HostCPU(host=host, number=number, vendor=vendor, modelname=model))


def _store(type_: str, name: str, description: str, can: tuple[str, ...], formats: tuple[str, ...]) -> SM:
    return SM(
        type=type_,
        name_label=name,
        name_description=description,
        vendor="Stillframe",
        version=__version__,
        configuration={"location": "the folder"},
        capabilities=frozenset(can),
        features=dict.fromkeys(can, "1"),
        supported_image_formats=frozenset(formats),
    )


def processor() -> str:
    """What the host's processor calls itself. Source: proc(5)."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        return platform.processor()
