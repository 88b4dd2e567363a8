#!/bin/sh
# Makes sure that a Chromium is there, by the system's package manager when it is not.
set -eu
for program in chromium chromium-browser google-chrome; do
    if command -v "$program" >/dev/null 2>&1; then
        exit 0
    fi
done
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "installing chromium"
    apt-get update -qq
    apt-get -o DPkg::Lock::Timeout=500 install -y -qq --no-install-recommends chromium
    exit 0
fi
echo "missing: chromium (Debian: sudo apt install chromium)" >&2
exit 1
