"""What the new VM starts from: the sample guest, an ISO, a disk image, or a template."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QStackedWidget, QVBoxLayout, QWidget

from app.api import VM, Ref
from app.client import Delta, ObjectCache
from ui.base import icons
from ui.base.dialogs import GAP, label
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.machines.creation import Source
from ui.machines.new_vm.image_picker import ImagePicker
from ui.machines.new_vm.iso_picker import IsoPicker
from ui.widgets.cards import ChoiceCard

#: the names of the built-in templates
SAMPLE_GUEST = "Sample guest"
OTHER_MEDIA = "Other install media"

_NEEDS: tuple[tuple[Source, str], ...] = (("sample", SAMPLE_GUEST), ("iso", OTHER_MEDIA), ("image", OTHER_MEDIA))

Template = tuple[Ref[VM], VM]


def built_in(cache: ObjectCache, name: str) -> Template | None:
    """The built-in template of that name."""
    found = ((ref, vm) for ref, vm in cache.all(VM).items() if vm.is_default_template and vm.name_label == name)
    return next(found, None)


def own_templates(cache: ObjectCache) -> list[Template]:
    """The templates that people made, by name."""
    found = (
        (ref, vm)
        for ref, vm in cache.all(VM).items()
        if vm.is_a_template and not vm.is_default_template and not vm.is_a_snapshot
    )
    return sorted(found, key=lambda item: item[1].name_label.casefold())


class SourcePage(WizardPage):
    """Four cards, and the details of the chosen one below them."""

    def __init__(self, workspace: Workspace, preselected: str = "") -> None:
        super().__init__("Source", "What does the VM start from?")
        self._workspace = workspace
        self.cards: dict[Source, ChoiceCard] = {}
        self.isos = IsoPicker(workspace)
        self.image = ImagePicker(workspace)
        self.templates = QComboBox()
        self._details = QStackedWidget()
        self._add_cards()
        self._add_details(preselected)
        self.isos.changed.connect(self.changed)
        self.image.changed.connect(self.changed)
        self.templates.currentIndexChanged.connect(self.changed)
        self._choose(self._first(preselected))

    def source(self) -> Source:
        """The chosen one."""
        return next(source for source, card in self.cards.items() if card.isChecked())

    def template(self) -> Template | None:
        """The template that the VM is cloned from; None where it is gone."""
        cache = self._workspace.cache
        if self.source() == "template":
            ref: Ref[VM] = Ref(self.templates.currentData() or "")
            vm = cache.get(VM, ref)
            return None if vm is None else (ref, vm)
        return built_in(cache, SAMPLE_GUEST if self.source() == "sample" else OTHER_MEDIA)

    def why_incomplete(self) -> str:
        if self.template() is None:
            return "The template for this no longer exists."
        if self.source() == "iso":
            return self.isos.why_incomplete()
        return self.image.why_incomplete() if self.source() == "image" else ""

    def on_delta(self, delta: Delta) -> None:
        """Objects came, changed or went."""
        self.isos.on_delta(delta)

    def suggested_name(self) -> str:
        """A first name for a VM from this source."""
        if self.source() == "sample":
            return "Sample guest"
        if self.source() == "iso":
            return self.isos.chosen_name().removesuffix(".iso").removesuffix(".ISO") or "New VM"
        if self.source() == "image":
            return self.image.suggested_name() or "New VM"
        template = self.template()
        return template[1].name_label if template is not None else "New VM"

    def _add_cards(self) -> None:
        self._add_card("sample", "play", "Sample guest", "Built in; boots in two seconds, for trying things out.")
        self._add_card("iso", "cd", "Install from an ISO", "An empty disk and the installer of an operating system.")
        self._add_card("image", "disk", "Existing disk image", "A qcow2, raw, VMDK, VHD or VHDX file, copied in.")
        self._add_card("template", "template", "A template", "A copy of a VM that was made into a template.")
        for source, name in _NEEDS:
            if built_in(self._workspace.cache, name) is None:
                self.cards[source].set_unavailable(f"The built-in template “{name}” is missing.")

    def _add_card(self, source: Source, icon: str, title: str, description: str) -> None:
        card = ChoiceCard(icon, title, description, self)
        card.toggled.connect(lambda on: self._chosen(source) if on else None)
        self.cards[source] = card
        self.content.addWidget(card)

    def _add_details(self, preselected: str) -> None:
        for ref, vm in own_templates(self._workspace.cache):
            self.templates.addItem(icons.icon("template"), vm.name_label, ref)
        chosen = self._workspace.cache.get(VM, preselected)
        if chosen is not None and chosen.is_a_snapshot:
            self.templates.addItem(icons.icon("snapshot"), chosen.name_label, preselected)
        self.templates.setCurrentIndex(max(0, self.templates.findData(preselected)))
        self.templates.setAccessibleName("Template")
        self.cards["template"].setVisible(self.templates.count() > 0)
        for widget in (QWidget(), self.isos, self.image, _below(self.templates)):
            self._details.addWidget(widget)
        self.content.addSpacing(GAP)
        self.content.addWidget(self._details, 1)

    def _first(self, preselected: str) -> Source:
        chosen = self._workspace.cache.get(VM, preselected)
        if chosen is None or not chosen.is_a_template:
            return "sample"
        if chosen.is_default_template:
            return "iso" if chosen.name_label == OTHER_MEDIA else "sample"
        return "template"

    def _choose(self, source: Source) -> None:
        usable = [key for key, card in self.cards.items() if card.isEnabled()]
        self.cards[source if source in usable or not usable else usable[0]].setChecked(True)

    def _chosen(self, source: Source) -> None:
        self._details.setCurrentIndex(list(self.cards).index(source))
        self.changed.emit()


def _below(combo: QComboBox) -> QWidget:
    made = QWidget()
    rows = QVBoxLayout(made)
    rows.setContentsMargins(0, 0, 0, 0)
    rows.addWidget(label("Template", "quiet"))
    rows.addWidget(combo)
    rows.addStretch()
    return made
