"""Logging: where lines go, the task in each, and what never reaches them."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import log
from app.config import Config, load

SESSION = "OpaqueRef:11111111-2222-3333-4444-555555555555"


@pytest.fixture
def config(data_dir: Path) -> Iterator[Config]:
    before = logging.getLogger().level
    yield load(data_dir)
    log.shutdown()
    logging.getLogger().setLevel(before)


def written(config: Config) -> list[str]:
    return (config.logs_dir / "stillframe.log").read_text(encoding="utf-8").splitlines()


def test_the_file_is_private(config: Config) -> None:
    path = log.setup(config)
    assert path == config.logs_dir / "stillframe.log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_rotated_files_are_private_and_bounded(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_FILE_BYTES", 500)
    monkeypatch.setattr(log, "KEPT_FILES", 2)
    log.setup(config)
    for number in range(40):
        log.get("test").info("a line that takes some room", number=number)
    files = sorted(config.logs_dir.iterdir())
    assert [path.name for path in files] == ["stillframe.log", "stillframe.log.1", "stillframe.log.2"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_information_goes_to_the_file_only(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(config)
    log.get("app.ops.vm_snapshot").info("overlay written", vdi="a-vdi", seconds=0.5)
    log.get("app.ops.vm_snapshot").debug("not wanted")
    log.get("app.ops.vm_snapshot").warning("disk is nearly full")
    first, second = written(config)
    assert first.endswith("info     app.ops.vm_snapshot overlay written vdi=a-vdi seconds=0.5")
    assert "disk is nearly full" in second
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "disk is nearly full" in shown.err


def test_debug_shows_everything(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(config, debug=True)
    log.get("test").debug("a detail")
    assert "a detail" in capsys.readouterr().err
    assert "a detail" in written(config)[0]


def test_lines_of_libraries_look_the_same(config: Config) -> None:
    log.setup(config)
    logging.getLogger("sqlalchemy.pool").warning("connection %s lost", 7)
    (line,) = written(config)
    assert line.endswith("warning  sqlalchemy.pool connection 7 lost")


async def test_each_line_names_its_own_task(config: Config) -> None:
    log.setup(config)
    both_begun = asyncio.Barrier(2)

    async def work(ref: str, name: str) -> None:
        with log.task_context(ref, name):
            await both_begun.wait()
            log.get("test").info("working")
            logging.getLogger("some.library").info("from a library")

    await asyncio.gather(work("OpaqueRef:1", "Take snapshot"), work("OpaqueRef:2", "Revert"))
    log.get("test").info("idle")
    *inside, outside = written(config)
    assert sum("[OpaqueRef:1 'Take snapshot']" in line for line in inside) == 2
    assert sum("[OpaqueRef:2 Revert]" in line for line in inside) == 2
    assert "OpaqueRef" not in outside


def test_secrets_are_concealed_by_key(config: Config) -> None:
    log.setup(config)
    log.get("test").info(
        "login",
        password="hunter2",
        new_password="hunter3",
        session=SESSION,
        request={"params": {"passwd": "hunter4", "uname": "root"}, "headers": [{"Authorization": "hunter5"}]},
    )
    (line,) = written(config)
    assert "hunter" not in line
    assert SESSION not in line
    assert "root" in line


@pytest.mark.parametrize(
    "text",
    [
        "GET /export?uuid=1&session_id=hunter2&task_id=3",
        "Authorization: Basic hunter2",
        "{'password': 'hunter2', 'uname': 'root'}",
        'password="hunter2 with a space"',
        "connecting to https://root:hunter2@pool.example/",
    ],
)
def test_secrets_are_concealed_in_text(config: Config, text: str) -> None:
    log.setup(config)
    log.get("test").info(text)
    logging.getLogger("aiohttp.access").info("%s", text)
    assert "hunter2" not in "".join(written(config))
    assert "".join(written(config)).count(log.CONCEALED) == 2


def test_a_concealed_text_appears_nowhere(config: Config) -> None:
    log.setup(config)
    log.conceal(SESSION)
    log.conceal("")
    try:
        try:
            raise ValueError(f"no such session: {SESSION}")
        except ValueError:
            log.get("test").exception(f"call with {SESSION} failed", args=[SESSION])
    finally:
        log.stop_concealing(SESSION)
    assert SESSION not in "\n".join(written(config))
    log.get("test").info("an ordinary ref", vm=SESSION)
    assert SESSION in written(config)[-1], "a ref is a secret only while it is one"


def test_a_traceback_follows_its_line(config: Config) -> None:
    log.setup(config)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        log.get("test").exception("a bug", log_id="abc")
    lines = written(config)
    assert lines[0].endswith("error    test a bug log_id=abc")
    assert lines[1].startswith("Traceback")
    assert lines[-1] == "RuntimeError: broken"


def test_a_name_cannot_forge_a_line(config: Config) -> None:
    log.setup(config)
    log.get("test").info("renamed\nfirst", name_label="web\n2026-01-01 error all is lost")
    assert len(written(config)) == 1


def test_setting_up_again_does_not_write_twice(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(config)
    log.setup(config)
    log.get("test").warning("once")
    assert len(written(config)) == 1
    assert capsys.readouterr().err.count("once") == 1


def test_without_setup_stdout_stays_clean(capsys: pytest.CaptureFixture[str]) -> None:
    log.get("test.unset").warning("heard")
    assert capsys.readouterr().out == ""
