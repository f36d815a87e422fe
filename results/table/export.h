/* Results in the forms of other tools, at full resolution: nothing is averaged or thinned out.
 *
 * A table goes out as CSV, JSON lines, Markdown or LaTeX; the logged figures of runs also as event
 * files that TensorBoard opens, a folder per run. */
#pragma once

#include <stdio.h>

#include "results/store/store.h"
#include "results/table/table.h"

/* What is exported; a row per: */
typedef enum export_what {
    EXPORT_RUNS,        /* planned run, with its final figures, cost and provenance */
    EXPORT_METRICS,     /* logged figure: run, step, layer, name, value */
    EXPORT_EVALUATIONS, /* evaluation */
    EXPORT_DOCUMENTS,   /* document of an evaluation */
    EXPORT_SLICES,      /* slice of an evaluation's tokens, over all its text */
    EXPORT_WHATS
} export_what;
#define EXPORT_WHAT_NAMES "runs|metrics|evaluations|documents|slices"

typedef enum export_format {
    EXPORT_CSV,
    EXPORT_JSONL,
    EXPORT_MARKDOWN,
    EXPORT_LATEX,
    EXPORT_TENSORBOARD
} export_format;
#define EXPORT_FORMAT_NAMES "csv|jsonl|markdown|latex|tensorboard"

/* Not for EXPORT_TENSORBOARD. Whether `out` took it all its owner asks. */
bool export_rows(FILE *out, store *s, const char *experiment, export_what what,
                 export_format format, err *e);

/* FOLDER/<label>/seed-<n>/events.out.tfevents.<began>.loci for every run of the experiment that has
 * logged anything. The folder is the experiment's own: event files of earlier exports are removed.
 */
bool export_tensorboard(const char *folder, store *s, const char *experiment, int *files, err *e);
