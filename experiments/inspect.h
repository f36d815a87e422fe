/* What a trained model has stored in its memories, and what becomes of it (Geva et al. 2021,
 * arXiv:2012.14913), for every layer that offers itself as memories (layers/layer.h).
 *
 * Keys and values: one pass of evaluation over a split keeps the prefixes with the largest
 * coefficients of every memory. Composition and refinement: one pass over another split reads the
 * stream at sampled prefixes. Both read documents as evaluation does, state carried along; a prefix
 * is shown from the beginning of its sentence.
 *
 * DIFFERS: the paper feeds single sentences. Removing tokens (perturbation) does so here, too. */
#ifndef LOCI_EXPERIMENTS_INSPECT_H
#define LOCI_EXPERIMENTS_INSPECT_H

#include <jansson.h>
#include <signal.h>

#include "experiments/checkpoint.h"
#include "experiments/memory_reading.h"
#include "experiments/prefixes.h"

enum {
    INSPECT_KEYS = 1,
    INSPECT_VALUES = 2,
    INSPECT_COMPOSITION = 4,
    INSPECT_REFINEMENT = 8,
    INSPECT_ALL = 15
};

typedef struct inspect_options {
    int64_t split, tokens; /* split_kind; the first so many tokens of it, 0: all */
    int64_t sample_split, sample_tokens;
    int64_t rows, top, prefixes;
    int64_t perturb; /* keys per layer whose triggers lose a token; 0: none */
    bool once_per_sentence;
    bool as_head; /* read vectors through final norm and head bias */
} inspect_options;

/* Automatic statistics in the place of the paper's human labels: shares of a key's triggers that
 * have something in common. */
enum { PATTERN_WORDS = 3, PATTERN_GRAMS = 3 };
typedef struct key_pattern {
    double gram[PATTERN_GRAMS]; /* share with the most frequent last 1, 2, 3 tokens */
    double word;                /* share with the most frequent last word (whole or begun) */
    const char
        *topics[PATTERN_WORDS];  /* words of four letters and more, not stop words, that most */
    double topic[PATTERN_WORDS]; /* prefixes share; NULL: none */
} key_pattern;

/* Mean change of the coefficient, relative to that of the sentence's prefix by itself. */
enum { REMOVE_FIRST, REMOVE_LAST, REMOVE_RANDOM, REMOVALS };
extern const char *const REMOVAL_NAMES[REMOVALS];
typedef struct perturbation {
    int64_t memory;
    int64_t triggers; /* that fire by themselves, too */
    int64_t silent;   /* that do not: left out */
    double change[REMOVALS];
} perturbation;

typedef struct inspected_layer {
    const layer *layer;
    layer_memories memories;
    triggers triggers;
    key_pattern *patterns;        /* [memories] */
    value_reading *values;        /* [memories]; NULL: they have no values of their own */
    memory_agreement *agreements; /* [memories], with values */
    int32_t *tops, *with;         /* of values, see prefix_match */
    int64_t *served;              /* [groups, vocab]: tokens that each group fired for; NULL: one */
    perturbation *perturbed;
    int perturbed_count;
    prefix_reading *readings; /* [samples] */
} inspected_layer;

/* One figure of a layer (or NULL: of the model); bin counts from 0 where a name stands for a curve.
 */
typedef struct inspect_figure {
    int part; /* INSPECT_* */
    const layer *layer;
    const char *name;
    int bin;
    double value; /* NaN: there is none */
} inspect_figure;

typedef struct inspect_task {
    const loaded_model *loaded;
    const inspect_options *options;
    int parts; /* INSPECT_* bits */
    int threads;
    const volatile sig_atomic_t *stop; /* may be NULL */
} inspect_task;

typedef struct inspection {
    arena *memory;
    const inspect_task *task;
    prefixes text; /* of keys and values */
    prefixes sample_text;
    int64_t *samples;     /* [sample_count]: tokens that prefixes end with, in order */
    int32_t *finals;      /* [sample_count]: top of the last stream */
    int32_t *predictions; /* [sample_count]: the same as the head reads it */
    int64_t sample_count;
    int layer_count;
    inspected_layer *layers;
    inspect_figure *figures;
    int figure_count, figure_capacity;
    double seconds;       /* of the pass over the keys' text; 0: none */
    double plain_seconds; /* what plain evaluation of it takes, measured on its beginning */
    bool stopped;         /* *stop was raised: nothing of it counts */
} inspection;

/* Fills x; inspection_deinit frees it. Fails if no layer offers memories, the corpus lacks the
 * split or a file cannot be read. */
bool inspect(inspection *x, const inspect_task *task, err *e);
void inspection_deinit(inspection *x);

/* The figure, or NaN. */
double inspection_figure(const inspection *x, int part, const layer *l, const char *name, int bin);

/* Text of the prefix that ends with `token`, at most so many bytes from its end; arena memory. */
const char *inspection_prefix(const inspection *x, const prefixes *text, int64_t token,
                              size_t most_bytes, arena *a);

/* Writes inspect/<part>.jsonl for every part into a run's folder, each atomically: a line that says
 * how it came about, then a line per figure, memory, expert or prefix (results/README.md). */
bool inspection_write(const inspection *x, const char *folder, err *e);
/* inspect/index.html: figures, and a sample of keys with their triggers and values. */
bool inspection_page(const inspection *x, const char *folder, const char *title, err *e);

const char *inspect_part_name(int part); /* "keys" */

#endif
