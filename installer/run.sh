#!/usr/bin/env bash
# Runs Stillframe, after setting up whatever this machine lacks for it. See --help.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=installer/setup.sh
. "$here/setup.sh"

usage() {
  cat << 'TEXT'
Usage: ./installer/run.sh [--data-dir DIR] [COMMAND] [ARGUMENTS]
       ./installer/run.sh [--data-dir DIR] FILE

Sets up what is missing (system packages, .venv, Python packages), then runs Stillframe with the arguments given.
Without a command it opens the desktop; with a file (.xva, .ova, .ovf, a disk) it opens the import of that file.
Commands that need no screen:

  --version     print the version
  tour DIR      take the tour of the main job and save a picture of each step to DIR

./installer/run.sh COMMAND --help explains a command. xe, the command line for a running Stillframe, is .venv/bin/xe.
TEXT
}

# Whether these arguments open a window: they do unless a command or an option that only prints is among them.
opens_window() {
  while [ $# -gt 0 ]; do
    case $1 in
      --data-dir) [ $# -lt 2 ] || shift ;;
      --help | -h | --version) return 1 ;;
      -*) ;;
      serve | tour) return 1 ;;
      *) return 0 ;;
    esac
    shift
  done
}

has_screen() {
  [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || case ${QT_QPA_PLATFORM:-} in
    offscreen* | minimal* | vnc* | linuxfb* | eglfs*) true ;;
    *) false ;;
  esac
}

case ${1:-} in --help | -h)
  usage
  exit 0
  ;;
esac
if opens_window "$@" && ! has_screen; then
  fail "there is no screen to open a window on (neither DISPLAY nor WAYLAND_DISPLAY is set).
Run it on a desktop, or log in with 'ssh -X', or see it work without a screen: ./installer/run.sh tour DIR"
fi
set_up run
# -P: a file called app.py in the current folder must not be taken for ours.
exec "$PYTHON" -P -m app "$@"
