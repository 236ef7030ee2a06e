"""What the desktop remembers: theme, windows, splitters, columns. One ini file, for its owner only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from PySide6.QtCore import QByteArray, QObject, QSettings, Signal
from PySide6.QtWidgets import QHeaderView, QSplitter, QWidget

from ui.base.theme import Theme

Value = TypeVar("Value", bool, int, float, str)

_PRIVATE = 0o600
KEEP_RUNNING = "schedules/keep-running"


class Settings(QObject):
    """Typed settings in the file at ``path``, which need not exist. A damaged value counts as not set.

    :raise OSError: the file exists and cannot be made private, or cannot be created.
    """

    #: the key of a setting that now has another value
    changed = Signal(str)

    def __init__(self, path: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        # made here with its mode, so that it is never readable by others, not even for a moment
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, _PRIVATE))
        path.chmod(_PRIVATE)
        self._file = QSettings(str(path), QSettings.Format.IniFormat)

    def get(self, key: str, default: Value) -> Value:
        """The setting ``key`` as the type of ``default``, which is also the answer where nothing sensible is set."""
        stored = self._file.value(key)
        if stored is None:
            return default
        try:
            return _converted(stored, default)
        except (TypeError, ValueError):
            return default

    def put(self, key: str, value: bool | int | float | str) -> None:
        """Remember ``value``; :attr:`changed` follows if it is another one than before."""
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if self._file.value(key) == text:
            return
        self._file.setValue(key, text)
        self.changed.emit(key)

    def remove(self, key: str) -> None:
        """Forget ``key`` and everything below it."""
        self._file.remove(key)

    def get_list(self, key: str) -> list[str]:
        """A remembered list of words, such as recent servers; empty where nothing is set."""
        stored = self._file.value(key)
        if stored is None:
            return []
        return [str(word) for word in stored] if isinstance(stored, list) else [str(stored)]

    def put_list(self, key: str, words: list[str]) -> None:
        """Remember a list of words; an empty one is forgotten."""
        if words == self.get_list(key):
            return
        if words:
            self._file.setValue(key, words)
        else:
            self._file.remove(key)
        self.changed.emit(key)

    def sync(self) -> bool:
        """Write to the file now. False: it could not be written, and the settings last as long as the program."""
        self._file.sync()
        return self._file.status() == QSettings.Status.NoError

    @property
    def keep_running(self) -> bool:
        """Whether schedules go on when the window is closed."""
        return self.get(KEEP_RUNNING, False)

    @property
    def theme(self) -> Theme:
        """The chosen theme."""
        try:
            return Theme(self.get("theme", Theme.SYSTEM.value))
        except ValueError:
            return Theme.SYSTEM

    @theme.setter
    def theme(self, theme: Theme) -> None:
        self.put("theme", theme.value)

    def save_window(self, name: str, window: QWidget) -> None:
        """Remember place and size of a window."""
        self._file.setValue(f"windows/{name}", window.saveGeometry())

    def restore_window(self, name: str, window: QWidget) -> bool:
        """Put a window where it was, within the screens there are now. False: nothing is remembered."""
        state = self._bytes(f"windows/{name}")
        return state is not None and window.restoreGeometry(state)

    def save_splitter(self, name: str, splitter: QSplitter) -> None:
        """Remember the places of a splitter's handles."""
        self._file.setValue(f"splitters/{name}", splitter.saveState())

    def restore_splitter(self, name: str, splitter: QSplitter) -> bool:
        """Put a splitter's handles where they were, keeping our 1 px handles. False: nothing is remembered."""
        state = self._bytes(f"splitters/{name}")
        width = splitter.handleWidth()
        restored = state is not None and splitter.restoreState(state)
        splitter.setHandleWidth(width)
        return restored

    def save_columns(self, name: str, header: QHeaderView) -> None:
        """Remember widths, order, visibility and sorting of a table's columns, for a table with as many columns."""
        self._file.setValue(f"columns/{name}/state", header.saveState())
        self._file.setValue(f"columns/{name}/count", str(header.count()))

    def restore_columns(self, name: str, header: QHeaderView) -> bool:
        """Restore a table's columns. False: nothing is remembered, or the table has other columns now."""
        state = self._bytes(f"columns/{name}/state")
        if state is None or self.get(f"columns/{name}/count", -1) != header.count():
            return False
        return header.restoreState(state)

    def _bytes(self, key: str) -> QByteArray | None:
        stored = self._file.value(key)
        return stored if isinstance(stored, QByteArray) else None


def _converted(stored: Any, default: Value) -> Value:
    text = str(stored)
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    return type(default)(text)
