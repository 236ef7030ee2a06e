"""The guests' screens at the time of their snapshots, loaded when they are first looked at."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from PySide6.QtCore import QObject, QSize, Signal
from PySide6.QtGui import QImage
from shiboken6 import isValid

from app.api import ConnectionLost, Failure, Ref
from ui.base.workspace import Workspace
from ui.widgets.thumbnail import fitted

#: thumbnails are kept at twice the size of a card's, for dense screens
DENSITY = 2.0
_AT_ONCE = 4
_MOST_THUMBNAILS = 400
_MOST_PICTURES = 6


class Pictures(QObject):
    """Pictures by the reference of their blob. What is not here yet is fetched and decoded in the background.

    :param room: the size of a thumbnail, in logical pixels.
    """

    #: the reference of a blob whose picture is here now
    loaded = Signal(str)

    def __init__(self, workspace: Workspace, room: QSize, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._room = QSize(round(room.width() * DENSITY), round(room.height() * DENSITY))
        self._thumbnails: OrderedDict[str, QImage] = OrderedDict()
        self._pictures: OrderedDict[str, QImage] = OrderedDict()
        self._loading: set[str] = set()
        self._missing: set[str] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        workspace.status_changed.connect(self._on_status)

    def thumbnail(self, blob: str) -> QImage | None:
        """The small picture, or None while it is on its way or if there is none."""
        return self._find(self._thumbnails, blob)

    def picture(self, blob: str) -> QImage | None:
        """The whole picture, or None while it is on its way or if there is none."""
        return self._find(self._pictures, blob)

    def _find(self, kept: OrderedDict[str, QImage], blob: str) -> QImage | None:
        found = kept.get(blob)
        if found is not None:
            kept.move_to_end(blob)
        elif blob and blob not in self._loading and blob not in self._missing and _loop_runs():
            self._loading.add(blob)
            self._workspace.spawn(self._load(blob))
        return found

    def _on_status(self, status: str) -> None:
        if status == "connected":
            self._missing.clear()

    async def _load(self, blob: str) -> None:
        try:
            async with self._turns:
                data = await self._workspace.session.read_blob(Ref(blob))
                made = await asyncio.to_thread(_decoded, data, self._room)
        except (Failure, ConnectionLost):
            made = None  # a card without a picture says enough
        finally:
            self._loading.discard(blob)
        if not isValid(self):
            return  # the tab went meanwhile
        if made is None:
            self._missing.add(blob)
            return
        _keep(self._pictures, blob, made[0], _MOST_PICTURES)
        _keep(self._thumbnails, blob, made[1], _MOST_THUMBNAILS)
        self.loaded.emit(blob)


def _loop_runs() -> bool:
    """Whether anything can be fetched now. Pictures are asked for while painting, where nothing may be raised."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _keep(kept: OrderedDict[str, QImage], blob: str, image: QImage, most: int) -> None:
    kept[blob] = image
    while len(kept) > most:
        kept.popitem(last=False)


def _decoded(data: bytes, room: QSize) -> tuple[QImage, QImage] | None:
    """The picture and its thumbnail; None if this is no picture. Runs beside the event loop: it takes milliseconds."""
    image = QImage.fromData(data)
    if image.isNull():
        return None
    # a card shows the upper part of the screen in full width: small as it is, more could not be read
    shape = image.copy(0, 0, image.width(), min(image.height(), -(-image.width() * room.height() // room.width())))
    return image, fitted(shape, room, DENSITY)
