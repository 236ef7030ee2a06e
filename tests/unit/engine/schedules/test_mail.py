"""Mail of the engine: a digest of what went wrong, tried again, never lost and never in the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app import log
from app.api import VM, VMSS, Failure, Message, Pool, Ref
from app.engine import mailer
from app.engine.mailer import NOT_SENT, SENT_AGAIN, SENT_KEY, in_thread
from tests.support.keyrings import MemoryKeyring, no_keyring, using
from tests.support.smtp_server import SmtpServer, smtp_server
from tests.unit.engine.schedules.conftest import Clock, OpenWorld, World


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with smtp_server() as made:
        yield made


def mail(server: SmtpServer, **more: str) -> dict[str, str]:
    where = {"server": "127.0.0.1", "port": str(server.port), "security": "none"}
    return {**where, "from": "robot@example.com", "to": "admin@example.com", **more}


async def turn_on(world: World, server: SmtpServer) -> None:
    world.engine.mailer.gather_seconds, world.engine.mailer.retry_seconds = 0.01, (0.02,)
    await world.session.pool.set_mail(world.engine.context.pool, mail(server))


async def break_and_run(world: World, *names: str) -> Ref[VMSS]:
    """A run of a schedule over VMs whose images are gone."""
    vms = [await world.bench.sample_vm(name) for name in names]
    vmss = await world.protect(*vms)
    for vm in vms:
        image = world.bench.image(vm)
        image.rename(image.with_suffix(".away"))
    await world.at("2026-11-24 00:00")
    return vmss


def mend(world: World) -> None:
    for vm in (ref for ref, vm in world.store.all(VM).items() if not vm.is_a_template):
        image = world.bench.image(vm)
        image.with_suffix(".away").rename(image)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def alerts(world: World) -> list[str]:
    return sorted(m.name for m in world.store.all(Message).values() if m.name.startswith("MAIL_"))


async def test_one_mail_tells_of_all_vms_and_another_of_the_recovery(world: World, server: SmtpServer) -> None:
    await turn_on(world, server)
    await break_and_run(world, "web", "mail")
    letter = await server.letter()
    assert letter.message["Subject"].endswith(": 1 failed run") and letter.recipients == ["admin@example.com"]
    assert "“Nightly” could not take all its snapshots" in letter.text
    assert "    web: " in letter.text and "    mail: " in letter.text and "OpaqueRef" not in letter.text
    mend(world)
    await world.at("2026-11-25 00:00")
    assert (await server.letter()).message["Subject"].endswith(": 1 recovery")
    await world.at("2026-11-26 00:00")  # nothing to tell
    assert server.letters == [] and alerts(world) == []


async def test_a_server_that_fails_is_one_alert_and_holds_up_no_run(world: World, server: SmtpServer) -> None:
    server.refuses = {"MAIL": "451 later"}
    await turn_on(world, server)
    vmss = await break_and_run(world, "web")
    await until(lambda: alerts(world))
    before = server.connections
    await until(lambda: server.connections > before + 1)  # it goes on trying
    assert alerts(world) == [NOT_SENT] and len(world.lines(vmss)) == 2
    told = await world.session.pool.get_mail(world.engine.context.pool)
    assert "later" in told["error"]
    server.refuses = {}
    assert "1 failed run" in (await server.letter()).message["Subject"]
    await until(lambda: alerts(world) == [NOT_SENT, SENT_AGAIN])
    assert world.engine.mailer.error == ""


async def test_what_one_engine_did_not_send_the_next_one_does(
    open_world: OpenWorld, clock: Clock, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer, "GATHER_SECONDS", 0.01)
    server.refuses = {"MAIL": "451 later"}
    async with open_world() as bench:
        world = World(bench, clock)
        await turn_on(world, server)
        await break_and_run(world, "web")
        await until(lambda: alerts(world))
    server.refuses = {}
    async with open_world() as bench:
        assert "web" in (await server.letter()).text
        mark = bench.store.get(Pool, bench.engine.context.pool).other_config
        await until(lambda: bench.store.get(Pool, bench.engine.context.pool).other_config[SENT_KEY] > mark[SENT_KEY])
    async with open_world() as bench:
        assert bench.engine.mailer._pending == []


async def test_settings_are_checked_kept_and_taken_away(world: World, server: SmtpServer) -> None:
    pool, calls = world.engine.context.pool, world.session.pool
    await world.session.call("pool.add_to_other_config", pool, "mine", "stays")
    with pytest.raises(Failure, match="mail:to"):
        await calls.set_mail(pool, mail(server, to="nobody"))
    assert "server" not in await calls.get_mail(pool)
    await calls.set_mail(pool, mail(server))
    told = await calls.get_mail(pool)
    assert (told["server"], told["to"], told["password"]) == ("127.0.0.1", "admin@example.com", "")
    await calls.set_mail(pool, {})
    assert world.store.get(Pool, pool).other_config == {"mine": "stays"}
    with pytest.raises(Failure, match="no mail account"):
        await calls.set_mail_password(pool, "x")


async def test_a_password_is_kept_in_the_keyring_and_nowhere_else(
    world: World, server: SmtpServer, data_dir: Path
) -> None:
    pool, calls, secret = world.engine.context.pool, world.session.pool, "nobody-guesses-this"
    server.users = {"robot": secret}
    account = mail(server, security="starttls", user="robot")
    await calls.set_mail(pool, account)
    with using(no_keyring()):
        assert "keyring" in (await calls.get_mail(pool))["keyring"]
        with pytest.raises(Failure, match="MAIL_PASSWORD_NOT_KEPT"):
            await calls.set_mail_password(pool, secret)
    ring = MemoryKeyring()
    with using(ring):
        await calls.set_mail_password(pool, secret)
        assert (await calls.get_mail(pool))["password"] == "keyring"
        with pytest.raises(Failure, match="does not offer STARTTLS"):  # and so the password is not sent
            await calls.send_test_mail(pool, account, "")
    assert list(ring.kept.values()) == [secret]
    assert not any(secret.encode() in file.read_bytes() for file in data_dir.rglob("*") if file.is_file())
    log.stop_concealing(secret)


async def test_a_test_message_goes_by_settings_that_are_not_kept_yet(world: World, server: SmtpServer) -> None:
    pool, calls = world.engine.context.pool, world.session.pool
    await calls.send_test_mail(pool, mail(server), "")
    assert (await server.letter()).message["Subject"].endswith("test message")
    assert "server" not in await calls.get_mail(pool)


async def test_a_keyring_that_waits_for_its_user_holds_nobody_up() -> None:
    asked, answered = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(asked.set)
        answered.wait(20)

    with pytest.raises(TimeoutError):
        await in_thread(work, 0.02)
    await asked.wait()
    answered.set()
