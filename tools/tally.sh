#!/usr/bin/env bash
# Adds up the lines `N passed, N failed, N skipped` of the files given; status 1 if anything failed
# or there is no such line.
set -euo pipefail
awk '/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { passed += $1; failed += $3; skipped += $5; lines++ }
     END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
           exit lines == 0 || failed > 0 }' "$@"
