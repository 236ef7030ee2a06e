"""The objects that a new data folder starts with: pool, host, storage, network, templates. Safe to repeat."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path
from typing import Final

from app import __version__
from app.api import NULL, PBD, SR, VM, Host, HostMetrics, Network, Pool, Ref, VMMetrics
from app.api.types import new_uuid
from app.config import Config
from app.engine.facts import LICENCE, make_facts, processor
from app.ops.snapshot_metadata import IMAGE_KEY
from app.storage.file_repository import FileRepository
from app.storage.iso_repository import IsoRepository
from app.store import Store, Transaction

MIB: Final = 1 << 20
SAMPLE_GUEST: Final = "Sample guest"
OTHER_MEDIA: Final = "Other install media"
_SAMPLE_DISKS: Final = '<provision><disk device="0" size="16777216" sr="" bootable="true" type="system"/></provision>'


def ensure_objects(store: Store, config: Config) -> tuple[Ref[Pool], Ref[Host]]:
    """Make what is missing and answer the pool and the host."""
    with store.transaction() as tx:
        host = next(iter(store.all(Host)), None) or _make_host(tx)
        other_config = {**tx.get(Host, host).other_config, "data-dir": str(config.data_dir)}
        tx.update(
            Host, host, software_version=_software_version(), cpu_info=_cpu_info(), other_config=other_config,
            license_params=LICENCE, edition="free",
        )  # fmt: skip
        make_facts(tx, host)
        pool = next(iter(store.all(Pool)), None) or tx.create(Pool(name_label="Local pool", master=host))
        tx.update(Pool, pool, restrictions=LICENCE)
        _ensure_storage(store, tx, config, pool, host)
        if not store.all(Network):
            _make_network(tx)
        _ensure_templates(store, tx)
    return pool, host


def open_repositories(store: Store, config: Config) -> dict[str, FileRepository | IsoRepository]:
    """The folders behind the storage repositories. :raise StorageError: one cannot be made or read."""
    found: dict[str, FileRepository | IsoRepository] = {}
    for ref, sr in store.all(SR).items():
        if sr.type == "iso":
            found[ref] = IsoRepository(config.iso_dir)
        else:
            repository = FileRepository(config.sr_dir(sr.uuid))
            repository.open()
            found[ref] = repository
    return found


def _make_host(tx: Transaction) -> Ref[Host]:
    metrics = tx.create(HostMetrics(memory_total=_memory_total()))
    name = socket.gethostname() or "localhost"
    return tx.create(
        Host(
            name_label=name,
            hostname=name,
            address="127.0.0.1",
            enabled=True,
            API_version_major=2,
            API_version_minor=23,
            API_version_vendor="XenSource",
            metrics=metrics,
            timezone=os.environ.get("TZ", ""),
        )
    )


def _software_version() -> dict[str, str]:
    return {
        "product_brand": "Stillframe",
        "product_version": __version__,
        "build_number": "1",
        "xapi": "2.23",
        "platform_version": "3.4.0",
        "db_schema": "5.909",
        "hostname": "localhost",
        "network_backend": "bridge",
        "platform_name": platform.system(),
    }


def _cpu_info() -> dict[str, str]:
    return {"cpu_count": str(os.cpu_count() or 1), "vendor": platform.machine(), "modelname": processor()}


def _memory_total() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def memory_free() -> int:
    """Memory that guests could still take, bytes; 0 where the system does not say. Source: proc(5), MemAvailable."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)
    except (OSError, ValueError, IndexError):
        return 0


def _ensure_storage(store: Store, tx: Transaction, config: Config, pool: Ref[Pool], host: Ref[Host]) -> None:
    types = {sr.type for sr in store.all(SR).values()}
    if "file" not in types:
        uuid = new_uuid()
        sr = tx.create(SR(uuid=uuid, name_label="Local storage", type="file", content_type="user"))
        folder = str(config.sr_dir(uuid))
        tx.create(PBD(host=host, SR=sr, device_config={"location": folder}, currently_attached=True))
        tx.update(Pool, pool, default_SR=sr, suspend_image_SR=sr)
        tx.update(Host, host, suspend_image_sr=sr)
    if "iso" not in types:
        sr = tx.create(SR(name_label="ISO library", type="iso", content_type="iso"))
        tx.create(PBD(host=host, SR=sr, device_config={"location": str(config.iso_dir)}, currently_attached=True))


def _make_network(tx: Transaction) -> None:
    tx.create(
        Network(
            name_label="NAT",
            name_description="Guests reach the network through this machine; nothing reaches them from outside",
            bridge="user",
        )
    )


def _ensure_templates(store: Store, tx: Transaction) -> None:
    names = {vm.name_label for vm in store.all(VM).values() if vm.is_default_template}
    if SAMPLE_GUEST not in names:
        _make_template(
            tx,
            SAMPLE_GUEST,
            "Boots in a moment and counts on its screen, its serial line and its disk: for trying things out",
            32 * MIB,
            {"disks": _SAMPLE_DISKS, IMAGE_KEY: "sample-guest"},
        )
    if OTHER_MEDIA not in names:
        _make_template(tx, OTHER_MEDIA, "An empty VM to install into or to give a disk", 1024 * MIB, {})


def _make_template(tx: Transaction, name: str, description: str, memory: int, other_config: dict[str, str]) -> None:
    tx.create(
        VM(
            name_label=name,
            name_description=description,
            is_a_template=True,
            is_default_template=True,
            memory_static_min=16 * MIB,
            memory_static_max=memory,
            memory_dynamic_min=memory,
            memory_dynamic_max=memory,
            HVM_boot_params={"order": "cd", "firmware": "bios"},
            platform={"disk-bus": "virtio"},
            other_config={"default_template": "true", **other_config},
            metrics=tx.create(VMMetrics()),
            suspend_VDI=NULL,
        )
    )
