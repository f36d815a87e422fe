#!/usr/bin/env bash
# Fails where a file includes upwards or in a circle: tools/includes.sh
#
# MAY is the order of the rooms and their wings: a place may include itself and what stands behind
# it. Inside a place any file may include any other, but never in a circle; a header and its source
# count as one file. KNOWN are includes that break this and wait to be mended, "from to" a line; a
# line that breaks it no more fails too, so that the list only shrinks.
set -euo pipefail
cd "$(dirname "$0")/.."

MAY='
core/base
core/options       core/base
core/ops           core/base core/options
core/train         core/base core/options core/ops
layers             core
models             core layers
data               core
results/store      core
results/table      core results/store
results/compare    core results/store results/table
results/claims     core results/store results/table results/compare
results/plot       core results/store results/table results/compare results/claims
results/report     core results/store results/table results/compare results/claims results/plot
harness/spec       core layers models data results
harness/evaluate   core layers models data results
harness/train      core layers models data results harness/spec harness/evaluate
harness/inspect    core layers models data results harness/spec harness/evaluate harness/train
harness/run        core layers models data results harness/spec harness/evaluate harness/train
harness/supervise  core layers models data results harness/spec harness/evaluate harness/train harness/run
harness/speed      core layers models data results harness/spec harness/evaluate harness/train harness/run
harness/launch     core layers models data results harness/spec harness/evaluate harness/train harness/run harness/supervise
tools              core layers models data results harness
'
KNOWN='
'

# Every include of one product file by another: "from to", without their endings.
includes() {
    git ls-files -- '*.c' '*.cc' '*.h' ':!tests' | xargs grep -H '^#include "' |
        sed -E 's/^(.*)\.[a-z]+:#include "([^"]*)\.h".*/\1 \2/' | awk '$1 != $2' | sort -u
}

includes | awk -v may="$MAY" -v known="$KNOWN" '
function place(file) {
    sub("/[^/]*$", "", file)
    return file
}
function below(from, to, n, i, list) { # may a file of place `from` include one of `to`?
    n = split(allowed[from], list, " ")
    for (i = 1; i <= n; i++) {
        if (index(to "/", list[i] "/") == 1) return 1
    }
    return from == to
}
function reaches(at, goal, i, list, n) { # along includes, each file looked at once
    if (at == goal) return 1
    if (seen[at]++) return 0
    n = split(to_of[at], list, " ")
    for (i = 1; i <= n; i++) {
        if (reaches(list[i], goal)) {
            way = list[i] (list[i] == goal ? "" : " > " way)
            return 1
        }
    }
    return 0
}
function in_circle(from, to) { # leaves the way back in `way`
    split("", seen)
    way = ""
    return reaches(to, from)
}
function complain(text) {
    print "includes: " text
    bad = 1
}
BEGIN {
    n = split(may, lines, "\n")
    for (i = 1; i <= n; i++) {
        first = lines[i]
        sub(" .*", "", first)
        allowed[first] = substr(lines[i], length(first) + 1)
    }
    waiting_count = split(known, waiting, "\n")
    for (i in waiting) is_known[waiting[i]] = 1
}
{
    includes[$0] = 1
    to_of[$1] = to_of[$1] " " $2
}
END {
    for (i = 1; i <= waiting_count; i++) { # judged with all includes in place
        if (waiting[i] == "") continue
        split(waiting[i], pair, " ")
        if (!(waiting[i] in includes) ||
            (below(place(pair[1]), place(pair[2])) && !in_circle(pair[1], pair[2])))
            complain("KNOWN in tools/includes.sh: \"" waiting[i] "\" breaks nothing: delete the line")
    }
    split("", to_of)
    for (line in includes) {
        if (line in is_known) continue
        split(line, pair, " ")
        to_of[pair[1]] = to_of[pair[1]] " " pair[2]
        if (!(place(pair[1]) in allowed)) complain(pair[1] ": its place is not in MAY of tools/includes.sh")
        else if (!below(place(pair[1]), place(pair[2]))) complain(pair[1] " includes upwards: " pair[2])
    }
    for (line in includes) {
        split(line, pair, " ")
        if (line in is_known || pair[1] in told || !in_circle(pair[1], pair[2])) continue
        told[pair[1]] = told[pair[2]] = 1
        complain("a circle: " pair[1] " > " pair[2] " > " way)
    }
    exit bad
}'
