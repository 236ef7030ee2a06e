"""The tree of the pool: what is chosen here is what the window shows and what commands act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QContextMenuEvent, QFontMetrics, QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import QLineEdit, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.api import SR, VM, Host, Pool, Record, Ref
from app.client import Delta
from ui.base import fonts, theme
from ui.base.commands import Selection
from ui.base.workspace import Workspace
from ui.models.kept_places import KeptPlaces
from ui.navigation.placement import Key
from ui.navigation.tree_model import SECONDARY_ROLE, PoolTreeModel
from ui.widgets.views import TREE_ROW, TreeView

Index = QModelIndex | QPersistentModelIndex

_RECORDS: Final[Mapping[str, type[Record]]] = {"pool": Pool, "host": Host, "SR": SR, "VM": VM}
_Select = QItemSelectionModel.SelectionFlag
_GAP = 8
_FOLDED = "tree/folded"
_CHOSEN = "tree/chosen"
DEFAULT_TEMPLATES: Final = "view/default-templates"


class PoolTree(TreeView):
    """The pool tree of a workspace, kept in step with its cache.

    :param menus: the command ids of the context menu of each class ("VM", "template", "host", …), "-" separating;
        ids that no feature has registered are left out.
    """

    #: other objects are chosen; what they are is :meth:`selection`
    chosen = Signal()

    def __init__(
        self, workspace: Workspace, menus: Mapping[str, tuple[str, ...]], parent: QWidget | None = None
    ) -> None:
        super().__init__("Resources", parent)
        self._workspace = workspace
        self._menus = menus
        self._selection: Selection = ()
        self._quiet = False
        self._folded_before_search: list[Key] | None = None
        shown = workspace.settings.get(DEFAULT_TEMPLATES, False)
        self.pool = PoolTreeModel(workspace.cache, default_templates=shown, parent=self)
        self.setModel(self.pool)
        self.setItemDelegate(_Delegate(self))
        self.setAllColumnsShowFocus(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.DefaultContextMenu)
        self._places = KeptPlaces(self, self.pool.key, self.pool.index_of, self.pool.parents)
        self.pool.renamed.connect(self._rename)
        self.pool.rowsInserted.connect(self._unfold_new)
        self.selectionModel().selectionChanged.connect(lambda *_: self._tell())
        self.pool.modelReset.connect(self._tell)
        workspace.changed.connect(self._follow)
        workspace.settings.changed.connect(self._setting_changed)
        self.restore()
        self._tell()

    # ---- what is chosen ---------------------------------------------------------------------------------------

    def selection(self) -> Selection:
        """What is chosen, from top to bottom."""
        return self._selection

    def choose(self, key: Key) -> bool:
        """Choose one object and show it. False: it does not stand in the tree."""
        index = self.pool.index_of(key)
        if not index.isValid():
            return False
        self._choose_alone(index)
        self.scrollTo(index)
        return True

    def _choose_first(self) -> None:
        self._choose_alone(self.pool.index(0, 0))

    def _choose_alone(self, index: QModelIndex) -> None:
        # Not the view's own way, which looks at the keyboard: whoever holds Ctrl just now does not mean this.
        self.selectionModel().setCurrentIndex(index, _Select.ClearAndSelect | _Select.Rows)

    def search(self, words: str) -> None:
        """Show only what has one of the words, all unfolded; "" brings back what was unfolded before."""
        if words and self._folded_before_search is None:
            self._folded_before_search = self.folded()
        self._quiet = True
        self.pool.set_filter(words)
        if words:
            self._fold([])
        elif self._folded_before_search is not None:
            self._fold(self._folded_before_search)
            self._folded_before_search = None
        self._choose_again()
        self._quiet = False
        self._tell()

    def folded(self) -> list[Key]:
        """The objects whose children are hidden."""
        return [key for key in self.pool.parents() if not self.isExpanded(self.pool.index_of(key))]

    def rename(self) -> None:
        """Edit the name of the current object where it stands."""
        index = self.currentIndex()
        if index.flags() & Qt.ItemFlag.ItemIsEditable and self.state() != self.State.EditingState:
            self.edit(index)

    # ---- over restarts ----------------------------------------------------------------------------------------

    def save(self) -> None:
        """Remember what is folded and chosen."""
        folded = self.folded() if self._folded_before_search is None else self._folded_before_search
        self._workspace.settings.put_list(_FOLDED, [f"{cls} {ref}" for cls, ref in folded])
        self._workspace.settings.put_list(_CHOSEN, [f"{cls} {ref}" for cls, ref in self._selection])

    def restore(self) -> None:
        """Fold and choose what is remembered; where nothing is, the pool is chosen."""
        settings = self._workspace.settings
        self._fold([key for word in settings.get_list(_FOLDED) if (key := _key(word)) is not None])
        remembered = [key for word in settings.get_list(_CHOSEN) if (key := _key(word)) is not None]
        if not any(self.choose(key) for key in remembered[:1]):
            self._choose_first()

    # ---- keyboard and mouse -----------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Claim the keys that are shortcuts elsewhere in the window while the keyboard is in the tree."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and _is_own(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, plain = event.key(), event.modifiers() == Qt.KeyboardModifier.NoModifier
        if key == Qt.Key.Key_F2 and plain:
            self.rename()
        elif key == Qt.Key.Key_Delete and plain:
            self._run("vm.delete")
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click beside the rows changes nothing: the window always shows something."""
        if self.indexAt(event.position().toPoint()).isValid():
            super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        super().mouseDoubleClickEvent(event)
        key = self.pool.key(self.indexAt(event.position().toPoint()))
        if key is None or event.button() != Qt.MouseButton.LeftButton:
            return
        for command in self._on_double_click(key):
            if command in self._workspace.commands.ids() and self._workspace.commands.state(command, (key,)).enabled:
                self._workspace.commands.run(command, (key,))
                return
        index = self.pool.index_of(key)
        self.setExpanded(index, not self.isExpanded(index))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        by_mouse = event.reason() == QContextMenuEvent.Reason.Mouse
        index = self.indexAt(event.pos()) if by_mouse else self.currentIndex()
        if not self._selection or not index.isValid():
            return
        ids = self.menu_ids()
        if not ids:
            return
        menu = self._workspace.commands.menu(ids, self._selection, self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos() if by_mouse else self.viewport().mapToGlobal(self.visualRect(index).bottomLeft()))

    def menu_ids(self) -> list[str]:
        """The commands of the context menu of what is chosen; what is of several kinds has none."""
        kinds = {self._kind(key) for key in self._selection}
        if len(kinds) != 1:
            return []
        return existing(self._menus.get(kinds.pop(), ()), self._workspace.commands.ids())

    # ---- inside -----------------------------------------------------------------------------------------------

    def _follow(self, delta: Delta) -> None:
        was_empty = self._quiet = self.pool.rowCount() == 0
        self.pool.apply(delta)
        if was_empty:
            self.restore()
            self._quiet = False
            self._tell()

    def _setting_changed(self, key: str) -> None:
        if key == DEFAULT_TEMPLATES:
            self.pool.set_default_templates(self._workspace.settings.get(DEFAULT_TEMPLATES, False))

    def _tell(self) -> None:
        if self._quiet:
            return
        keys = {key for index in self.selectionModel().selectedRows() if (key := self.pool.key(index)) is not None}
        if not keys:
            if self._selection and self.pool.is_filtered and all(self.pool.row(key) for key in self._selection):
                return  # what was chosen is only hidden by the search
            self._choose_first()  # what was chosen is gone; this tells again
            if self.pool.rowCount():
                return
        selection = tuple(key for _, key in self.pool.outline() if key in keys) if len(keys) > 1 else tuple(keys)
        if selection != self._selection:
            self._selection = selection
            self.chosen.emit()

    def _choose_again(self) -> None:
        """After a search: choose what was chosen, where it is shown; what is folded stays so."""
        self.setAutoScroll(False)
        indexes = [index for key in self._selection if (index := self.pool.index_of(key)).isValid()]
        if indexes and not self.selectionModel().hasSelection():
            for place, index in enumerate(indexes):
                how = _Select.SelectCurrent if place else _Select.ClearAndSelect
                self.selectionModel().setCurrentIndex(index, how)
        self.setAutoScroll(True)
        if not self.visualRect(self.currentIndex()).isEmpty():
            self.scrollTo(self.currentIndex())

    def _rename(self, key: Key, name: str) -> None:
        cls, ref = key
        renaming = self._workspace.session.set(_RECORDS[cls], Ref(ref), name_label=name)
        self._workspace.spawn(renaming, "Renaming")

    def _run(self, command: str) -> None:
        if command in self._workspace.commands.ids():
            self._workspace.commands.run(command, self._selection)

    def _kind(self, key: Key) -> str:
        vm_rec = self._workspace.cache.get(VM, key[1]) if key[0] == "VM" else None
        return "template" if vm_rec is not None and vm_rec.is_a_template else key[0]

    def _on_double_click(self, key: Key) -> tuple[str, ...]:
        return {"VM": ("vm.start", "vm.resume"), "template": ("vm.new",)}.get(self._kind(key), ())

    def _fold(self, folded: list[Key]) -> None:
        """Fold these, and unfold all others. (Qt's expandAll looks at every row there is.)"""
        for key in self.pool.parents():
            self.setExpanded(self.pool.index_of(key), key not in folded)

    def _unfold_new(self, parent: QModelIndex) -> None:
        """The first child of a row unfolds it."""
        if self.pool.rowCount(parent) == 1:
            self.expand(parent)


