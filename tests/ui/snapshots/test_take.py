"""Take Snapshot: the three ways, what the engine says of each, and what happens meanwhile."""

from __future__ import annotations

import pytest

from app.api import VM, Failure, Ref, VMGuestMetrics, VMOperation, VMPowerState
from tests.ui.snapshots.driving import plain
from tests.ui.snapshots.estate import ON_VM, Estate
from tests.ui.snapshots.waiting import opened, until
from ui.snapshots.lock_dialog import LockDialog
from ui.snapshots.readiness import parsed, space_words
from ui.snapshots.take_dialog import TakeDialog
from ui.snapshots.take_words import describe
from ui.snapshots.ways import DISKS, FLUSHED, MEMORY, Way, last_way, why_no_way

ALL = ON_VM | {VMOperation.snapshot_with_quiesce}


async def ask(estate: Estate) -> TakeDialog:
    estate.workspace.commands.run("vm.snapshot", (("VM", "vm"),))
    return await opened(TakeDialog)


async def done(estate: Estate) -> None:
    await until(lambda: not estate.workspace.commands.running)


def outlook(dialog: TakeDialog) -> list[str]:
    return [plain(said) for _, said in dialog.outlook.said()]


@pytest.mark.parametrize(("way", "method"), [(DISKS, "snapshot"), (FLUSHED, "snapshot_with_quiesce"),
                                             (MEMORY, "checkpoint")])  # fmt: skip
async def test_each_way_asks_for_its_own_operation(estate: Estate, way: Way, method: str) -> None:
    estate.engine.change(VM, "vm", allowed_operations=ALL)
    dialog = await ask(estate)
    dialog.card(way).click()
    dialog.name.setText("x")
    dialog.accept()
    await done(estate)
    assert estate.calls == [(f"Async.VM.{method}", ("vm", "x"))]


async def test_it_can_be_locked_as_soon_as_it_is_taken(estate: Estate) -> None:
    estate.engine.answer("VM.snapshot", "trial")
    dialog = await ask(estate)
    dialog.lock.setChecked(True)
    dialog.accept()
    lock = await opened(LockDialog)
    assert lock.windowTitle() == "Lock “Trial of replica”"
    lock.reject()
    await done(estate)


async def test_the_answers_come_while_the_dialog_is_open(estate: Estate) -> None:
    estate.answer_ready()
    answer = estate.engine.hold("VM.get_snapshot_readiness")
    dialog = await ask(estate)
    assert dialog.primary is not None
    assert dialog.primary.isEnabled()
    assert "Looking whether this is safe…" in outlook(dialog)
    answer.set()
    await until(lambda: not dialog.asker.asking)
    assert outlook(dialog) == [
        "Needs 40 MiB of 412 GiB free: disks 2 MiB, overhead 38 MiB",
        "Chain depth 5 of 30 after this",
    ]
    dialog.card(MEMORY).click()
    assert outlook(dialog)[0] == "Needs 1.2 GiB of 412 GiB free: memory 1.2 GiB, disks 2 MiB, overhead 38 MiB"
    dialog.reject()
    await done(estate)


async def test_a_dialog_closed_before_the_answer_waits_for_nothing(estate: Estate) -> None:
    answer = estate.engine.hold("VM.get_snapshot_readiness")
    dialog = await ask(estate)
    dialog.accept()
    await done(estate)
    answer.set()
    assert [method for method, _ in estate.calls] == ["Async.VM.snapshot"]


async def test_what_is_not_safe_is_refused_with_reason_and_advice(estate: Estate) -> None:
    estate.answer_ready(checkpoint={"safe": "false", "reason": "No room.", "advice": "Make some."})
    dialog = await ask(estate)
    dialog.card(MEMORY).click()
    await until(lambda: not dialog.asker.asking)
    assert dialog.notice.sentence() == "No room. Make some."
    assert not dialog.notice.isHidden()
    assert dialog.primary is not None
    assert (dialog.primary.isEnabled(), dialog.primary.toolTip()) == (False, "No room.")
    assert dialog.wish().way is MEMORY
    dialog.card(DISKS).click()
    assert dialog.notice.isHidden()
    assert dialog.primary.isEnabled()
    dialog.reject()
    await done(estate)


async def test_what_is_near_a_limit_is_warned_of_and_allowed(estate: Estate) -> None:
    estate.answer_ready(snapshot={"warning": "27 of 30.", "advice": "Delete some.", "pending_merges": "2"})
    dialog = await ask(estate)
    await until(lambda: not dialog.asker.asking)
    assert dialog.notice.sentence() == "27 of 30. Delete some."
    assert outlook(dialog)[1] == "Chain depth 5 of 30 after this; 2 merges are pending"
    assert dialog.primary is not None
    assert dialog.primary.isEnabled()
    dialog.reject()
    await done(estate)


@pytest.mark.parametrize("answer", [Failure("MESSAGE_METHOD_UNKNOWN", "VM.get_snapshot_readiness"), None])
async def test_an_engine_that_cannot_say_leaves_what_the_records_say(estate: Estate, answer: object) -> None:
    estate.engine.answer("VM.get_snapshot_readiness", answer)
    dialog = await ask(estate)
    await until(lambda: not dialog.asker.asking)
    assert outlook(dialog) == ["After this: 412 GiB free on Local storage, chain depth 5 of 30."]
    assert dialog.primary is not None
    assert dialog.primary.isEnabled()
    dialog.reject()
    await done(estate)


