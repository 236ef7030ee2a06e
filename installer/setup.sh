# shellcheck shell=bash
# Sets up what Stillframe needs on this machine. Sourced by run.sh and test.sh; it does nothing by itself.
#
#   set_up run     what the program needs: system packages, .venv, the locked Python packages
#   set_up test    the same, and what the checks and tests need
#
# What is already there is left alone. A stamp in .venv remembers a finished set-up, so that the next start takes no
# time; whatever was interrupted has no stamp and is done again.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
PYTHON=$VENV/bin/python
OLDEST_PYTHON=3.11

# One package a line; alternatives, newest name first, are separated by |.
packages_run="
ca-certificates
qemu-system-x86
qemu-utils
libglib2.0-0t64|libglib2.0-0
libdbus-1-3
libfontconfig1
libegl1
libgl1
libxkbcommon-x11-0
libxcb-cursor0
libxcb-icccm4
libxcb-keysyms1
libxcb-shape0
libwayland-client0
libwayland-cursor0
fonts-dejavu-core
"
packages_test="
e2fsprogs
git
nasm
procps
xauth
xvfb
zsh
"
commands_run="qemu-system-x86_64 qemu-img"
commands_test="git nasm ps Xvfb zsh"

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "stillframe: $*"
  exit 1
}

set_up() {
  local profile=$1 packages=$packages_run commands=$commands_run
  if [ "$profile" = test ]; then
    packages+=$packages_test
    commands+=" $commands_test"
  fi
  local system_stamp=$VENV/.system-$profile python_stamp=$VENV/.python-packages
  local system_want python_want
  system_want=$(fingerprint <<< "$packages")
  python_want=$(cat "$ROOT/requirements.lock" "$ROOT/pyproject.toml" | fingerprint)
  is_ready && return 0

  # One set-up at a time; the lock goes when the process ends.
  exec 9< "$ROOT/installer"
  if command -v flock > /dev/null && ! flock --nonblock 9; then
    say "Waiting for another set-up of this folder to end."
    flock 9
  fi
  if ! is_ready; then
    check_system
    install_system_packages
    make_venv
    install_python_packages
  fi
  exec 9<&-
}

is_ready() {
  [ -x "$PYTHON" ] && stamped "$system_stamp" "$system_want" && stamped "$python_stamp" "$python_want" &&
    have_commands && [ ! -e "$VENV/.incomplete" ]
}

# The fingerprint covers the folder too: a virtual environment does not survive being moved.
fingerprint() { { printf '%s\n' "$ROOT" && cat; } | sha256sum | cut -d ' ' -f 1; }
stamped() { [ -r "$1" ] && [ "$(< "$1")" = "$2" ]; }

have_commands() {
  local name
  for name in $commands; do
    command -v "$name" > /dev/null || return 1
  done
}

check_system() {
  local system
  system=$(uname -s)
  [ "$system" = Linux ] || fail "this script sets up Debian 12, Debian 13 and Ubuntu 24.04 or newer; it cannot set up $system.
Install Python $OLDEST_PYTHON or newer and QEMU yourself, then: python3 -m venv .venv &&
.venv/bin/pip install --require-hashes -r requirements.lock && .venv/bin/pip install --no-deps --no-build-isolation -e ."
  if command -v python3 > /dev/null && [ -z "$(find_python '')" ]; then
    refuse_old_python
  fi
}

refuse_old_python() {
  fail "Python $OLDEST_PYTHON or newer is needed, and this machine has $(python3 --version 2>&1).
Debian 12, Debian 13 and Ubuntu 24.04 bring it; on others, install python$OLDEST_PYTHON with its venv module and run this again."
}

# The first Python that is new enough and can import the modules named, or nothing.
find_python() {
  local modules=$1 name
  for name in python3 python3.13 python3.12 python3.11; do
    if command -v "$name" > /dev/null &&
      "$name" -c "import sys${modules:+, $modules}; sys.exit(sys.version_info < (${OLDEST_PYTHON/./, }))" 2> /dev/null; then
      command -v "$name"
      return
    fi
  done
}

# --- system packages ------------------------------------------------------------------------------------------------

