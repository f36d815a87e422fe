#!/usr/bin/env bash
# How much of the time of nodes' cores a sweep of short runs spends in its runs:
#
#   tests/support/slurm_share.sh [RUNS [STEPS [NODES]]]        as root; 24, 2000, 2; needs jq
#
# Submits a sweep of RUNS seeds to a Slurm of NODES nodes of one core each on this machine
# (slurm_cluster.sh), waits for its end, and prints
#
#   share = seconds of training and evaluating, as the runs logged them / (nodes x wall)
#
# where wall is from the begin of the first run to the end of the last. What is not in the share, per
# run, is starting a process, reading the text, building the model, the checkpoint and records; with
# as many nodes as cores here, and nothing else running, it costs a one-minute run as much as a short
# one, so that it also prints 60 / (60 + that). Slurm's own start is told apart: it comes once a task.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:-24} steps=${2:-2000} nodes=${3:-2}
program=$PWD/build/release/bin/loci cluster=$PWD/tests/support/slurm_cluster.sh
[ -x "$program" ] || { echo "slurm_share.sh: make loci builds $program" >&2; exit 2; }
folder=$(mktemp -d)
finish() {
    bash "$cluster" stop --dir "$folder/slurm" >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap finish EXIT
cat >"$folder/share.yaml" <<SPEC
name: share
data: {corpus: markov, symbols: 32, order: 1, tokens: 200000, held_out: 4000, length: 500}
model: {width: 64, context: 64, blocks: [{repeat: 2, attention: {heads: 4}, ffn: {}}]}
train: {budget: {steps: $steps}, batch: 4, log_every: 10}
eval: {cleared: 0}
sweep: {seeds: $runs}
SPEC
bash "$cluster" start --nodes "$nodes" --cpus 1 --port $((23000 + $$ % 2000)) --while $$ --dir "$folder/slurm" >/dev/null
export SLURM_CONF=$folder/slurm/slurm.conf
submitted=$(date +%s.%N)
"$program" run "$folder/share.yaml" --on slurm:nodes="$nodes" --out "$folder/out" --quiet --wait >/dev/null
cd "$folder/out/runs"
[ "$(cat ./*/status.json | jq -r .status | grep -c 'done')" = "$runs" ] ||
    { echo "slurm_share.sh: not all runs are done" >&2; exit 1; }
# A folder's files tell times to a part of a second, which status.json does not.
first=$(stat -c %.3W ./*/lock | sort -n | head -n 1)
last=$(stat -c %.3Y ./*/status.json | sort -n | tail -n 1)
trained=$(cat ./*/status.json | jq -s 'map(.train_seconds) | add')
evaluated=$(cat ./*/evals.jsonl | jq -s 'map(.seconds) | add')
jq -nr --argjson trained "$trained" --argjson evaluated "$evaluated" --argjson first "$first" --argjson last "$last" \
    --argjson submitted "$submitted" --argjson runs "$runs" --argjson nodes "$nodes" '
    ($trained + $evaluated) as $work | ($nodes * ($last - $first)) as $cores | (($cores - $work) / $runs) as $rest |
    "\($runs) runs on \($nodes) nodes of one core: \($work / $runs * 100 | round / 100) s of training and evaluating each",
    "wall \($last - $first | . * 10 | round / 10) s, the first run began \($first - $submitted | . * 10 | round / 10) s after submitting",
    "share of core time in runs: \($work / $cores * 1000 | round / 1000)",
    "beside that \($rest * 1000 | round / 1000) s a run: of one-minute runs \(60 / (60 + $rest) * 1000 | round / 1000)"'
