"""vm-install: a VM from a template."""

from __future__ import annotations

from typing import Final

from app.cli.command import Command
from app.cli.errors import CommandError
from app.cli.inventory import NULL, Object
from app.cli.invocation import Invocation

_NAMES: Final = ("template-name", "template-name-label", "template")
_NONE: Final = (
    "Template must be specified by parameter 'template-uuid', 'template-name', 'template-name-label' or 'template'"
)


def _template(invocation: Invocation) -> tuple[str, Object]:
    words, inventory = invocation.words, invocation.inventory
    if words.has("template-uuid"):
        ref = inventory.by_uuid("VM", words.get("template-uuid"))
        return ref, inventory.get("VM", ref) or {}
    name = next((words.get(key) for key in _NAMES if words.has(key)), None)
    if name is None:
        raise CommandError(_NONE)
    templates = [(ref, record) for ref, record in inventory.all("VM").items() if record["is_a_template"]]
    found = [(ref, record) for ref, record in templates if name in (record["uuid"], record["name_label"])]
    if not found:
        raise CommandError("No templates matched")
    if len(found) > 1:
        raise CommandError("Multiple templates matched; name one by 'template-uuid'")
    return found[0]


def _repository(invocation: Invocation) -> str:
    words, inventory = invocation.words, invocation.inventory
    if words.has("sr-uuid"):
        return inventory.by_uuid("SR", words.get("sr-uuid"))
    if not words.has("sr-name-label"):
        return NULL
    name = words.get("sr-name-label")
    found = [ref for ref, record in inventory.all("SR").items() if record["name_label"] == name]
    if len(found) != 1:
        raise CommandError(f"{'No' if not found else 'More than one'} SR has the name-label {name}")
    return found[0]


def _install(invocation: Invocation) -> None:
    name = invocation.words.required("new-name-label")
    template, record = _template(invocation)
    sr = _repository(invocation)
    if sr != NULL and record.get("is_a_snapshot"):
        raise CommandError("A VM that is installed from a snapshot keeps its disks where the snapshot's are.")
    if sr == NULL:
        vm = str(invocation.change("VM.clone", template, name))
    else:
        vm = str(invocation.change("VM.copy", template, name, sr))
    invocation.change("VM.provision", vm)
    invocation.created("VM", vm)


def commands() -> list[Command]:
    """The one command."""
    return [
        Command(
            "vm-install",
            _install,
            "Install a new VM from a template. The template parameter can match either the template name or the uuid.",
            required=("new-name-label",),
            optional=("sr-name-label", "sr-uuid", "template", "template-uuid", "template-name"),
            common=True,
        )
    ]