install_system_packages() {
  local wanted=$packages missing=() alternatives
  [ -n "$(find_python 'venv, ensurepip')" ] || wanted+=$'python3\npython3-venv\n'
  if ! command -v apt-get > /dev/null; then
    have_commands || fail "there is no apt-get here, so you have to install these yourself: Python $OLDEST_PYTHON or newer, $commands, and the libraries Qt needs. Then run this again."
    return 0
  fi
  for alternatives in $wanted; do
    any_installed "$alternatives" || missing+=("$alternatives")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local names root=() as_whom=""
  known_names
  [ "$(id -u)" = 0 ] || ask_for_sudo
  say "Updating the list of system packages$as_whom."
  # A mirror that does not answer is no reason to stop if the packages are known from before.
  quietly "${root[@]}" apt-get -o DPkg::Lock::Timeout=300 update ||
    say "The list could not be updated; going on with what is known."
  known_names
  say "Installing system packages$as_whom (a few minutes on a bare machine): ${names[*]}"
  quietly "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${names[@]}" ||
    fail "the system packages could not be installed; apt-get's own words are above. To try by hand:
  ${root[*]} apt-get install --no-install-recommends ${names[*]}"
}

# Sets root, the words before a command that needs root, and as_whom, for messages; or explains and ends.
ask_for_sudo() {
  local by_hand="As root, run:
  apt-get update && apt-get install --no-install-recommends ${names[*]}
and then this script again as yourself."
  command -v sudo > /dev/null ||
    fail "system packages are missing, and there is no sudo here to install them with. $by_hand"
  say "Some system packages are missing and will be installed with sudo, which may ask for your password: ${names[*]}"
  root=(sudo) as_whom=" with sudo"
  sudo -n true 2> /dev/null && return 0
  if [ ! -t 0 ] || ! sudo -v; then
    fail "sudo does not let you install system packages from here. $by_hand"
  fi
}

any_installed() {
  local name
  for name in ${1//|/ }; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2> /dev/null)" = installed ] && return 0
  done
  return 1
}

# Sets names: of each missing package the first name that apt could install, or the last one where it knows none.
known_names() {
  local alternatives name
  names=()
  for alternatives in "${missing[@]}"; do
    for name in ${alternatives//|/ }; do
      [ "$name" != "${alternatives##*|}" ] || break
      # Not grep -q: it ends before apt-cache has written all, which pipefail takes for a failure.
      ! LC_ALL=C apt-cache policy "$name" 2> /dev/null | grep 'Candidate: [^(]' > /dev/null || break
    done
    names+=("$name")
  done
}

# Runs a command without its chatter; shows all of it if the command fails.
quietly() {
  local output status=0
  output=$("$@" 2>&1 < /dev/null) || status=$?
  [ "$status" = 0 ] || printf '%s\n' "$output" >&2
  return "$status"
}

# --- Python packages ------------------------------------------------------------------------------------------------

make_venv() {
  # Left by a set-up that was stopped while pip wrote files: nothing in there can be trusted to be whole.
  if [ -e "$VENV/.incomplete" ] || ! is_usable_venv; then
    rm -rf "$VENV"
    local base
    base=$(find_python 'venv, ensurepip')
    [ -n "$base" ] || {
      [ -n "$(find_python '')" ] || refuse_old_python
      fail "Python's venv module is missing. Install it (Debian, Ubuntu: apt-get install python3-venv) and run this again."
    }
    say "Making the virtual environment .venv with $("$base" --version)."
    quietly "$base" -m venv "$VENV" || fail "the virtual environment could not be made; Python's own words are above."
  fi
  printf '%s\n' "$system_want" > "$system_stamp"
  [ "$profile" != test ] || fingerprint <<< "$packages_run" > "$VENV/.system-run"
}

is_usable_venv() {
  [ -x "$PYTHON" ] && [ -r "$VENV/bin/pip" ] && grep -qF "$VENV/bin/" "$VENV/bin/pip" &&
    "$PYTHON" -c "import pip, sys; sys.exit(sys.version_info < (${OLDEST_PYTHON/./, }))" 2> /dev/null
}

install_python_packages() {
  stamped "$python_stamp" "$python_want" && return 0
  say "Installing the Python packages of requirements.lock into .venv."
  : > "$VENV/.incomplete"
  pip_install --require-hashes -r "$ROOT/requirements.lock" ||
    pip_failed "the Python packages could not be installed; pip's own words are above. Run this again to try once more."
  pip_install --no-deps --no-build-isolation --editable "$ROOT" ||
    pip_failed "Stillframe itself could not be installed into .venv; pip's own words are above."
  printf '%s\n' "$python_want" > "$python_stamp"
  rm "$VENV/.incomplete"
}

# pip undoes what it began when it fails, so only a set-up that was killed leaves the mark behind.
pip_failed() {
  rm "$VENV/.incomplete"
  fail "$*"
}

pip_install() {
  PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1 \
    "$PYTHON" -m pip install --quiet --progress-bar off "$@" >&2
}
