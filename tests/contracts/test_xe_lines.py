"""Whatever acts on the server says its xe line. All buttons, dialogs and messages are looked up in the code itself."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.contracts.tree import ROOT, called, parsed, python_files

MAKERS = {"button", "icon_button", "QPushButton", "QToolButton"}
NAVIGATION = "shows something else"
LOCAL = "is about this window, its settings or this machine's files"
ANSWER = "changes an answer of a dialog, which the dialog's own button sends"
SHELL = "is what the class itself offers for those who derive from it"

#: buttons that send nothing to the server, by module, with the reason
SILENT_BUTTONS = {
    NAVIGATION: {
        *("machines/general_tab.show_snapshots", "machines/general_tab.show_chains", "notifications/alerts_page.go_to"),
        *("notifications/events_page.go_to", "schedules/timeline_tab.earlier", "schedules/timeline_tab.later"),
        *("schedules/assign_dialog.new", "snapshots/group_dialog.go_to", "snapshots/footer.health"),
        *("snapshots/details_pane.group", "snapshots/toolbar.details", "snapshots/footer.made", "snapshots/footer.fit"),
        "pools/overview.link",
        *("schedules/list_dialog.close_it", "base/wizard.back", "base/wizard.cancel", "base/dialogs.cancel"),
    },
    LOCAL: {
        *("machines/general_tab.copy_uuid", "machines/console_tab.send_cad", "notifications/alerts_page.copy"),
        *("notifications/events_page.copy", "notifications/events_page.folder", "notifications/events_page.dismiss"),
        *("notifications/events_page.dismiss_all", "base/dialogs.show_details", "base/dialogs.copy_details"),
        *("exchange/target.browse", "exchange/import_pages.browse", "machines/new_vm/image_picker.browse"),
        *("exchange/several_pages.browse", "exchange/exporting_several.shown"),
        *("widgets/notice.close_button", "notifications/mail_dialog.trial"),
    },
    ANSWER: {
        *("schedules/pages.all", "schedules/pages.none", "machines/new_vm/disks_page.add"),
        *("machines/new_vm/disks_page.remove", "snapshots/delete_dialog.more", "schedules/when_page.made"),
    },
    SHELL: {"widgets/notice.act", "widgets/cards.button", "widgets/progress.cancel", "widgets/buttons.made"},
}
#: how many entries of menus are no commands, by module: views, columns, pictures, the tray, the ISOs of a drive
MENU_ENTRIES = {
    "base/commands": 2,
    "base/xe_menu": 1,
    "machines/console_tab": 2,
    "notifications/tray": 1,
    "snapshots/tab": 1,
    "snapshots/toolbar": 3,
    "storage/tab": 2,
    "widgets/labels": 1,
    "widgets/search_field": 1,
    "widgets/views": 1,
}
#: dialogs whose primary button has no line, with the reason
SILENT_DIALOGS = {
    "main_window.leave_dialog": "closes the window",
    "schedules/keep_running.KeepRunningDialog": "sets up a service on this machine",
    "notifications/mail_dialog.MailDialog": "has a password, which does not belong on a command line",
    "snapshots/group_dialog.GroupDialog": "opens the dialog to revert, which has one",
    "exchange/state_dialog.StateDialog": "opens the export wizard, which has one",
}
#: messages that no command of xe sends
SILENT_MESSAGES = {
    "VDI.inspect_file": "only looks into a file for a wizard",
    "pool.set_mail": "has a password, which does not belong on a command line",
    "pool.send_test_mail": "has a password, which does not belong on a command line",
}


def modules() -> Iterator[tuple[str, ast.Module, str]]:
    """Each module of the window: `snapshots/tab`, its tree, and its text. The tour only shows pictures."""
    for path in python_files("ui"):
        if path.parts[1] != "tour":
            yield "/".join(path.with_suffix("").parts[1:]), parsed(path), (ROOT / path).read_text(encoding="utf-8")


def made_buttons() -> Iterator[tuple[str, str]]:
    """Each `self.name = button(…)` or `name = button(…)`, with the text of its module."""
    for module, tree, text in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Call):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                name = next((named for target in targets if (named := _name(target))), "")
                if called(node.value) in MAKERS and name:
                    yield f"{module}.{name}", text


def _name(target: ast.expr) -> str:
    return target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""


def has_line(button: str, text: str) -> bool:
    name = button.rpartition(".")[2]
    if module_of(button) == "schedules/list_dialog":
        return f'(self.{name}, "schedule.' in text  # it gives all of them theirs in one loop
    return re.search(rf"offer_xe\((self\.)?{name},", text) is not None


def module_of(name: str) -> str:
    return name.rpartition(".")[0]


def test_every_button_has_a_line_or_a_reason_to_have_none() -> None:
    silent = {button for button, text in made_buttons() if not has_line(button, text)}
    dialogs = {"base/dialogs.primary", "base/wizard.next"}
    assert silent - dialogs == set().union(*SILENT_BUTTONS.values())


def test_the_shells_of_dialogs_offer_the_line_of_whatever_derives_from_them() -> None:
    texts = {module: text for module, _, text in modules()}
    assert "offer_xe(button, lambda: self.xe_line())" in texts["base/dialogs"]
    assert "offer_xe(self.next, lambda: self.xe_line()" in texts["base/wizard"]


def test_entries_of_menus_are_commands_or_known_to_be_none() -> None:
    found = Counter(
        module
        for module, tree, _ in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node).endswith(".addAction") and not _is_command(node)
    )
    assert dict(found) == MENU_ENTRIES


def _is_command(entry: ast.Call) -> bool:
    first = entry.args[0]
    return isinstance(first, ast.Call) and called(first).endswith((".action", "_bound", "_Shown"))


def primaries() -> Iterator[tuple[str, bool]]:
    """Each place that makes a primary button or a wizard, and whether it has a line."""
    for module, tree, _ in modules():
        if module.startswith("base/"):
            continue
        for owner in tree.body:
            for call in (node for node in ast.walk(owner) if isinstance(node, ast.Call)):
                keys = {keyword.arg for keyword in call.keywords}
                if keys & {"primary", "finish"} and isinstance(
                    owner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
                ):
                    yield (
                        f"{module}.{owner.name}",
                        "xe" in keys
                        or any(
                            isinstance(part, ast.FunctionDef) and part.name == "xe_line" for part in ast.walk(owner)
                        ),
                    )


def test_every_dialog_and_wizard_has_a_line_or_a_reason_to_have_none() -> None:
    found = dict(primaries())
    assert len(found) > 25
    assert {name for name, has in found.items() if not has} == set(SILENT_DIALOGS)


def sent_messages() -> set[str]:
    """Every message that the window sends and that changes something."""
    found = set()
    for _, tree, text in modules():
        found |= {f"{cls}.{name}" for cls, name in re.findall(r"\b([A-Z]\w+)Calls\.(\w+)", text)}
        found |= set(re.findall(r"(?:session|calls)\.([A-Za-z]+\.\w+)\(", text))
        found |= set(re.findall(r'session\.call\(\s*"(\w+\.\w+)"', text))
        del tree
    asked = re.compile(r"\w+\.(get_|__)|\w+\.(start|set|call)$")
    return {message for message in found if not asked.match(message) or message == "VM.start"}


def test_xe_can_send_whatever_the_window_sends() -> None:
    cli = "".join((ROOT / path).read_text(encoding="utf-8") for path in python_files("app") if "cli" in path.parts)
    generic = re.compile(r"\w+\.(set|remove_from|add_to|add|remove)_(?!memory_limits|is_a)")
    silent = {message for message in sent_messages() if f'"{message}"' not in cli and not generic.match(message)}
    assert silent - set(SILENT_MESSAGES) == {"VM.set_is_a_template"}, "that one is a field of vm-param-set"


def test_every_line_of_a_command_is_run_beside_its_button() -> None:
    """`tests/ui/xe_lines` does both and compares what is sent; here it is only seen that none is left out."""
    lines = set()
    for _, tree, text in modules():
        del tree
        if "LINES: Final" in text:
            lines |= set(re.findall(r'^    "(\w+\.\w+)":', text, re.MULTILINE))
    folder = Path("tests/ui/xe_lines")
    proven = "".join(
        (ROOT / path).read_text(encoding="utf-8") for path in python_files("tests") if path.parent == folder
    )
    assert len(lines) > 30
    assert {command for command in lines if f'"{command}"' not in proven} == set()
