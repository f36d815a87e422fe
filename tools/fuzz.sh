#!/usr/bin/env bash
# Runs every fuzz target (tests/fuzz/fuzz_*.c) for so many seconds: tools/fuzz.sh [SECONDS] [NAME...]
#
# Inputs to begin with are tests/fuzz/seeds/NAME/; what is found is kept in build/fuzz/found/NAME,
# and an input that breaks something is build/fuzz/found/NAME-crash-... Of each target it says how
# many inputs it tried, how many edges of its code they reached together, and in what time.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
# Whole seconds are counted, and a target ends once there are more than these.
most=$((seconds > 1 ? seconds - 1 : 1))
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
# Files that targets write: in memory, and gone afterwards whatever becomes of the target.
TMPDIR=$(mktemp -d -p "$(tools/in_memory.sh 256)" loci-fuzz-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

# The last number that the target's log says in the form of an expression.
figure() { # name expression
    sed -nE "s/$2/\\1/p" "build/fuzz/found/$1.log" | tail -n 1
}

one() { # name: one line, and the log only if it fails
    local name=$1 found=build/fuzz/found inputs started=$SECONDS
    inputs=("$found/$name")
    mkdir -p "$found/$name"
    # Targets without seeds begin with files that they write, whole.
    if [ -d "tests/fuzz/seeds/$name" ]; then inputs+=("tests/fuzz/seeds/$name"); else
        inputs+=(-max_len=32768 -len_control=0)
    fi
    if timeout -k 10 $((seconds + 60)) "build/fuzz/fuzz_$name" -max_total_time="$most" -timeout=10 \
        -rss_limit_mb=2048 -verbosity=1 -print_final_stats=1 -artifact_prefix="$found/$name-" \
        "${inputs[@]}" >"$found/$name.log" 2>&1; then
        runs=$(figure "$name" '^stat::number_of_executed_units: *([0-9]+).*')
        echo "fuzz $name: $runs inputs in $((SECONDS - started)) s, $(figure "$name" '.* cov: ([0-9]+) .*')" \
            "edges of $(figure "$name" '.*\(([0-9]+) inline 8-bit counters.*')"
        echo "$runs" >"$found/$name.runs"
        echo pass >"$found/$name.result"
    else
        tail -n 40 "$found/$name.log"
        echo "FAIL fuzz $name (again: build/fuzz/fuzz_$name $found/$name-...)"
        echo fail >"$found/$name.result"
    fi
}

# As many at a time as there are cores; twice as many where a few seconds are to show that targets work.
at_once=$(nproc)
[ "$seconds" -gt 5 ] || at_once=$((2 * at_once))
mkdir -p build/fuzz/found
rm -f build/fuzz/found/*.result build/fuzz/found/*.runs
running=0
for name in "${names[@]}"; do
    one "$name" &
    running=$((running + 1))
    if [ "$running" -ge "$at_once" ]; then
        wait -n
        running=$((running - 1))
    fi
done
wait
echo "fuzz: $(cat build/fuzz/found/*.runs 2>/dev/null | awk '{n += $1} END {print n + 0}') inputs in all"
passed=$(cat build/fuzz/found/*.result 2>/dev/null | grep -c pass || true)
echo "$passed passed, $((${#names[@]} - passed)) failed, 0 skipped"
[ "$passed" -eq "${#names[@]}" ]
