#!/usr/bin/env bash
# What a wheel install of avfeat[cpu] adds to a fresh virtual environment, in MB.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q "$top" "$work/clone"
python3 -m venv "$work/venv"
before=$(du -sm "$work/venv" | cut -f1)
"$work/venv/bin/pip" install -q -c "$work/clone/constraints.txt" "$work/clone[cpu]"
after=$(du -sm "$work/venv" | cut -f1)
echo "avfeat[cpu] adds $((after - before)) MB"
du -sm "$work"/venv/lib/python3*/site-packages/* | sort -rn | head -8 | awk '{ sub(".*/", "", $2); print "  " $1 " MB  " $2 }'
