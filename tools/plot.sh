#!/usr/bin/env bash
# Plots of an experiment (default: the one run last): tools/plot.sh [EXPERIMENT] [--out DIR]...
# PNG, SVG, PDF and gnuplot's scripts land in results/out/plots/EXPERIMENT; see loci plot --help.
set -euo pipefail
loci=$(dirname "$0")/../loci
if [ ! -x "$loci" ]; then
    echo "plot.sh: there is no ./loci; build it first: make" >&2
    exit 1
fi
exec "$loci" plot "$@"
