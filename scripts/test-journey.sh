#!/bin/sh
# Walks the web app in Chromium, in front of a project that the demo made. Screenshots: target/screenshots.
#
#   MATRAZ=PROGRAM   the program to test
#   PICTURES=1       also make the picture of the README
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
program=${MATRAZ:-$here/target/debug/matraz}
case $program in /*) ;; *) program=$PWD/$program ;; esac
dir=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$dir"
}
trap stop EXIT INT TERM

echo "making a project"
env -u OBESITY_CSV MATRAZ="$program" DIR="$dir/demo" NO_SERVE=1 NO_COLOR=1 "$here/scripts/demo.sh" >"$dir/demo.log" 2>&1 || {
    cat "$dir/demo.log"
    exit 1
}
"$program" --cd "$dir/demo/project" ui --port 0 >"$dir/ui.log" 2>&1 &
server=$!
n=0
until grep -q 'http://' "$dir/ui.log"; do
    n=$((n + 1))
    if [ "$n" -gt 200 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$dir/ui.log"
        exit 1
    fi
    sleep 0.1
done
BASE_URL=$(grep -o 'http://[0-9.:]*' "$dir/ui.log" | head -n 1)
export BASE_URL
cd "$here/ui"
npm run --silent journey
if [ -n "${PICTURES:-}" ]; then
    npm run --silent pictures
fi
