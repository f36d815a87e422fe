/* Dynamic evaluation: the model goes on learning from the text that it is scored on (Krause et al.
 * 2018, arXiv:1709.07432). A segment is scored first, then its gradient changes the parameters:
 *
 *   eval: {dynamic: {kind: rms, rate: 1e-4, decay: 1e-3, segment: 64}}
 *
 *   sgd   p <- p + decay (p0 - p) - rate g
 *   rms   p <- p + decay min(s / m, 1 / decay) (p0 - p) - rate g / (s + eps)
 *
 * g is the gradient of the segment's mean loss, p0 the trained parameters, s the root mean square
 * of the gradients of minibatches of the training split, m the mean over parameters (tensors) of
 * the mean of s. Both terms use p before the step. Each row of an evaluation has a copy of its own,
 * which starts from p0 where a document begins, or goes on from document to document. */
#pragma once

#include <signal.h>

#include "data/corpus.h"
#include "models/model.h"

typedef enum dynamic_kind { DYNAMIC_NONE, DYNAMIC_SGD, DYNAMIC_RMS } dynamic_kind;

enum { DYNAMIC_GRID = 32 }; /* values per axis */

typedef struct dynamic_options {
    int64_t kind;
    double rate, decay, eps;
    int64_t segment;    /* tokens between updates; 0: the context */
    const char *match;  /* parameters that learn */
    bool carry;         /* from document to document */
    int64_t statistics; /* training tokens for s */
    int64_t batch;      /* rows of a minibatch for s */
    const node *rates, *decays;
    int64_t grid_tokens;
    /* What the grid tries; one value each without a grid. */
    int rate_count, decay_count;
    double rate_values[DYNAMIC_GRID], decay_values[DYNAMIC_GRID];
} dynamic_options;

extern const option DYNAMIC_OPTIONS[];

/* n: the section or NULL (kind none). */
bool dynamic_options_read(dynamic_options *o, const node *n, arena *a, err *e);

/* For identities: the same rule in one spelling. */
void dynamic_options_settle(dynamic_options *o, int64_t context);

/* ---- the rule, on flat vectors ---- */

/* s and m over the minibatches that were added. */
typedef struct dynamic_statistics {
    const params *params;
    double *squares; /* [params.total] */
    real *rms;       /* [params.total], once finished */
    double mean;     /* m */
    int64_t batches;
} dynamic_statistics;

void dynamic_statistics_init(dynamic_statistics *s, const params *p);
void dynamic_statistics_deinit(dynamic_statistics *s);
/* g: the gradient of a minibatch's mean loss. */
void dynamic_statistics_add(dynamic_statistics *s, const grads *g);
/* learns [params.count]: the tensors that m is a mean over; NULL: all. */
void dynamic_statistics_close(dynamic_statistics *s, const bool *learns);
/* After it: whether s / m says anything. False and e where m is 0 or no number. *wild, if not NULL,
 * is the tensor whose gradients are so large that half of those that learn are pulled by less than
 * a thousandth of `decay`; -1: none. */
bool dynamic_statistics_check(const dynamic_statistics *s, const bool *learns, int *wild, err *e);

typedef struct dynamic_rule {
    const params *params;
    const bool *learns;                   /* [params.count]; NULL: all */
    const real *start;                    /* p0 [params.total] */
    const dynamic_statistics *statistics; /* NULL: sgd */
    double rate, decay, eps;
} dynamic_rule;

/* min(s / m, 1 / decay) */
double dynamic_decay_rate(const dynamic_rule *r, int64_t element);
/* One update of values [params.total]. A piece without gradient has gradient 0. */
void dynamic_step(const dynamic_rule *r, real *values, const grads *g);

/* ---- rows that learn ---- */

/* Whether the model can learn so from the corpus: parameters, segment, text for the statistics. */
bool dynamic_learner_check(const dynamic_options *o, const model *m, corpus *c, err *e);

/* What all rows share. Borrows model, values and options. */
typedef struct dynamic_learner dynamic_learner;

/* Gathers the statistics if the kind needs them, on so many threads. NULL and e on failure; NULL
 * and no text in e if *stop (may be NULL) was raised. */
dynamic_learner *dynamic_learner_new(const dynamic_options *o, const model *m, const real *values,
                                     corpus *c, int threads, const volatile sig_atomic_t *stop,
                                     err *e);
void dynamic_learner_free(dynamic_learner *l);
void dynamic_learner_set(dynamic_learner *l, double rate, double decay);
double dynamic_learner_rate(const dynamic_learner *l);
double dynamic_learner_decay(const dynamic_learner *l);
int64_t dynamic_learner_segment(const dynamic_options *o, const model *m);
/* FLOPs per token: forward, backward and the update. */
double dynamic_learner_flops(const dynamic_learner *l);

/* One row's private copy. */
typedef struct dynamic_row dynamic_row;
dynamic_row *dynamic_learner_row_new(const dynamic_learner *l);
void dynamic_learner_row_free(dynamic_row *r);
/* What it has learned [params.total], to be kept and put back. */
real *dynamic_learner_row_values(dynamic_row *r);
/* Scores a call of one row (losses are written) segment by segment, each followed by an update.
 * begins: a document begins with it. s must be of one row; model_begin and model_end are done
 * here. */
void dynamic_learner_row_read(dynamic_row *r, model_state *s, tape *t, const model_call *call,
                              bool begins);
