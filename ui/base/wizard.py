"""The shell of every wizard: steps at the left, one question per page, what will be done at the right.

Next and Finish are disabled with a reason while a page is incomplete. Finish names the act ("Create schedule").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractButton,
    QDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ui.base import fonts, icons, text, theme
from ui.base.dialogs import GAP, GROUP, MARGIN, label
from ui.base.xe_menu import offer_xe

_STEPS_WIDTH = 208
_SUMMARY_WIDTH = 256


class WizardPage(QWidget):
    """One question. Put the widgets in ``content``; emit ``changed`` whenever an answer changes.

    :param title: the step's name, one or two words.
    :param question: the page's heading. Default: the title.
    :param explanation: one line below it.
    """

    changed = Signal()

    def __init__(self, title: str, question: str = "", explanation: str = "") -> None:
        super().__init__()
        self.title = title
        self.setAccessibleName(question or title)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(4)
        self.question = label(question or title, "title")
        self.question.setWordWrap(True)
        rows.addWidget(self.question)
        self.explanation = label(explanation, "quiet")
        self.explanation.setWordWrap(True)
        self.explanation.setVisible(bool(explanation))
        rows.addWidget(self.explanation)
        rows.addSpacing(GAP)
        self.content = QVBoxLayout()
        self.content.setSpacing(GAP)
        rows.addLayout(self.content, 1)

    def why_incomplete(self) -> str:
        """What is missing, in a sentence; "" when nothing is."""
        return ""

    def is_complete(self) -> bool:
        """Whether the wizard may go on."""
        return not self.why_incomplete()

    def is_relevant(self) -> bool:
        """Whether the question needs asking, given the earlier answers. An irrelevant page is skipped."""
        return True

    def entered(self) -> None:
        """The page is now shown."""


class Wizard(QDialog):
    """A dialog of pages. Accepted means Finish was pressed with every relevant page complete.

    :param finish: the words on the last button, or a function that gives them from the answers.
    :param summary: a widget that always tells what the answers amount to.
    """

    #: an answer changed, or a page was entered: the moment to bring the summary up to date
    changed = Signal()

    def __init__(
        self,
        title: str,
        pages: Sequence[WizardPage],
        *,
        finish: str | Callable[[], str],
        summary: QWidget | None = None,
        parent: QWidget | None = None,
    ) -> None:
        if not pages:
            raise ValueError("a wizard needs a page")
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setModal(True)
        self.pages = tuple(pages)
        self._finish = finish
        self._furthest = 0
        self.steps = StepList(self)
        self.steps.chosen.connect(self.go_to)
        self._stack = QStackedWidget()
        self.back = QPushButton("&Back")
        self.next = QPushButton("&Next")
        self.cancel = QPushButton("Cancel")
        self._lay_out(title, summary)
        for page in self.pages:
            self._stack.addWidget(page)
            page.changed.connect(self._refresh)
        self._wire_buttons()
        self._enter(0)
        self.resize(920 if summary else 760, 560)

    @property
    def page(self) -> WizardPage:
        """The page that is shown."""
        return self.pages[self._stack.currentIndex()]

    def go_to(self, index: int) -> None:
        """Show page ``index``, if it is relevant and every relevant page before it is complete."""
        before = (page for page in self.pages[:index] if page.is_relevant())
        if self.pages[index].is_relevant() and all(page.is_complete() for page in before):
            self._enter(index)

    def go_next(self) -> None:
        """Go on, or finish from the last page; nothing while the page is incomplete."""
        if not self.page.is_complete():
            return
        following = [i for i in self._relevant_indexes() if i > self._stack.currentIndex()]
        if following:
            self._enter(following[0])
        elif all(self.pages[i].is_complete() for i in self._relevant_indexes()):
            self.accept()

    def go_back(self) -> None:
        """Show the page before; nothing on the first."""
        earlier = [i for i in self._relevant_indexes() if i < self._stack.currentIndex()]
        if earlier:
            self._enter(earlier[-1])

    def xe_line(self) -> str:
        """What a terminal would be told in place of the last button, as the answers stand; "" for nothing."""
        return ""

    def is_last(self) -> bool:
        """Whether the button now finishes."""
        return self._stack.currentIndex() == self._relevant_indexes()[-1]

    def _relevant_indexes(self) -> list[int]:
        here = self._stack.currentIndex()
        return [i for i, page in enumerate(self.pages) if i == here or page.is_relevant()]

    def _enter(self, index: int) -> None:
        self._furthest = max(self._furthest, index)
        self._stack.setCurrentIndex(index)
        self.page.entered()
        self._refresh()
        self._focus_first()

    def _focus_first(self) -> None:
        candidate: QWidget | None = self.page.nextInFocusChain()
        while candidate is not None and self.page.isAncestorOf(candidate):
            if candidate.focusPolicy() & Qt.FocusPolicy.TabFocus and candidate.isEnabled():
                _of_its_group(candidate).setFocus(Qt.FocusReason.TabFocusReason)
                return
            candidate = candidate.nextInFocusChain()
        self.next.setFocus(Qt.FocusReason.OtherFocusReason)

    def _refresh(self) -> None:
        last = self.is_last()
        reason = self.page.why_incomplete()
        if last and not reason:
            reason = next((r for i in self._relevant_indexes() if (r := self.pages[i].why_incomplete())), "")
        words = self._finish() if callable(self._finish) else self._finish
        self.next.setText(text.no_mnemonic(words) if last else "&Next")
        self.next.setEnabled(not reason)
        self.next.setToolTip(text.tooltip(reason))
        self.next.setAccessibleDescription(reason)
        self.back.setEnabled(self._relevant_indexes()[0] != self._stack.currentIndex())
        self.steps.show_steps(
            [(page.title, page.is_relevant(), page.is_complete()) for page in self.pages],
            self._stack.currentIndex(),
            self._furthest,
        )
        self.changed.emit()

    def _wire_buttons(self) -> None:
        self.next.setProperty("primary", True)
        self.next.setDefault(True)
        self.back.setAutoDefault(False)
        self.cancel.setAutoDefault(False)
        self.back.clicked.connect(self.go_back)
        self.next.clicked.connect(self.go_next)
        offer_xe(self.next, lambda: self.xe_line() if self.is_last() else "")
        self.cancel.clicked.connect(self.reject)

    def _lay_out(self, title: str, summary: QWidget | None) -> None:
        columns = QHBoxLayout(self)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(0)
        columns.addWidget(self._side(title))
        columns.addWidget(_upright_line())
        main = QVBoxLayout()
        main.setContentsMargins(MARGIN, MARGIN - 4, MARGIN, MARGIN - 4)
        main.setSpacing(GROUP)
        asked = QHBoxLayout()
        asked.setSpacing(MARGIN)
        asked.addWidget(self._stack, 1)
        if summary is not None:
            summary.setFixedWidth(_SUMMARY_WIDTH)
            asked.addWidget(summary)
        main.addLayout(asked, 1)
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addStretch()
        for button in (self.back, self.next, self.cancel):
            button.setMinimumWidth(96)
            row.addWidget(button)
        main.addLayout(row)
        columns.addLayout(main, 1)

    def _side(self, title: str) -> QWidget:
        side = QFrame()
        side.setProperty("plane", "raised")
        side.setFixedWidth(_STEPS_WIDTH)
        rows = QVBoxLayout(side)
        rows.setContentsMargins(GAP, MARGIN - 4, GAP, GROUP)
        rows.setSpacing(GAP)
        heading = label(title, "section")
        heading.setWordWrap(True)
        heading.setContentsMargins(12, 0, 4, 4)
        rows.addWidget(heading)
        rows.addWidget(self.steps)
        rows.addStretch()
        return side


def _upright_line() -> QFrame:
    line = QFrame()
    line.setProperty("separator", "vertical")
    return line


class StepList(QWidget):
    """The steps of a wizard: done (tick), present (ring), to come. A click goes back to a step that was visited."""

    chosen = Signal(int)

    _ROW = 36

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps: list[tuple[str, bool, bool]] = []
        self._here = 0
        self._furthest = 0
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName("Steps")

    def show_steps(self, steps: list[tuple[str, bool, bool]], here: int, furthest: int) -> None:
        """``steps`` are (title, relevant, complete)."""
        self._steps, self._here, self._furthest = steps, here, furthest
        title, place = steps[here][0], f"step {here + 1} of {len(steps)}"
        self.setAccessibleDescription(f"{title}, {place}")
        self.updateGeometry()
        self.update()

    def is_ticked(self, index: int) -> bool:
        """Whether the step has been visited and answered, and is not the present one."""
        _, relevant, complete = self._steps[index]
        return index != self._here and index <= self._furthest and relevant and complete

    def sizeHint(self) -> QSize:
        return QSize(_STEPS_WIDTH - 2 * GAP, self._ROW * max(1, len(self._steps)))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        index = int(event.position().y()) // self._ROW
        if 0 <= index < len(self._steps) and index != self._here and index <= self._furthest:
            self.chosen.emit(index)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for index in range(len(self._steps)):
            self._paint_step(painter, index)
        painter.end()

    def _paint_step(self, painter: QPainter, index: int) -> None:
        colours = theme.current()
        title, relevant, _ = self._steps[index]
        here = index == self._here
        row = QRectF(0, index * self._ROW, self.width(), self._ROW - 4)
        if here:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.selection))
            painter.drawRoundedRect(row, 6, 6)
        self._paint_mark(painter, index, QPointF(row.left() + 20, row.center().y()))
        words = fonts.font(strong=here)
        painter.setFont(words)
        reached = relevant and index <= self._furthest
        painter.setPen(QColor(colours.text if reached else colours.secondary if relevant else colours.disabled))
        place = row.adjusted(38, 0, -8, 0)
        said = QFontMetrics(words).elidedText(title, Qt.TextElideMode.ElideRight, int(place.width()))
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, said)

    def _paint_mark(self, painter: QPainter, index: int, centre: QPointF) -> None:
        colours = theme.current()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self.is_ticked(index):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent))
            painter.drawEllipse(centre, 8, 8)
            icons.paint(painter, QRectF(centre.x() - 6, centre.y() - 6, 12, 12), "mark-check", "accent_text")
            return
        here = index == self._here
        painter.setPen(QPen(QColor(colours.accent if here else colours.border), 2 if here else 1.5))
        painter.drawEllipse(centre, 7, 7)


def _of_its_group(widget: QWidget) -> QWidget:
    """Of buttons of which one is chosen, the chosen one, as by the Tab key; else the widget itself."""
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    chosen = group.checkedButton() if group is not None and group.exclusive() else None
    return chosen or widget
