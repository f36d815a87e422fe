#!/usr/bin/env bash
# Runs every fuzz target (tests/fuzz/fuzz_*.c) for so many seconds: tools/fuzz.sh [SECONDS] [NAME...]
#
# Inputs to begin with are tests/fuzz/seeds/NAME/; what is found is kept in build/fuzz/found/NAME,
# and an input that breaks something is build/fuzz/found/NAME-crash-...
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
make --no-print-directory KIND=fuzz CC=clang fuzzers
if [ $# -gt 0 ]; then names=("$@"); else
    names=()
    for source in tests/fuzz/fuzz_*.c; do
        [ -e "$source" ] || continue
        name=${source##*/fuzz_}
        names+=("${name%.c}")
    done
fi

export OMP_NUM_THREADS=1
one() { # name: one line, and the log only if it fails
    local name=$1 found=build/fuzz/found inputs
    inputs=("$found/$name")
    mkdir -p "$found/$name"
    [ ! -d "tests/fuzz/seeds/$name" ] || inputs+=("tests/fuzz/seeds/$name")
    if timeout -k 10 $((seconds + 60)) "build/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -verbosity=1 -print_final_stats=1 -artifact_prefix="$found/$name-" \
        "${inputs[@]}" >"$found/$name.log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$name.log")
        echo "fuzz $name: $runs inputs"
        echo pass >"$found/$name.result"
    else
        tail -n 40 "$found/$name.log"
        echo "FAIL fuzz $name (again: build/fuzz/fuzz_$name $found/$name-...)"
        echo fail >"$found/$name.result"
    fi
}

# As many at a time as there are cores.
mkdir -p build/fuzz/found
rm -f build/fuzz/found/*.result
running=0
for name in "${names[@]}"; do
    one "$name" &
    running=$((running + 1))
    if [ "$running" -ge "$(nproc)" ]; then
        wait -n
        running=$((running - 1))
    fi
done
wait
passed=$(cat build/fuzz/found/*.result 2>/dev/null | grep -c pass || true)
echo "$passed passed, $((${#names[@]} - passed)) failed, 0 skipped"
[ "$passed" -eq "${#names[@]}" ]
