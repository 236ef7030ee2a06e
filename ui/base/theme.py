"""Light, dark, or whatever the system says: one palette and one style sheet for the whole application.

``apply(app, Theme.SYSTEM)`` once at start; afterwards ``current()`` gives the colours for hand-drawn widgets, and
``notifier.theme_changed`` tells those that keep pictures. Widgets that paint with ``current()`` need no signal: Qt
repaints every widget when the style sheet changes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from PySide6.QtCore import QDir, QObject, Qt, QTemporaryDir, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

from ui.base import fonts, resources, svg
from ui.base.palette import DARK, LIGHT, Colours, luminance

_PLACEHOLDER = re.compile(r"@([a-z0-9_-]+)@")
_PICTURES = "stillframe-theme"


class Theme(StrEnum):
    """What the person chose."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class ThemeNotifier(QObject):
    """Carries the one signal of this module."""

    theme_changed = Signal()


notifier = ThemeNotifier()


class _State:
    """What is applied now. One application has one theme, so one of these is enough."""

    chosen = Theme.SYSTEM
    colours = LIGHT
    following = False
    pictures: QTemporaryDir | None = None


def current() -> Colours:
    """The colours in use; the light ones before :func:`apply`."""
    return _State.colours


def chosen() -> Theme:
    """What the person chose, which is not always what is shown: see :func:`current`."""
    return _State.chosen


def apply(app: QApplication, theme: Theme = Theme.SYSTEM) -> None:
    """Dress ``app`` in ``theme``. With ``SYSTEM`` it follows the desktop from now on.

    :raise ValueError: the style sheet names a colour or picture that does not exist (a mistake in the program).
    """
    _State.chosen = theme
    _system_was_dark()  # asked before our own palette hides the answer
    _follow_system(app)
    hints = app.styleHints()
    if theme is Theme.SYSTEM:
        hints.unsetColorScheme()
    else:
        hints.setColorScheme(Qt.ColorScheme.Dark if theme is Theme.DARK else Qt.ColorScheme.Light)
    _wear(app, _wanted(theme))


def _wanted(theme: Theme) -> Colours:
    dark = theme is Theme.DARK or (theme is Theme.SYSTEM and _system_is_dark())
    colours = DARK if dark else LIGHT
    wishes = QGuiApplication.styleHints().accessibility()
    if wishes.contrastPreference() == Qt.ContrastPreference.HighContrast:
        return strengthened(colours)
    return colours


def strengthened(colours: Colours) -> Colours:
    """``colours`` with plain lines and no quiet words, for a desktop that asks for more contrast."""
    return replace(
        colours,
        name=f"{colours.name}-contrast",
        line=colours.control,
        border=colours.secondary,
        control=colours.text,
        secondary=colours.text,
        disabled=colours.secondary,
    )


def _system_is_dark() -> bool:
    scheme = QGuiApplication.styleHints().colorScheme()
    if scheme == Qt.ColorScheme.Unknown:
        return _system_was_dark()
    return bool(scheme == Qt.ColorScheme.Dark)


@cache
def _system_was_dark() -> bool:
    """Whether the desktop's own palette was dark when the program started; some platforms tell nothing else."""
    return luminance(QGuiApplication.palette().color(QPalette.ColorRole.Window).name()) < 0.18


def _follow_system(app: QApplication) -> None:
    if _State.following:
        return
    _State.following = True

    def again() -> None:
        if _wanted(_State.chosen) != _State.colours:
            _wear(app, _wanted(_State.chosen))

    app.styleHints().colorSchemeChanged.connect(again)
    app.styleHints().accessibility().contrastPreferenceChanged.connect(again)


def _wear(app: QApplication, colours: Colours) -> None:
    sheet = style_sheet(colours)
    _State.colours = colours
    if app.style().objectName() != "fusion":
        app.setStyle(QStyleFactory.create("Fusion"))
    app.setFont(fonts.font())
    app.setPalette(qt_palette(colours))
    app.setStyleSheet(sheet)
    notifier.theme_changed.emit()


