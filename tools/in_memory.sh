#!/usr/bin/env bash
# A folder in memory for files that nobody keeps, or where there are less than so many MiB of it
# free, the one for temporary files: tools/in_memory.sh MIB
set -euo pipefail

free=$(df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ -w /dev/shm ] && [ "${free:-0}" -ge "$1" ]; then echo /dev/shm; else echo "${TMPDIR:-/tmp}"; fi
