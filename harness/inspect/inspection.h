/* What an inspection finds, and what all of its parts need: see inspect.h. */
#pragma once

#include <jansson.h>
#include <signal.h>

#include "harness/evaluate/evaluate.h"
#include "harness/inspect/prefixes.h"
#include "harness/inspect/value_readings.h"
#include "harness/train/trained_model.h"

enum {
    INSPECT_KEYS = 1,
    INSPECT_VALUES = 2,
    INSPECT_COMPOSITION = 4,
    INSPECT_REFINEMENT = 8,
    INSPECT_CHANGES = 16,
    INSPECT_STATES = 32,
    INSPECT_MEMORIES = 15, /* the parts about memories */
    INSPECT_ALL = 63
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
    int32_t *tops, *with;         /* of values, see value_readings_match */
    int64_t *served;              /* [groups, vocab]: tokens that each group fired for; NULL: one */
    perturbation *perturbed;
    int perturbed_count;
    prefix_reading *readings; /* [samples] */
} inspected_layer;

/* ---- changes: what weights that learn while they read have changed ---- */

/* A prediction with and without what was learned before it: a head's own; of a layer in the stack,
 * the stream behind it read as tokens. */
enum { MOMENT_TOKENS = 5, MOMENTS = 20, CHANGED_TOKENS = 20, CHANGED_DOCUMENTS = 8 };
typedef struct change_moment {
    double gain;                 /* nats of the next token, without - with */
    int64_t token;               /* the prefix's last */
    int32_t next;                /* the token that follows */
    real before, after;          /* its probability without, with */
    int32_t tops[MOMENT_TOKENS]; /* that rose most, and by how much */
    real rises[MOMENT_TOKENS];
} change_moment;

/* Sums over a document, by token. Exact whatever the order: in units of 2^-32. */
typedef struct token_change {
    int64_t rise; /* of its probability, over all positions */
    int64_t gain; /* in nats, over the positions that it follows */
    int64_t next; /* how many these are */
} token_change;

typedef struct inspected_changes {
    const layer *layer;
    struct change_sums *sums;
    token_change *tokens; /* [1 + CHANGED_DOCUMENTS, vocab]: all documents, then the first ones */
    change_moment most[MOMENTS], least[MOMENTS]; /* gained most, lost most; in order */
    int most_count, least_count;
} inspected_changes;

/* ---- states: which positions wrote and which read ---- */

enum { SPOTS = 20, PLACE_TOKENS = 10, USE_TOKENS = 20, USE_COUNT = 5 };
/* What a position does: of a read, the strength with which it reads; of a write, how much the
 * places take in of it, relative to what each position would have if all had the same. */
typedef struct inspected_exchange {
    const layer *layer;
    int index; /* of the layer's exchanges */
    layer_exchange exchange;
    struct exchange_sums *sums;
    /* See inspection_sum. By token: sums and counts [vocab]; by place: weights [places], by place
     * and token: weights [places, vocab], NULL where that is too much. */
    int64_t *token_sum, *token_count, *place_sum, *place_token;
    int64_t positions;
    triggers spots; /* one list: the positions that do most */
} inspected_exchange;

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
    const trained_model *loaded;
    const inspect_options *options;
    int parts; /* INSPECT_* bits; 0: all that the model's layers offer */
    int threads;
    const volatile sig_atomic_t *stop; /* may be NULL */
    eval_reader reader;                /* of each pass over text */
} inspect_task;

typedef struct inspection {
    arena *memory;
    const inspect_task *task;
    int parts;     /* that were made */
    prefixes text; /* of keys and values */
    prefixes sample_text;
    int64_t *samples;     /* [sample_count]: tokens that prefixes end with, in order */
    int32_t *finals;      /* [sample_count]: top of the last stream */
    int32_t *predictions; /* [sample_count]: the same as the head reads it */
    int64_t sample_count;
    int layer_count, change_count, exchange_count;
    inspected_layer *layers;
    inspected_changes *changes;
    inspected_exchange *exchanges;
    inspect_figure *figures;
    int figure_count, figure_capacity;
    double seconds;       /* of keys and values: the pass over the text and what follows; 0: none */
    double pass_seconds;  /* of the pass alone */
    double plain_seconds; /* what plain evaluation of it takes, measured on its beginning */
    bool stopped;         /* *stop was raised: nothing of it counts */
} inspection;

void inspection_deinit(inspection *x);

/* The figure, or NaN. */
double inspection_figure(const inspection *x, int part, const layer *l, const char *name, int bin);

/* The layers that have figures of a part, in order; how many. */
enum { INSPECT_LAYERS = 512 };
int inspection_part_layers(const inspection *x, int part, const layer *list[INSPECT_LAYERS]);

/* Text of the prefix that ends with `token`, at most so many bytes from its end; arena memory. */
const char *inspection_prefix(const prefixes *text, int64_t token, size_t most_bytes, arena *a);

const char *inspection_part_name(int part); /* "keys" */

/* ---- for the parts ---- */

/* Evaluation of a split's beginning under inspection; watch may be NULL. */
bool inspection_evaluate(evaluation *r, inspection *x, split_kind split, int64_t tokens,
                         const eval_watch *watch, err *e);

/* Sums that threads add to in any order: whole numbers, in units of 2^-32. NaN and what is far out
 * of range are left out. */
void inspection_sum(int64_t *sum, double x);
double inspection_sum_of(int64_t sum);

/* Index in x->layers, or -1. */
int inspection_layer(const inspection *x, const layer *l);
void inspection_add(inspection *x, int part, const layer *l, const char *name, int bin,
                    double value);
