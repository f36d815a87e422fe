#!/usr/bin/env bash
# What `make test` runs: the suites in float and in double, and each fuzz target for a few seconds.
# Of the checks of every layer at every option, one of LOCI_TEST_ONE_OF (3), others each day; FULL=1: all.
# The last line adds everything up: N passed, N failed, N skipped. Status 1 if anything failed.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzz_seconds=${FUZZ_SECONDS:-3}
# shellcheck source=tools/test_folders.sh
source tools/test_folders.sh

build() { # kind make-arguments...: leaves what the compiler said in the log
    local kind=$1 began=$SECONDS
    shift
    if ! make --no-print-directory KIND="$kind" "$@" >"$logs/build-$kind" 2>&1; then
        cat "$logs/build-$kind"
        echo "0 passed, 1 failed, 0 skipped" >"$logs/tally-$kind"
        return 1
    fi
    cat "$logs/build-$kind"
    echo "built $kind in $((SECONDS - began)) s"
}

# Runs a program that ends with a tally; one that dies without it counts as one failure.
suite() { # name command...
    local name=$1 status=0 began=$SECONDS
    shift
    "$@" >"$logs/out-$name" 2>&1 || status=$?
    # The tally need not be the last line: what a test left running may still say something.
    if ! grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$logs/out-$name" \
        >"$logs/all-$name" || [ "$status" -gt 1 ]; then
        echo "$name ended with status $status" >>"$logs/out-$name"
        echo "0 passed, 1 failed, 0 skipped" >"$logs/all-$name"
    fi
    tail -n 1 "$logs/all-$name" >"$logs/tally-$name"
    # In one piece: two of them run at a time.
    printf '%s\n%s: %s in %s s\n' "$(sed '/^[0-9]* passed, .* skipped$/d; /^[0-9.]* s$/d' "$logs/out-$name")" "$name" \
        "$(cat "$logs/tally-$name")" $((SECONDS - began))
}

if [ -n "${FULL:-}" ]; then
    unset LOCI_TEST_SAMPLE
else
    export LOCI_TEST_SAMPLE=${LOCI_TEST_SAMPLE:-$(date -u +%F)}
    echo "one of ${LOCI_TEST_ONE_OF:-3} of what every layer must keep at every option, drawn by" \
        "LOCI_TEST_SAMPLE=$LOCI_TEST_SAMPLE; all: FULL=1"
fi

started=$SECONDS
cores=$(nproc)
release() {
    build release loci test-binary build/release/reference || return
    # More programs, for tests/tools/test_ranks.c; one file and the linking each.
    if pkg-config --exists mpi || pkg-config --exists ompi || pkg-config --exists mpich; then
        build release MPI=1 build/release/bin/loci-mpi || return
    fi
    if pkg-config --exists ompi && pkg-config --exists mpich; then
        build release MPI=mpich build/release/bin/loci-mpich || return
    fi
}
# In double only what differs there: gradients and everything else that is arithmetic; nothing else
# is built, either. It asks the float program of tests for its figures.
double() {
    build f64 ARITHMETIC=1 test-binary || return 0
    suite f64 build/f64/test "-j$cores"
}
fuzzed() {
    build fuzz CC=clang fuzzers || return 0
    suite fuzz tools/fuzz.sh "$fuzz_seconds"
}
# The suites in float wait much, for workers and for time to pass: what else there is to build and
# to run goes on beside them.
if release; then
    { double && fuzzed; } &
    LOCI_PROGRAM=$PWD/build/release/bin/loci suite release build/release/test "-j$cores"
    wait
fi
finished=1
echo "$((SECONDS - started)) s"
tools/tally.sh "$logs"/tally-*
