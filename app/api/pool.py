"""pool, host and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from app.api.types import (
    EPOCH,
    NO_REFS,
    NO_STRINGS,
    NULL,
    Calls,
    Record,
    Ref,
    StringMap,
    message,
    reverse,
    ro,
    rw,
    xen_class,
)

if TYPE_CHECKING:
    from app.api.control import Blob
    from app.api.facts import HostCPU
    from app.api.network import PIF
    from app.api.storage import PBD, SR
    from app.api.vm import VM


class PoolCalls(Calls):
    """The messages of a pool.

    Mail settings are a map: `server`, `port`, `security` (`starttls`, `tls` or `none`), `user` ("" for no login),
    `from`, and `to`, addresses with commas between. They are kept in other_config, under XenServer's keys
    `ssmtp-mailhub` and `mail-destination` and ours; the password is not.
    """

    @message(read_only=True, extension=True)
    async def get_mail(self, pool: Ref["Pool"]) -> StringMap:
        """The settings, none of them while mail is off, and how mail stands.

        `password`: where it comes from, `keyring`, `file`, `credential` or ""; `keyring`: why none can be kept, "" if
        one can; `error`: why the last mail was not sent, "" if it was.
        """

    @message(errors=("INVALID_VALUE",), extension=True)
    async def set_mail(self, pool: Ref["Pool"], settings: StringMap) -> None:
        """Mail failed and missed runs of schedules by these settings; an empty map turns mail off."""

    @message(errors=("OPERATION_NOT_ALLOWED", "MAIL_PASSWORD_NOT_KEPT"), extension=True)
    async def set_mail_password(self, pool: Ref["Pool"], password: str) -> None:
        """Keep the password of the account that is set in the system's keyring; "" forgets it."""

    @message(errors=("INVALID_VALUE", "MAIL_NOT_SENT"), extension=True)
    async def send_test_mail(self, pool: Ref["Pool"], settings: StringMap, password: str) -> None:
        """Send a test message by these settings, with the password that is kept where "" is given."""

    @message(read_only=True)
    async def is_slave(self, host: Ref["Host"]) -> bool:
        """Whether a host is one that another one answers for: never."""

    @message(read_only=True)
    async def sync_database(self) -> None:
        """Write everything down. It is already."""

    @message(read_only=True)
    async def has_extension(self, pool: Ref["Pool"], name: str) -> bool:
        """Whether every host has an extension: never."""

    @message(read_only=True)
    async def get_license_state(self, pool: Ref["Pool"]) -> StringMap:
        """`edition`, and `expiry` as a date or `never`."""


