"""Movement: short, and none for people who asked for none."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from PySide6.QtCore import QAbstractAnimation, QByteArray, QEasingCurve, QObject, QPropertyAnimation, Qt
from PySide6.QtWidgets import QApplication

#: nothing moves for longer, in milliseconds
LONGEST = 150


class _Preference:
    reduced: bool | None = None


def set_reduced(reduced: bool | None) -> None:
    """What the person chose in the settings; None follows the system."""
    _Preference.reduced = reduced


def is_reduced() -> bool:
    """Whether nothing should move."""
    return _Preference.reduced if _Preference.reduced is not None else _system_wish()


@cache
def _system_wish() -> bool:
    """What the desktop was set to when first asked. Qt 6.11 passes it on for Windows only."""
    if sys.platform == "win32":
        return not QApplication.isEffectEnabled(Qt.UIEffect.UI_General)
    if sys.platform == "darwin":
        return _said("defaults", "read", "com.apple.universalaccess", "reduceMotion") == "1"
    if "KDE" in os.environ.get("XDG_CURRENT_DESKTOP", ""):
        return _kde_wish(Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kdeglobals")
    return _said("gsettings", "get", "org.gnome.desktop.interface", "enable-animations") == "false"


def _said(program: str, *arguments: str) -> str:
    """What a small program of the desktop answers; "" if it is not there or does not answer at once."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=1, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _kde_wish(settings: Path) -> bool:
    """Plasma keeps a factor for the length of all animations; 0 means none."""
    read = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        read.read(settings, encoding="utf-8")
        return read.getfloat("KDE", "AnimationDurationFactor", fallback=1.0) == 0.0
    except (configparser.Error, OSError, ValueError):
        return False


def milliseconds(wanted: int = LONGEST) -> int:
    """How long a movement may take: ``wanted``, at most 150, or 0 where motion is reduced."""
    return 0 if is_reduced() else min(wanted, LONGEST)


def animate(
    target: QObject, name: str, end: object, wanted: int = LONGEST, then: Callable[[], None] | None = None
) -> QPropertyAnimation:
    """Move the property ``name`` of ``target`` to ``end``, at once where motion is reduced, and call ``then`` after."""
    movement = QPropertyAnimation(target, QByteArray(name.encode()), target)
    movement.setEasingCurve(QEasingCurve.Type.OutCubic)
    movement.setDuration(milliseconds(wanted))
    movement.setEndValue(end)
    if then is not None:
        movement.finished.connect(then)
    movement.start(QAbstractAnimation.DeletionPolicy.DeleteWhenStopped)
    return movement
