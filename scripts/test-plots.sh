#!/bin/sh
# Draws plots of two commits with every template and looks at the page in Chromium. Screenshots: target/screenshots.
#
#   MATRAZ=PROGRAM   the program to test
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
program=${MATRAZ:-$here/target/debug/matraz}
case $program in /*) ;; *) program=$PWD/$program ;; esac
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT INT TERM

cd "$dir"
git init -q .
git config user.email me@example.com
git config user.name me
"$program" init -q
printf 'step,loss,acc\n0,1.0,0.1\n1,0.5,0.3\n2,0.25,0.6\n3,0.2,0.7\n' >history.csv
printf 'actual,predicted\ncat,cat\ndog,cat\ndog,dog\ncat,cat\n' >classes.csv
printf '[{"name": "age", "weight": 0.5}, {"name": "height", "weight": 0.3}]' >importance.json
printf '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"><rect width="90" height="60" fill="teal"/></svg>' >shape.svg
cat >dvc.yaml <<'X'
plots:
- history.csv: {x: step, y: loss, title: Loss & time}
- both: {x: step, y: {history.csv: [loss, acc]}, template: simple}
- smooth: {x: step, y: {history.csv: acc}, template: smooth}
- scatter: {x: {history.csv: loss}, y: {history.csv: acc}, template: scatter}
- jitter: {x: {history.csv: loss}, y: {history.csv: [acc, step]}, template: scatter_jitter}
- confusion: {x: actual, y: {classes.csv: predicted}, template: confusion}
- normalized: {x: actual, y: {classes.csv: predicted}, template: confusion_normalized}
- bars: {x: weight, y: {importance.json: name}, template: bar_horizontal}
- sorted: {x: weight, y: {importance.json: name}, template: bar_horizontal_sorted}
- shape.svg
X
git add -A
git commit -qm one
printf 'step,loss,acc\n0,0.9,0.2\n1,0.4,0.5\n2,0.2,0.7\n3,0.1,0.9\n' >history.csv
"$program" plots diff HEAD -o page >/dev/null
cd "$here/ui"
PLOTS_PAGE=$dir/page/index.html PLOTS_CHARTS=9 node --test journey/plots.test.mjs
