#!/bin/sh
# Puts the packages of FILE, and not what they depend on, into FOLDER, once per content of FILE. A Python that has FOLDER
# first on its path imports MLflow 2 from there and everything else from its own environment.
set -eu
python=$1
folder=$2
requirements=$3
if [ -f "$folder/.requirements" ] && cmp -s "$folder/.requirements" "$requirements"; then
    exit 0
fi
echo "setting up the client of MLflow 2 in $folder"
rm -rf "$folder"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" -r "$requirements"
cp "$requirements" "$folder/.requirements"