async def test_a_way_that_goes_is_not_replaced_by_another(estate: Estate) -> None:
    dialog = await ask(estate)
    dialog.card(MEMORY).click()
    only_disks = frozenset({VMOperation.snapshot})
    estate.engine.change(VM, "vm", power_state=VMPowerState.Halted, allowed_operations=only_disks)
    assert dialog.primary is not None
    assert dialog.primary.toolTip() == "Only a running, paused or suspended VM has memory."
    assert not any(card.isChecked() for card in dialog.cards)
    estate.engine.change(VM, "vm", power_state=VMPowerState.Running, allowed_operations=ON_VM)
    assert dialog.card(MEMORY).isChecked()
    assert dialog.primary.isEnabled()
    dialog.reject()
    await done(estate)


async def test_a_change_of_state_asks_the_engine_again(estate: Estate) -> None:
    estate.answer_ready()
    dialog = await ask(estate)
    await until(lambda: not dialog.asker.asking)
    asked = len(estate.engine.called("VM.get_snapshot_readiness"))
    estate.engine.change(VM, "vm", name_description="no matter")
    assert not dialog.asker.asking
    estate.engine.change(VM, "vm", power_state=VMPowerState.Paused)
    await until(lambda: not dialog.asker.asking)
    assert len(estate.engine.called("VM.get_snapshot_readiness")) == 2 * asked
    dialog.reject()
    await done(estate)


async def test_the_way_of_the_last_time_is_proposed(estate: Estate) -> None:
    dialog = await ask(estate)
    assert dialog.wish().way is DISKS
    dialog.card(MEMORY).click()
    dialog.accept()
    await done(estate)
    dialog = await ask(estate)
    assert dialog.card(MEMORY).isChecked()
    dialog.reject()
    await done(estate)
    assert last_way(estate.workspace.settings, VM(uuid="another")) is MEMORY
    estate.engine.change(VM, "vm", allowed_operations=frozenset({VMOperation.snapshot}))
    dialog = await ask(estate)
    assert dialog.card(DISKS).isChecked()
    dialog.reject()
    await done(estate)


@pytest.mark.parametrize(
    ("way", "state", "live", "reason"),
    [
        (FLUSHED, VMPowerState.Running, False, "No guest agent answers in this VM."),
        (FLUSHED, VMPowerState.Running, True, "The guest's agent does not offer this."),
        (FLUSHED, VMPowerState.Paused, False, "The VM is paused: nothing in it can flush its files."),
        (MEMORY, VMPowerState.Halted, False, "Only a running, paused or suspended VM has memory."),
        (MEMORY, VMPowerState.Running, False, "The engine does not offer this now."),
        (DISKS, VMPowerState.Halted, False, ""),
    ],
)
def test_why_a_way_cannot_be_had(estate: Estate, way: Way, state: VMPowerState, live: bool, reason: str) -> None:
    guest: Ref[VMGuestMetrics] = estate.engine.put(VMGuestMetrics(live=live), "guest")
    only_disks = frozenset({VMOperation.snapshot})
    estate.engine.change(VM, "vm", power_state=state, allowed_operations=only_disks, guest_metrics=guest)
    assert why_no_way(estate.cache, "vm", way) == reason


@pytest.mark.parametrize(
    ("state", "method", "words"),
    [
        (VMPowerState.Running, "background", "Paused for milliseconds; up to 64 MiB is written as it runs on."),
        (VMPowerState.Running, "stop", "The guest stands still while 64 MiB are written."),
        (VMPowerState.Paused, "none", "Its memory is kept as well: up to 64 MiB. The guest stays paused."),
        (VMPowerState.Suspended, "none", "Its memory is kept as well: 64 MiB. No guest runs meanwhile."),
        (VMPowerState.Running, "", "The guest can go on exactly from here."),
    ],
)
def test_the_pause_is_announced(estate: Estate, state: VMPowerState, method: str, words: str) -> None:
    ready = parsed({"pause-method": method, "space-memory": str(64 << 20)})
    assert plain(describe(estate.cache, VM(power_state=state), MEMORY, ready)) == words


def test_the_pause_of_the_last_time_is_told(estate: Estate) -> None:
    measured = {"stillframe.stall-ms": "21.4", "stillframe.memory-method": "background"}
    estate.snapshot("new", "New", "quiet", 0.1, memory=True, other_config=measured)
    said = describe(estate.cache, estate.record("vm"), MEMORY, parsed({"pause-method": "background"}))
    assert plain(said) == "Paused for about 21 ms, as last time; then its memory is written."


def test_an_answer_with_nonsense_in_it_says_nothing_of_that() -> None:
    ready = parsed({"space-needed": "a lot", "depth": "-7", "pause-method": "magic", "space-free": "1024"})
    assert (ready.safe, ready.needed, ready.depth, ready.method) == (True, -1, -1, "")
    assert plain(space_words(ready)) == "1 KiB are free"
