#!/bin/sh
# Shows the whole loop in a new folder, printing each command as a user types it and what comes of it.
#
#   DIR=demo            where; must not exist, or be left by an earlier demo
#   OBESITY_CSV=FILE    train on this table instead of the synthetic one
#   NO_SERVE=1          end instead of leaving the web app open
#   PORT=5000           port of the web app
#   MATRAZ=PROGRAM      the program to show
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
dir=${DIR:-$here/demo}
program=${MATRAZ:-$here/target/release/matraz}
port=${PORT:-5000}
table=${OBESITY_CSV:-}

case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
case $table in "" | /*) ;; *) table=$PWD/$table ;; esac
if [ ! -x "$program" ]; then
    echo "there is no program at $program; run \`make build\`" >&2
    exit 1
fi
if [ -e "$dir" ] && [ ! -e "$dir/.matraz-demo" ] && [ -n "$(ls -A "$dir" 2>/dev/null)" ]; then
    echo "$dir exists and was not made by this demo; give another DIR" >&2
    exit 1
fi
if [ -n "$table" ] && [ ! -f "$table" ]; then
    echo "OBESITY_CSV: there is no file $table" >&2
    exit 1
fi
rm -rf "$dir"
mkdir -p "$dir/bin" "$dir/project"
: >"$dir/.matraz-demo"
ln -s "$program" "$dir/bin/matraz"
PATH=$dir/bin:$PATH
export PATH
# Nothing of the user's own tracking settings may lead the demo elsewhere.
unset MLFLOW_TRACKING_URI MLFLOW_EXPERIMENT_NAME MLFLOW_RUN_ID DVC_ROOT 2>/dev/null || true
cd "$dir/project"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') off=$(printf '\033[0m')
else
    bold= dim= off=
fi
chapter() { printf '\n%s%s%s\n' "$bold" "$1" "$off"; }
show() { printf '%s$ %s%s\n' "$dim" "$1" "$off"; }
# run COMMAND...: shows the command, quoted where the shell needs it, and runs it.
run() {
    line=
    for word in "$@"; do
        case $word in
            *[!A-Za-z0-9_./:@=,-]* | "") word="'$word'" ;;
        esac
        line="$line${line:+ }$word"
    done
    show "$line"
    "$@"
}
# expect CODE COMMAND...: like run, for a command that must end with CODE.
expect() {
    wanted=$1
    shift
    code=0
    run "$@" || code=$?
    echo "(exit code $code)"
    if [ "$code" != "$wanted" ]; then
        echo "expected exit code $wanted" >&2
        exit 1
    fi
}

chapter "1. A project"
run git init --quiet
git config user.name >/dev/null || git config user.name "Matraz Demo"
git config user.email >/dev/null || git config user.email "demo@localhost"
if [ -n "$table" ]; then
    run matraz init --example obesity --data "$table"
else
    run matraz init --example obesity
fi
run cat params.yaml

chapter "2. Version the data, run the pipeline, get a run"
run matraz add data/obesity.csv
run git add .
run git commit --quiet -m "An obesity classifier"
run matraz repro
run git add .
run git commit --quiet -m "First model: 300 trees"
run matraz promote

chapter "3. Change one parameter: only what depends on it runs again"
show "sed -i 's/n_estimators: 300/n_estimators: 500/' params.yaml"
sed 's/n_estimators: 300/n_estimators: 500/' params.yaml >params.new && mv params.new params.yaml
run matraz status
run matraz repro
run git add .
run git commit --quiet -m "Second model: 500 trees"

chapter "4. Which run is better?"
run matraz runs compare

chapter "5. The gate decides"
expect 0 matraz gate
expect 1 matraz gate --rule "accuracy > 0.999"

chapter "6. The better model becomes champion, and there is a way back"
run matraz models register
show "matraz promote obesity --best accuracy"
moved=$(matraz promote obesity --best accuracy)
echo "$moved"
case $moved in *"stays at"*) run matraz promote obesity --version 2 ;; esac
run matraz models list
run matraz rollback obesity
run matraz promote obesity --best accuracy

chapter "7. Push the data, lose everything, pull it back"
run matraz remote add --default storage ../remote
run matraz push
run rm -rf .dvc/cache data/obesity.csv data/clean.csv features model plots predictions.csv
run matraz pull
run matraz status

chapter "8. Serve the champion, without Python"
port8=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
show "matraz models serve -m models:/obesity@champion -p $port8 &"
matraz models serve -m models:/obesity@champion -p "$port8" >serve.log 2>&1 &
serving=$!
trap 'kill $serving 2>/dev/null || true' EXIT INT TERM
node -e '
const url = process.argv[1];
(async () => {
    for (let n = 0; ; n++) {
        try { if ((await fetch(url + "/ping")).ok) return } catch {}
        if (n > 200) { console.error("the model server did not start"); process.exit(1) }
        await new Promise((next) => setTimeout(next, 50));
    }
})()' "http://127.0.0.1:$port8" || { cat serve.log >&2; exit 1; }
show "curl -s http://127.0.0.1:$port8/invocations -H 'content-type: application/json' -d @model/serving_input_example.json"
node -e '
const [url, file] = process.argv.slice(1);
(async () => {
    const body = require("fs").readFileSync(file);
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const text = await answer.text();
    console.log(text.length > 1200 ? text.slice(0, 1200) + " …" : text);
    process.exit(answer.ok ? 0 : 1);
})()' "http://127.0.0.1:$port8/invocations" model/serving_input_example.json
kill "$serving"
wait "$serving" 2>/dev/null || true
trap - EXIT INT TERM
rm -f serve.log

chapter "9. Everything in the browser"
run matraz runs list
if [ -n "${NO_SERVE:-}" ]; then
    echo "The project is in $dir/project; \`matraz ui\` in it opens the web app."
    exit 0
fi
show "matraz ui -p $port"
exec matraz ui -p "$port"
