"""Assemble the sample guest: `python build.py [OUTPUT]` writes sample-guest.img beside its source.

The image is committed, so only who changes sample_guest.asm needs nasm. nasm puts no date or path into a flat binary:
the same source gives the same bytes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "sample_guest.asm"
IMAGE = HERE / "sample-guest.img"


def build(output: Path = IMAGE) -> Path:
    """Assemble SOURCE into `output`, which is replaced only when nasm succeeded.

    :raise FileNotFoundError: nasm is not installed.
    :raise subprocess.CalledProcessError: nasm refused the source; what it said is in `stderr`.
    """
    fresh = output.with_name(output.name + ".new")
    command = ["nasm", "-Werror", "-f", "bin", "-o", str(fresh), str(SOURCE)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        fresh.replace(output)
    finally:
        fresh.unlink(missing_ok=True)
    return output


def main(arguments: list[str]) -> int:
    """Build into the path named by the first argument, or into IMAGE; print what went wrong and return 1."""
    try:
        written = build(Path(arguments[0]) if arguments else IMAGE)
    except FileNotFoundError:
        print("nasm is not installed (Debian: apt-get install nasm)", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(error.stderr, end="", file=sys.stderr)
        return 1
    print(f"{written}: {written.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
