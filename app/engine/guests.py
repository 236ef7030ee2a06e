"""Guests that change by themselves, and guests found alive when the engine opens: the records follow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from app.api import VM, Failure, Ref, VMOperation, VMPowerState
from app.engine.agents import agent_changed
from app.hypervisor.driver import GuestEvent, GuestState
from app.log import get
from app.ops.context import Context
from app.ops.images import discarding
from app.ops.locking import refresh_vm
from app.ops.power_state import drop_memory_image, mark_down, mark_running
from app.ops.vm_power import stop_guest

log = get(__name__)

_WITH_GUEST = (VMPowerState.Running, VMPowerState.Paused)
_ALIVE: Mapping[str, bool] = {"running": False, "paused": True, "io-error": True, "saved": True, "crashed": True}
"""Guest states with a live process, and whether its virtual CPUs stand still."""
_ENDING = ("suspended-incoming", "shutdown")
"""No memory yet, or powered off: ending the process loses nothing."""
_ASKED_FOR = {VMOperation.clean_shutdown, VMOperation.clean_reboot}
_PLANNED = ("guest-shutdown", "host-qmp-quit")


def on_event(context: Context, event: GuestEvent) -> None:
    """Take a guest's change over into its record. Changes that an operation asked for are the operation's."""
    vm = _vm_of(context, event.uuid)
    if vm is None or event.uuid in context.expected_stops:
        return
    if event.kind == "agent":
        agent_changed(context, vm, connected=event.reason == "connected")
        return
    if event.kind == "running" and context.driver.has_agent(event.uuid):
        agent_changed(context, vm, connected=True)  # it answers only now
        return
    record = context.store.get(VM, vm)
    if event.kind == "stopped" and record.power_state in _WITH_GUEST:
        now, take_over = VMPowerState.Halted, _stopped
    elif event.kind == "paused" and event.reason in ("io-error", "guest-panic"):
        now, take_over = VMPowerState.Paused, _stands_still
    else:
        return
    try:
        take_over(context, vm, record, event)
    except Failure as failure:
        # Clients must see the truth all the same; the next start finds it out by itself.
        log.error("a guest's change could not be recorded", vm=record.uuid, error=str(failure))
        context.store.publish(VM, vm, power_state=now)
    refresh_vm(context, vm)
    if event.kind == "stopped":
        context.in_background(asyncio.ensure_future(_settle(context, vm)))


async def _settle(context: Context, vm: Ref[VM]) -> None:
    """What could not be asked of a dying guest can be told from its absence: settle it once the operation ended."""
    try:
        async with context.alone_with(vm):
            pass
    except Failure as failure:
        log.error("what a guest's end interrupted is still unsettled", vm=vm, error=str(failure))


async def reconcile(context: Context) -> None:
    """Make the records agree with the guests that are alive. Done once when the engine opens, after recovery."""
    for vm, record in list(context.store.all(VM).items()):
        if record.is_a_snapshot:
            continue
        try:
            await _reconcile(context, vm, record, context.driver.state(record.uuid))
        except Failure as failure:
            log.error("the record of a VM may not agree with its guest", vm=record.uuid, error=str(failure))


async def _reconcile(context: Context, vm: Ref[VM], record: VM, state: GuestState) -> None:
    suspended = record.power_state is VMPowerState.Suspended
    if suspended and state == "saved":
        return  # the business of the journal entry that could not be settled
    never_ran = state == "paused" and (suspended or record.power_state is VMPowerState.Halted)
    if state in _ENDING or never_ran:
        # Never ran: a resume or start was interrupted before the first instruction. What it would read is still right.
        await stop_guest(context, vm)
        state = "absent"
    with discarding(context) as discard, context.store.transaction() as tx:
        if state in _ALIVE:
            discard.begin(drop_memory_image(context, tx, vm))
            mark_running(context, tx, vm, paused=_ALIVE[state], booted=False)
        elif state == "unresponsive":
            # It may still write to its disks: to the records it runs, so that it can be ended, and nothing else done.
            mark_running(context, tx, vm, paused=record.power_state is VMPowerState.Paused, booted=False)
        elif record.power_state in _WITH_GUEST:
            mark_down(context, tx, vm)
            context.post(tx, "VM_SHUTDOWN", 4, vm, f"VM '{record.name_label}' ended while nobody watched")


def _stopped(context: Context, vm: Ref[VM], record: VM, event: GuestEvent) -> None:
    planned = event.reason in _PLANNED
    name, priority = ("VM_SHUTDOWN", 5) if planned else ("VM_CRASHED", 2)
    why = "shut down" if planned else f"ended unexpectedly ({event.reason})"
    body = f"VM '{record.name_label}' {why}"
    if event.text:
        body += f": {event.text.strip()}"
    log.info("a guest stopped", vm=record.uuid, reason=event.reason, text=event.text)
    with context.store.transaction() as tx:
        mark_down(context, tx, vm)
        # A clean shutdown that was asked for is no news.
        if not planned or not _ASKED_FOR & set(record.current_operations.values()):
            context.post(tx, name, priority, vm, body)


def _stands_still(context: Context, vm: Ref[VM], record: VM, event: GuestEvent) -> None:
    if event.reason == "io-error":
        body = (
            f"VM '{record.name_label}' was paused: a disk could not be written ({event.text}). Free space, then resume."
        )
    else:
        body = f"VM '{record.name_label}' stopped: its system reported a fatal error"
    with context.store.transaction() as tx:
        tx.update(VM, vm, power_state=VMPowerState.Paused)
        context.post(tx, "VM_PAUSED_BY_HOST", 1, vm, body)


def _vm_of(context: Context, uuid: str) -> Ref[VM] | None:
    try:
        return context.store.by_uuid(VM, uuid)
    except Failure:
        log.warning("a guest that belongs to no VM", uuid=uuid)
        return None
