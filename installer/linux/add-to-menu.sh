#!/usr/bin/env bash
# Puts this folder's Stillframe into the desktop's menu and lets it open .xva, .ova and .ovf files, for you alone.
# With --remove, takes it out again.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
share=${XDG_DATA_HOME:-$HOME/.local/share}
entry=$share/applications/stillframe.desktop
icon=$share/icons/hicolor/scalable/apps/stillframe.svg
types=$share/mime/packages/stillframe.xml

# The desktop's own indexes of what opens which file. A desktop without them finds the files by itself.
refresh() {
  if command -v update-desktop-database > /dev/null; then update-desktop-database -q "$(dirname "$entry")" || true; fi
  if command -v update-mime-database > /dev/null; then update-mime-database "$share/mime" || true; fi
}

if [ "${1:-}" = --remove ]; then
  rm -f "$entry" "$icon" "$types"
  refresh
  exit 0
fi
# The characters that keep a meaning inside quotes, then the backslashes once more: the value is a string first.
quoted=$(printf '%s' "$root/installer/run.sh" | sed -e 's/[\\"$`]/\\&/g' -e 's/\\/\\\\/g' -e 's/%/%%/g')
mkdir -p "$(dirname "$entry")" "$(dirname "$icon")" "$(dirname "$types")"
cp "$root/resources/icons/stillframe.svg" "$icon"
cp "$root/installer/linux/stillframe.xml" "$types"
while IFS= read -r line; do
  case $line in
    Exec=*) line="Exec=\"$quoted\" %f" ;;
  esac
  printf '%s\n' "$line"
done < "$root/installer/linux/stillframe.desktop" > "$entry.new"
mv "$entry.new" "$entry"
refresh
printf 'Stillframe is in the menu: %s\n' "$entry"
