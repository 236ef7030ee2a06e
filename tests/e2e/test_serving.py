"""`stillframe serve --listen` as a process of its own: the account is given once, and a client logs in by HTTPS."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest
import XenAPI

from tests.support.wire import aside

PATIENCE = 60.0
PASSWORD = "correct horse battery"


async def started(data_dir: Path, *options: str) -> tuple[asyncio.subprocess.Process, str]:
    """The process, and where it says that it answers."""
    words = [sys.executable, "-m", "app", "serve", "--data-dir", str(data_dir), "--listen", "127.0.0.1:0", *options]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        first, second = [(await process.stdout.readline()).decode() for _ in range(2)]
    assert first == f"Serving {data_dir}\n"
    return process, second


async def ended(process: asyncio.subprocess.Process) -> int:
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode is not None
    return process.returncode


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_serving_other_machines(data_dir: Path, tmp_path: Path) -> None:
    password_file = tmp_path / "password"
    password_file.write_text(PASSWORD)
    process, said = await started(data_dir, "--user", "root", "--password-file", str(password_file))
    pattern = r"Answering on (https://127\.0\.0\.1:\d+), certificate SHA-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})\n"
    found = re.fullmatch(pattern, said)
    assert found is not None, said
    for name in ("cmdline", "environ"):
        assert PASSWORD.encode() not in Path(f"/proc/{process.pid}/{name}").read_bytes()
    session = XenAPI.Session(found[1], ignore_ssl=True)
    await aside(session.login_with_password, "root", PASSWORD)
    records = await aside(session.xenapi.VM.get_all_records)
    assert "Sample guest" in {record["name_label"] for record in records.values()}
    session("close")()
    assert await ended(process) == 0
    logs = b"".join(path.read_bytes() for path in (data_dir / "logs").iterdir())
    assert PASSWORD.encode() not in logs and session._session.encode() not in logs
    assert not [path for path in data_dir.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
