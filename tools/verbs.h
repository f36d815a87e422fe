/* The verbs of `loci`, each in tools/cmd_<verb>.c (help, completion: tools/main.c). */
#pragma once

#include "harness/spec/spec.h"
#include "tools/cli.h"

extern const verb VERB_RUN, VERB_CHECK, VERB_STATUS, VERB_STOP, VERB_COMPARE, VERB_CLAIMS, VERB_LS,
    VERB_SHOW, VERB_NOTE, VERB_DIFF, VERB_EXPORT, VERB_RM, VERB_MV, VERB_GC, VERB_MERGE,
    VERB_REPORT, VERB_PLOT, VERB_EVAL, VERB_GENERATE, VERB_IMPORT, VERB_RECALL, VERB_INSPECT,
    VERB_LAYERS, VERB_DATA, VERB_COLLECT, VERB_BENCH, VERB_VERSION, VERB_COMPLETION, VERB_HELP,
    VERB_WORKER;
