"""Showing a file where it lies, in the file manager of the system."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QProcess, QUrl
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusPendingCallWatcher
from PySide6.QtGui import QDesktopServices

_SERVICE, _PATH = "org.freedesktop.FileManager1", "/org/freedesktop/FileManager1"
_PATIENCE_MS = 5000
_ENCODED = QUrl.ComponentFormattingOption.FullyEncoded
#: questions to the file manager that are not answered yet
_asked: set[QDBusPendingCallWatcher] = set()


def show_in_folder(path: str) -> None:
    """Open the folder of ``path`` with the file chosen in it, or the folder alone where nothing can do more."""
    if sys.platform == "darwin":
        QProcess.startDetached("open", ["-R", path])
    elif sys.platform == "win32":
        QProcess.startDetached("explorer", [f"/select,{path.replace('/', chr(92))}"])
    else:
        _ask_file_manager(path)


def _ask_file_manager(path: str) -> None:
    """By the freedesktop interface that the file managers of the large desktops answer."""
    bus = QDBusConnection.sessionBus()
    if not bus.isConnected():
        _open_folder(path)
        return
    message = QDBusMessage.createMethodCall(_SERVICE, _PATH, _SERVICE, "ShowItems")
    message.setArguments([[QUrl.fromLocalFile(path).toString(_ENCODED)], ""])
    watcher = QDBusPendingCallWatcher(bus.asyncCall(message, _PATIENCE_MS))
    _asked.add(watcher)

    def answered() -> None:
        _asked.discard(watcher)
        if watcher.isError():
            _open_folder(path)

    watcher.finished.connect(answered)


def _open_folder(path: str) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(path).parent)))
