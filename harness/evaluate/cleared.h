/* What is worth carrying: how much more a model loses if every block begins without it.
 *
 *   without_state    of each layer that sums up what it read (recurrent states, fast weights)
 *   without_memory   of all layers' keys, values and other single positions together, under ""
 *
 * in nats per token, over the first tokens of the split (eval.cleared). 0 says that the layer
 * carries what nobody uses: the failure of recurrent models that goes unseen in their loss
 * (Hutchins et al. 2022, arXiv:2203.07852, sec. 4.4). Everything else goes on as it was, later
 * layers' states included, which then see other inputs. */
#pragma once

#include "harness/evaluate/evaluate.h"

/* Not of a model that learns while it reads, whatever is asked. */
bool cleared_is_asked(const eval_options *o);

/* *out: {"blocks.1.block_recurrent": {"without_state": 0.01}, "": {...}}, empty where nothing is
 * carried; NULL where it is not asked for, or the task was stopped. Decref it. */
bool cleared_measure(json_t **out, const eval_task *task, err *e);

/* Into the record of the evaluation that it was measured beside: "layers", with the figures that
 * stand there, and how many tokens they are of, "cleared". */
void cleared_note(json_t *record, const json_t *measured, const eval_options *o);
/* Whether the record has what the options ask for; true where they ask for nothing. */
bool cleared_is(const json_t *record, const eval_options *o);
