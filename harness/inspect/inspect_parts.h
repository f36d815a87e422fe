/* The steps of an inspection: shared by the files experiments/inspect_*.c only. */
#ifndef LOCI_HARNESS_INSPECT_PARTS_H
#define LOCI_HARNESS_INSPECT_PARTS_H

#include "harness/evaluate/evaluate.h"
#include "harness/inspect/inspect.h"

/* Triggers of all memories and what experts serve: one pass (inspect_pass.c). */
bool inspect_keys(inspection *x, err *e);
/* Samples prefixes and reads the stream there: one pass (inspect_samples.c). */
bool inspect_samples(inspection *x, err *e);
/* What fast weights changed: one pass (inspect_changes.c); who wrote and read states: one pass
 * (inspect_states.c). Both add their figures. */
bool inspect_changes(inspection *x, err *e);
bool inspect_states(inspection *x, err *e);
/* Values and their agreement with keys; needs inspect_keys (inspect_values.c). */
void inspect_values(inspection *x);
/* What triggers have in common (inspect_patterns.c); the same without one of their tokens
 * (inspect_perturb.c). */
bool inspect_patterns(inspection *x, err *e);
bool inspect_perturb(inspection *x, err *e);
/* The figures of the parts that were made (inspect_figures.c). */
bool inspect_figures(inspection *x, err *e);

/* Evaluation of a split's beginning under inspection; watch may be NULL. */
bool inspection_evaluate(evaluation *r, inspection *x, split_kind split, int64_t tokens,
                         const eval_watch *watch, err *e);

/* Sums that threads add to in any order: whole numbers, in units of 2^-32. NaN and what is far out
 * of range are left out. */
void inspection_sum(int64_t *sum, double x);
double inspection_sum_of(int64_t sum);

/* Tokens of a list [vocab] that rose most (sign 1) or fell most (-1), first ones first; how many.
 */
int inspect_changes_tokens(int32_t order[CHANGED_TOKENS], const token_change *list, int64_t vocab,
                           double sign);
/* Tokens of those that occur often enough with the largest mean of sums [vocab]; at most `most`. */
int inspect_states_tokens(int32_t *order, int most, const inspected_exchange *l,
                          const int64_t *sums, int64_t vocab);

/* Index in x->layers, or -1. */
int inspection_layer(const inspection *x, const layer *l);
void inspection_add(inspection *x, int part, const layer *l, const char *name, int bin,
                    double value);

#endif
