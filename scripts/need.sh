#!/bin/sh
# Says which of the named programs are missing and where each is to be had.
set -eu
missing=0
for program in "$@"; do
    if ! command -v "$program" >/dev/null 2>&1; then
        missing=1
        case $program in
            cargo) from="Rust 1.95 or newer, https://rustup.rs" ;;
            node | npm) from="Node.js 20 or newer, https://nodejs.org" ;;
            git) from="git, https://git-scm.com" ;;
            cc) from="a C compiler (Debian: apt install build-essential)" ;;
            python3) from="Python 3.10 or newer with venv (Debian: apt install python3-venv)" ;;
            *) from="your system's package manager" ;;
        esac
        echo "missing: $program ($from)" >&2
    fi
done
if [ "$missing" = 1 ]; then
    echo "Install what is missing and run the command again." >&2
    exit 1
fi