_ROLES = {
    QPalette.ColorRole.Window: "background",
    QPalette.ColorRole.WindowText: "text",
    QPalette.ColorRole.Base: "surface",
    QPalette.ColorRole.AlternateBase: "raised",
    QPalette.ColorRole.Text: "text",
    QPalette.ColorRole.PlaceholderText: "secondary",
    QPalette.ColorRole.Button: "surface",
    QPalette.ColorRole.ButtonText: "text",
    QPalette.ColorRole.BrightText: "bad",
    QPalette.ColorRole.ToolTipBase: "raised",
    QPalette.ColorRole.ToolTipText: "text",
    QPalette.ColorRole.Highlight: "selection",
    QPalette.ColorRole.HighlightedText: "text",
    QPalette.ColorRole.Accent: "accent",
    QPalette.ColorRole.Link: "accent",
    QPalette.ColorRole.LinkVisited: "accent",
    QPalette.ColorRole.Light: "raised",
    QPalette.ColorRole.Midlight: "hover",
    QPalette.ColorRole.Mid: "border",
    QPalette.ColorRole.Dark: "control",
    QPalette.ColorRole.Shadow: "shadow",
}
_WORDS = ("WindowText", "Text", "ButtonText", "HighlightedText", "PlaceholderText", "Link")


def qt_palette(colours: Colours) -> QPalette:
    """``colours`` as Qt's palette, each role set by name: what Qt derives from one colour does not fit our planes."""
    palette = QPalette()
    named = colours.named()
    for role, key in _ROLES.items():
        palette.setColor(role, QColor(named[key]))
    for word in _WORDS:
        palette.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole[word], QColor(colours.disabled))
    return palette


#: pictures of the style sheet: its name, the icon, the colour
_PARTS = (
    ("check", "mark-check", "accent_text"),
    ("check-disabled", "mark-check", "surface"),
    ("dash", "mark-dash", "accent_text"),
    ("dot", "mark-dot", "accent"),
    ("dot-disabled", "mark-dot", "disabled"),
    ("tick", "mark-check", "accent"),
    ("bullet", "mark-dot", "accent"),
    ("down", "chevron-down", "secondary"),
    ("down-disabled", "chevron-down", "disabled"),
    ("down-on-accent", "chevron-down", "accent_text"),
    ("up", "chevron-up", "secondary"),
    ("up-disabled", "chevron-up", "disabled"),
    ("right", "chevron-right", "secondary"),
    ("left", "chevron-left", "secondary"),
    ("close", "close", "secondary"),
    ("close-hover", "close", "text"),
)


def style_sheet(colours: Colours) -> str:
    """The application's style sheet in ``colours``.

    :raise ValueError: it names something that does not exist.
    """
    values = colours.named()
    values |= {f"px-{role}": f"{fonts.pixels(role)}px" for role in fonts.Role}
    values |= _pictures(colours)

    def value(match: re.Match[str]) -> str:
        try:
            return values[match[1]]
        except KeyError:
            raise ValueError(f"stillframe.qss uses @{match[1]}@, which is not a colour, size or picture") from None

    return _PLACEHOLDER.sub(value, resources.read("themes", "stillframe.qss"))


def _pictures(colours: Colours) -> dict[str, str]:
    """Write the style sheet's pictures in ``colours``, since a style sheet can only name files.

    Each palette has its own folder: Qt keeps pictures by path, and would show the old colours again.
    """
    if _State.pictures is None:
        _State.pictures = QTemporaryDir()
        QDir.addSearchPath(_PICTURES, _State.pictures.path())
    folder = Path(_State.pictures.path()) / colours.name
    folder.mkdir(exist_ok=True)
    named = colours.named()
    for name, icon, colour in _PARTS:
        (folder / f"{name}.svg").write_bytes(svg.recoloured(icon, named[colour], {}, 16))
    return {f"img-{name}": f"url({_PICTURES}:{colours.name}/{name}.svg)" for name, _, _ in _PARTS}
