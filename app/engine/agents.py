"""Agents inside guests: noticed when they come and go, and what they tell kept in VM_guest_metrics.

A guest may claim whatever it likes about itself: the driver passes on short plain texts, and nothing is decided by
them but which questions its agent understands.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any, Final

from app.api import VIF, VM, Failure, Ref, VMGuestMetrics
from app.hypervisor.driver import AgentFacts, DriverError
from app.log import get
from app.ops.context import Context
from app.ops.locking import refresh_vm
from app.ops.quiesce import FEATURE, thaw_leftover

log = get(__name__)

LOOK_SECONDS: Final = 60.0
"""How often a running guest is asked for its facts: addresses change, and nobody tells."""


def agent_changed(context: Context, vm: Ref[VM], *, connected: bool) -> None:
    """An agent has come or gone."""
    refresh_vm(context, vm)
    if connected:
        context.in_background(asyncio.ensure_future(learn(context, vm)))
    else:
        record_silence(context, vm)


async def watch_agents(context: Context) -> None:
    """Ask every guest's agent at intervals, for as long as the engine is open; first those found when it opened."""
    while True:
        for vm, record in list(context.store.all(VM).items()):
            if context.driver.state(record.uuid) == "running" and context.store.find(VM, vm) is not None:
                await look(context, vm)
        await asyncio.sleep(LOOK_SECONDS)


async def look(context: Context, vm: Ref[VM]) -> None:
    """See whether the guest has an agent, and what it tells."""
    try:
        there = await context.driver.look_for_agent(context.store.get(VM, vm).uuid)
    except DriverError as error:
        log.debug("cannot look for an agent", vm=vm, error=error.message)
        return
    if there:
        await learn(context, vm)


async def learn(context: Context, vm: Ref[VM]) -> None:
    """Ask the agent and record the answer. One that does not answer is no news: it is asked again."""
    record = context.store.find(VM, vm)
    if record is None or record.uuid in context.freezing:
        return  # an agent that holds file systems answers nothing else
    uuid = record.uuid
    try:
        with suppress(DriverError):
            await thaw_leftover(context, uuid)
        facts = await context.driver.agent_facts(uuid)
        if context.store.find(VM, vm) is not None and uuid not in context.freezing:
            record_facts(context, vm, facts)
    except (DriverError, Failure) as error:
        log.info("a guest's agent told nothing", vm=vm, error=str(error))


def record_facts(context: Context, vm: Ref[VM], facts: AgentFacts) -> None:
    """Keep what an agent tells, if it is news. :raise Failure: it cannot be written."""
    record = context.store.get(VM, vm)
    known = context.store.find(VMGuestMetrics, record.guest_metrics)
    fields: dict[str, Any] = {
        "os_version": _system(facts),
        "PV_drivers_version": _version(facts.version),
        "PV_drivers_detected": True,
        "PV_drivers_up_to_date": True,
        "networks": _networks(context, record, facts),
        "other": {FEATURE: "1"} if facts.can_freeze else {},
        "live": True,
    }
    if known is not None and all(getattr(known, name) == value for name, value in fields.items()):
        return
    with context.store.transaction() as tx:
        if known is None:
            made = tx.create(VMGuestMetrics(**fields, last_updated=context.now()))
            tx.update(VM, vm, guest_metrics=made)
        else:
            tx.update(VMGuestMetrics, record.guest_metrics, **fields, last_updated=context.now())
    refresh_vm(context, vm)


def record_silence(context: Context, vm: Ref[VM]) -> None:
    """The agent has gone; what it told is kept."""
    metrics = context.store.get(VM, vm).guest_metrics
    known = context.store.find(VMGuestMetrics, metrics)
    if known is not None and known.live:
        try:
            with context.store.transaction() as tx:
                tx.update(VMGuestMetrics, metrics, live=False)
        except Failure as failure:
            log.warning("that an agent has gone could not be recorded", vm=vm, error=str(failure))


def _system(facts: AgentFacts) -> dict[str, str]:
    """`os_version` as XenServer's guest tools fill it."""
    found = facts.system
    major, _, minor = found.get("version", "").partition(".")
    uname = found.get("uname", "")  # only Linux has it
    told = {
        "name": found.get("name") or " ".join(["Linux", uname] if uname else []),
        "distro": found.get("distro", ""),
        "major": major,
        "minor": minor,
        "uname": uname,
        "hostname": found.get("hostname", ""),
    }
    return {key: value for key, value in told.items() if value}


def _version(text: str) -> dict[str, str]:
    """`PV_drivers_version`, from a version such as 7.2.22."""
    parts = re.findall(r"\d{1,9}", text)[:3]
    return dict(zip(("major", "minor", "micro"), parts, strict=False))


def _networks(context: Context, record: VM, facts: AgentFacts) -> dict[str, str]:
    """`networks`: addresses by the VM's interface, which its MAC tells: `0/ip`, `0/ipv4/0`, `0/ipv6/0`."""
    devices: dict[str, str] = {}
    for ref in record.VIFs:
        vif = context.store.find(VIF, ref)
        if vif is not None:
            devices[vif.MAC.lower()] = vif.device
    found: dict[str, str] = {}
    for interface in facts.interfaces:
        device = devices.get(interface.mac)
        if device is None:
            continue
        newer = [address for address in interface.addresses if ":" in address]
        older = [address for address in interface.addresses if ":" not in address]
        found |= {f"{device}/ipv4/{number}": address for number, address in enumerate(older)}
        found |= {f"{device}/ipv6/{number}": address for number, address in enumerate(newer)}
        found |= {f"{device}/ip": address for address in [*older, *newer][:1]}
    return found
