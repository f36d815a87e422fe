/* Two states of one run, in two folders of results: which of them is to stay. */
#pragma once

#include "core/base/base.h"

typedef enum merge_run_choice {
    MERGE_OURS,
    MERGE_THEIRS,
    MERGE_NEITHER /* theirs is further, but no continuation of ours */
} merge_run_choice;

/* A run that was trained to its end is further than one that was not, a whole one than one that
 * lacks something of its past; of two under way it is the one with the later checkpoint. What both
 * have logged must be equal, times aside, where theirs is to take the place of ours. why, unless
 * ours stays: one sentence. *end: the step that both were trained to, if the one that stays is
 * finished; else -1. False and e: a file cannot be read. */
bool merge_run_choose(merge_run_choice *choice, int64_t *end, err *why, const char *theirs,
                      const char *ours, err *e);
