"""A writer of cpio archives in the "newc" form, the one Linux unpacks as its first root file system."""

from __future__ import annotations

import stat


class CpioArchive:
    """Collects entries in memory; `data()` is the finished archive. All entries belong to root and bear no time."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._names: set[str] = set()

    def add_folder(self, name: str) -> None:
        """A folder and those above it; one that is there already is left as it is."""
        above = name.rpartition("/")[0]
        if above:
            self.add_folder(above)
        if name not in self._names:
            self._add(name, stat.S_IFDIR | 0o755, b"")

    def add_file(self, name: str, data: bytes | str, *, executable: bool = False) -> None:
        """A file, with the folders above it. :raise ValueError: there is an entry of this name."""
        self._under(name)
        content = data.encode() if isinstance(data, str) else data
        self._add(name, stat.S_IFREG | (0o755 if executable else 0o644), content)

    def add_link(self, name: str, target: str) -> None:
        """A symbolic link, with the folders above it. :raise ValueError: there is an entry of this name."""
        self._under(name)
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def add_console(self) -> None:
        """The character device dev/console (5, 1), which the kernel opens for the first process."""
        self._under("dev/console")
        self._add("dev/console", stat.S_IFCHR | 0o600, b"", device=(5, 1))

    def data(self) -> bytes:
        """The archive with its trailer, padded to a multiple of four: archives may follow one another."""
        return b"".join([*self._parts, _entry(0, "TRAILER!!!", 0, b"")])

    def _under(self, name: str) -> None:
        above = name.rpartition("/")[0]
        if above:
            self.add_folder(above)

    def _add(self, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        if name in self._names:
            raise ValueError(f"{name} is in the archive already")
        self._names.add(name)
        self._parts.append(_entry(len(self._names), name, mode, data, device))


def _entry(inode: int, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    encoded = name.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name length, checksum
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + encoded) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
