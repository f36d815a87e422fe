/* The layout of a folder whose parts are named after splits: train/ valid/ test/, or train.txt
 * valid.txt test.txt (see split_names.h). */
#pragma once

#include "data/corpus_class.h"

typedef struct split_member {
    const char *name; /* in the folder */
    bool folder;
    split_kind kind;
} split_member;

typedef struct split_layout {
    split_member *members; /* in the order of names; in the corpus's arena */
    int64_t count;         /* 0: nothing is named after a split */
} split_layout;

/* Looks at what is right in the folder c->where. A layout that contradicts itself or lacks text to
 * train or validate on is an error that says what was expected; what is left aside is said. */
bool split_layout_find(split_layout *l, const corpus *c, err *e);
