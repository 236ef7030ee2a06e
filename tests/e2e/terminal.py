"""A real bash or zsh on a pseudo-terminal, for what its Tab key does."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.contracts.tree import ROOT

_DUMP: Final = b"\x18d"
"""Control-X d writes the line as it stands into the file `line`; Control-U throws the line away."""
_DISCARD: Final = b"\x15"
_PATIENCE: Final = 60.0
_COMPLETION: Final = ROOT / "resources" / "completion"
_READY: Final = b"ready> "

_BASH: Final = r"""
. {completion}/xe.bash
dump() {{ printf '%s' "$READLINE_LINE" > line.new; mv line.new line; }}
bind -x '"\C-xd": dump'
bind 'set bell-style none'
bind 'set show-all-if-ambiguous on'
bind 'set page-completions off'
bind 'set completion-query-items 0'
PS1='ready> '
"""
_ZSH: Final = r"""
fpath=({completion} $fpath)
autoload -U compinit
compinit -u -D
dump() {{ print -rn -- "$BUFFER" > line.new; mv line.new line; }}
zle -N dump
bindkey '^Xd' dump
setopt no_beep no_list_beep no_list_ambiguous
LISTMAX=10000
PS1='ready> '
"""


class Terminal:
    """A shell that a person types into."""

    def __init__(self, folder: Path, ours: int) -> None:
        self._line = folder / "line"
        self._ours = ours
        self._seen = b""

    def tab(self, typed: str) -> tuple[str, str]:
        """Type a line and press Tab: the line then, and what was shown meanwhile. The line is thrown away again."""
        self._line.unlink(missing_ok=True)
        self._seen = b""
        os.write(self._ours, typed.encode() + b"\t" + _DUMP)
        self._until(self._line.exists)
        os.write(self._ours, _DISCARD)
        return self._line.read_text(encoding="utf-8"), self._seen.decode(errors="replace")

    def prompt(self) -> None:
        """Wait for the first one."""
        self._until(lambda: _READY in self._seen)

    def _until(self, holds: object) -> None:
        assert callable(holds)
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            assert time.monotonic() < deadline, self._seen
            if select.select([self._ours], [], [], 0.02)[0]:
                self._seen += os.read(self._ours, 1 << 16)


@contextmanager
def terminal(shell: str, folder: Path, more: Mapping[str, str]) -> Iterator[Terminal]:
    """Start bash or zsh in a folder that is its home, with our completion. :param more: for its environment."""
    rc = folder / ".zshrc" if shell == "zsh" else folder / "bashrc"
    rc.write_text((_ZSH if shell == "zsh" else _BASH).format(completion=_COMPLETION))
    words = ["zsh", "-d", "-i"] if shell == "zsh" else ["bash", "--noprofile", "--rcfile", str(rc), "-i"]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (200, 250))
    started = subprocess.Popen(
        words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, **more, "HOME": str(folder), "ZDOTDIR": str(folder), "TERM": "xterm", "HISTFILE": ""},
        cwd=folder,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        found = Terminal(folder, ours)
        found.prompt()
        yield found
    finally:
        started.send_signal(signal.SIGHUP)
        os.close(ours)
        started.wait(60)
