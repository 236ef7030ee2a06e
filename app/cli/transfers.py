"""Exports and imports for the command line: the desktop's own, waited for, and followed with a bar if wanted.

Apart from the rest, because the asynchronous client takes longer to load than a list takes to print.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar, cast

from app.api import SR, VDI, VM, ConnectionLost, Failure, Ref
from app.api.streams import Chunk
from app.cli.channel import LOST, ORIGINATOR
from app.cli.errors import BadFile, ServerFailure, Unreachable
from app.cli.progress import Bar
from app.client import Session, Transport, exchange
from app.client.address import Address
from app.client.exchange import ExportOptions, ImportOptions, Progress
from app.client.http_transport import HttpTransport
from app.client.trust import Trust
from app.client.unix_transport import UnixTransport

T = TypeVar("T")

_APPLIANCES: Final = (".ova", ".ovf")
_MIB: Final = 1 << 20


class Transfers:
    """What moves files. Every method raises BadFile, ServerFailure or Unreachable.

    :param reach: makes the transport, anew for each transfer, and says who logs in.
    :param bar: where to show how far it is; None: nowhere.
    """

    def __init__(self, reach: Callable[[], tuple[Transport, str, str]], bar: TextIO | None) -> None:
        self._reach = reach
        self._bar = bar

    def export_vm(self, vm: str, path: Path, **options: Any) -> None:
        """Write a VM to a new file. :param options: the fields of `ExportOptions`."""
        wanted = ExportOptions(**options)
        self._run(lambda session, report: exchange.export_vm(session, Ref[VM](vm), path, wanted, report))

    def stream(self, path: str, query: Mapping[str, str], write: Callable[[Chunk], object]) -> None:
        """Write what an export handler answers as it comes; for the standard output."""

        async def work(session: Session, _report: Callable[[Progress], None]) -> None:
            async with session.download(path, query) as download:
                async for chunk in download.chunks:
                    write(chunk)

        self._run(work)

    def import_vm(self, path: Path, sr: str, **given: Any) -> tuple[str, ...]:
        """Take a file in; the new VMs. :param sr: "": the pool's default. :param given: fields of `ImportOptions`."""
        options = ImportOptions(sr=Ref[SR](sr) if sr else None, **given)

        async def work(session: Session, report: Callable[[Progress], None]) -> tuple[str, ...]:
            if path.suffix.lower() in _APPLIANCES:
                return (await exchange.import_appliance(session, path, options, report),)
            return await exchange.import_xva(session, path, options, report)

        return self._run(work)

    def export_disk(self, vdi: str, path: Path, disk_format: str) -> None:
        """Write a disk to a new file."""
        wanted = cast("exchange.DiskFormat", disk_format)
        self._run(lambda session, report: exchange.export_disk(session, Ref[VDI](vdi), path, wanted, report))

    def fill_disk(self, vdi: str, path: Path, disk_format: str) -> None:
        """Write a file into a disk that is there."""

        async def work(session: Session, report: Callable[[Progress], None]) -> None:
            length = path.stat().st_size
            query = {"vdi": vdi, "format": disk_format}
            await session.upload("/import_raw_vdi", query, _chunks(path, length, report), length)

        self._run(work)

    def _run(self, work: Callable[[Session, Callable[[Progress], None]], Awaitable[T]]) -> T:
        bar = Bar(self._bar) if self._bar is not None else None
        try:
            return asyncio.run(self._with_session(work, bar))
        except Failure as failure:
            raise ServerFailure(failure.code, failure.params) from failure
        except ConnectionLost as error:
            raise Unreachable(LOST) from error
        except OSError as error:
            raise BadFile(f'Sys_error("{error.filename or ""}: {error.strerror or error}")') from error
        finally:
            if bar is not None:
                bar.end()

    async def _with_session(
        self, work: Callable[[Session, Callable[[Progress], None]], Awaitable[T]], bar: Bar | None
    ) -> T:
        transport, user, password = self._reach()
        session = await Session.open(transport, user, password, ORIGINATOR)
        try:
            return await work(session, lambda progress: _show(bar, progress))
        finally:
            await session.close()


def to_engine(path: Path) -> Callable[[], tuple[Transport, str, str]]:
    """The engine of this machine, by its private socket."""
    return lambda: (UnixTransport(path), "", "")


def to_server(address: Address, trust: Trust, user: str, password: str) -> Callable[[], tuple[Transport, str, str]]:
    """A server elsewhere."""
    return lambda: (HttpTransport(address, trust), user, password)


def _show(bar: Bar | None, progress: Progress) -> None:
    if bar is None:
        return
    share = min(progress.done / progress.total, 1.0) if progress.total else 0.0
    bar.show(share, _words(progress))


def _words(progress: Progress) -> str:
    """What is done, how much of it, how fast, and how long it will go on; what nobody knows is left out."""
    found = [f"{progress.stage} {progress.done / _MIB:.0f} MiB"]
    if progress.rate:
        found.append(f"{progress.rate / _MIB:.0f} MiB/s")
    if progress.seconds_left is not None:
        found.append(f"{progress.seconds_left:.0f} s left")
    return ", ".join(found)


async def _chunks(path: Path, length: int, report: Callable[[Progress], None]) -> AsyncIterator[Chunk]:
    with path.open("rb") as file:
        done = 0
        while chunk := await asyncio.to_thread(file.read, _MIB):
            yield chunk
            done += len(chunk)
            report(Progress("writing", done, length, 0.0, None))
