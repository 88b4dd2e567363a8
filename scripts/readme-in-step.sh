#!/bin/sh
# The two READMEs must show the same commands, link the same pages and have the same chapters.
set -eu
skeleton() {
    awk '/^```/ { inside = !inside; next }
         inside { sub(/[ \t]*#.*/, ""); if ($0 != "") print; next }
         /^#+ / { print substr($0, 1, index($0, " ") - 1) }
         { line = $0; while (match(line, /\]\([^)]*\)/)) { print substr(line, RSTART, RLENGTH); line = substr(line, RSTART + RLENGTH) } }' "$1" |
        sed 's/README\.es\.md/README/; s/README\.md/README/'
}
cd "$(dirname "$0")/.."
english=$(mktemp) spanish=$(mktemp)
trap 'rm -f "$english" "$spanish"' EXIT
skeleton README.md >"$english"
skeleton README.es.md >"$spanish"
if ! diff -u "$english" "$spanish"; then
    echo "README.md and README.es.md are out of step" >&2
    exit 1
fi
