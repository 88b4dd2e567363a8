#!/bin/sh
# The reference pages in docs/ must be those that the program writes.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${MATRAZ:-$here/target/debug/matraz}" gen "$dir"
stale=0
for page in "$dir"/*; do
    if ! diff -u "$here/docs/$(basename "$page")" "$page" >&2; then
        stale=1
    fi
done
if [ "$stale" = 1 ]; then
    echo "docs/ is out of step with the program; run \`make gen\`" >&2
    exit 1
fi