@xen_class("pool", PoolCalls)
class Pool(Record, frozen=True, kw_only=True):
    """A pool of hosts; there is exactly one. Features of XenServer that we do not have keep their defaults."""

    allowed_operations: Annotated[frozenset[str], ro("operations possible now", volatile=True)] = NO_STRINGS
    auto_update_vm_secureboot_certificates: Annotated[bool, ro("unused")] = False
    blobs: Annotated[Mapping[str, Ref["Blob"]], ro("binary data kept with it, by name")] = {}
    client_certificate_auth_enabled: Annotated[bool, ro("unused")] = False
    client_certificate_auth_name: Annotated[str, ro("unused")] = ""
    coordinator_bias: Annotated[bool, ro("unused")] = False
    cpu_info: Annotated[StringMap, ro("processors of the pool")] = {}
    crash_dump_SR: Annotated[Ref["SR"], rw("where crash dumps go")] = NULL
    current_operations: Annotated[StringMap, ro("operations under way", volatile=True)] = {}
    custom_uefi_certificates: Annotated[str, ro("unused")] = ""
    default_SR: Annotated[Ref["SR"], rw("where new disks go")] = NULL
    ext_auth_cache_enabled: Annotated[bool, ro("unused")] = False
    ext_auth_cache_expiry: Annotated[int, ro("unused")] = 0
    ext_auth_cache_size: Annotated[int, ro("unused")] = 0
    ext_auth_max_threads: Annotated[int, ro("unused")] = 0
    guest_agent_config: Annotated[StringMap, ro("unused")] = {}
    gui_config: Annotated[StringMap, rw("settings of clients")] = {}
    ha_allow_overcommit: Annotated[bool, ro("unused")] = False
    ha_cluster_stack: Annotated[str, ro("unused")] = ""
    ha_configuration: Annotated[StringMap, ro("unused")] = {}
    ha_enabled: Annotated[bool, ro("high availability is on")] = False
    ha_host_failures_to_tolerate: Annotated[int, ro("unused")] = 0
    ha_overcommitted: Annotated[bool, ro("unused")] = False
    ha_plan_exists_for: Annotated[int, ro("unused")] = 0
    ha_reboot_vm_on_internal_shutdown: Annotated[bool, ro("unused")] = False
    ha_statefiles: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    health_check_config: Annotated[StringMap, ro("unused")] = {}
    igmp_snooping_enabled: Annotated[bool, ro("unused")] = False
    is_psr_pending: Annotated[bool, ro("unused")] = False
    last_update_sync: Annotated[datetime, ro("unused")] = EPOCH
    license_server: Annotated[StringMap, ro("unused")] = {}
    limit_console_sessions: Annotated[bool, ro("unused")] = False
    live_patching_disabled: Annotated[bool, ro("unused")] = False
    local_auth_max_threads: Annotated[int, ro("unused")] = 0
    master: Annotated[Ref["Host"], ro("the host that answers for the pool")] = NULL
    metadata_VDIs: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    migration_compression: Annotated[bool, ro("unused")] = False
    name_description: Annotated[str, rw("description")] = ""
    name_label: Annotated[str, rw("name")] = ""
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    policy_no_vendor_device: Annotated[bool, ro("unused")] = False
    recommendations: Annotated[StringMap, ro("recommended limits")] = {}
    redo_log_enabled: Annotated[bool, ro("unused")] = False
    redo_log_vdi: Annotated[Ref["Pool"], ro("unused")] = NULL
    repositories: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    repository_proxy_password: Annotated[Ref["Pool"], ro("unused")] = NULL
    repository_proxy_url: Annotated[str, ro("unused")] = ""
    repository_proxy_username: Annotated[str, ro("unused")] = ""
    restrictions: Annotated[StringMap, ro("features that the licence leaves out")] = {}
    suspend_image_SR: Annotated[Ref["SR"], rw("where memory images go")] = NULL
    tags: Annotated[frozenset[str], rw("user's labels")] = NO_STRINGS
    telemetry_frequency: Annotated[str, ro("unused")] = ""
    telemetry_next_collection: Annotated[datetime, ro("unused")] = EPOCH
    telemetry_uuid: Annotated[Ref["Pool"], ro("unused")] = NULL
    tls_verification_enabled: Annotated[bool, ro("unused")] = False
    uefi_certificates: Annotated[str, ro("unused")] = ""
    update_sync_day: Annotated[int, ro("unused")] = 0
    update_sync_enabled: Annotated[bool, ro("unused")] = False
    update_sync_frequency: Annotated[str, ro("unused")] = ""
    vm_console_idle_timeout: Annotated[int, ro("unused")] = 0
    vswitch_controller: Annotated[str, ro("unused")] = ""
    wlb_enabled: Annotated[bool, ro("unused")] = False
    wlb_url: Annotated[str, ro("unused")] = ""
    wlb_username: Annotated[str, ro("unused")] = ""
    wlb_verify_cert: Annotated[bool, ro("unused")] = False


class HostCalls(Calls):
    """The messages of a host."""

    @message(read_only=True)
    async def get_servertime(self, host: Ref["Host"]) -> datetime:
        """The host's clock, UTC."""

    @message(read_only=True)
    async def get_server_localtime(self, host: Ref["Host"]) -> datetime:
        """The host's wall clock, which schedules go by."""

    @message(errors=("XENAPI_MISSING_PLUGIN",), read_only=True)
    async def call_plugin(self, host: Ref["Host"], plugin: str, fn: str, args: StringMap) -> str:
        """Call a plugin of the host. There are none."""

    @message(read_only=True)
    async def has_extension(self, host: Ref["Host"], name: str) -> bool:
        """Whether the host has an extension: never."""

    @message(read_only=True)
    async def compute_free_memory(self, host: Ref["Host"]) -> int:
        """Memory that guests could still take, bytes."""


