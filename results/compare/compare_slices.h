/* Where a difference comes from: the comparison by slices of the text (position in the document, in
 * the block, how often the token occurs in the training split, how often it occurred in the
 * document before; see harness/evaluate/slices.h), from what evaluations recorded: no corpus, no
 * model. */
#pragma once

#include "results/compare/compare.h"

typedef enum slice_by { BY_NOTHING, BY_POSITION, BY_BLOCK, BY_FREQUENCY, BY_REPETITION } slice_by;
#define SLICE_BY_NAMES "none|position|block|frequency|repetition"
enum { SLICE_BY_COUNT = 5 };
const char *compare_slices_by_name(slice_by by);  /* "position", as the database has it */
const char *compare_slices_by_title(slice_by by); /* "tokens before it in the document" */

/* One variant in one slice, in bits per token. */
typedef struct compared_slice {
    estimate value;      /* over seeds */
    double least, most;  /* of the seeds */
    estimate difference; /* to the baseline, paired by seed */
    interval over_text;  /* of its mean: bootstrap over documents; NaN below two of them */
} compared_slice;

typedef struct slice_comparison {
    slice_by by;
    bool bytes;                   /* tokens are bytes: bits per token are bits per byte */
    int count;                    /* slices, in order */
    int parts;                    /* documents or groups of them that the text's interval is over */
    int64_t *low, *high, *tokens; /* [count]: bounds, inclusive; tokens scored */
    int variants;
    bool *known;           /* [variants]: its runs have slices of the baseline's text */
    compared_slice *cells; /* [variants, count] */
} slice_comparison;

/* count 0: no run has recorded slices of that kind. NULL and e if the database cannot be read. */
slice_comparison *compare_slices(arena *a, const comparison *c, store *s, slice_by by, err *e);

const compared_slice *compare_slices_at(const slice_comparison *x, int variant, int slice);

/* The interval that a difference has: over seeds; of a single seed over documents; else NaNs. */
interval compare_slices_interval(const compared_slice *x);

/* "0", "1", "256-511". */
void compare_slices_name(char text[48], const slice_comparison *x, int slice);
