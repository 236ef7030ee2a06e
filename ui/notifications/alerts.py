"""Messages of the engine as rows of the Alerts page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.api import SR, VDI, VM, VMSS, Host, Message, MessageClass, Pool, Record, class_of, is_null
from app.api.run_errors import read_errors
from app.client import ObjectCache
from ui.base.failures import explain
from ui.navigation.placement import Key

#: icon and word of each severity, worst first
SEVERITIES: Final = (("alert-bad", "Error"), ("alert-attention", "Attention"), ("alert-info", "Information"))
_ATTENTION: Final = 3

_RECORDS: Final[Mapping[MessageClass, type[Record]]] = {
    MessageClass.VM: VM,
    MessageClass.Host: Host,
    MessageClass.SR: SR,
    MessageClass.Pool: Pool,
    MessageClass.VDI: VDI,
    MessageClass.VMSS: VMSS,
}

_TITLES: Final[Mapping[str, str]] = {
    "VM_CRASHED": "The guest ended unexpectedly",
    "VM_PAUSED_BY_HOST": "The guest was paused by the host",
    "VM_STILL_FROZEN": "The guest's files may still be held",
    "VM_SHUTDOWN": "The guest shut down",
    "VM_STARTED": "The VM was started",
    "VM_REBOOTED": "The VM was rebooted",
    "VM_SUSPENDED": "The VM was suspended",
    "VM_RESUMED": "The VM was resumed",
    "VM_SNAPSHOTTED": "A snapshot was taken",
    "VM_CHECKPOINTED": "A snapshot with memory was taken",
    "VM_SNAPSHOT_REVERTED": "The VM was reverted to a snapshot",
    "VM_SNAPSHOT_LOCKED": "A snapshot was locked",
    "VM_SNAPSHOT_UNLOCKED": "A snapshot was unlocked",
    "VM_SNAPSHOT_LOCK_EXPIRED": "The lock of a snapshot ended",
    "VM_CLONED": "The VM was copied",
    "VM_PROVISIONED": "The VM was made from a template",
    "VM_UNINSTALLED": "The VM was deleted",
    "SR_MERGE_BLOCKED": "Chains of the storage cannot be merged",
    "VDI_CHAIN_TOO_DEEP": "A disk's chain is nearly as long as it may be",
    "VMSS_SNAPSHOT_SUCCEEDED": "A schedule took its snapshots",
    "VMSS_SNAPSHOT_FAILED": "A schedule could not take all its snapshots",
    "VMSS_SNAPSHOT_MISSED_EVENT": "Runs of a schedule were missed",
    "VMSS_VM_UNPROTECTED": "The VM is not protected as its schedule promises",
    "VMSS_VM_PROTECTED": "The VM is protected again",
    "VMSS_SNAPSHOT_RECOVERED": "A schedule takes its snapshots again",
    "MAIL_NOT_SENT": "Alerts could not be sent by e-mail",
    "MAIL_SENT_AGAIN": "Alerts are sent by e-mail again",
    "ALARM": "Alarm",
}
_ADVICE: Final[Mapping[str, str]] = {
    "VM_PAUSED_BY_HOST": "See to the reason, make room on the storage if it is full, then unpause the VM.",
    "VM_STILL_FROZEN": "Look into the guest; restarting it lets its files go in any case.",
    "SR_MERGE_BLOCKED": "The Chains tab of the storage tells what each merge waits for.",
    "VDI_CHAIN_TOO_DEEP": "Delete snapshots that are not needed, and let the merging finish.",
    "VMSS_SNAPSHOT_FAILED": "See to the reason; the next run tries again, or choose Run now in VM Snapshot Schedules.",
    "VMSS_SNAPSHOT_MISSED_EVENT": "Stillframe or the machine did not run then. Pool > Keep Schedules Running lets a "
    "service run them without the window.",
    "VMSS_VM_UNPROTECTED": "The history in VM Snapshot Schedules tells why its runs took no snapshot.",
    "MAIL_NOT_SENT": "Check Pool > E-mail about Schedules, and send a test message.",
}
"""What to do, where something is to be done."""
_CLASSES: Final = ("VM", "SR", "VDI", "VBD", "VIF", "PIF", "PBD", "VMSS", "HA")


@dataclass(frozen=True, slots=True)
class Alert:
    """One message. ``subject`` is the object it is about, None when that is gone or stands nowhere."""

    title: str
    body: str
    severity: int
    when: datetime
    object_name: str
    subject: Key | None
    advice: str = ""

    @property
    def icon(self) -> str:
        """The icon of its severity."""
        return SEVERITIES[self.severity][0]

    @property
    def word(self) -> str:
        """The word of its severity."""
        return SEVERITIES[self.severity][1]

    def as_text(self) -> str:
        """All of it, to be copied."""
        return "\n".join(filter(None, (f"{self.word}: {self.title}", self.object_name, self.body, self.advice)))


class Subjects:
    """Finds objects by uuid; made for one pass over many messages."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache
        self._refs: dict[MessageClass, dict[str, str]] = {}

    def find(self, message: Message) -> tuple[Key, Record] | None:
        """The object a message is about; a snapshot's VM for a snapshot."""
        record_type = _RECORDS.get(message.cls)
        if record_type is None:
            return None
        if message.cls not in self._refs:
            self._refs[message.cls] = {record.uuid: ref for ref, record in self._cache.all(record_type).items()}
        ref = self._refs[message.cls].get(message.obj_uuid)
        record = None if ref is None else self._cache.get(record_type, ref)
        if ref is None or record is None:
            return None
        if isinstance(record, VM) and record.is_a_snapshot and not is_null(record.snapshot_of):
            return ("VM", record.snapshot_of), record
        return (class_of(record_type).name, ref), record

    def in_words(self, body: str) -> str:
        """The lines of a failed run, which are made for XenCenter, as sentences."""
        said = [f"{error.vm}: {explain(error.failure, self._cache).why}" for error in read_errors(body)]
        return "\n".join(said) or body


def alert_of(message: Message, subjects: Subjects) -> Alert:
    """A message as a row."""
    found = subjects.find(message)
    name = "" if found is None else str(getattr(found[1], "name_label", ""))
    severity = 0 if message.priority < _ATTENTION else 1 if message.priority == _ATTENTION else 2
    title = _TITLES.get(message.name) or _plain(message.name) or "Message"
    key = None if found is None or found[0][0] == "VDI" else found[0]
    body = subjects.in_words(message.body) if message.name == "VMSS_SNAPSHOT_FAILED" else message.body
    return Alert(title, body, severity, message.timestamp, name, key, _ADVICE.get(message.name, ""))


def _plain(name: str) -> str:
    """``SR_ALMOST_FULL`` as ``SR almost full``."""
    words = [word if word in _CLASSES else word.lower() for word in name.split("_")]
    return " ".join((words[0] if words[0] in _CLASSES else words[0].capitalize(), *words[1:]))
