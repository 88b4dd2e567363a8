#!/bin/sh
# Makes sure that a PostgreSQL server is there for the tests, by the system's package manager when it is not.
set -eu
for program in /usr/lib/postgresql/*/bin/initdb "$(command -v initdb || true)"; do
    if [ -x "$program" ]; then
        exit 0
    fi
done
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "installing postgresql"
    apt-get update -qq
    apt-get -o DPkg::Lock::Timeout=500 install -y -qq --no-install-recommends postgresql
    exit 0
fi
echo "missing: PostgreSQL (Debian: sudo apt install postgresql)" >&2
exit 1
