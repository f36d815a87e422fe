#!/usr/bin/env bash
# Two ranks of MPI against one process with two threads: experiments/benchmarks/ranks.sh SPEC [STEPS [ROUNDS]]
#
# Each round trains the same STEPS steps (10) in turn by one process, by two ranks over shared memory
# and by two over TCP; all end with the same model. Of the steps of all ROUNDS (1), but each round's
# first, which maps memory, it prints the median and the best speed. Needs `make MPI=1` and jq, with
# Open MPI; how long it takes: STEPS x ROUNDS x 3 steps, and the starts.
set -euo pipefail
cd "$(dirname "$0")/../.."

spec=${1:?a spec of experiments/benchmarks} steps=${2:-10} rounds=${3:-1}
program=build/release/bin/loci-mpi
[ -x $program ] || { echo "ranks.sh: make MPI=1 loci builds $program" >&2; exit 2; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# NAME COMMAND...: trains, and adds the steps' speeds to $out/NAME.
train() {
    local name=$1
    shift
    rm -rf "$out/runs-$name"
    "$@" run "$spec" --set train.budget.steps="$steps" --set train.log_every=1 --set schedule.warmup=0 --set eval.tokens=1000 \
        --set eval.cleared=0 --quiet --out "$out/runs-$name" "${options[@]}" >"$out/log" 2>&1 ||
        { cat "$out/log" >&2; exit 1; }
    jq -r 'select(.step > 1) | .tokens_per_second' "$out/runs-$name"/runs/*/metrics.jsonl >>"$out/$name"
    sha256sum <"$(echo "$out/runs-$name"/runs/*/checkpoint/model-*)" >>"$out/models"
}

for ((round = 0; round < rounds; round++)); do
    options=(--threads 2)
    train threads $program
    options=(--ranks)
    train shared mpirun -n 2 --bind-to none $program
    train tcp mpirun -n 2 --bind-to none --mca btl tcp,self $program
done
[ "$(sort -u "$out/models" | wc -l)" = 1 ] || { echo "ranks.sh: the models differ" >&2; exit 1; }

line() { # TITLE NAME
    jq -rs --arg title "$1" --slurpfile one "$out/threads" '
        def median: sort | .[length / 2 | floor];
        "| \($title) | \(median | round) | \(max | round) | \(100 * median / ($one | median) | round / 100) |"' "$out/$2"
}
echo "| $spec | median tokens/s | best | median, relative |"
echo "|---|--:|--:|--:|"
line "one process, two threads" threads
line "two ranks, shared memory" shared
line "two ranks, TCP" tcp
