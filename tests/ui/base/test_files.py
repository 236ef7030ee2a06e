"""Showing a file where it lies."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import QProcess, QUrl
from PySide6.QtGui import QDesktopServices

from ui.base.files import show_in_folder


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a program for it")
def test_without_a_file_manager_the_folder_is_opened(monkeypatch: pytest.MonkeyPatch, qapp: object) -> None:
    opened: list[QUrl] = []
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    show_in_folder("/srv/a b/web.xva")
    assert [url.toLocalFile() for url in opened] == ["/srv/a b"]


@pytest.mark.parametrize(
    ("platform", "program", "arguments"),
    [
        ("darwin", "open", ["-R", "/srv/web.xva"]),
        ("win32", "explorer", ["/select,\\srv\\web.xva"]),
    ],
)
def test_other_systems_choose_the_file(
    monkeypatch: pytest.MonkeyPatch, platform: str, program: str, arguments: list[str]
) -> None:
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(QProcess, "startDetached", lambda *given: started.append(given))
    show_in_folder("/srv/web.xva")
    assert started == [(program, arguments)]
