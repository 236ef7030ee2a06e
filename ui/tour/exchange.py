"""The tour's step on files: a snapshot leaves as an .xva file, and comes back as a template."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from app.api import VM, Ref
from ui.exchange.export_wizard import ExportWizard
from ui.exchange.import_wizard import ImportWizard
from ui.tour.stage import Stage, TourFailed


async def export_and_import(stage: Stage, snapshot: Ref[VM]) -> None:
    """Through both wizards. The snapshot's card is chosen on the Snapshots tab."""
    folder = Path(tempfile.mkdtemp(prefix="stillframe-exports-"))
    try:
        path = await leave(stage, folder)
        await come_back(stage, snapshot, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def leave(stage: Stage, folder: Path) -> Path:
    """Export the chosen snapshot into the folder."""
    stage.run("snapshot.export")
    wizard = await stage.dialog("the export wizard opens")
    assert isinstance(wizard, ExportWizard)
    await stage.until(wizard.contents.is_complete, "the engine says what the export would be")
    wizard.file.target.folder.setText(str(folder))
    await stage.picture("export")
    for _ in range(3):
        await stage.click(wizard, "Next")
    path = wizard.file.target.path()
    await stage.picture("export-finish")
    await stage.click(wizard, "Export")
    await stage.no_dialog()
    await stage.until(path.exists, "the export is written")
    return path


async def come_back(stage: Stage, snapshot: Ref[VM], path: Path) -> None:
    """Import the file as when it is dropped on the window."""
    before = templates(stage)
    stage.window.import_file(str(path))
    wizard = await stage.dialog("the import wizard opens")
    assert isinstance(wizard, ImportWizard)
    await stage.until(lambda: wizard.file.contents, "the file is looked into")
    await stage.picture("import")
    while not wizard.is_last():
        await stage.click(wizard, "Next")
    await stage.click(wizard, "Import")
    await stage.no_dialog()
    await stage.until(lambda: templates(stage) - before, "the snapshot is imported as a template")
    (template,) = templates(stage) - before
    await stage.until(lambda: ("VM", template) in stage.window.pane.tree.selection(), "what was imported is chosen")
    kept, made = (stage.cache.get(VM, ref) for ref in (snapshot, template))
    if kept is None or made is None or len(kept.VBDs) != len(made.VBDs):
        raise TourFailed("the import should have as many disks as the snapshot")
    await stage.picture("imported")
    await stage.desktop.session.VM.uninstall(template, True)


def templates(stage: Stage) -> set[Ref[VM]]:
    """The templates that somebody made."""
    found = stage.cache.all(VM).items()
    return {ref for ref, vm in found if vm.is_a_template and not (vm.is_a_snapshot or vm.is_default_template)}