@xen_class("host", HostCalls)
class Host(Record, frozen=True, kw_only=True):
    """A machine that runs VMs. Features of XenServer that we do not have keep their defaults."""

    API_version_major: Annotated[int, ro("API version")] = 0
    API_version_minor: Annotated[int, ro("API version")] = 0
    API_version_vendor: Annotated[str, ro("who made the API")] = ""
    API_version_vendor_implementation: Annotated[StringMap, ro("unused")] = {}
    PBDs: Annotated[frozenset[Ref["PBD"]], reverse("PBD.host", "storage it reaches")] = NO_REFS
    PCIs: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    PGPUs: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    PIFs: Annotated[frozenset[Ref["PIF"]], reverse("PIF.host", "network interfaces")] = NO_REFS
    PUSBs: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    address: Annotated[str, ro("the host's address")] = ""
    allowed_operations: Annotated[frozenset[str], ro("operations possible now", volatile=True)] = NO_STRINGS
    bios_strings: Annotated[StringMap, ro("unused")] = {}
    blobs: Annotated[Mapping[str, Ref["Blob"]], ro("binary data kept with it, by name")] = {}
    capabilities: Annotated[frozenset[str], ro("kinds of guest, and the accelerator in use")] = NO_STRINGS
    certificates: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    chipset_info: Annotated[StringMap, ro("unused")] = {}
    console_idle_timeout: Annotated[int, ro("unused")] = 0
    control_domain: Annotated[Ref["VM"], ro("the host's own domain")] = NULL
    cpu_configuration: Annotated[StringMap, ro("unused")] = {}
    cpu_info: Annotated[StringMap, ro("processors")] = {}
    crash_dump_sr: Annotated[Ref["SR"], rw("where crash dumps go")] = NULL
    crashdumps: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    current_operations: Annotated[StringMap, ro("operations under way", volatile=True)] = {}
    display: Annotated[str, ro("unused")] = ""
    edition: Annotated[str, ro("licence edition")] = ""
    editions: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    enabled: Annotated[bool, ro("VMs may start here")] = True
    external_auth_configuration: Annotated[StringMap, ro("unused")] = {}
    external_auth_service_name: Annotated[str, ro("unused")] = ""
    external_auth_type: Annotated[str, ro("unused")] = ""
    features: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    guest_VCPUs_params: Annotated[StringMap, ro("unused")] = {}
    ha_network_peers: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    ha_statefiles: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    host_CPUs: Annotated[frozenset[Ref["HostCPU"]], reverse("host_cpu.host", "its processors")] = NO_REFS
    hostname: Annotated[str, ro("the host's network name")] = ""
    https_only: Annotated[bool, ro("unused")] = False
    iscsi_iqn: Annotated[str, ro("unused")] = ""
    last_software_update: Annotated[datetime, ro("unused")] = EPOCH
    last_update_hash: Annotated[str, ro("unused")] = ""
    latest_synced_updates_applied: Annotated[str, ro("unused")] = ""
    license_params: Annotated[StringMap, ro("licence facts")] = {}
    license_server: Annotated[StringMap, ro("unused")] = {}
    local_cache_sr: Annotated[Ref["SR"], ro("unused")] = NULL
    logging: Annotated[StringMap, ro("unused")] = {}
    max_cstate: Annotated[str, ro("unused")] = ""
    memory_overhead: Annotated[int, ro("memory the host needs itself, bytes")] = 0
    metrics: Annotated[Ref["HostMetrics"], ro("figures of the host")] = NULL
    multipathing: Annotated[bool, ro("unused")] = False
    name_description: Annotated[str, rw("description")] = ""
    name_label: Annotated[str, rw("name")] = ""
    ntp_custom_servers: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    ntp_mode: Annotated[str, ro("unused")] = ""
    numa_affinity_policy: Annotated[str, ro("unused")] = ""
    other_config: Annotated[StringMap, rw("additional settings")] = {}
    patches: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    pending_guidances: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    pending_guidances_full: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    pending_guidances_recommended: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    power_on_config: Annotated[StringMap, ro("unused")] = {}
    power_on_mode: Annotated[str, ro("unused")] = ""
    resident_VMs: Annotated[frozenset[Ref["VM"]], reverse("VM.resident_on", "VMs that run here")] = NO_REFS
    sched_policy: Annotated[str, ro("unused")] = ""
    secure_boot: Annotated[bool, ro("unused")] = False
    software_version: Annotated[StringMap, ro("versions of the parts, with `product_version` and `qemu`")] = {}
    ssh_auto_mode: Annotated[bool, ro("unused")] = False
    ssh_enabled: Annotated[bool, ro("unused")] = False
    ssh_enabled_timeout: Annotated[int, ro("unused")] = 0
    ssh_expiry: Annotated[datetime, ro("unused")] = EPOCH
    ssl_legacy: Annotated[bool, ro("unused")] = False
    supported_bootloaders: Annotated[frozenset[str], ro("boot loaders of paravirtual guests")] = NO_STRINGS
    suspend_image_sr: Annotated[Ref["SR"], rw("where memory images go")] = NULL
    tags: Annotated[frozenset[str], rw("user's labels")] = NO_STRINGS
    timezone: Annotated[str, ro("time zone of schedules")] = ""
    tls_verification_enabled: Annotated[bool, ro("unused")] = False
    uefi_certificates: Annotated[str, ro("unused")] = ""
    updates: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    updates_requiring_reboot: Annotated[frozenset[str], ro("unused")] = NO_STRINGS
    virtual_hardware_platform_versions: Annotated[frozenset[str], ro("unused")] = NO_STRINGS


@xen_class("host_metrics")
class HostMetrics(Record, frozen=True, kw_only=True):
    """Figures of a host."""

    memory_total: Annotated[int, ro("memory, bytes")] = 0
    memory_free: Annotated[int, ro("free memory, bytes", volatile=True)] = 0
    live: Annotated[bool, ro("the host answers")] = True
    last_updated: Annotated[datetime, ro("when these figures were taken, UTC")] = EPOCH
    other_config: Annotated[StringMap, rw("additional settings")] = {}
