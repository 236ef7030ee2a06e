"""The enumerations of the vocabulary, with XenAPI's spelling."""

from __future__ import annotations

from enum import StrEnum


class VMPowerState(StrEnum):
    Halted = "Halted"
    Paused = "Paused"
    Running = "Running"
    Suspended = "Suspended"


class VMOperation(StrEnum):
    """Operations on a VM; the order is that of the advisory list."""

    snapshot = "snapshot"
    clone = "clone"
    copy = "copy"
    create_template = "create_template"
    revert = "revert"
    checkpoint = "checkpoint"
    snapshot_with_quiesce = "snapshot_with_quiesce"
    provision = "provision"
    start = "start"
    start_on = "start_on"
    pause = "pause"
    unpause = "unpause"
    clean_shutdown = "clean_shutdown"
    clean_reboot = "clean_reboot"
    hard_shutdown = "hard_shutdown"
    power_state_reset = "power_state_reset"
    hard_reboot = "hard_reboot"
    suspend = "suspend"
    resume = "resume"
    resume_on = "resume_on"
    pool_migrate = "pool_migrate"
    migrate_send = "migrate_send"
    shutdown = "shutdown"
    changing_dynamic_range = "changing_dynamic_range"
    changing_static_range = "changing_static_range"
    changing_memory_limits = "changing_memory_limits"
    changing_shadow_memory = "changing_shadow_memory"
    changing_VCPUs = "changing_VCPUs"
    changing_VCPUs_live = "changing_VCPUs_live"
    changing_NVRAM = "changing_NVRAM"
    make_into_template = "make_into_template"
    metadata_export = "metadata_export"
    export = "export"
    reverting = "reverting"
    destroy = "destroy"
    create_vtpm = "create_vtpm"
    sysprep = "sysprep"
    import_ = "import"


class VDIOperation(StrEnum):
    clone = "clone"
    copy = "copy"
    resize = "resize"
    resize_online = "resize_online"
    snapshot = "snapshot"
    mirror = "mirror"
    destroy = "destroy"
    forget = "forget"
    update = "update"
    force_unlock = "force_unlock"
    generate_config = "generate_config"
    blocked = "blocked"
    enable_cbt = "enable_cbt"
    disable_cbt = "disable_cbt"
    data_destroy = "data_destroy"
    list_changed_blocks = "list_changed_blocks"
    revert = "revert"


class SROperation(StrEnum):
    scan = "scan"
    destroy = "destroy"
    forget = "forget"
    plug = "plug"
    unplug = "unplug"
    update = "update"
    vdi_create = "vdi_create"
    vdi_introduce = "vdi_introduce"
    vdi_destroy = "vdi_destroy"
    vdi_resize = "vdi_resize"
    vdi_clone = "vdi_clone"
    vdi_snapshot = "vdi_snapshot"
    vdi_mirror = "vdi_mirror"
    vdi_enable_cbt = "vdi_enable_cbt"
    vdi_disable_cbt = "vdi_disable_cbt"
    vdi_data_destroy = "vdi_data_destroy"
    vdi_list_changed_blocks = "vdi_list_changed_blocks"
    vdi_set_on_boot = "vdi_set_on_boot"
    pbd_create = "pbd_create"
    pbd_destroy = "pbd_destroy"


class VBDOperation(StrEnum):
    attach = "attach"
    eject = "eject"
    insert = "insert"
    plug = "plug"
    unplug = "unplug"
    unplug_force = "unplug_force"
    pause = "pause"
    unpause = "unpause"


class VIFOperation(StrEnum):
    attach = "attach"
    plug = "plug"
    unplug = "unplug"
    unplug_force = "unplug_force"


class TaskOperation(StrEnum):
    cancel = "cancel"
    destroy = "destroy"


class TaskStatus(StrEnum):
    pending = "pending"
    success = "success"
    failure = "failure"
    cancelling = "cancelling"
    cancelled = "cancelled"


class OnNormalExit(StrEnum):
    destroy = "destroy"
    restart = "restart"


class OnCrash(StrEnum):
    destroy = "destroy"
    coredump_and_destroy = "coredump_and_destroy"
    restart = "restart"
    coredump_and_restart = "coredump_and_restart"
    preserve = "preserve"
    rename_restart = "rename_restart"


class OnSoftReboot(StrEnum):
    soft_reboot = "soft_reboot"
    destroy = "destroy"
    restart = "restart"
    preserve = "preserve"


class DomainType(StrEnum):
    hvm = "hvm"
    pv = "pv"
    pv_in_pvh = "pv_in_pvh"
    pvh = "pvh"
    unspecified = "unspecified"


class VDIType(StrEnum):
    system = "system"
    user = "user"
    ephemeral = "ephemeral"
    suspend = "suspend"
    crashdump = "crashdump"
    ha_statefile = "ha_statefile"
    metadata = "metadata"
    redo_log = "redo_log"
    rrd = "rrd"
    pvs_cache = "pvs_cache"
    cbt_metadata = "cbt_metadata"


class OnBoot(StrEnum):
    reset = "reset"
    persist = "persist"


class VBDMode(StrEnum):
    RO = "RO"
    RW = "RW"


class VBDType(StrEnum):
    CD = "CD"
    Disk = "Disk"
    Floppy = "Floppy"


class VIFLockingMode(StrEnum):
    network_default = "network_default"
    locked = "locked"
    unlocked = "unlocked"
    disabled = "disabled"


class IPConfigurationMode(StrEnum):
    none = "None"
    DHCP = "DHCP"
    Static = "Static"
    Autoconf = "Autoconf"


class NetworkLockingMode(StrEnum):
    unlocked = "unlocked"
    disabled = "disabled"


class PrimaryAddressType(StrEnum):
    IPv4 = "IPv4"
    IPv6 = "IPv6"


class ConsoleProtocol(StrEnum):
    vt100 = "vt100"
    rfb = "rfb"
    rdp = "rdp"


class TristateType(StrEnum):
    yes = "yes"
    no = "no"
    unspecified = "unspecified"


class EventOperation(StrEnum):
    add = "add"
    mod = "mod"
    delete = "del"


class MessageClass(StrEnum):
    VM = "VM"
    Host = "Host"
    SR = "SR"
    Pool = "Pool"
    VMSS = "VMSS"
    VDI = "VDI"
    VMPP = "VMPP"
    PVS_proxy = "PVS_proxy"
    Certificate = "Certificate"


class VMSSType(StrEnum):
    snapshot = "snapshot"
    checkpoint = "checkpoint"
    snapshot_with_quiesce = "snapshot_with_quiesce"


class VMSSFrequency(StrEnum):
    hourly = "hourly"
    daily = "daily"
    weekly = "weekly"


class VMSSRunStatus(StrEnum):
    """How a run of a schedule ended."""

    running = "running"
    success = "success"
    partial = "partial"
    failure = "failure"
    skipped = "skipped"
    missed = "missed"
    interrupted = "interrupted"
    noted = "noted"
