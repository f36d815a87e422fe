#!/usr/bin/env bash
# A short run of every layer under valgrind's memcheck, training and evaluation: tools/memcheck.sh [LAYER...]
#
# Minutes; by hand, not in CI. Fails where memory is read that nothing was written to, or beyond what
# was asked for, or is lost for good. The last line is N passed, N failed, N skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

# What a layer must be told; a layer without a line takes its defaults.
options() { # layer
    case $1 in
    attention | compressed_memory) echo "heads: 2, memory: 8" ;;
    block_recurrent) echo "heads: 2, states: 4" ;;
    ffn | fast_ffn) echo "hidden: 16" ;;
    base_ffn | switch_ffn | hash_ffn) echo "experts: 4, hidden: 8" ;;
    engram) echo "rows: 64" ;;
    gated_delta | ttt) echo "heads: 2" ;;
    pkm) echo "half_keys: 8, heads: 2" ;;
    memorizing) echo "heads: 2, length: 32" ;;
    routed_memory) echo "heads: 2" ;;
    esac
}

command -v valgrind >/dev/null || { echo "memcheck: install valgrind" >&2; exit 1; }
make --no-print-directory KIND=release loci
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The program would start itself again with this setting, which valgrind does not follow.
export LOCI_CACHE=$work/cache OMP_NUM_THREADS=1
[ $# -gt 0 ] || mapfile -t heads < <(build/release/bin/loci layers | sed -nE 's/^([a-z_]+) +head: .*/\1/p')
[ $# -gt 0 ] || mapfile -t layers < <(build/release/bin/loci layers | sed -nE 's/^([a-z_]+) .*/\1/p')
[ $# -eq 0 ] || layers=("$@")

passed=0 failed=0
for layer in "${layers[@]}"; do
    block="attention: {heads: 2}, ffn: {hidden: 16}" head=
    if [[ " ${heads[*]-} fwl linear " == *" $layer "* ]]; then
        head=", head: {kind: $layer}"
    elif [[ $layer == attention ]]; then
        block="attention: {$(options attention)}"
    else
        block="attention: {heads: 2}, $layer: {$(options "$layer")}"
    fi
    cat >"$work/$layer.yaml" <<SPEC
data: {corpus: markov, symbols: 5, tokens: 400, held_out: 120, length: 60}
model: {width: 16, context: 8, blocks: [{$block}]$head}
train: {budget: {steps: 2}, batch: 2, log_every: 1}
SPEC
    # As usual first, for the plan; then the worker alone, which starts no other program.
    build/release/bin/loci run "$work/$layer.yaml" --out "$work/out" --jobs 1 >"$work/$layer.log" 2>&1 || true
    run=$(echo "$work"/out/runs/*)
    if [ -d "$run" ] && find "$run" -mindepth 1 ! -name plan.json -delete &&
        valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
            build/release/bin/loci worker "$run" >>"$work/$layer.log" 2>&1 && [ -e "$run/evals.jsonl" ]; then
        echo "ok   $layer"
        passed=$((passed + 1))
    else
        cat "$work/$layer.log"
        echo "FAIL $layer"
        failed=$((failed + 1))
    fi
    rm -rf "$work/out"
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
