/* Two records of one experiment, in two folders of results: which of them is to stay. */
#pragma once

#include "core/base/base.h"

typedef enum merge_record_choice {
    MERGE_UNITE,      /* they plan runs of the same specs, or there is none here */
    MERGE_SHORTER,    /* theirs is the same but for a smaller budget: ours stays */
    MERGE_LONGER,     /* or a larger one: theirs takes its place */
    MERGE_CONTRADICTS /* other specs, or one of them is damaged: nothing of theirs is brought */
} merge_record_choice;

/* file: NAME.json. why, unless they are united: one sentence. False and e: a file cannot be read.
 */
bool merge_record_choose(merge_record_choice *choice, err *why, const char *out, const char *from,
                         const char *file, err *e);
