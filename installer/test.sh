#!/usr/bin/env bash
# Checks and tests everything, after setting up whatever this machine lacks for it. See --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=installer/setup.sh
. "$here/setup.sh"

case ${1:-} in --help | -h)
  cat << 'TEXT'
Usage: ./installer/test.sh [PYTEST ARGUMENTS]

Sets up what is missing, then runs ruff, mypy, import-linter and pytest; the arguments go to pytest:

  ./installer/test.sh                          everything
  ./installer/test.sh tests/unit -k retention  the checks, and these tests only
  ./installer/test.sh -n 0                     all tests in one process, one after another

Ends with a status other than 0 if anything failed.
TEXT
  exit 0
  ;;
esac

set_up test
cd "$ROOT"
export QT_QPA_PLATFORM=${QT_QPA_PLATFORM:-offscreen}
failed=()

stage() {
  local name=$1
  shift
  say "== $name"
  "$@" || {
    failed+=("$name")
    say "== $name FAILED"
  }
}

stage "ruff check" "$PYTHON" -m ruff check .
stage "ruff format" "$PYTHON" -m ruff format --check .
stage "mypy" "$PYTHON" -m mypy
stage "import-linter" "$VENV/bin/lint-imports" --no-logo
say "== pytest"
# A process for each processor; a file's tests stay together, because they may share a guest.
processes=(-n "$(nproc)" --dist loadfile)
case " $* " in *" -n"* | *" --pdb "*) processes=() ;; esac
status=0
"$PYTHON" -m pytest "${processes[@]}" "$@" || status=$?

# pytest's closing line is the last one, unless it would hide that a check before it failed.
if [ ${#failed[@]} -gt 0 ]; then
  say "FAILED before pytest: $(printf '%s, ' "${failed[@]}" | sed 's/, $//')"
  exit 1
fi
exit "$status"
