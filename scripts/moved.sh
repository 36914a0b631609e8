#!/usr/bin/env bash
# Says `moved` if the programs of a Python environment belong to another folder: moved.sh VENV
# Programs name their interpreter by its whole path, so an environment does not survive that the
# folder is moved, and in a copied folder they run the code of the first one.
set -u
venv=${1:?usage: moved.sh VENV}
program=$venv/bin/pip
[ -f "$program" ] || exit 0
# a long path stands in the second line, after an exec
interpreter=$(head -n 2 "$program" | grep -oE '/.*/bin/python[0-9.]*' | head -n 1)
[ -n "$interpreter" ] || exit 0
named=$(cd "${interpreter%/*}" 2>/dev/null && pwd -P)
own=$(cd "$venv/bin" && pwd -P)
[ "$named" = "$own" ] || echo moved
