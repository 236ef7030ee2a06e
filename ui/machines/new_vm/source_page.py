"""What the new VM starts from: the sample guest, an ISO, a disk image, or a template or snapshot."""

from __future__ import annotations

from PySide6.QtWidgets import QStackedWidget, QWidget

from app.api import VM, Ref
from app.client import Delta, ObjectCache
from ui.base.dialogs import GAP
from ui.base.wizard import WizardPage
from ui.base.workspace import Workspace
from ui.machines.creation import Source
from ui.machines.new_vm.image_picker import ImagePicker
from ui.machines.new_vm.iso_picker import IsoPicker
from ui.machines.new_vm.template_picker import TemplatePicker
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


class SourcePage(WizardPage):
    """Four cards, and the details of the chosen one below them."""

    def __init__(self, workspace: Workspace, preselected: str = "") -> None:
        super().__init__("Source", "What does the VM start from?")
        self._workspace = workspace
        self.cards: dict[Source, ChoiceCard] = {}
        self.isos = IsoPicker(workspace)
        self.image = ImagePicker(workspace)
        self.templates = TemplatePicker(workspace, preselected)
        self._details = QStackedWidget()
        self._add_cards()
        self._add_details()
        self.isos.changed.connect(self.changed)
        self.image.changed.connect(self.changed)
        self.templates.changed.connect(self._templates_changed)
        self._choose(self._first(preselected))

    def source(self) -> Source:
        """The chosen one."""
        return next(source for source, card in self.cards.items() if card.isChecked())

    def template(self) -> Template | None:
        """The template that the VM is cloned from; None where it is gone."""
        cache = self._workspace.cache
        if self.source() == "template":
            ref = self.templates.chosen()
            vm = None if ref is None else cache.get(VM, ref)
            return None if ref is None or vm is None else (ref, vm)
        return built_in(cache, SAMPLE_GUEST if self.source() == "sample" else OTHER_MEDIA)

    def why_incomplete(self) -> str:
        if self.template() is None:
            chosen = self.source() == "template"
            return "Choose a template or snapshot." if chosen else "The template for this no longer exists."
        if self.source() == "iso":
            return self.isos.why_incomplete()
        return self.image.why_incomplete() if self.source() == "image" else ""

    def entered(self) -> None:
        self.cards[self.source()].setFocus()

    def on_delta(self, delta: Delta) -> None:
        """Objects came, changed or went."""
        self.isos.on_delta(delta)
        self.templates.on_delta(delta)

    def full_name(self) -> str:
        """The chosen template, or the snapshot with the VM it is of."""
        ref = self.templates.chosen()
        row = self.templates.model.items.get(ref) if ref is not None else None
        return "" if row is None else row.full_name

    def suggested_name(self) -> str:
        """A first name for a VM from this source."""
        if self.source() == "sample":
            return "Sample guest"
        if self.source() == "iso":
            return self.isos.chosen_name().removesuffix(".iso").removesuffix(".ISO") or "New VM"
        if self.source() == "image":
            return self.image.suggested_name() or "New VM"
        template = self.template()
        if template is None:
            return "New VM"
        of = self._workspace.cache.get(VM, template[1].snapshot_of) if template[1].is_a_snapshot else None
        return template[1].name_label if of is None else f"{of.name_label} ({template[1].name_label})"

    def _add_cards(self) -> None:
        self._add_card("sample", "play", "Sample guest", "Built in; boots in two seconds, for trying things out.")
        self._add_card("iso", "cd", "Install from an ISO", "An empty disk and the installer of an operating system.")
        self._add_card("image", "disk", "Existing disk image", "A qcow2, raw, VMDK, VHD or VHDX file, copied in.")
        self._add_card("template", "template", "Template or snapshot", "A copy of either; the original stays.")
        for source, name in _NEEDS:
            if built_in(self._workspace.cache, name) is None:
                self.cards[source].set_unavailable(f"The built-in template “{name}” is missing.")

    def _add_card(self, source: Source, icon: str, title: str, description: str) -> None:
        card = ChoiceCard(icon, title, description, self)
        card.toggled.connect(lambda on: self._chosen(source) if on else None)
        self.cards[source] = card
        self.content.addWidget(card)

    def _add_details(self) -> None:
        self._show_card()
        for widget in (QWidget(), self.isos, self.image, self.templates):
            self._details.addWidget(widget)
        self.content.addSpacing(GAP)
        self.content.addWidget(self._details, 1)

    def _templates_changed(self) -> None:
        self._show_card()
        self.changed.emit()

    def _show_card(self) -> None:
        """Where there is no template and no snapshot, the way is not offered."""
        self.cards["template"].setVisible(bool(self.templates.model.items) or self.cards["template"].isChecked())

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
