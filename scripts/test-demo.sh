#!/bin/sh
# Runs the demo as a test: every command must end as it should.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
env -u OBESITY_CSV DIR=$dir/demo NO_SERVE=1 NO_COLOR=1 "$here/scripts/demo.sh"
if [ -n "${OBESITY_CSV:-}" ]; then
    DIR=$dir/real NO_SERVE=1 NO_COLOR=1 OBESITY_CSV=$OBESITY_CSV "$here/scripts/demo.sh"
fi
