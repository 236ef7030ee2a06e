"""The General tab of whatever has a name: a card to change it, and cards of facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.api import Record, Ref, class_of
from app.client import Delta
from ui.base.dialogs import GROUP, MARGIN
from ui.base.workspace import Workspace
from ui.models.looking import Looking
from ui.widgets.cards import Card
from ui.widgets.facts import Fact, FactGrid
from ui.widgets.labels import EditableLabel

#: the facts of an object by the title of their card, in the order of the cards; "About" joins the name
Describe: TypeAlias = Callable[[Looking, str], Mapping[str, Sequence[Fact]]]

ABOUT: Final = "About"
_TWO_COLUMNS: Final = 720


class GeneralPage(QWidget):
    """Shows one object of a class. Hidden, it waits until it is shown.

    :param columns: the titles of the cards of facts, left and right.
    """

    def __init__(
        self,
        workspace: Workspace,
        record: type[Record],
        describe: Describe,
        columns: tuple[Sequence[str], Sequence[str]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.workspace = workspace
        self._record, self._describe = record, describe
        self._ref = ""
        self._look = Looking(workspace.cache)
        self._stale = False
        self.setProperty("plane", "background")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("General")
        self.name = EditableLabel(what="name", role="section", required=True)
        self.description = EditableLabel(what="description", placeholder="Add a description", multiline=True)
        self.grids: dict[str, FactGrid] = {}
        self.cards: dict[str, Card] = {}
        self.sides = (QVBoxLayout(), QVBoxLayout())
        self._columns = QHBoxLayout()
        self._lay_out(columns)
        self.name.committed.connect(lambda words: self._set("name_label", words))
        self.description.committed.connect(lambda words: self._set("name_description", words))
        workspace.changed.connect(self._follow)

    def show_object(self, _cls: str, ref: str) -> None:
        """Show the object of that reference."""
        self._ref = ref
        self._refresh_or_wait()

    @property
    def ref(self) -> str:
        """What is shown."""
        return self._ref

    def facts(self, card: str) -> list[tuple[str, str]]:
        """What a card says now.

        :raise KeyError: there is no such card.
        """
        return self.grids[card].facts()

    def add_card(self, card: Card, side: int) -> None:
        """Put a card of another kind below those of facts."""
        self.sides[side].insertWidget(self.sides[side].count() - 1, card)

    def refresh(self, look: Looking) -> None:
        """Show more than facts; for subclasses. What is read through ``look`` is followed."""

    # ---- layout -----------------------------------------------------------------------------------------------

    def _lay_out(self, columns: tuple[Sequence[str], Sequence[str]]) -> None:
        page = QWidget()
        page.setObjectName("page")
        rows = QVBoxLayout(page)
        rows.setContentsMargins(MARGIN, MARGIN - 4, MARGIN, MARGIN)
        self._columns.setSpacing(GROUP)
        for side, titles in zip(self.sides, columns, strict=True):
            side.setSpacing(GROUP)
            for title in titles:
                side.addWidget(self._card(title))
            side.addStretch()
            self._columns.addLayout(side, 1)
        rows.addLayout(self._columns)
        rows.addStretch()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(page)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)

    def _card(self, title: str) -> Card:
        card = self.cards[title] = Card(title)
        grid = self.grids[title] = FactGrid(name=title)
        if title == ABOUT:
            card.content.addWidget(self.name)
            card.content.addWidget(self.description)
        card.content.addWidget(grid)
        return card

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        wide = self.width() >= _TWO_COLUMNS
        self._columns.setDirection(QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom)

    def minimumSizeHint(self) -> QSize:
        return QSize(320, 200)

    # ---- what is shown ----------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._stale:
            self._refresh()

    def _follow(self, delta: Delta) -> None:
        if self._ref and self._look.matters(delta):
            self._refresh_or_wait()

    def _refresh_or_wait(self) -> None:
        self._stale = True
        if self.isVisible():
            self._refresh()

    def _refresh(self) -> None:
        self._stale = False
        self._look = Looking(self.workspace.cache)
        record = self._look.get(self._record, self._ref)
        if record is None:
            return
        for field, words in ((self.name, "name_label"), (self.description, "name_description")):
            if not field.is_editing():
                field.set_text(str(getattr(record, words)))
        for title, facts in self._describe(self._look, self._ref).items():
            self.grids[title].set_facts(facts)
            self.cards[title].setVisible(title == ABOUT or any(fact[1] for fact in facts))
        self.refresh(self._look)

    def _set(self, field: str, words: str) -> None:
        what = class_of(self._record).name
        self.workspace.spawn(self._send(self._ref, {field: words}), f"Change of the {what}")

    async def _send(self, ref: str, fields: Mapping[str, Any]) -> None:
        try:
            await self.workspace.session.set(self._record, Ref(ref), **fields)
        except Exception:
            self._refresh()  # it was refused: the old words are the true ones
            raise
