"""The fields of the pool and its hosts. What we have no use for is left to XenServer's own xe."""

from __future__ import annotations

from typing import Final

from app.cli.columns import (
    RO,
    RW,
    Access,
    Column,
    Shown,
    dotted,
    entries,
    expensive,
    flag,
    made,
    many,
    number,
    operations,
    plain,
    ref,
    refs,
    shown,
)
from app.cli.inventory import ABSENT, Inventory, Object


def _host_metrics(name: str, field: str) -> Column:
    def read(inventory: Inventory, _ref: str, record: Object) -> Shown:
        metrics = inventory.get("host_metrics", record.get("metrics", ""))
        return ABSENT if metrics is None else shown(metrics.get(field, ""))

    return made(name, read)


def _repository_types(inventory: Inventory, _ref: str, _record: Object) -> Shown:
    return sorted({sr["type"] for sr in inventory.all("SR").values()})


def _of_hosts(name: str, access: Access = RO) -> Column:
    """What the pool tells of its hosts: the value that all of them have."""
    field = name.replace("-", "_")

    def read(inventory: Inventory, _ref: str, _record: Object) -> Shown:
        values = {shown(host.get(field, "")) for host in inventory.all("host").values()}
        return values.pop() if len(values) == 1 else ""

    return Column(name, access, read)


def _licence(inventory: Inventory, _ref: str, _record: Object) -> Shown:
    host = next(iter(inventory.all("host").values()), {})
    return {"edition": str(host.get("edition", "")), "expiry": "never"}


POOL: Final = (
    plain("uuid"),
    plain("name-label", RW),
    plain("name-description", RW),
    ref("master", "host"),
    ref("default-SR", "SR", RW),
    ref("crash-dump-SR", "SR", RW),
    ref("suspend-image-SR", "SR", RW),
    made("supported-sr-types", _repository_types),
    entries("other-config", RW),
    many("allowed-operations"),
    operations(),
    flag("ha-enabled"),
    entries("ha-configuration", kind=""),
    many("ha-statefiles", kind=""),
    number("ha-host-failures-to-tolerate", RW),
    number("ha-plan-exists-for"),
    flag("ha-allow-overcommit", RW),
    flag("ha-overcommitted"),
    flag("ha-reboot-vm-on-internal-shutdown", RW),
    entries("blobs", kind=""),
    plain("wlb-url"),
    plain("wlb-username"),
    flag("wlb-enabled", RW),
    flag("wlb-verify-cert", RW),
    flag("igmp-snooping-enabled", RW),
    entries("gui-config", RW),
    entries("health-check-config", RW),
    entries("restrictions", kind=""),
    many("tags", RW, joint=", "),
    made("license-state", _licence),
    plain("ha-cluster-stack"),
    entries("guest-agent-config", RW),
    entries("cpu_info"),
    flag("policy-no-vendor-device", RW),
    flag("live-patching-disabled", RW),
    flag("tls-verification-enabled"),
    flag("client-certificate-auth-enabled"),
    plain("client-certificate-auth-name"),
    many("repositories", RW),
    plain("repository-proxy-url"),
    plain("repository-proxy-username"),
    _of_hosts("https-only", RW),
    flag("migration-compression", RW),
    flag("coordinator-bias", RW),
    plain("telemetry-frequency"),
    plain("telemetry-next-collection"),
    plain("last-update-sync"),
    plain("update-sync-frequency"),
    number("update-sync-day"),
    flag("update-sync-enabled"),
    flag("auto-update-vm-secureboot-certificates", RW),
    entries("recommendations"),
    flag("ext-auth-cache-enabled", RW),
    number("ext-auth-cache-size", RW),
    number("ext-auth-cache-expiry", RW),
    entries("license-server", RW),
    _of_hosts("ssh-enabled"),
    _of_hosts("ssh-enabled-timeout", RW),
    _of_hosts("ssh-expiry"),
    _of_hosts("console-idle-timeout", RW),
    _of_hosts("ssh-auto-mode", RW),
    flag("limit-console-sessions", RW),
    number("vm-console-idle-timeout", RW),
)

HOST: Final = (
    plain("uuid"),
    plain("name-label", RW),
    plain("name-description", RW),
    dotted("allowed-operations"),
    operations(),
    flag("enabled"),
    plain("display"),
    number("API-version-major"),
    number("API-version-minor"),
    plain("API-version-vendor"),
    entries("API-version-vendor-implementation"),
    entries("logging", RW),
    ref("suspend-image-sr-uuid", "SR", RW, "suspend_image_sr"),
    ref("crash-dump-sr-uuid", "SR", RW, "crash_dump_sr"),
    entries("software-version"),
    many("capabilities"),
    entries("other-config", RW),
    entries("cpu_info"),
    entries("chipset-info"),
    plain("hostname"),
    plain("address"),
    flag("https-only", RW),
    many("supported-bootloaders"),
    entries("blobs", kind=""),
    number("memory-overhead"),
    _host_metrics("memory-total", "memory_total"),
    _host_metrics("memory-free", "memory_free"),
    expensive(_host_metrics("memory-free-computed", "memory_free")),
    _host_metrics("host-metrics-live", "live"),
    many("patches", deprecated=True),
    many("updates"),
    many("ha-statefiles", kind=""),
    many("ha-network-peers", kind=""),
    plain("external-auth-type"),
    plain("external-auth-service-name"),
    entries("external-auth-configuration"),
    plain("edition"),
    entries("license-server"),
    plain("power-on-mode"),
    entries("power-on-config"),
    ref("local-cache-sr", "SR"),
    many("tags", RW, joint=", "),
    flag("ssl-legacy", RW),
    entries("guest_VCPUs_params", RW),
    many("virtual-hardware-platform-versions"),
    ref("control-domain-uuid", "VM", RO, "control_domain"),
    refs("resident-vms", "VM", RO, "resident_VMs"),
    many("updates-requiring-reboot"),
    many("features"),
    plain("iscsi_iqn", RW),
    flag("multipathing", RW),
    plain("numa-affinity-policy", RW),
    many("pending-guidances", kind=""),
    flag("tls-verification-enabled"),
    plain("last-software-update"),
    plain("latest-synced-updates-applied"),
    many("pending-guidances-recommended", kind=""),
    many("pending-guidances-full", kind=""),
    plain("last-update-hash"),
    flag("ssh-enabled"),
    number("ssh-enabled-timeout", RW),
    plain("ssh-expiry"),
    number("console-idle-timeout", RW),
    flag("ssh-auto-mode", RW),
    plain("max-cstate", RW),
    flag("secure-boot"),
    plain("ntp-mode", RW),
    many("ntp-custom-servers"),
    plain("timezone", RW),
)