def existing(wanted: tuple[str, ...], ids: tuple[str, ...]) -> list[str]:
    """The wanted command ids that there are, with separators only between some of them."""
    kept: list[str] = []
    for command in wanted:
        if command in ids or (command == "-" and kept and kept[-1] != "-"):
            kept.append(command)
    return kept[:-1] if kept and kept[-1] == "-" else kept


def _is_own(event: QKeyEvent) -> bool:
    plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
    return plain and event.key() in (Qt.Key.Key_F2, Qt.Key.Key_Delete)


def _key(word: str) -> Key | None:
    cls, _, ref = word.partition(" ")
    return (cls, ref) if cls in _RECORDS and ref else None


class _Delegate(QStyledItemDelegate):
    """Icon and name, and quiet words at the right where there is room for both."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        if option.state & QStyle.StateFlag.State_Selected:
            option.font.setWeight(fonts.TITLE_WEIGHT)
        option.decorationSize = QSize(16, 16)
        option.state &= ~QStyle.StateFlag.State_HasFocus  # the row has a ring of its own

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        hint = super().sizeHint(option, index)
        words = str(index.data(SECONDARY_ROLE) or "")
        return QSize(hint.width() + (_width(words) + 2 * _GAP if words else 0), round(TREE_ROW * fonts.scale()))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        words = str(index.data(SECONDARY_ROLE) or "")
        whole = QRect(option.rect)
        needed = super().sizeHint(option, index).width() + 3 * _GAP + _width(words)
        if words and needed <= whole.width():
            self._paint_words(painter, whole, words)
            option.rect.setRight(whole.right() - _width(words) - 2 * _GAP)
        super().paint(painter, option, index)

    def _paint_words(self, painter: QPainter, whole: QRect, words: str) -> None:
        painter.save()
        painter.setFont(fonts.font(fonts.Role.SECONDARY, tabular=True))
        painter.setPen(QColor(theme.current().secondary))
        place = whole.adjusted(0, 0, -2 * _GAP, 0)
        painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, words)
        painter.restore()

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        editor = QLineEdit(parent)
        editor.setAccessibleName(f"New name of {index.data()}")
        editor.setStyleSheet("QLineEdit, QLineEdit:focus { padding: 0 2px; min-height: 0; border-radius: 4px; }")
        return editor


def _width(words: str) -> int:
    return QFontMetrics(fonts.font(fonts.Role.SECONDARY, tabular=True)).horizontalAdvance(words)
