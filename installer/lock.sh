#!/usr/bin/env bash
# Makes requirements.lock anew from pyproject.toml: every package, with its hashes, for Python 3.11 and newer on all
# platforms. Arguments go to uv, e.g. --upgrade or --upgrade-package NAME. Needs uv: .venv/bin/pip install uv
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=.venv/bin/uv
[ -x "$uv" ] || uv=$(command -v uv) || { echo "uv is missing: .venv/bin/pip install uv" >&2; exit 1; }
# uv.lock would name the address of a package index in every entry; this format names none.
"$uv" pip compile pyproject.toml --extra test --python-version 3.11 --universal --generate-hashes \
  --no-header --no-annotate --quiet --output-file requirements.lock "$@"
if grep -n '://' requirements.lock; then
  echo "requirements.lock must not name an address" >&2
  exit 1
fi
