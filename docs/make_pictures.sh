#!/usr/bin/env bash
# Make the pictures of README and docs from the running application: docs/make_pictures.sh
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$top/installer/run.sh" tour "$made"
keep() { # keep STEP NAME: the step's light and dark pictures become NAME-light.png and NAME-dark.png
  local shade found
  for shade in light dark; do
    found=$(ls "$made"/[0-9][0-9]-"$1"-"$shade".png)
    cp "$found" "$top/docs/pictures/$2-$shade.png"
  done
}
keep branches main
keep console console
keep take-checkpoint take-snapshot
keep revert revert
keep export export
