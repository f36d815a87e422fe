/* An evaluation as it is asked for, what comes out, and who may look on: the words of evaluate.h.
 */
#pragma once

#include <signal.h>

#include "core/base/json.h"
#include "core/train/lanes.h"
#include "data/corpus.h"
#include "harness/evaluate/dynamic.h"
#include "harness/evaluate/sample.h"
#include "harness/evaluate/slices.h"
#include "models/model.h"

typedef struct eval_options {
    int64_t split;   /* split_kind, in the order of the table's choices */
    int64_t rows;    /* parallel rows */
    int64_t tokens;  /* only the first so many tokens of the split; 0: all */
    int64_t most;    /* of each document only the first so many tokens; 0: all */
    int64_t context; /* 0: the model's */
    int64_t stored;  /* past positions in the stores of layers that have one; 0: the model's */
    int64_t span;    /* state is reset every so many tokens of a document; 0: never */
    bool losses;     /* write the loss of every token (final evaluation only) */
    int64_t cleared; /* tokens of the sample for cleared.h; 0: none */
    const node *dynamic_node;
    const node *sample_node;
    sample_options sample;   /* what is written after a final evaluation */
    dynamic_options dynamic; /* whether the model learns while it reads, and how */
} eval_options;

typedef struct eval_document {
    int64_t index;
    const char *name;
    double nats;
    int64_t tokens;       /* scored */
    int64_t bytes, words; /* of what was scored; -1: unknown */
} eval_document;

typedef struct evaluation {
    arena *memory;
    double nats;
    int64_t tokens;
    int64_t bytes;         /* -1: the tokenizer is lossy */
    int64_t words;         /* -1: no words, or a document was scored in part */
    int64_t unknown;       /* tokens that stand for what the tokenizer lacks; -1: not known */
    int64_t unknown_bytes; /* of text that they stand for; -1: a document was scored in part */
    double seconds, tokens_per_second;
    double flops_per_token;
    int64_t anon_bytes; /* anonymous memory of the process at the end of the pass */
    /* Of a model that learns while it reads: what was chosen, and the seconds that choosing and the
     * gradient statistics took beside `seconds`. */
    bool dynamic;
    double rate, decay, statistics_seconds, grid_seconds;
    int count;
    eval_document *documents; /* those scored, in order */
    slices *slices;           /* if the task wanted them, else NULL */
    bool stopped;             /* *stop was raised: the figures are not complete */
    bool answers_only; /* of a probe: nothing else counts, and no losses per token are kept */
} evaluation;

/* What a lane reads in one call. */
typedef struct eval_view {
    int64_t rows, time;
    const int32_t *tokens, *targets; /* [rows, time] */
    const real *weights;             /* [rows, time]: 0 where nothing is scored */
    const int64_t *document;         /* [rows]: -1: the row has run dry */
    const int64_t *begin;            /* [rows]: index in the document of the first target */
    const int64_t *first;            /* [rows]: tokens of the split before the first target */
} eval_view;

/* What somebody who looks on has counted so far. */
typedef struct eval_array {
    const char *name;
    const void *data;
    size_t bytes;
} eval_array;

/* Looks at a model while it is evaluated: inspection. Called by the lanes' threads, each with its
 * number. */
typedef struct eval_watch {
    void *user;
    /* The `user` of the call's taps; NULL: nothing of it is looked at. */
    void *(*begin)(void *user, int thread, const eval_view *view);
    tap_fn tap;             /* may be NULL */
    fired_fn fired;         /* may be NULL */
    exchanged_fn exchanged; /* may be NULL */
    void (*end)(void *call);
    /* Of evaluations that are kept on the way (eval_keep); NULL: what it counts cannot be. restore
     * without `take` only says whether it would take these bytes under that name. */
    int (*keep)(void *user, eval_array *list, int capacity); /* how many of them */
    /* Adds what was kept, or what another rank has seen, to what is there; data lies at any
     * address. */
    bool (*restore)(void *user, const char *name, const void *data, size_t bytes, bool take);
} eval_watch;

/* Something carried that every block begins without: see cleared.h. */
typedef struct eval_forget {
    const layer *self; /* NULL: all layers */
    slot_kind kind;
} eval_forget;

/* Hears how far an evaluation has got, and in how many seconds (of all its sittings), now and then,
 * from the thread that evaluates. */
typedef struct eval_reader {
    void (*heard)(void *user, int64_t tokens, int64_t of, double seconds); /* NULL: nobody does */
    void *user;
    /* What is heard next is of trial `i` of `n` of a grid's, from 1; i 0: of what counts. NULL: of
     * trials nothing is heard. */
    void (*trial)(void *user, int i, int n);
} eval_reader;

/* Where an evaluation is kept on the way: see eval_keep.h. */
typedef struct eval_keep {
    const char *path;
    double every;                    /* seconds from one saving to the next */
    bool (*may)(void *user, err *e); /* whether anything may be written there */
    void *user;
    /* Told that what was kept is not gone on from; may be NULL. */
    void (*lost)(void *user, const char *line);
} eval_keep;

typedef struct eval_task {
    const model *model;
    const real *values; /* [params.total] */
    corpus *corpus;
    const eval_options *options;
    int threads;
    int64_t lanes; /* at most so many (those of training); 0: one per row; experts: fewer */
    uint64_t seed;
    bool slices;                       /* sum up the losses by slices, too */
    const char *losses_path;           /* f32 file to replace atomically, or NULL */
    const volatile sig_atomic_t *stop; /* may be NULL */
    eval_reader reader;
    rank_group *ranks;              /* that may share it (eval_ranks.h); NULL: none */
    const eval_keep *keep;          /* NULL: what is stopped begins again */
    const eval_watch *watch;        /* may be NULL; not with a model that learns */
    const eval_forget *forget;      /* may be NULL; not with a model that learns */
    const dynamic_learner *learner; /* evaluate() makes it where the options want one; NULL */
} eval_task;
