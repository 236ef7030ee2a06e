"""The icon family, by name: ``icon("vm-running")``.

An icon always wears the theme's current colours. It is coloured when it is painted, not when it is asked for, so nobody
has to ask again after the theme changes. Every size is drawn from the vectors for the screen's own density.
"""

from __future__ import annotations

import ctypes
from functools import cache

from PySide6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from ui.base import svg, theme
from ui.base.palette import Colours

#: names that say what is meant where the family has one drawing for two meanings
ALIASES = {
    "alert": "alert-attention",
    "error": "alert-bad",
    "info": "alert-info",
    "stop": "power",
    "trash": "delete",
    "warning": "alert-attention",
    "zoom": "zoom-in",
}
LOGO = "stillframe"
#: the icon size of buttons with words: Qt leaves 4 px between them, and an icon wider than high has room after it
BESIDE_TEXT = QSize(20, 16)


def names() -> tuple[str, ...]:
    """Every name :func:`icon` accepts, sorted."""
    return tuple(sorted({*svg.names(), *ALIASES}))


@cache
def icon(name: str, tone: str = "text") -> QIcon:
    """The icon ``name``. The same object every time.

    :param tone: the colour of its lines, a field of ``Colours``. With ``text`` its accent and state colours show; in
        any other tone the whole icon is of that one colour (``accent_text`` for buttons filled with the accent).
    :raise LookupError: there is no such icon or tone.
    """
    return QIcon(_Engine(_known(name), _tone(tone)))


def pixmap(name: str, size: int = 16, dpr: float = 1.0, tone: str = "text", *, enabled: bool = True) -> QPixmap:
    """The icon ``name`` as a picture of ``size`` logical pixels at ``dpr`` pixels each, in today's colours.

    :raise LookupError: there is no such icon or tone.
    """
    mode = QIcon.Mode.Normal if enabled else QIcon.Mode.Disabled
    return _drawn(_known(name), _tone(tone), max(1, round(size * dpr)), dpr, mode)


def paint(painter: QPainter, rect: QRectF, name: str, tone: str = "text", *, enabled: bool = True) -> None:
    """Paint the icon ``name`` into ``rect`` of a hand-drawn widget.

    :raise LookupError: there is no such icon or tone.
    """
    side = min(rect.width(), rect.height())
    # a scaled painter (a zoomed graph, a dense screen) needs more pixels than the rectangle's own size says
    dense = painter.device().devicePixelRatio() * max(abs(painter.worldTransform().m11()), 0.01)
    picture = pixmap(name, max(1, round(side)), dense, tone, enabled=enabled)
    square = QRectF(0, 0, side, side)
    square.moveCenter(rect.center())
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.drawPixmap(square, picture, QRectF(picture.rect()))
    painter.restore()


def _known(name: str) -> str:
    real = ALIASES.get(name, name)
    if real not in svg.names():
        raise LookupError(f"no icon is called {name!r}")
    return real


def _tone(tone: str) -> str:
    if tone not in Colours.__dataclass_fields__ or tone in ("name", "series"):
        raise LookupError(f"no tone is called {tone!r}")
    return tone


def _drawn(name: str, tone: str, side: int, dpr: float, mode: QIcon.Mode) -> QPixmap:
    """``name`` as ``side`` physical pixels, from the cache if it was drawn in these colours before."""
    colours = theme.current()
    return _cached(colours, name, tone, side, round(dpr, 3), mode == QIcon.Mode.Disabled)


@cache
def _renderer(colours: Colours, name: str, tone: str, size: float, disabled: bool) -> QSvgRenderer:
    named = colours.named()
    if disabled and name != LOGO:
        source = svg.recoloured(name, colours.disabled, {}, size)
    elif tone == "text":
        source = svg.recoloured(name, colours.secondary, {t: named[t] for t in svg.TONES}, size)
    else:
        source = svg.recoloured(name, named[tone], {}, size)
    return QSvgRenderer(QByteArray(source))


_pixmaps: dict[tuple[str, str, str, int, float, bool], QPixmap] = {}
_MOST_PIXMAPS = 2000


def _cached(colours: Colours, name: str, tone: str, side: int, dpr: float, disabled: bool) -> QPixmap:
    key = (colours.name, name, tone, side, dpr, disabled)
    found = _pixmaps.get(key)
    if found is not None:
        return found
    picture = QPixmap(side, side)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _renderer(colours, name, tone, round(side / dpr), disabled).render(painter, QRectF(0, 0, side, side))
    painter.end()
    picture.setDevicePixelRatio(dpr)
    if len(_pixmaps) >= _MOST_PIXMAPS:  # zooming a graph asks for every size there is
        _pixmaps.clear()
    _pixmaps[key] = picture
    return picture


def _with_gap(picture: QPixmap, width: int) -> QPixmap:
    """``picture`` with room after it, up to ``width`` pixels: see :data:`BESIDE_TEXT`."""
    wider = QPixmap(width, picture.height())
    wider.fill(Qt.GlobalColor.transparent)
    painter = QPainter(wider)
    from_left = QGuiApplication.layoutDirection() == Qt.LayoutDirection.LeftToRight
    whole = QRect(0, 0, picture.width(), picture.height())
    painter.drawPixmap(whole.translated(0 if from_left else width - picture.width(), 0), picture, picture.rect())
    painter.end()
    wider.setDevicePixelRatio(picture.devicePixelRatio())
    return wider


class _Engine(QIconEngine):
    """Draws one icon in whatever colours are current."""

    def __init__(self, name: str, tone: str) -> None:
        super().__init__()
        self._name = name
        self._tone = tone

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        dpr = painter.device().devicePixelRatio()
        side = min(rect.width(), rect.height())
        if side <= 0:
            return
        square = QRect(0, 0, side, side)
        square.moveCenter(rect.center())
        painter.drawPixmap(square, _drawn(self._name, self._tone, max(1, round(side * dpr)), dpr, mode))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        return self.scaledPixmap(size, mode, state, 1.0)

    def scaledPixmap(self, size: QSize, mode: QIcon.Mode, _state: QIcon.State, scale: float) -> QPixmap:
        side = max(1, round(min(size.width(), size.height()) * scale))
        picture = _drawn(self._name, self._tone, side, scale, mode)
        return picture if size.width() <= size.height() else _with_gap(picture, round(size.width() * scale))

    def actualSize(self, size: QSize, _mode: QIcon.Mode, _state: QIcon.State) -> QSize:
        return QSize(size.width(), min(size.width(), size.height()))

    def clone(self) -> QIconEngine:
        made = _Engine(self._name, self._tone)
        # Qt owns a clone and deletes it, but PySide6 6.11 does not know that: without one reference too many the engine
        # would be collected under Qt's hands, and once more at the end of the program. Clones are rare.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
        return made

    def key(self) -> str:
        return "stillframe"

    def iconName(self) -> str:
        return self._name

    def isNull(self) -> bool:
        return False
