"""The vocabulary: every class, field, message and error code of the XenAPI that we speak, declared once.

Everything else (tables, wire formats, accessors, command line) is derived from these declarations.
"""

from app.api.control import Blob, Event, EventBatch, EventCalls, Message, SessionRecord, Task, TaskCalls
from app.api.enums import (
    EventOperation,
    MessageClass,
    TaskOperation,
    TaskStatus,
    VBDMode,
    VBDType,
    VDIOperation,
    VDIType,
    VMOperation,
    VMPowerState,
    VMSSFrequency,
    VMSSRunStatus,
    VMSSType,
)
from app.api.facts import SM, HostCPU, Role
from app.api.failure import ConnectionLost, Failure
from app.api.network import PIF, VIF, Network, VIFCalls
from app.api.pool import Host, HostCalls, HostMetrics, Pool, PoolCalls
from app.api.schedule import VMSS, VMSSCalls, VMSSRun
from app.api.storage import PBD, SR, VBD, VDI, SRCalls, VBDCalls, VDICalls
from app.api.types import EPOCH, NULL, Calls, Record, Ref, XenClass, class_of, classes, is_null
from app.api.vm import VM, Console, VMCalls, VMGuestMetrics, VMMetrics

__all__ = [
    "EPOCH",
    "NULL",
    "PBD",
    "PIF",
    "SM",
    "SR",
    "VBD",
    "VDI",
    "VIF",
    "VM",
    "VMSS",
    "Blob",
    "Calls",
    "ConnectionLost",
    "Console",
    "Event",
    "EventBatch",
    "EventCalls",
    "EventOperation",
    "Failure",
    "Host",
    "HostCPU",
    "HostCalls",
    "HostMetrics",
    "Message",
    "MessageClass",
    "Network",
    "Pool",
    "PoolCalls",
    "Record",
    "Ref",
    "Role",
    "SRCalls",
    "SessionRecord",
    "Task",
    "TaskCalls",
    "TaskOperation",
    "TaskStatus",
    "VBDCalls",
    "VBDMode",
    "VBDType",
    "VDICalls",
    "VDIOperation",
    "VDIType",
    "VIFCalls",
    "VMCalls",
    "VMGuestMetrics",
    "VMMetrics",
    "VMOperation",
    "VMPowerState",
    "VMSSCalls",
    "VMSSFrequency",
    "VMSSRun",
    "VMSSRunStatus",
    "VMSSType",
    "XenClass",
    "class_of",
    "classes",
    "is_null",
]
