/* The figures that claims may be about: how good a model is, and what it costs. */
#pragma once

#include "results/compare/compare.h"

typedef enum figure_kind {
    FIGURE_METRIC,  /* of the evaluation that counts, by compare_metric */
    FIGURE_SLICE,   /* bits per token of a slice of its text */
    FIGURE_RECALL,  /* answers of a probe that are right */
    FIGURE_RUN,     /* of the run or of its evaluation: a field of compared_run */
    FIGURE_INSPECT, /* that loci inspect found: inspect.PART.FIGURE, by the depth of layers */
    FIGURE_GIVEN    /* no figure of a run: the number that another one is to be above */
} figure_kind;

typedef struct claim_figure {
    const char *name;  /* as `on:` says it: "bits_per_byte" */
    const char *title; /* "bits per byte" */
    const char *unit;  /* of margins: "bits/byte" */
    bool higher;       /* is better; else lower */
    figure_kind kind;
    compare_metric metric;    /* FIGURE_METRIC */
    size_t offset;            /* FIGURE_RUN: of the field */
    bool whole;               /* the field is an int64_t, -1 for unknown; else a double */
    bool timed;               /* it is the machine's and the threads' as well as the model's */
    const char *part, *found; /* FIGURE_INSPECT: as inspect_figure has them */
    double given;             /* FIGURE_GIVEN */
    const char *layers;       /* only models have it one of whose layers is called so; NULL: all */
} claim_figure;

/* NULL: unknown. */
const claim_figure *claim_figure_find(const char *name);
/* All of them, the last one's name NULL. */
extern const claim_figure CLAIM_FIGURES[];

/* "inspect.values.agreement", made in the arena; NULL: there is no such part of an inspection.
 * Which figures a part has, inspect_words knows. */
const claim_figure *claim_figure_inspect(arena *a, const char *name);

/* "0.5", made in the arena; NULL: that is no number. */
const claim_figure *claim_figure_given(arena *a, const char *text);

/* The figure whose margins have this unit ("bits/byte", "bits per byte"), first of the list; NULL:
 * none has. */
const claim_figure *claim_figure_of_unit(const char *unit);
bool claim_figure_has_unit(const claim_figure *f, const char *unit);

/* A FIGURE_RUN of a run; NaN: unknown. */
double claim_figure_of_run(const claim_figure *f, const compared_run *r);
