#!/usr/bin/env bash
# Says which lines of what reads outside input fuzz targets reach: tools/fuzz_coverage.sh [SECONDS] [NAME...]
#
# A target reads its seeds, tests/fuzz/seeds/NAME, and what tools/fuzz.sh kept in build/fuzz/found/NAME;
# then it changes them for SECONDS (0). Of each target it prints how many lines it reached of the files
# that it is about, which tests/fuzz/readers names; the others are in build/cover/NAME.unreached.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-0}
shift || true
tool() { # name: as it is called here
    command -v "$1" || command -v "$1-14" || { echo "fuzz_coverage: install llvm, which has $1" >&2; exit 1; }
}
profdata=$(tool llvm-profdata)
cov=$(tool llvm-cov)
make --no-print-directory KIND=cover CC=clang fuzzers
names=("$@")
[ $# -gt 0 ] || mapfile -t names < <(cut -d: -f1 tests/fuzz/readers | sort -u)

export OMP_NUM_THREADS=1
TMPDIR=$(mktemp -d -p "$(tools/in_memory.sh 256)" loci-cover-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

run() { # name: the profile of its seeds, and of what it makes of them
    local length=(-runs=0) inputs=("$TMPDIR/found") folder
    for folder in "tests/fuzz/seeds/$1" "build/fuzz/found/$1"; do
        [ ! -d "$folder" ] || inputs+=("$folder")
    done
    [ "$seconds" -eq 0 ] || length=(-seed=1 -max_total_time="$seconds" -timeout=60)
    # Targets without seeds begin with files that they write, whole.
    [ -d "tests/fuzz/seeds/$1" ] || length+=(-max_len=32768 -len_control=0)
    mkdir "$TMPDIR/found"
    LLVM_PROFILE_FILE=build/cover/$1.profraw "build/cover/fuzz_$1" "${length[@]}" \
        -artifact_prefix="build/cover/$1-" "${inputs[@]}" >"build/cover/$1.log" 2>&1 ||
        { tail -n 20 "build/cover/$1.log"; exit 1; }
    rm -rf "$TMPDIR/found"
    "$profdata" merge -o "build/cover/$1.profdata" "build/cover/$1.profraw"
}

count() { # name: one line; ranges of lines never reached, FILE:FROM-TO, in a file
    local patterns
    patterns=$(sed -n "s/^$1: //p" tests/fuzz/readers)
    # shellcheck disable=SC2086 # the files that the patterns name
    "$cov" export -format=lcov -instr-profile="build/cover/$1.profdata" "build/cover/fuzz_$1" $patterns |
        awk -F'[:,]' -v name="$1" -v here="$PWD/" -v unreached="build/cover/$1.unreached" '
            function end() { if (from) print file ":" from "-" to >unreached; from = 0 }
            BEGIN { printf "" >unreached }
            /^SF:/ { file = substr($0, 4); sub("^" here, "", file); files++ }
            /^DA:/ { all++; if ($3 > 0) { reached++; end() } else { if (!from) from = $2; to = $2 } }
            /^end_of_record/ { end() }
            END { printf "%-12s %5d of %5d lines, %3d %%, of %d files\n",
                         name, reached, all, all ? 100 * reached / all : 0, files }'
}

for name in "${names[@]}"; do
    run "$name"
    count "$name"
done
