#!/bin/sh
# Makes the virtual environment VENV with the packages of FILE, once per content of FILE.
set -eu
venv=$1
requirements=$2
"$(dirname "$0")/need.sh" python3
stamp="$venv/.requirements"
if [ -f "$stamp" ] && cmp -s "$stamp" "$requirements"; then
    exit 0
fi
echo "setting up Python packages in $venv"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
# 3.18.0 pins split packages of its own version that are not all published; the whole package contains them.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps mlflow==3.18.0
cp "$requirements" "$stamp"
