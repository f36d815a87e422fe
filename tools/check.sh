#!/usr/bin/env bash
# What `make check` runs beside the tests: format, warnings as errors under gcc and clang (float and
# double), shell scripts, the order of includes, clang-tidy's analysis, the suites under ASan and
# UBSan (clang's), and those of threads under TSan. Each gate counts as one in the last line, which adds everything up.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=tools/test_folders.sh
source tools/test_folders.sh

gate() { # name command...
    local name=$1 began=$SECONDS
    shift
    if "$@" >"$logs/out-$name" 2>&1; then
        echo "ok   $name: $((SECONDS - began)) s"
        echo "1 passed, 0 failed, 0 skipped" >>"$logs/tally"
    else
        cat "$logs/out-$name"
        echo "FAIL $name: $((SECONDS - began)) s"
        echo "0 passed, 1 failed, 0 skipped" >>"$logs/tally"
    fi
}

sources() { git ls-files -- "$@"; }
format() { sources '*.c' '*.h' | xargs clang-format --dry-run --Werror; }
# Of what is built anyway, what the compiler said then; of the rest, what it says now.
# shellcheck disable=SC2016 # make's variables
said() { make --no-print-directory KIND="$1" CC="$2" "${@:3}" said WARNED='$(ALL_C)'; }
# Of what is not built of a kind.
unbuilt() {
    local left
    left=$(sources '*.c' ':!core/train/ranks_mpi.c' | while read -r file; do [ -e "build/$1/${file%.c}.o" ] || echo "$file"; done)
    make --no-print-directory KIND="$1" CC=clang WERROR=-Werror warnings WARNED="$(tr '\n' ' ' <<<"$left")"
}
scripts() { sources '*.sh' .ci/run | xargs shellcheck; }
tidy() { make --no-print-directory tidy; }

# The same draw as `make test`, see there; thinner, since arithmetic was looked at there.
if [ -n "${FULL:-}" ]; then
    unset LOCI_TEST_SAMPLE
else
    export LOCI_TEST_SAMPLE=${LOCI_TEST_SAMPLE:-$(date -u +%F)} LOCI_TEST_ONE_OF=${LOCI_TEST_ONE_OF:-12}
    echo "LOCI_TEST_SAMPLE=$LOCI_TEST_SAMPLE LOCI_TEST_ONE_OF=$LOCI_TEST_ONE_OF"
fi

# The build of the fuzz targets, most of which `make test` has left: one compiler's sanitizers are
# enough. Leaks of libraries are not ours; ours are found. Fewer of the calls that can fail are tried
# than in `make test`. What was freed is kept back in less memory than ASan would, and remembered with
# fewer callers: a seventh less of a core. One suite more than there are cores is at work, as many of them wait.
sanitized() {
    make --no-print-directory KIND=fuzz CC=clang loci test-binary || return
    ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=8:${ASAN_OPTIONS:-} \
    LOCI_TORTURE=${LOCI_TORTURE:-101} LOCI_PROGRAM=$PWD/build/fuzz/bin/loci \
        build/fuzz/test "-j$(($(nproc) + 1))"
}

# What threads do with each other: lanes, their sums, calls that follow each other through layers.
raced() {
    make --no-print-directory KIND=tsan test-binary \
        WITHOUT="harness/inspect/ harness/launch/ harness/run/ harness/spec/ harness/speed/ harness/supervise/ \
            results/claims/ results/plot/ results/report/ results/store/ results/table/ tools/" \
        TEST="tests/core/test_lanes.c tests/core/test_optim.c tests/harness/test_turns.c tests/harness/test_evaluate.c" ||
        return
    # Several times slower than under ASan: of what layers must keep, a third as much.
    LOCI_TEST_ONE_OF=$((3 * ${LOCI_TEST_ONE_OF:-1})) \
        build/tsan/test core/lanes core/optim harness/turns threads rows_of_experts
}

# First, since it builds what the suites are linked from.
gate "warnings, clang" said fuzz clang
gate "suites under ASan and UBSan" sanitized &
gate "format" format
gate "shellcheck" scripts
gate "includes" tools/includes.sh
gate "threads under TSan" raced
gate "warnings, gcc, optimising" said release "${CC:-gcc}"
# In double gcc builds what is arithmetic; the rest clang reads.
gate "warnings, gcc, double" said f64 "${CC:-gcc}" ARITHMETIC=1
gate "warnings, clang, double" unbuilt f64
if [ -n "${TIDY:-}" ]; then gate "clang-tidy" tidy; fi
wait
finished=1
tools/tally.sh "$logs/tally"
