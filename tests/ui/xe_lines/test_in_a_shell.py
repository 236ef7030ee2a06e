"""A real shell takes the lines apart as the tests beside this one do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from app.api import NULL, SR, VM, Ref
from tests.support.fake_session import FakeEngine
from tests.ui.xe_lines.desk import taken_apart
from ui.base.xe_lines import Variable, keeping, line, together
from ui.machines.creation import NewDisk, NewVM
from ui.machines.wizard_lines import new_vm_lines

ODD = 'web\'s "$HOME" `id` $(id) \\ \n* ü; true & ~ #'
_XE = """xe() {{ printf '%s\\0' "$@" >> "$OUT"; printf '\\n\\0' >> "$OUT"; echo made; }}
{text}
"""


@pytest.fixture(params=["bash", "zsh", "sh"])
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    return name


def heard(shell: str, text: str, out: Path) -> list[list[str]]:
    """The words of each call of xe."""
    script = _XE.format(text=text)
    subprocess.run([shell, "-c", script], check=True, env={**os.environ, "OUT": str(out)}, stdout=subprocess.DEVNULL)
    calls = out.read_text(encoding="utf-8").split("\n\0")
    return [call.removesuffix("\0").split("\0") for call in calls if call]


def test_odd_names_and_variables(shell: str, tmp_path: Path) -> None:
    engine = FakeEngine()
    sr: Ref[SR] = engine.put(SR(name_label=ODD), "sr")
    template: Ref[VM] = engine.put(VM(name_label=ODD, is_a_template=True), "template")
    disks = (NewDisk(f"{ODD} 1", 1 << 30, sr),)
    record = engine.cache.all(VM)[template]
    plan = NewVM(source="template", template=template, template_record=record, name=ODD, description=ODD, disks=disks)
    text = together(
        new_vm_lines(engine.cache, plan), keeping("vm", line("vm-list", name_label="$vm", a=Variable("vm")))
    )
    words = [call for _, call in taken_apart(text, lambda _words: "made")]
    assert heard(shell, text, tmp_path / "out") == words
    assert ["vm-clone", f"uuid={record.uuid}", f"new-name-label={ODD}"] in words
    assert words[-1] == ["vm-list", "name-label=$vm", "a=made"] and NULL not in text
