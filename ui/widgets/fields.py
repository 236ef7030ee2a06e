"""Fields for numbers and times. Qt's own put the words against the edge once a style sheet gives them a frame."""

from __future__ import annotations

from PySide6.QtWidgets import QAbstractSpinBox, QDateEdit, QDateTimeEdit, QSpinBox, QTimeEdit, QWidget

from ui.base import fonts

_INDENT = 7


def _settle(field: QAbstractSpinBox, name: str) -> None:
    field.lineEdit().setTextMargins(_INDENT, 0, 0, 0)
    field.setFont(fonts.font(tabular=True))
    field.setAccessibleName(name)


class SpinBox(QSpinBox):
    """A whole number.

    :param name: for a screen reader.
    :param suffix: the unit, " GiB".
    """

    def __init__(
        self, name: str, least: int = 0, most: int = 99, value: int = 0, suffix: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        _settle(self, name)
        self.setRange(least, most)
        self.setValue(value)
        self.setSuffix(suffix)


class TimeEdit(QTimeEdit):
    """A time of day, as the person's locale writes it."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        _settle(self, name)
        self.setDisplayFormat(self.locale().timeFormat(self.locale().FormatType.ShortFormat))


class DateEdit(QDateEdit):
    """A day, with a calendar to choose from."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        _settle(self, name)
        self.setCalendarPopup(True)


class DateTimeEdit(QDateTimeEdit):
    """A moment, with a calendar to choose the day from."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        _settle(self, name)
        self.setCalendarPopup(True)
