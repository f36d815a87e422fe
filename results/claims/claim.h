/* Claims: what an experiment expects, written down before it runs.
 *
 *   claims:
 *     - name: state-beats-keys
 *       says: A state that is carried is worth more than keys and values
 *       source: Hutchins 2022, table 1
 *       better: state                    # superiority
 *       than: keys
 *       by: 0.02 bits/byte               # or 2 %; default 0
 *     - name: at-no-more-time
 *       all:                             # several statements, all of which are needed
 *         - {variant: state, at most: 1.1, of: keys, on: train_seconds}
 *         - {variant: state, within: 1 %, of: keys, on: params}
 *     - name: grows
 *       {variant: state, rises with: position, over: keys}    # the gain, along slices
 *     - name: scales
 *       {variants: [small, large], falls with: width}         # a figure, along an axis
 *
 *     - name: agrees
 *       {variant: large, on: inspect.values.agreement, above: inspect.values.chance}  # or 0.5
 *
 * `on` names the figure (claim_figure.h; default: the comparison's own), `split` the split,
 * `slice: {position: 512-}` a part of the text, `distance` that of a probe's questions. `unit:
 * documents` judges the trained models on other text where seeds are few (verdict.h). */
#pragma once

#include <stdio.h>

#include "core/options/node.h"
#include "results/claims/claim_figure.h"
#include "results/compare/compare_slices.h"

typedef enum statement_kind {
    STATEMENT_BETTER, /* `variant` is better than `other` by more than the margin; with `above`: its
                         figure is larger than that other one of the same model, or number */
    STATEMENT_WITHIN, /* the two differ by less than the margin, either way */
    STATEMENT_AT_MOST, /* `variant` has at most `margin` times what `other` has */
    STATEMENT_RISES,   /* the figure (over `other`: the gain over it) rises along `along` ... */
    STATEMENT_FALLS    /* ... or falls: by more than the margin, per value or slice */
} statement_kind;

typedef struct claim_statement {
    statement_kind kind;
    const node *at;            /* where it was written */
    const char *variant;       /* NULL: a trend over `variants` */
    const char *other;         /* NULL: a trend of the figure itself */
    int count;                 /* of a trend along an axis, in the order of its values */
    const char **variants;     /* [count] labels */
    const char *along;         /* of a trend: the axis, or "position" ..., "depth"; NULL */
    double margin;             /* in the figure's unit; relative: a share; AT_MOST: the factor */
    bool relative;             /* to the figure of `other` */
    const claim_figure *above; /* NULL: `on` of two variants is compared */
    const claim_figure *on;    /* NULL: the comparison's own */
    const char *split;         /* NULL: that of the final evaluations */
    slice_by by;               /* BY_NOTHING: the whole text */
    int64_t low, high;         /* the slice; of a trend along slices all from low to high */
    int64_t distance;          /* of a probe; -1: all */
    bool by_document;          /* its unit is the document; else the seed */
} claim_statement;

typedef struct claim {
    const char *name, *says, *source, *page; /* "" if not given; says: as claim_words has it */
    const node *at;
    int count;
    claim_statement *statements;
    /* seeds: {until: decided, ...}: looks from at_least to at_most seeds. 0: all are planned. */
    int at_least, at_most;
    bool pocock; /* the spending function; else O'Brien and Fleming's */
} claim;

/* Is a slice meant, rather than an axis? BY_NOTHING: no. */
slice_by claim_slices(const char *along);

/* "'state' is better than 'keys' by more than 0.02 bits/byte", without a full stop. */
void claim_words(FILE *out, const claim_statement *s);
