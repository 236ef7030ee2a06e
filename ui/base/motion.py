"""Movement: short, and none for people who asked for none."""

from __future__ import annotations

from collections.abc import Callable

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
    """Whether nothing should move. Qt passes on the wish of Windows, and of desktops that switch effects off."""
    if _Preference.reduced is not None:
        return _Preference.reduced
    return not QApplication.isEffectEnabled(Qt.UIEffect.UI_General)


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
